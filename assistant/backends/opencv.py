"""Cameras, and video streams by their address, through OpenCV: a thread that keeps only the newest frame.

Every frame is taken off the device, so that none waits in its buffers and grows old, but only those are made pictures
that somebody looks at. A camera that is lost is waited for. Knows nothing of what is to be seen.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from assistant.backends.quiet import quiet
from assistant.errors import DeviceError
from assistant.events import Frame, Image
from assistant.pacing import Clock

if TYPE_CHECKING:
    import cv2

PICTURE_S = 0.1
"""a frame is made a picture at most this often, however often somebody looks: a webcam's JPEGs cost 4 ms each"""
LOST_S = 1.0
"""a camera that sends nothing for so long is lost"""
OPEN_S = 5.0
"""how long a camera may take to answer, and to its first frame"""
AGAIN_S = 1.0
"""a lost camera is looked for this often"""


def capture(source: int | str) -> cv2.VideoCapture:
    """A device by number, a file or an address, opened (or not: ask `isOpened`) without a word on stderr."""
    import cv2

    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET; heeded if this is FFmpeg's first use
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    waits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(OPEN_S * 1000), cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(LOST_S * 1000)]
    with quiet():
        if isinstance(source, int):
            return cv2.VideoCapture(source, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
        return cv2.VideoCapture(source, cv2.CAP_FFMPEG, waits)


class Camera:
    """A camera by its number, or a stream by its address, turned clockwise by 0, 90, 180 or 270 degrees.

    Raises DeviceError where there is none.
    """

    def __init__(self, source: int | str, clock: Clock, turned: int = 0) -> None:
        self.name = f"camera {source}" if isinstance(source, int) else source
        self._source = source
        self._clock = clock
        self._turns = turned // 90 % 4
        self._capture = capture(source)
        if not self._capture.isOpened():
            self._capture.release()
            raise DeviceError(
                f"wanted {self.name}, it cannot be opened; plug it in or permit it, or choose another with "
                "--camera NUMBER, a picture or --camera none"
            )
        self._newest: tuple[float, Image] | None = None
        self._lost: tuple[float, Image] | None = None
        self._frame: Frame | None = None
        self._alive_at = time.monotonic()
        self._wanted = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="assistant-camera", daemon=True)
        self._thread.start()

    def frame(self, at_s: float) -> Frame | None:
        """The newest picture, stamped with when it arrived, and have the next made; None before the first.

        Raises DeviceError while the camera has sent nothing for a second; it is looked for, and may come back.
        """
        self._wanted.set()
        newest = self._newest
        silent_s = time.monotonic() - self._alive_at
        if silent_s > (OPEN_S if newest is None else LOST_S) and not self._closed.is_set():
            self._lost = newest
            raise DeviceError(f"wanted pictures from {self.name}, it sends none any more; plug it in again")
        if newest is not None and newest is self._lost:
            return None  # it sends again, and its first picture is still being made
        if newest is not None and (self._frame is None or self._frame.image is not newest[1]):
            self._frame = Frame(max(0.0, self._clock.now_s() - (time.monotonic() - newest[0])), newest[1])
        return self._frame

    def close(self) -> None:
        """Stop, and let the device go; waits for the frame that is under way."""
        self._closed.set()
        self._thread.join()
        self._capture.release()

    def _run(self) -> None:
        made_at, opened_at = -PICTURE_S, time.monotonic()
        while not self._closed.is_set():
            if not self._capture.grab():
                if time.monotonic() - max(self._alive_at, opened_at) > LOST_S:
                    self._capture.release()
                    self._capture, opened_at = capture(self._source), time.monotonic()
                self._closed.wait(0.05 if self._capture.isOpened() else AGAIN_S)
                continue
            now = self._alive_at = time.monotonic()
            if self._wanted.is_set() and now - made_at >= PICTURE_S:
                image = self._picture()
                if image is not None:
                    self._wanted.clear()
                    self._newest = now, image
                    made_at = now

    def _picture(self) -> Image | None:
        """The frame that was grabbed last; None where it is damaged."""
        import cv2

        ok, image = self._capture.retrieve()
        if not ok:
            return None
        upright = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        return np.ascontiguousarray(np.rot90(upright, -self._turns)) if self._turns else upright
