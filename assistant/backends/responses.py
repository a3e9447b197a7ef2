"""What a server answers, made of it what it should be, or a `Failure` in words: statuses, events, JSON, errors.

Everything has bounds: a line, an answer, a message that is told. Knows no connection and no engine.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

CONNECT_S = 5.0
LINE_BYTES, BODY_BYTES = 1 << 20, 1 << 20
AGAIN = frozenset({408, 429, 500, 502, 503, 504, 529})
"""statuses after which another attempt may go well"""
STREAM, JSON = "text/event-stream", "application/json"


class Failure(Exception):
    """A request that failed. `reason` and `cure` are halves of a message; `again_s`: trying again makes sense after so
    many seconds, None for never. `status` is the server's, 0 where it gave none, and `error` what it says in detail.
    """

    def __init__(
        self, reason: str, cure: str, again_s: float | None = None, status: int = 0, said: object = None
    ) -> None:
        super().__init__(reason)
        self.reason, self.cure, self.again_s, self.status = reason, cure, again_s, status
        error = said.get("error") if isinstance(said, dict) else None
        self.error: dict[str, Any] = error if isinstance(error, dict) else {}


@contextmanager
def explained() -> Iterator[None]:
    """Failures of the connection in words."""
    import httpx

    try:
        yield
    except httpx.ConnectTimeout as error:
        raise Failure(f"no connection within {CONNECT_S:g} s", "start it, or correct its base_url") from error
    except httpx.ConnectError as error:
        reason = f"no connection ({_line(str(error))})"
        raise Failure(reason, "start it, or correct its base_url", again_s=0.0) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = f"a broken connection ({_line(str(error)) or type(error).__name__})"
        raise Failure(reason, "see the server's log", again_s=0.0) from error


async def accept(answer: httpx.Response, kind: str) -> None:
    """Raise Failure unless it is the kind of answer that was asked for."""
    if answer.status_code != 200:
        said = _decoded(await whole(answer))
        status = answer.status_code
        reason = f"status {status} ({message_of(said) or answer.reason_phrase or 'no reason'})"
        raise Failure(reason, _cure(status), _again_s(answer) if status in AGAIN else None, status, said)
    got = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if got != kind:
        raise Failure(f"'{got or 'no content type'}' instead of {kind}", "correct its base_url; it mostly ends in /v1")


def _cure(status: int) -> str:
    if status in (401, 403):
        return "set the key in the environment, by the variable that key_env names"
    if status == 404:
        return "correct its base_url (it mostly ends in /v1) or the model"
    if 300 <= status < 400:
        return "name the place it leads to as base_url"
    return "try again later" if status in AGAIN else "correct the options of [mind.openai]"


def _again_s(answer: httpx.Response) -> float:
    """Seconds until the next attempt, as the answer has it: a number or a date (RFC 9110, 10.2.3)."""
    from email.utils import parsedate_to_datetime

    wanted = answer.headers.get("Retry-After", "").strip()
    if wanted.isascii() and wanted.isdigit():
        return float(wanted[:9])
    try:
        then = parsedate_to_datetime(wanted)
        return max(0.0, (then - parsedate_to_datetime(answer.headers["Date"])).total_seconds())
    except (ValueError, TypeError, KeyError):
        return 0.0


async def whole(answer: httpx.Response) -> bytes:
    """All of an answer. Raises Failure where it has no end."""
    body = b""
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) > BODY_BYTES:
            raise Failure("an answer without end", "correct its base_url")
    return body


async def events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The data of server-sent events (WHATWG HTML, 9.2), one line an event, as all these servers write them.

    Raises Failure for a line without end.
    """
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
        if len(rest) > LINE_BYTES:
            raise Failure("a line without end", "see the server's log")


def as_json(data: bytes) -> Any:
    """What JSON says. Raises Failure for what is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Failure(f"'{_line(data.decode(errors='replace'))}' instead of JSON", "see the server's log") from error


def _decoded(body: bytes) -> Any:
    """The JSON of an error; what is none says nothing."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def message_of(answer: Any) -> str:
    """The message of an error: OpenAI's form, or one of those that servers made up."""
    match answer:
        case {"error": {"message": str(said)}} | {"error": str(said)} | {"message": str(said)} | {"detail": str(said)}:
            return _line(said)
        case _:
            return ""


def _line(text: str) -> str:
    """A text as one line that is not too long."""
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199] + "…"
