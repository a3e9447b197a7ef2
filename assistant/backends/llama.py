"""A mind on llama.cpp, by `xllamacpp`: any GGUF file, and by default the very small one that a wheel carries.

llama.cpp runs as a server inside this process. Its HTTP side cannot be left out, so it listens on a Unix socket in a
folder that only this user can open, where the system has such sockets, and in any case wants a secret key and answers
below a secret prefix only. Knows nothing of conversations: messages in, text out.
"""

from __future__ import annotations

import os
import queue
import secrets
import shutil
import socket
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.backends import Message, Stop
from assistant.backends.wire import chat
from assistant.errors import EngineError, WeightsError
from assistant.models import StoreSettings, catalogue, fetch

if TYPE_CHECKING:
    import httpx

BUILT_IN = "smollm2-135m-instruct-q4_1"

CPU_CHUNK_TOKENS, GPU_CHUNK_TOKENS = 16, 256
"""Tokens of a prompt per step; `stop` is asked between the steps. A CPU takes them no faster in larger steps: 10.1 to
11.8 ms a token of the built-in mind in steps of 8 to 256 (measured, processor time).
"""

SOCKET_PATH_BYTES = 100
"""A Unix socket's path may be 104 bytes long on macOS and 108 on Linux, its closing zero included."""

COUNTS_KEPT = 2048


class Llama:
    """A mind on llama.cpp. `model` is a name of the catalogue or the path of a `.gguf` file.

    `context_tokens` holds the prompt and the reply. `threads` 0 leaves one core to hearing and speaking, which run at
    the same time: with as many threads as cores, other work on them made it 2 to 20 times slower (measured).
    `temperature` 0 is greedy, and with a `seed` above it the same calls in the same order get the same replies.
    `max_tokens` ends a reply.
    Raises WeightsError where the model is missing or cannot be read, EngineError where the engine cannot be had.
    """

    sees = False

    def __init__(
        self,
        model: str = BUILT_IN,
        context_tokens: int = 2048,
        threads: int = 0,
        temperature: float = 0.0,
        max_tokens: int = 256,
        seed: int = 0,
        image_px: int = 768,
        store: StoreSettings | None = None,
    ) -> None:
        self.model = model
        self._image_px = image_px
        self.free = model != BUILT_IN
        self.context_tokens = context_tokens
        self._sampling = {"temperature": temperature, "seed": seed, "max_tokens": max_tokens}
        self._counts: dict[str, int] = {}
        path = _weights(model, store)
        self._server: _Server | None = _Server(path, context_tokens, threads or free_threads())
        self._finalizer = weakref.finalize(self, self._server.close)

    def count(self, text: str) -> int:
        """How many tokens a text takes, exactly; about a millisecond. May be called while a reply is under way."""
        if text not in self._counts:
            if len(self._counts) >= COUNTS_KEPT:
                self._counts.clear()
            self._counts[text] = self._running().count(text)
        return self._counts[text]

    def reply(self, messages: Sequence[Message], stop: Stop, grammar: str | None = None) -> Iterator[str]:
        """The reply, piece by piece, without the reasoning that some models do first. `grammar` is GBNF.

        Ends soon after `stop` is true or when it is closed, also while the prompt is still being read. The prompt's
        beginning is not read again if the last one began the same way. Raises EngineError where messages are too long
        for the context or hold pictures, where the grammar is none, and where the engine fails.
        """
        request = {**self._request(messages), **({"grammar": grammar} if grammar else {})}
        yield from self._generate(request, stop)

    def prefill(self, messages: Sequence[Message], stop: Stop = lambda: False) -> None:
        """Read messages ahead, so that a reply to messages that begin with them starts sooner. Raises like `reply`."""
        for _ in self._generate({**self._request(messages), "max_tokens": 0}, stop):
            pass

    def close(self) -> None:
        """End a reply that is under way and free the memory; may be called twice."""
        self._server = None
        self._finalizer()

    def _running(self) -> _Server:
        if self._server is None:
            raise EngineError(f"wanted the mind '{self.model}', got one that is closed; load it anew")
        return self._server

    def _request(self, messages: Sequence[Message]) -> dict[str, Any]:
        if any(message.images for message in messages):
            raise EngineError(
                f"wanted messages of text for the mind '{self.model}', got pictures, which it cannot see; choose a "
                "mind that sees, or give it what was found in them as text"
            )
        return {
            **self._sampling,
            "messages": chat(messages, self._image_px),
            "chat_template_kwargs": {"enable_thinking": False},
            "cache_prompt": True,
            "stream": True,
            "return_progress": True,  # or nothing is heard from the engine before the whole prompt has been read
        }

    def _generate(self, request: dict[str, Any], stop: Stop) -> Iterator[str]:
        server = self._running()
        if stop():
            return
        generation = server.begin(request, stop)
        try:
            while (piece := generation.pieces.get()) is not None and not stop():
                if isinstance(piece, BaseException):
                    raise self._failure(piece) from piece
                yield piece
        finally:
            generation.dropped.set()

    def _failure(self, error: BaseException) -> BaseException:
        """What a reader is told: our own errors and those of `stop` as they are, the engine's with the mind's name."""
        if not isinstance(error, _Refusal):
            return error
        said = error.said
        if said.get("type") == "exceed_context_size_error":
            return EngineError(
                f"wanted messages of at most {said.get('n_ctx')} tokens for the mind '{self.model}', got "
                f"{said.get('n_prompt_tokens')}; shorten them or raise its context_tokens"
            )
        if "grammar" in str(said.get("message")):
            return EngineError(f"wanted a grammar in GBNF, got one that cannot be read ({said['message']}); correct it")
        return EngineError(f"wanted a reply of the mind '{self.model}', got '{said.get('message')}'; load it anew")


