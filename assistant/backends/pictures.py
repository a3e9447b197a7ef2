"""Files as camera: pictures that are shown one after the other, and videos whose frames appear at their own times.

The first picture is shown at 0 s and the last is held. A frame is stamped with the time it appeared, whenever it is
asked for. Knows nothing of what is to be seen.
"""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from assistant.backends import Camera
from assistant.errors import SourceError
from assistant.events import Frame, Image
from assistant.pacing import is_virtual

LONGEST_PX = 4096
"""larger pictures are made smaller while they are read: no eye or mind here takes more"""
PICTURES = frozenset(".png .jpg .jpeg .jpe .webp .bmp .gif .tif .tiff .avif .ppm .pgm .jp2".split())
"""what counts as a picture in a folder, where other files may lie about"""
NOT_A_PICTURE = "name a picture (png, jpg, webp), a video (mp4, mkv, avi) or a folder of pictures"


def read_picture(path: str | os.PathLike[str]) -> Image:
    """A picture as uint8 (height, width, 3), red first, turned as its EXIF says, on white where it is transparent.

    No side is longer than LONGEST_PX. Raises SourceError for a file that is missing, cannot be read, or is no picture.
    """
    from PIL import Image as Pillow
    from PIL import ImageOps

    path = Path(path)
    if path.is_dir():
        raise SourceError(f"wanted a picture, got the folder {path}; name a picture in it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
            with Pillow.open(path) as picture:
                picture.draft("RGB", (LONGEST_PX, LONGEST_PX))
                picture.thumbnail((LONGEST_PX, LONGEST_PX))
                return np.array(_opaque(ImageOps.exif_transpose(picture)))
    except FileNotFoundError as error:
        raise SourceError(f"wanted the picture {path}, there is none; check the name") from error
    except Pillow.DecompressionBombError as error:
        raise SourceError(f"wanted a picture of at most 178 megapixels in {path}, got more; make it smaller") from error
    except Pillow.UnidentifiedImageError as error:
        what = "an empty file" if path.stat().st_size == 0 else "something else"
        raise SourceError(f"wanted a picture in {path}, got {what}; {NOT_A_PICTURE}") from error
    except (OSError, ValueError, SyntaxError) as error:  # SyntaxError is Pillow's for a broken PNG
        raise SourceError(f"wanted a picture in {path}, it cannot be read ({error}); save it again") from error


def _opaque(picture: Any) -> Any:
    from PIL import Image as Pillow

    if picture.mode.startswith("I;16"):  # convert() would cut 16 bits off at 255
        picture = picture.point(lambda v: v / 257).convert("L")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    seen = picture.convert("RGBA")
    white = Pillow.new("RGBA", seen.size, "white")
    return Pillow.alpha_composite(white, seen).convert("RGB")


def open_files(source: str | os.PathLike[str], interval_s: float) -> Camera:
    """A picture, a video, or a folder of pictures in name order, one every `interval_s`, as a camera.

    Raises SourceError for a file that is missing or none of them, and for a folder without pictures.
    """
    path = Path(source)
    if path.is_dir():
        pictures = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES and not p.name.startswith("."))
        if not pictures:
            raise SourceError(f"wanted pictures in the folder {path}, got none; {NOT_A_PICTURE}")
        return PictureCamera([(i * interval_s, picture) for i, picture in enumerate(pictures)])
    if not path.exists():
        raise SourceError(f"wanted the picture or video {path}, there is none; check the name")
    if _is_picture(path):
        return PictureCamera([(0.0, path)])
    return VideoCamera(path)


def _is_picture(path: Path) -> bool:
    from PIL import Image as Pillow

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Pillow.open(path) as picture:
                return picture.format != "MPEG"  # Pillow knows it by sight and cannot read it
    except Pillow.UnidentifiedImageError:
        return path.suffix.lower() in PICTURES
    except Pillow.DecompressionBombError:
        return True
    except OSError as error:
        raise SourceError(f"wanted to read {path}, {error.strerror or error}; check its permissions") from error


