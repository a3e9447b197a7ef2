"""The folder in which a model arrives, file by file, until it is whole and gets its name.

A file that is whole lies there under a name made of its path and checksum, one that is not beside it, so that another
version of it is never mixed in and a pull that ended early goes on. One process at a time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.errors import OutputError, WeightsError
from assistant.models.catalogue import Weights
from assistant.models.downloading import Arrived, download, unwritable
from assistant.models.manifest import MANIFEST, File, Manifest, git_blob, sha256, size, write_manifest
from assistant.models.repositories import Offered
from assistant.models.store import StoreSettings, lock, place, shown_bytes, unfinished

if TYPE_CHECKING:
    import httpx

WHOLE = "whole"
"""where the files of a model stand as they will"""


@contextmanager
def arriving(weights: Weights, settings: StoreSettings) -> Iterator[Path]:
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


def receive(
    files: list[Offered],
    folder: Path,
    client: httpx.Client,
    arrived: Arrived,
    total: int,
    *,
    twice: bool = False,
) -> None:
    """Get the files that are not here yet and check each; then put them where they belong in `folder`/WHOLE.

    `total`: bytes in all, about; `twice`: as much room again is needed to unpack them.
    """
    whole = folder / WHOLE
    missing = {file.path: folder / _key(file) for file in files if not _is(whole / file.path, file)}
    begun = sum(max(size(path), 0) + max(size(_growing(path)), 0) for path in missing.values())
    _room(folder, (total - begun) + (total if twice else 0))
    done, told = sum(max(size(whole / file.path), 0) for file in files if file.path not in missing), (0, total)
    arrived(*told)

    def report(got: int, of: int) -> None:
        nonlocal told
        if done + got:  # that nothing is here yet has been said
            told = (done + got, max(total, done + of))
            arrived(*told)

    for file in files:
        if file.path in missing:
            _one(file, missing[file.path], client, report)
            done += size(missing[file.path])
    if told[0] != told[1]:  # what was here already, and a total that was only about right
        arrived(done, done)
    for path, held in missing.items():
        (whole / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(held, whole / path)


def _one(file: Offered, path: Path, client: httpx.Client, arrived: Arrived) -> None:
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


def install(weights: Weights, settings: StoreSettings, folder: Path, about: Manifest) -> None:
    """Write down what there is, and give it the model's name."""
    whole, home = folder / WHOLE, place(weights, settings)
    found = sorted(path for path in whole.rglob("*") if path.is_file() and path.name != MANIFEST)
    files = (File(path.relative_to(whole).as_posix(), size(path), sha256(path)) for path in found)
    write_manifest(whole, Manifest(about.source, about.revision, tuple(files)))
    if home.exists():  # not whole, or it would not have been got again
        os.replace(home, folder / f"before-{time.time_ns()}")
    os.replace(whole, home)
    shutil.rmtree(folder)
