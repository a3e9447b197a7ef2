"""Downloading a file over HTTP: through proxies, with the user's certificates, taken up again where it broke off.

Knows nothing of models, wheels and hubs: an address goes in, bytes come out into an open file.
"""

from __future__ import annotations

import json
import os
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from assistant.errors import OutputError, WeightsError

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 3
"""A download that breaks off is taken up again where it stopped, until it breaks off so often in a row ..."""
STEP_BYTES = 1 << 20
"""... without bringing so much more."""

CONNECT_S, READ_S = 10.0, 30.0

Arrived = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes in all (0: unknown)."""


@contextmanager
def connection(certificates: str | None = None, proxy: str | None = None) -> Iterator[httpx.Client]:
    """A client that goes through the user's proxy, trusts the user's certificates and knows the user's netrc.

    `certificates` is a bundle or a folder of authorities and `proxy` an address; without them the environment says.
    Raises WeightsError where the named certificates cannot be read.
    """
    import httpx

    try:
        if certificates is None:
            verify = httpx.create_ssl_context()
        elif Path(certificates).is_dir():
            verify = ssl.create_default_context(capath=certificates)
        else:
            verify = ssl.create_default_context(cafile=certificates)
    except OSError as error:
        said = f"got '{certificates}': {error.strerror or error}"
        raise WeightsError(
            f"wanted the certificates that PIP_CERT or SSL_CERT_FILE names, {said}; correct it"
        ) from error
    timeout = httpx.Timeout(READ_S, connect=CONNECT_S)
    with httpx.Client(verify=verify, proxy=proxy, timeout=timeout, auth=_netrc(), follow_redirects=True) as client:
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


def download(url: str, into: IO[bytes], client: httpx.Client, arrived: Arrived) -> None:
    """Write what is behind an address to a file that is open for reading and writing; what it holds is the beginning.

    Raises WeightsError, whose message is the reason alone, where it breaks off for good, and OutputError where it
    cannot be written: what has arrived stays in the file.
    """
    import httpx

    failed = 0
    while True:
        begun = into.seek(0, os.SEEK_END)
        try:
            _receive(url, into, client, arrived)
            return
        except httpx.TransportError as error:
            failed = 1 if into.seek(0, os.SEEK_END) - begun >= STEP_BYTES else failed + 1
            if failed == ATTEMPTS:
                raise WeightsError(reason(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise WeightsError(reason(error)) from error


def _receive(url: str, into: IO[bytes], client: httpx.Client, arrived: Arrived) -> None:
    import httpx

    have = into.seek(0, os.SEEK_END)
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=headers) as answer:
        if have and answer.status_code == 416:  # nothing begins there
            if answer.headers.get("Content-Range", "").rpartition("/")[2] != str(have):
                into.seek(0)
                into.truncate()
                raise httpx.RemoteProtocolError("what is behind the address has changed")
            return
        answer.raise_for_status()
        if have and answer.status_code != 206:
            have = into.seek(0)
            into.truncate()
        length = int(answer.headers.get("Content-Length", 0))
        total = have + length if length else 0
        arrived(have, total)
        for chunk in answer.iter_bytes():
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


def reason(error: Exception) -> str:
    """One line about a failed request, without passwords."""
    import httpx

    if isinstance(error, httpx.HTTPStatusError):
        return f"answers {error.response.status_code} {error.response.reason_phrase}".rstrip()
    if isinstance(error, httpx.TimeoutException):
        return "does not answer"
    if isinstance(error, json.JSONDecodeError):
        return "answers with something else than an index"
    return re.sub(r"//[^/@\s]*@", "//***@", " ".join(str(error).split())) or type(error).__name__