def free_threads() -> int:
    """Threads for a mind: the cores that this process may use, without one for the other engines."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)


def _weights(model: str, store: StoreSettings | None) -> Path:
    if model in catalogue() or not model.endswith(".gguf"):
        return fetch(model, store)
    path = Path(model).expanduser()
    if not path.is_file():
        raise WeightsError(f"wanted a model for llama.cpp, got no file '{path}'; correct its path")
    return path


# ---------------------------------------------------------------- one reply


class _Refusal(Exception):
    """An error as the engine words it."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(said.get("message"))
        self.said = said


@dataclass(eq=False)
class _Generation:
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
                self.pieces.put(_Refusal({"message": "the reply broke off"}))
        except BaseException as error:  # it belongs to whoever reads the pieces, not to this thread
            self.pieces.put(error)
        finally:
            self.pieces.put(None)

    def _take(self, event: dict[str, Any]) -> bool:
        """What the engine calls with each event; True ends the reply. It would swallow what is raised here."""
        try:
            if "error" in event:
                raise _Refusal(event["error"])
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


class _Server:
    """llama.cpp's server with one model, closed to everyone but this object."""

    def __init__(self, path: Path, context_tokens: int, threads: int) -> None:
        import httpx

        xllamacpp: Any = import_module("xllamacpp")  # it has no types

        self._generation: _Generation | None = None
        self._folder = tempfile.mkdtemp(prefix="assistant-")
        self._key = secrets.token_urlsafe(32)
        params = xllamacpp.CommonParams()
        gpu = any(device["type"] != _cpu(xllamacpp) for device in xllamacpp.get_device_info())
        chunk_tokens = GPU_CHUNK_TOKENS if gpu else CPU_CHUNK_TOKENS
        params.model.path = str(path)
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
            raise WeightsError(
                f"wanted a GGUF model that llama.cpp can load, got '{path}'; correct it, or remove it to have it "
                "fetched anew"
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
        import httpx

        try:
            answer = self._client.post("/tokenize", json={"content": text, "add_special": False})
            return len(answer.raise_for_status().json()["tokens"])
        except (httpx.HTTPError, KeyError, ValueError) as error:
            raise EngineError(f"wanted the tokens of a text counted, got '{error}'; load the mind anew") from error

    def begin(self, request: dict[str, Any], stop: Stop) -> _Generation:
        """Start a reply; the one before is dropped, if it is not over."""
        self._end_generation()
        self._generation = _Generation(self._server.handle_chat_completions, request, stop)
        return self._generation

    def _end_generation(self) -> None:
        if self._generation is not None:
            self._generation.end()
            self._generation = None

    def close(self) -> None:
        self._end_generation()
        self._client.close()
        self._server = None  # its destructor ends its threads
        shutil.rmtree(self._folder, ignore_errors=True)


def _cpu(xllamacpp: Any) -> Any:
    return xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_CPU
