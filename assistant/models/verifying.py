"""Whether a model on this machine is what it was when it arrived, or what its publisher says; opens no connection."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from assistant.models.catalogue import Weights, known
from assistant.models.manifest import git_blob, read_manifest, sha256, size
from assistant.models.store import StoreSettings, locate, target


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found of a model: `wrong` files are missing or differ; of `unchecked` ones nobody told a checksum."""

    name: str
    path: Path
    wrong: tuple[str, ...]
    unchecked: tuple[str, ...]
    checked: int


def verify(weights: str | Weights, settings: StoreSettings | None = None) -> Verified | None:
    """Check every file of a model that is here; None where nothing of it is. Raises OSError for an unreadable file."""
    wanted = known(weights) if isinstance(weights, str) else weights
    settings = settings or StoreSettings()
    kept = target(wanted, settings)
    path = locate(wanted, settings) or (kept if kept.exists() else None)
    if path is None:
        return None
    wrong: list[str] = []
    unchecked: list[str] = []
    checked = 0
    for file, right in _files(path, wanted):
        name = file.relative_to(path.parent if wanted.file else path).as_posix()
        if right is None:
            unchecked.append(name)
        elif right:
            checked += 1
        else:
            wrong.append(name)
    return Verified(wanted.name, path, tuple(wrong), tuple(unchecked), checked)


def _files(path: Path, weights: Weights) -> Iterator[tuple[Path, bool | None]]:
    """Each file of a model, and whether it is right; None where nobody has said what it should be."""
    if weights.sha256:
        yield path, size(path) >= 0 and sha256(path) == weights.sha256
        return
    folder = path.parent if weights.file else path
    if (manifest := read_manifest(folder)) is not None:
        for told in manifest.files:
            file = folder / told.path
            yield file, size(file) == told.size_bytes and sha256(file) == told.sha256
        return
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        yield file, _by_its_name(file.resolve())


def _by_its_name(blob: Path) -> bool | None:
    """The hub's cache names what it keeps by its SHA-256, or, where it is small, as git does."""
    if re.fullmatch(r"[0-9a-f]{64}", blob.name):
        return sha256(blob) == blob.name
    return git_blob(blob) == blob.name if re.fullmatch(r"[0-9a-f]{40}", blob.name) else None
