"""Pictures on disk, for as long as the program runs: what memory cannot hold, in a private folder that nobody else
reads.

One JPEG a glimpse, in a temporary folder of mode 0700 that goes with the program; what a program that was killed has
left behind goes when the next one starts. Knows nothing of what is in the pictures.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from shutil import rmtree

import numpy as np

from assistant.errors import OutputError
from assistant.events import Image

PREFIX = "assistant-album-"
QUALITY = 92
"""of JPEG, 0 to 100: small print survives it"""


class DiskAlbum:
    """Keeps pictures by number, up to `most_bytes` in all; the oldest go first.

    The folder is made with the first picture; once closed, nothing is kept any more. Raises OutputError where the
    folder cannot be written.
    """

    def __init__(self, most_bytes: int = 256_000_000) -> None:
        self._most_bytes = most_bytes
        self._sizes: dict[int, int] = {}
        self._folder: Path | None = None
        self._closed = False
        self._lock = threading.Lock()  # the program may end while a picture is being written

    def put(self, number: int, image: Image) -> None:
        """Keep a picture: uint8, (height, width, 3), red first."""
        import cv2

        ok, data = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        with self._lock:
            if self._closed or not ok:
                return
            self._write(self._open(), number, data.tobytes())
            while sum(self._sizes.values()) > self._most_bytes and len(self._sizes) > 1:
                self._unlink(next(iter(self._sizes)))

    def get(self, number: int) -> Image | None:
        """The picture, None where it is not there (any more)."""
        import cv2

        if number not in self._sizes or self._folder is None:
            return None
        try:
            data = np.frombuffer(self._file(self._folder, number).read_bytes(), np.uint8)
        except OSError:
            return None
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        return None if image is None else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)

    def drop(self, numbers: Iterable[int]) -> None:
        """Delete pictures; those that are not there are none."""
        with self._lock:
            for number in numbers:
                self._unlink(number)

    def close(self) -> None:
        """Delete all of it."""
        with self._lock:
            self._closed = True
            self._sizes.clear()
            if self._folder is not None:
                rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def _write(self, folder: Path, number: int, data: bytes) -> None:
        try:
            self._file(folder, number).write_bytes(data)
        except OSError as error:
            self._file(folder, number).unlink(missing_ok=True)
            what = error.strerror or error
            raise OutputError(
                f"wanted to keep a picture in {folder}, got '{what}'; make room, or --no-memory"
            ) from error
        self._sizes[number] = len(data)

    def _unlink(self, number: int) -> None:
        if self._sizes.pop(number, None) is not None and self._folder is not None:
            self._file(self._folder, number).unlink(missing_ok=True)

    def _open(self) -> Path:
        if self._folder is None:
            sweep()
            try:
                self._folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))  # mode 0700
            except OSError as error:
                raise OutputError(
                    f"wanted a temporary folder for pictures, got '{error.strerror}'; make room, or --no-memory"
                ) from error
        return self._folder

    @staticmethod
    def _file(folder: Path, number: int) -> Path:
        return folder / f"{number:08d}.jpg"


def sweep() -> None:
    """Delete the folders of programs that were killed; those of others, and of programs that run, stay."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*"):
        owner = re.match(r"\d+", folder.name.removeprefix(PREFIX))
        if owner is None or _runs(int(owner[0])):
            continue
        if not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid():
            rmtree(folder, ignore_errors=True)


def _runs(pid: int) -> bool:
    if os.name == "nt":  # there a signal of 0 ends the program
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
