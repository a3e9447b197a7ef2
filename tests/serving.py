"""A server that speaks as much of the Hugging Face hub's API as a pull needs, and files beside it; faults can be set.

In this process and real HTTP over a real socket; what it serves is made up by the tests.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 4_000
"""files as large as this are told by SHA-256, as the hub tells those in Git LFS; smaller ones by git's name"""


@dataclass
class Served:
    """What the server has, and what it does wrong.

    `files`: path -> content, of every repository named in `repositories` and behind `/files/`. `claimed`: what it says
    the checksum of a path is. `breaks`: how many answers end half way; `go_on`: wait for it half way through an answer.
    """

    url: str
    files: dict[str, bytes]
    repositories: tuple[str, ...] = ("made/up",)
    commit: str = "c0ffee"
    listing: Any = None
    claimed: dict[str, str] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    breaks: int = 0
    cuts: int = 0
    resumes: bool = True
    redirects: bool = False
    half_sent: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def fetched(self, path: str) -> list[str | None]:
        """The ranges that a file was asked for with, in order."""
        return [given for asked, given in self.asked if asked.endswith(f"/{path}")]


class Quiet(BaseHTTPRequestHandler):
    """A handler that says nothing, and does not mind a client that was killed or had enough."""

    def answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The address of a server on a thread of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def served(files: dict[str, bytes]) -> Iterator[Served]:
    class Handler(Quiet):
        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            told.asked.append((path, self.headers.get("Range")))
            if path in told.status:
                return self.answer(told.status[path], b"no", "text/plain")
            for repository in told.repositories:
                if path in (f"/api/models/{repository}/revision/{name}" for name in ("main", told.commit)):
                    return self.answer(200, json.dumps(listing(told)).encode(), "application/json")
                if path == f"/api/models/{repository}/tree/{told.commit}":
                    return self.answer(200, json.dumps(tree(told)).encode(), "application/json")
            if told.redirects and "/resolve/" in path:
                self.send_response(302)
                self.send_header("Location", f"/files/{path.partition(f'/resolve/{told.commit}/')[2]}?signed=1")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            name = path.partition(f"/resolve/{told.commit}/")[2] or path.removeprefix("/files/")
            if name in told.files:
                return self.file(told.files[name])
            self.answer(404, b"no such thing", "text/plain")

        def do_HEAD(self) -> None:
            """What `huggingface_hub` asks of a file before it gets it."""
            path = unquote(urlsplit(self.path).path)
            name = path.partition(f"/resolve/{told.commit}/")[2]
            self.send_response(200 if name in told.files else 404)
            if name in told.files:
                self.send_header("ETag", f'"{hashlib.sha1(told.files[name]).hexdigest()}"')
                self.send_header("X-Repo-Commit", told.commit)
            self.send_header("Content-Length", str(len(told.files.get(name, b""))))
            self.end_headers()

        def file(self, body: bytes) -> None:
            given = self.headers.get("Range")
            begin = int(given.removeprefix("bytes=").rstrip("-")) if given and told.resumes else 0
            if begin and begin >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.send_header("Content-Length", "0")
                return self.end_headers()
            body = body[begin:]
            self.send_response(206 if begin else 200)
            if not told.cuts:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            if told.go_on is not None:
                self.wfile.flush()
                told.half_sent.set()
                told.go_on.wait(30)
            if told.cuts or told.breaks:
                told.cuts, told.breaks = max(told.cuts - 1, 0), max(told.breaks - 1, 0)
                self.close_connection = True
                return
            self.wfile.write(body[len(body) // 2 :])

    told = Served("", files)
    with listening(Handler) as told.url:
        try:
            yield told
        finally:
            if told.go_on is not None:
                told.go_on.set()


def listing(told: Served) -> Any:
    """What the hub's API says of a repository."""
    if told.listing is not None:
        return told.listing
    siblings = [_sibling(path, body, told) for path, body in told.files.items()]
    return {"id": told.repositories[0], "sha": told.commit, "siblings": siblings}


def tree(told: Served) -> Any:
    """What it says to `huggingface_hub`, which asks otherwise than a pull does."""
    return [
        {"type": "file", "path": path, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
        for path, body in told.files.items()
    ]


def _sibling(path: str, body: bytes, told: Served) -> dict[str, Any]:
    blob = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
    if len(body) < LARGE:
        return {"rfilename": path, "size": len(body), "blobId": told.claimed.get(path, blob)}
    sha256 = told.claimed.get(path, hashlib.sha256(body).hexdigest())
    return {
        "rfilename": path,
        "size": len(body),
        "blobId": blob,
        "lfs": {"sha256": sha256, "size": len(body), "pointerSize": 130},
    }
