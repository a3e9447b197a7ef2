"""What a model's folder holds: every file with its size and SHA-256, written beside them when they arrived.

So that whether all is there can be told at a glance, and whether it is right can be told offline. Knows nothing of
where files come from.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

MANIFEST = "assistant-manifest.json"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a model. `path` is relative, with slashes."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`source` is where the files came from, `revision` the commit they belong to, where there is one."""

    source: str
    revision: str
    files: tuple[File, ...]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Put it beside the files it is about. Raises OSError."""
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder; None where there is none or it cannot be read."""
    try:
        told: Any = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return Manifest(told["source"], told["revision"], tuple(File(**file) for file in told["files"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def has_all(folder: Path, manifest: Manifest) -> bool:
    """Whether every file is there and as large as it should be."""
    return all(size(folder / file.path) == file.size_bytes for file in manifest.files)


def size(path: Path) -> int:
    """Bytes of a file, -1 where there is none."""
    try:
        return path.stat().st_size if path.is_file() else -1
    except OSError:
        return -1


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_blob(path: Path) -> str:
    """The name git gives a file's content: SHA-1 over a header and the bytes. Raises OSError.

    Source: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects; the hub names small files so.
    """
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def inside(path: str) -> bool:
    """Whether a relative path with slashes stays in the folder it is put in, on every system."""
    pure = PurePosixPath(path)
    return bool(path) and not pure.is_absolute() and ".." not in pure.parts and not set(path) & set("\\:\0")