class PictureCamera:
    """Shows each picture (a file, or an array) from its time (seconds, rising) on.

    The first file is read at once; the others while the one before is shown. Raises SourceError as `read_picture` does.
    """

    def __init__(self, pictures: Sequence[tuple[float, Path | Image]]) -> None:
        self._pictures = list(pictures)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="assistant-pictures")
        self._shown = -1
        self._frame: Frame | None = None
        self._next: tuple[int, Future[Image]] | None = None
        self._first = self._read(0) if pictures else None

    def frame(self, at_s: float) -> Frame | None:
        """The picture of the moment, stamped with the time it came up; None before the first."""
        which = sum(from_s <= at_s for from_s, _ in self._pictures) - 1
        if which < 0:
            return None
        if which != self._shown:
            self._frame, self._shown = Frame(self._pictures[which][0], self._take(which)), which
            if which + 1 < len(self._pictures):
                self._next = which + 1, self._reader.submit(self._read, which + 1)
        return self._frame

    def close(self) -> None:
        """Let the reader go."""
        self._reader.shutdown(wait=False, cancel_futures=True)

    def _take(self, which: int) -> Image:
        if self._next is not None and self._next[0] == which:
            return self._next[1].result()
        if which == 0 and self._first is not None:
            return self._first
        return self._read(which)

    def _read(self, which: int) -> Image:
        picture = self._pictures[which][1]
        return picture if isinstance(picture, np.ndarray) else read_picture(picture)


class Video:
    """The frames of a video, in order, each with its time; `advance` goes forward, and back by starting again.

    Raises SourceError for a file that is empty or holds no frame that can be read. Turned as its metadata says.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start()

    @property
    def reached_s(self) -> float:
        """When the newest frame appeared that was taken."""
        return self._frame.at_s

    def advance(self, at_s: float) -> Frame:
        """The newest frame at `at_s`: the first before it appears, the last after the end."""
        if at_s < self._frame.at_s and self._frame.at_s > self._first_s:
            self._capture.release()
            self._start()
        while self._due_s is not None and self._due_s <= at_s:
            self._frame = Frame(self._due_s, self._image())
            self._due_s = self._grab()
        return self._frame

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _start(self) -> None:
        from assistant.backends.opencv import capture

        self._count = -1
        self._capture = capture(str(self._path))
        first_s = self._grab()
        if first_s is None:
            self._capture.release()
            what = "an empty file" if self._path.stat().st_size == 0 else "nothing that can be shown"
            raise SourceError(f"wanted a picture or video in {self._path}, got {what}; {NOT_A_PICTURE}")
        self._first_s = first_s
        self._frame = Frame(first_s, self._image())
        self._due_s = self._grab()

    def _grab(self) -> float | None:
        """When the next frame is due, None at the end; its picture is taken by `_image`."""
        import cv2

        if not self._capture.grab():
            return None
        self._count += 1
        said_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if self._count and said_s <= 0:  # some containers keep no times
            return self._count / (self._capture.get(cv2.CAP_PROP_FPS) or 25)
        return said_s

    def _image(self) -> Image:
        import cv2

        ok, image = self._capture.retrieve()
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8) if ok else self._frame.image


class VideoCamera:
    """A video as a camera; its first frame appears at 0 s.

    At real pace a thread decodes along, a moment behind, so that nobody waits for all that passed since the last frame.
    Where the talk's clock falls behind by more, its newest frame is the answer: a camera does not go back.
    """

    BEHIND_S = 0.1
    """the thread stays this far behind, so that it is never ahead of whoever asks"""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._video = Video(Path(path))
        self._lock = threading.Lock()
        self._began: float | None = None
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def frame(self, at_s: float) -> Frame | None:
        """The newest frame at `at_s`, stamped with its own time; the last after the end."""
        self._follow(at_s)
        with self._lock:
            return self._video.advance(at_s if self._thread is None else max(at_s, self._video.reached_s))

    def close(self) -> None:
        """Stop decoding and close the file."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join()
        self._video.close()

    def _follow(self, at_s: float) -> None:
        """Tell the thread what time it is; start it where time is real."""
        self._began = time.monotonic() - at_s
        if self._thread is None and not self._closed.is_set() and _is_real():
            self._thread = threading.Thread(target=self._run, name="assistant-video", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(self.BEHIND_S):
            with self._lock:
                now_s = time.monotonic() - (self._began or 0.0) - self.BEHIND_S
                self._video.advance(max(now_s, self._video.reached_s))


def _is_real() -> bool:
    try:
        return not is_virtual()
    except RuntimeError:  # nobody's time runs: the frames are wanted one by one
        return False
