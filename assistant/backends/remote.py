"""A server that speaks OpenAI's protocol, over HTTP: replies streamed, tried again with back-off, given up at once.

The connection lives on an event loop on a thread of its own: whoever waits looks at `stop` meanwhile, and a reply that
nobody wants is a task that is cancelled, which closes the connection, by which the server knows. Whatever a server
does, or fails to do, ends in a reply or in a `Failure` within bounded time. Knows no messages and no configuration.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

from assistant.backends import Stop
from assistant.backends.responses import (
    CONNECT_S,
    JSON,
    STREAM,
    Failure,
    accept,
    as_json,
    events,
    explained,
    message_of,
    whole,
)
from assistant.errors import ConfigError

T = TypeVar("T")

ASK_S = 0.02
"""how often `stop` is asked while nothing comes"""
PAUSES_S = (0.25, 0.5, 1.0)
"""before each new attempt, while nothing of a reply has come"""
LONGEST_PAUSE_S = 5.0
"""a server that wants more time than this before the next attempt (Retry-After) is given up"""
AFTERMATH_S = 1.0
"""how long the end of an answer is waited for after its last word, to use the connection again"""


@dataclass(frozen=True, slots=True)
class Request:
    """A request for a reply. `patience_s`: so long it may be silent. `most`: pieces after which it has said enough."""

    body: dict[str, Any]
    patience_s: float
    most: int


class Remote:
    """A connection to the server at `base_url`; `key` goes with every request. To be closed.

    Raises ConfigError where the environment names a proxy or certificates that cannot be used.
    """

    def __init__(self, base_url: str, key: str | None = None) -> None:
        import httpx

        headers = {"Accept-Encoding": "identity", **({"Authorization": f"Bearer {key}"} if key else {})}
        try:
            self._client = httpx.AsyncClient(
                base_url=base_url,
                headers=headers,
                timeout=httpx.Timeout(None, connect=CONNECT_S),
                verify=httpx.create_ssl_context(),
                trust_env=not is_near(base_url),  # the environment's proxies
            )
        except (ImportError, ValueError, OSError) as error:
            raise ConfigError(
                f"wanted the environment's proxy and certificates, got '{error}'; correct HTTPS_PROXY, ALL_PROXY or "
                "SSL_CERT_FILE"
            ) from error
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="assistant-remote", daemon=True)
        self._thread.start()

    def models(self, patience_s: float) -> list[dict[str, Any]]:
        """What the server says of each of its models. Raises Failure."""
        return asyncio.run_coroutine_threadsafe(self._models(patience_s), self._loop).result()

    def reply(self, request: Request, stop: Stop) -> Iterator[str]:
        """The text of a reply, piece by piece, without reasoning that is sent apart. Raises Failure.

        Ends within `ASK_S` of `stop` being true, or when it is closed; the server is left at once.
        """
        reply = _Reply()
        task = asyncio.run_coroutine_threadsafe(self._reply(request, reply), self._loop)
        try:
            while not stop():
                try:
                    piece = reply.pieces.get(timeout=ASK_S)
                except queue.Empty:
                    continue
                if piece is None:
                    return
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            if not reply.finished:
                task.cancel()

    def close(self) -> None:
        """Leave the server, whatever is under way; may be called twice."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _leave(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._client.aclose()
        await self._loop.shutdown_asyncgens()

    async def _models(self, patience_s: float) -> list[dict[str, Any]]:
        try:
            async with asyncio.timeout(patience_s):
                return await _retried(self._listed, lambda: False)
        except TimeoutError:
            raise _silence(patience_s) from None

    async def _listed(self) -> list[dict[str, Any]]:
        with explained():
            async with self._client.stream("GET", "models") as answer:
                await accept(answer, JSON)
                said = as_json(await whole(answer))
        models = said.get("data") if isinstance(said, dict) else None
        if isinstance(models, list) and all(isinstance(m, dict) and isinstance(m.get("id"), str) for m in models):
            return models
        cure = "correct its base_url, or set both model and context_tokens"
        raise Failure("something else than a list of models", cure)

    async def _reply(self, request: Request, reply: _Reply) -> None:
        try:
            async with asyncio.timeout(request.patience_s) as deadline:
                await _retried(lambda: self._receive(request, reply, deadline), lambda: reply.begun)
        except TimeoutError:
            reply.fail(_silence(request.patience_s))
        except asyncio.CancelledError:
            reply.fail(Failure("a connection that was closed", "load it anew"))
            raise
        except BaseException as error:  # it belongs to whoever reads the pieces, not to this task
            reply.fail(error)
        finally:
            reply.pieces.put(None)

    async def _receive(self, request: Request, reply: _Reply, deadline: asyncio.Timeout) -> None:
        """One attempt at a reply."""
        taken = 0
        with explained():
            async with self._client.stream("POST", "chat/completions", json=request.body) as answer:
                await accept(answer, STREAM)
                async with aclosing(events(answer.aiter_bytes())) as coming:
                    async for data in coming:
                        if reply.finished:
                            continue  # to the end, so that the connection can be used again
                        if data == b"[DONE]":
                            reply.finished = True
                        elif reply.take(as_json(data)):
                            taken += 1
                            reply.finished |= taken >= request.most
                            deadline.reschedule(self._loop.time() + request.patience_s)
                        if reply.finished:
                            reply.pieces.put(None)
                            deadline.reschedule(self._loop.time() + AFTERMATH_S)
        if not reply.finished:
            raise Failure("a reply that broke off", "see the server's log", again_s=0.0)


