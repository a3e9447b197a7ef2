"""What is there to see of a picture or a video when a question is asked: the glimpses that a talk would have.

A video is watched as a camera is, at its own pace in virtual time, and each glimpse that is kept is looked into. Knows
the seams, and no engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assistant.backends import Encoder, Eyes
from assistant.backends.pictures import open_files
from assistant.errors import SourceError
from assistant.events import Finding, Frame, Glimpse, Image
from assistant.seeing import keep, thin

WATCH_S = 0.25
"""how often a video is looked at, as `camera.watch_interval_s` has it"""
LONGEST_S = 3600.0
"""of a video that is watched"""


@dataclass(frozen=True, slots=True)
class Senses:
    """The engines that look: eyes that read, a detector and an encoder where there are such."""

    eyes: Eyes
    detector: Eyes | None = None
    encoder: Encoder | None = None

    def look(self, image: Image) -> tuple[Finding, ...]:
        """All that the eyes and the detector find in a picture, uint8 (height, width, 3)."""
        things = self.detector.look(image) if self.detector is not None else ()
        return (*self.eyes.look(image), *things)

    def seen(self, glimpse: Glimpse) -> Glimpse:
        """A glimpse with its findings, and its vector where there is an encoder."""
        if glimpse.image is None:
            return glimpse
        features = self.encoder.embed_image(glimpse.image) if self.encoder is not None else None
        return replace(glimpse, findings=self.look(glimpse.image), features=features)


@dataclass(frozen=True, slots=True)
class View:
    """The memory when a question is asked, oldest first, at `now_s`; `ms`: how long looking at the newest took."""

    glimpses: tuple[Glimpse, ...]
    now_s: float
    ms: float


class Viewer:
    """Watches files and keeps what it saw of them: questions about one picture look at it once."""

    def __init__(self, senses: Senses) -> None:
        self._senses = senses
        self._views: dict[tuple[Path, float | None], View] = {}

    def view(self, file: Path, at_s: float | None = None) -> View:
        """What has been seen of a picture, or of a video up to `at_s` (None: to its end). Raises SourceError."""
        key = (file, at_s)
        if key not in self._views:
            glimpses, now_s = watched(file, at_s)
            began = time.perf_counter()
            newest = self._senses.seen(glimpses[-1])
            ms = 1000 * (time.perf_counter() - began)
            self._views[key] = View((*map(self._senses.seen, glimpses[:-1]), newest), now_s, ms)
        return self._views[key]


def watched(file: Path, at_s: float | None = None) -> tuple[Sequence[Glimpse], float]:
    """The glimpses of a picture or of a video up to `at_s`, not looked into, and when that was. Raises SourceError."""
    glimpses: list[Glimpse] = []
    now_s = 0.0
    for now_s, image in frames(file, LONGEST_S if at_s is None else at_s):
        glimpses, _ = keep(glimpses, Frame(now_s, image), now_s=now_s)
        glimpses = thin(glimpses, now_s)
    if not glimpses:
        raise SourceError(f"wanted a picture or a video that can be shown, {file} shows nothing; check the file")
    return glimpses, now_s if at_s is None else at_s


def frames(file: Path, until_s: float) -> Iterator[tuple[float, Image]]:
    """What is in view every WATCH_S up to `until_s`, or until nothing new has come for a second, with its time.

    Raises SourceError for what is neither a picture nor a video.
    """
    camera, newest_s, step = open_files(file, 1.0), 0.0, 0
    try:
        while (at_s := step * WATCH_S) <= until_s:
            now = camera.frame(at_s)
            if now is None or at_s > max(newest_s, now.at_s) + 1.0:
                return
            newest_s, step = now.at_s, step + 1
            yield at_s, now.image
    finally:
        camera.close()
