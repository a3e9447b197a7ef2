"""Weights on this machine: where they lie, and how they get here the first time they are needed.

    locate()   the file, if it is here
    fetch()    the file; gets it first if it must
    where()    all of the catalogue and what of it is here

A file that is in place is whole: it is checked against its pinned SHA-256 before it gets its name, and it gets it in
one step. Knows no engine.
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
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING

from assistant.errors import WeightsError
from assistant.models import wheels
from assistant.models.catalogue import Weights, Wheel, catalogue, known
from assistant.models.places import Places, places, shown

if TYPE_CHECKING:
    import httpx

ABANDONED_S = 600.0
"""A part of a file that has not grown for so long belongs to a fetch that was killed."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where weights are kept (None: the user's cache folder) and where they may come from.

    `wheels` are folders or pages with wheels, looked at before anything pip or uv know; `index` takes the place of
    every index they know. `offline`: nothing is fetched, from anywhere.
    """

    folder: Path | None = None
    wheels: tuple[str, ...] = ()
    index: str | None = None
    offline: bool = False

    def kept_in(self) -> Path:
        """The folder that weights are kept in."""
        import platformdirs

        return self.folder.expanduser() if self.folder else platformdirs.user_cache_path("assistant") / "models"


@dataclass(frozen=True, slots=True)
class Fetching:
    """How far a fetch is. `total_bytes` is what is downloaded in all; the first one of a fetch has 0 `done_bytes`."""

    name: str
    place: str
    done_bytes: int
    total_bytes: int


Progress = Callable[[Fetching], None]


@dataclass(frozen=True, slots=True)
class Stored:
    """A line of `assistant models where`. `path` is None where nothing is; `present` says that the size is right."""

    name: str
    slot: str
    path: Path | None
    size_bytes: int
    licence: str
    present: bool


def locate(weights: str | Weights, settings: StoreSettings | None = None) -> Path | None:
    """The file, in the store or in an installed package that carries it; None where it is not, or has another size.

    Raises ConfigError for a name that the catalogue does not have.
    """
    wanted = known(weights) if isinstance(weights, str) else weights
    candidates = [_target(wanted, settings or StoreSettings())]
    candidates += [path for source in _wheels(wanted) if (path := _installed(source)) is not None]
    return next((path for path in candidates if _size(path) == wanted.size_bytes), None)


def where(settings: StoreSettings | None = None) -> list[Stored]:
    """What of the catalogue is here. A file of the wrong size is listed with its path and is not `present`."""
    settings = settings or StoreSettings()
    lines: list[Stored] = []
    for weights in catalogue().values():
        found = locate(weights, settings)
        target = _target(weights, settings)
        path = found or (target if target.exists() else None)
        lines.append(
            Stored(weights.name, weights.slot, path, weights.size_bytes, weights.licence, present=found is not None)
        )
    return lines


def fetch(
    weights: str | Weights, settings: StoreSettings | None = None, progress: Progress = lambda step: None
) -> Path:
    """The file; if it is not here it is taken out of the wheel that carries it, which is downloaded first.

    `progress` is called only if something has to be fetched: with nothing done first, then as it arrives. Raises
    WeightsError where it cannot be had or must not be fetched, OutputError where it cannot be kept, ConfigError for an
    unknown name.
    """
    wanted = known(weights) if isinstance(weights, str) else weights
    settings = settings or StoreSettings()
    if (path := locate(wanted, settings)) is not None:
        return path
    target = _target(wanted, settings)
    if settings.offline:
        raise WeightsError(
            f"wanted the weights '{wanted.name}' ({_mb(wanted.size_bytes)}) in {target.parent}, got none, and nothing "
            "is fetched while offline; start once without --offline"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
    except OSError as error:
        raise wheels.unwritable(target.parent, error) from error
    _take_from_anywhere(wanted, target, settings, progress)
    return target


def _wheels(weights: Weights) -> list[Wheel]:
    return [source for source in weights.sources if isinstance(source, Wheel)]


def _target(weights: Weights, settings: StoreSettings) -> Path:
    return settings.kept_in() / weights.name / weights.file


def _installed(source: Wheel) -> Path | None:
    """The file inside an installed package, found without importing it."""
    try:
        return Path(str(metadata.distribution(source.project).locate_file(source.member)))
    except metadata.PackageNotFoundError:
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _mb(size_bytes: int) -> str:
    return f"{max(1, round(size_bytes / 1e6))} MB"


def _sweep(folder: Path) -> None:
    for part in folder.glob("*.part"):
        if time.time() - part.stat().st_mtime > ABANDONED_S:
            part.unlink(missing_ok=True)


# ---------------------------------------------------------------- getting it


def _take_from_anywhere(weights: Weights, target: Path, settings: StoreSettings, progress: Progress) -> None:
    """Try every place in order until one of them gives the file."""
    tried: list[str] = []
    around = places(settings.wheels, settings.index)
    with wheels.connection(around) as client:
        for source in _wheels(weights):
            for place, find in _finders(around, source, client):
                try:
                    _take(weights, source, find(), target, client, partial(_tell, progress, weights.name, place))
                    return
                except WeightsError as reason:
                    tried.append(f"{place} ({reason})")
    carriers = " or ".join(f"{source.project} {source.version}" for source in _wheels(weights))
    raise WeightsError(
        f"wanted the weights '{weights.name}' ({_mb(weights.size_bytes)}, in the wheel {carriers}), got them from "
        f"none of {', '.join(tried) or 'no place at all'}; connect once, or name a folder that holds this wheel in "
        "[models] wheels"
    )


def _tell(progress: Progress, name: str, place: str, done_bytes: int, total_bytes: int) -> None:
    progress(Fetching(name, place, done_bytes, total_bytes))


def _finders(around: Places, source: Wheel, client: httpx.Client) -> Iterator[tuple[str, Callable[[], wheels.Offer]]]:
    """Each place as it may be shown, and how to ask it for the wheel."""
    wheel = (source.project, source.version, client)
    yield from ((shown(link), partial(wheels.linked, link, *wheel)) for link in around.links)
    yield from ((shown(index), partial(wheels.indexed, index, *wheel)) for index in around.indexes)


def _take(
    weights: Weights, source: Wheel, offer: wheels.Offer, target: Path, client: httpx.Client, arrived: wheels.Arrived
) -> None:
    """Get the wheel that is offered and put what it carries in place. Raises WeightsError with the reason alone."""
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
            raise wheels.unwritable(target, error) from error


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
            raise wheels.unwritable(Path(part.name), error) from error
    return digest.hexdigest()


@contextmanager
def _part(target: Path) -> Iterator[IO[bytes]]:
    """A file beside the target for what is not whole yet; gone afterwards, unless it was renamed."""
    try:
        part = tempfile.NamedTemporaryFile(dir=target.parent, prefix=f"{target.name}.", suffix=".part", delete=False)
    except OSError as error:
        raise wheels.unwritable(target, error) from error
    try:
        with part:
            yield part
    finally:
        Path(part.name).unlink(missing_ok=True)
