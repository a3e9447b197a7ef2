"""llama.cpp's server inside this process, with one model, closed to everyone else.

Its HTTP side cannot be left out, so it listens on a Unix socket in a folder that only this user can open, where the
system has such sockets, and in any case wants a secret key and answers below a secret prefix only. Knows no messages.
"""

from __future__ import annotations

import os
import queue
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.backends import Stop
from assistant.errors import EngineError, WeightsError

if TYPE_CHECKING:
    import httpx

CPU_CHUNK_TOKENS, GPU_CHUNK_TOKENS = 16, 256
"""Tokens of a prompt per step; `stop` is asked between the steps. A CPU takes them no faster in larger steps: 10.1 to
11.8 ms a token of the built-in mind in steps of 8 to 256 (measured, processor time). A mind that sees takes the larger
ones everywhere: some read all tokens of a picture at once (Gemma's are 256).
"""

SOCKET_PATH_BYTES = 100
"""A Unix socket's path may be 104 bytes long on macOS and 108 on Linux, its closing zero included."""


class Refusal(Exception):
    """An error as the engine words it."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(said.get("message"))
        self.said = said


@dataclass(eq=False)
class Generation:
    """A reply being made on a thread of its own: the engine calls back, and a generator has to ask.

    `pieces` always ends in None, whatever happens on the thread; an exception stands before it.
    """

    chat: Callable[[dict[str, Any], Callable[[dict[str, Any]], bool]], None]
    request: dict[str, Any]
    stop: Stop
    pieces: queue.SimpleQueue[str | BaseException | None] = field(default_factory=queue.SimpleQueue[Any])
    dropped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._finished = False
        self.read_tokens = (0, 0)
        self.thread = threading.Thread(target=self._run, name="assistant-llama-reply", daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Wait until the engine is done with it, which takes one step of a prompt, or a token."""
        self.dropped.set()
        self.thread.join()

    def _run(self) -> None:
        try:
            self.chat(self.request, self._take)
            if not self._finished:
                self.pieces.put(Refusal({"message": "the reply broke off"}))
        except BaseException as error:  # it belongs to whoever reads the pieces, not to this thread
            self.pieces.put(error)
        finally:
            self.pieces.put(None)

    def _take(self, event: dict[str, Any]) -> bool:
        """What the engine calls with each event; True ends the reply. It would swallow what is raised here."""
        try:
            if "error" in event:
                raise Refusal(event["error"])
            if progress := event.get("prompt_progress"):
                self.read_tokens = progress["cache"], progress["total"]
            for choice in event.get("choices", ()):
                if text := choice["delta"].get("content"):
                    self.pieces.put(text)
                self._finished |= choice.get("finish_reason") is not None
            ended = self.dropped.is_set() or self.stop()
        except BaseException as error:  # as above
            self.pieces.put(error)
            ended = True
        self._finished |= ended
        return ended


# ---------------------------------------------------------------- the engine


class Engine:
    """llama.cpp's server with one model, closed to everyone but this object."""

    def __init__(self, path: Path, projector: Path | None, context_tokens: int, threads: int) -> None:
        import httpx

        xllamacpp: Any = import_module("xllamacpp")  # it has no types

        self._generation: Generation | None = None
        self._changing = threading.Lock()
        self._folder = tempfile.mkdtemp(prefix="assistant-")
        self._key = secrets.token_urlsafe(32)
        params = xllamacpp.CommonParams()
        gpu = any(device["type"] != _cpu(xllamacpp) for device in xllamacpp.get_device_info())
        chunk_tokens = GPU_CHUNK_TOKENS if gpu or projector else CPU_CHUNK_TOKENS
        params.model.path = str(path)
        params.mmproj.path = str(projector or "")
        params.n_ctx = context_tokens
        params.n_parallel = 1
        params.n_batch = params.n_ubatch = chunk_tokens
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.cpuparams.poll = params.cpuparams_batch.poll = 0  # idle threads sleep
        params.cache_ram_mib = 0  # the prompt of the only slot is cached in place
        params.fit_params = gpu
        params.warmup = False  # the first request below is one
        params.verbosity = -1
        prefix = self._shut(params)
        try:
            self._server: Any = xllamacpp.Server(params)
        except RuntimeError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            advice = "take the model's own projector" if projector else "take one of a kind it knows"
            raise WeightsError(
                f"wanted a model that llama.cpp can load, got '{path}'{f' with {projector}' if projector else ''}; "
                f"{advice}, or fetch it anew"
            ) from error
        # A server that is dropped before its loop has begun waits for it for ever: an answer proves that it has.
        self._server.handle_completions({"prompt": "a", "max_tokens": 1})
        self._client = self._connected(httpx, self._server.listening_address, prefix)

    def _shut(self, params: Any) -> str:
        """Close the HTTP side to everyone; returns the secret prefix of its paths."""
        params.api_keys = [self._key]
        params.api_prefix = "/" + secrets.token_urlsafe(16)
        params.cors_origins = params.cors_methods = params.cors_headers = ""
        params.cors_origins_explicit = True
        params.cors_credentials = False
        params.endpoint_slots = params.endpoint_props = params.endpoint_metrics = False
        params.ui = False
        params.n_threads_http = 1
        path = os.path.join(self._folder, "llama.sock")
        private = hasattr(socket, "AF_UNIX") and len(os.fsencode(path)) <= SOCKET_PATH_BYTES
        params.hostnames = [path if private else "127.0.0.1"]
        params.port = 0
        return params.api_prefix

    def _connected(self, httpx: Any, address: str, prefix: str) -> httpx.Client:
        private = address.startswith("unix://")
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=address.removeprefix("unix://") if private else None),
            base_url=("http://localhost" if private else address) + prefix,
            headers={"Authorization": f"Bearer {self._key}"},
        )

    def count(self, text: str) -> int:
        """How many tokens a text takes. Raises EngineError."""
        import httpx

        try:
            answer = self._client.post("/tokenize", json={"content": text, "add_special": False})
            return len(answer.raise_for_status().json()["tokens"])
        except (httpx.HTTPError, KeyError, ValueError) as error:
            raise EngineError(f"wanted the tokens of a text counted, got '{error}'; load the mind anew") from error

    @property
    def read_tokens(self) -> tuple[int, int]:
        """Tokens of the newest prompt that were kept from the one before, and all of them."""
        return self._generation.read_tokens if self._generation is not None else (0, 0)

    def begin(self, request: dict[str, Any], stop: Stop) -> Generation:
        """Start a reply; the one before is dropped, if it is not over.

        Raises EngineError once it is closed, which another thread may do meanwhile.
        """
        with self._changing:
            if self._server is None:
                raise EngineError("wanted a reply, got a mind that was closed; load it anew")
            self._end_generation()
            self._generation = Generation(self._server.handle_chat_completions, request, stop)
            return self._generation

    def _end_generation(self) -> None:
        if self._generation is not None:
            self._generation.end()
            self._generation = None

    def close(self) -> None:
        """End what is under way and free the memory."""
        with self._changing:
            self._end_generation()
            self._client.close()
            self._server = None  # its destructor ends its threads
        shutil.rmtree(self._folder, ignore_errors=True)


def _cpu(xllamacpp: Any) -> Any:
    return xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