@dataclass(eq=False, slots=True)
class _Reply:
    """A reply on its way. `pieces` ends in None, and an error stands before it."""

    pieces: queue.SimpleQueue[str | BaseException | None] = field(default_factory=queue.SimpleQueue[Any])
    begun: bool = False
    finished: bool = False

    def take(self, event: Any) -> bool:
        """Take one event of the stream; whether it belongs to a reply. Raises Failure for an error."""
        match event:
            case {"error": error} if error:
                raise Failure(f"'{message_of(event)}'", "see the server's log", said=event)
            case {"object": "error"}:
                raise Failure(f"'{message_of(event)}'", "see the server's log")
            case {"choices": [{**choice}, *_]}:
                delta = choice.get("delta")
                text = delta.get("content") if isinstance(delta, dict) else None
                if text and isinstance(text, str):
                    self.begun = True
                    self.pieces.put(text)
                self.finished = choice.get("finish_reason") is not None
                return True
            case {"choices": _}:  # what it counted, mostly
                return False
            case _:
                raise Failure("something else than chat completions", "correct its base_url")

    def fail(self, error: BaseException) -> None:
        """Hand over an error, unless the reply is whole."""
        if not self.finished:
            self.pieces.put(error)


def is_near(base_url: str) -> bool:
    """Whether a server is on this machine or in its network, by its name alone: no proxy leads there."""
    host = urlsplit(base_url).hostname or ""
    return is_private(base_url) or (":" not in host and "." not in host) or host.endswith((".local", ".lan"))


def is_private(base_url: str) -> bool:
    """Whether an address is certainly none of the internet's: `localhost`, or a number that is not routed there."""
    host = urlsplit(base_url).hostname or ""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


# ---------------------------------------------------------------- attempts


async def _retried(attempt: Callable[[], Awaitable[T]], begun: Callable[[], bool]) -> T:
    """The first attempt that goes well; none is made once a reply has `begun`."""
    for pause_s in PAUSES_S:
        try:
            return await attempt()
        except Failure as failure:
            if begun() or failure.again_s is None or failure.again_s > LONGEST_PAUSE_S:
                raise
            pause_s = max(pause_s, failure.again_s)
        await asyncio.sleep(pause_s)
    return await attempt()


def _silence(patience_s: float) -> Failure:
    return Failure(f"nothing for {patience_s:g} s", "see whether it is overloaded, or raise patience_s")
