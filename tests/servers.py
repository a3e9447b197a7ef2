"""HTTP servers for tests, in this process: one that does what it is told to, well or badly, and a real one."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import Any

Behaviour = Callable[["Answering"], None]
"""what a server does with a request for a reply"""


class Scripted(ThreadingHTTPServer):
    """A fake that speaks OpenAI's protocol: each request for a reply gets the next behaviour, the last one again and
    again. `asked` keeps the bodies, `headers` what came with them; `left` is set once a client has gone away.
    """

    daemon_threads = True

    def __init__(self, *behaviours: Behaviour, models: Any = None) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.behaviours = list(behaviours)
        self.models = models if models is not None else {"data": [{"id": "fake", "max_model_len": 2048}]}
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.connections = 0
        self.left, self.over = threading.Event(), threading.Event()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def get_request(self) -> tuple[socket.socket, Any]:
        self.connections += 1
        return super().get_request()

    def handle_error(self, request: Any, client_address: Any) -> None:
        self.left.set()


class Answering(BaseHTTPRequestHandler):
    """One connection of `Scripted`; what behaviours are made from."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Scripted

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        if callable(self.server.models):
            self.server.models(self)
        else:
            self.answer(json.dumps(self.server.models).encode())

    def do_POST(self) -> None:
        self.server.paths.append(self.path)
        self.server.headers.append(dict(self.headers.items()))
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        behaviours = self.server.behaviours
        (behaviours.pop(0) if len(behaviours) > 1 else behaviours[0])(self)

    def answer(self, body: bytes, kind: str = "application/json", status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def begin(self, kind: str = "text/event-stream") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def event(self, data: Any) -> None:
        self.send(b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n")

    def say(self, text: str | None, finish: str | None = None, **delta: Any) -> None:
        content = {} if text is None else {"content": text}
        self.event({"choices": [{"index": 0, "delta": {**content, **delta}, "finish_reason": finish}]})

    def end(self) -> None:
        self.send(b"")

    def break_off(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def wait(self) -> None:
        """Do nothing until the client has gone or the test is over."""
        self.connection.settimeout(0.02)
        while not self.server.over.is_set():
            try:
                if not self.connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        self.close_connection = True
        self.server.left.set()


def replies(*pieces: str) -> Behaviour:
    """A whole reply in pieces, as it should be."""

    def behave(to: Answering) -> None:
        to.begin()
        to.say(None, role="assistant")
        for piece in pieces:
            to.say(piece)
        to.say(None, "stop")
        to.event({"choices": [], "usage": {"total_tokens": 3}})
        to.event(b"[DONE]")
        to.end()

    return behave


def refuses(status: int, body: Any = None, **headers: str) -> Behaviour:
    """An error; `body` is made JSON unless it is bytes."""

    def behave(to: Answering) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        to.answer(data, status=status, **headers)

    return behave


@contextmanager
def serving(*behaviours: Behaviour, models: Any = None) -> Iterator[Scripted]:
    """A scripted server while the block runs."""
    with Scripted(*behaviours, models=models) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


@contextmanager
def llama_server(weights: Path, mmproj: Path | None = None, context_tokens: int = 1024) -> Iterator[str]:
    """llama.cpp's own HTTP server on this machine, as others run it; the base address."""
    xllamacpp: Any = import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    if mmproj is not None:
        params.mmproj.path = str(mmproj)
    params.n_ctx, params.n_parallel, params.n_batch = context_tokens, 1, 64
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.warmup, params.verbosity, params.ui = False, -1, False
    server = xllamacpp.Server(params)
    server.handle_completions({"prompt": "a", "max_tokens": 1})  # one dropped before its loop runs waits for ever
    try:
        yield f"{server.listening_address}/v1"
    finally:
        del server


def unused_address() -> str:
    """An address of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail where the block takes longer."""
    began_s = time.monotonic()
    yield
    took_s = time.monotonic() - began_s
    assert took_s < seconds, f"took {took_s:.2f} s, not {seconds:g}"
