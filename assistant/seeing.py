"""Visual memory: frames that were worth keeping, and what the eyes found in them.

`thumbnail`, `changed`, `sharpness`, `keep` and `recall` are pure; `Sight` runs them over a camera and has the eyes read
in the background what has settled. Knows nothing of words and questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from assistant.backends import Camera, Eyes
from assistant.eventlog import Log
from assistant.events import Conversation, Frame, Glimpse, Image
from assistant.pacing import Clock
from assistant.workers import Worker

THUMBNAIL = 32
"""pixels a side of the picture that frames are compared by"""
CHANGED_LEVEL = 20.0
"""difference of two thumbnail cells (0 to 255) that counts: camera noise stays under 15, as does a lamp far away"""
CHANGED_CELLS = 12
"""cells (of 1024) that must differ: a line of another text does, a flicker does not"""
PASSING_S = 1.0
"""a view that was replaced sooner, and that nobody read, was only passing by and is not kept"""
KEPT = 24
"""glimpses kept with their pictures; older ones are dropped"""
RECALL_S = 0.3
"""a frame counts for words that ended up to this long before it: cameras and polls are late"""


def thumbnail(image: Image) -> NDArray[np.float32]:
    """The picture in grey, (32, 32), by mean over a grid of sampled pixels."""
    rows: NDArray[np.intp] = np.linspace(0, image.shape[0] - 1, THUMBNAIL * 4, dtype=np.intp)
    columns: NDArray[np.intp] = np.linspace(0, image.shape[1] - 1, THUMBNAIL * 4, dtype=np.intp)
    grey = image[rows[:, None], columns].mean(axis=2, dtype=np.float32)
    return grey.reshape(THUMBNAIL, 4, THUMBNAIL, 4).mean(axis=(1, 3))


def changed(before: Image | None, now: Image) -> bool:
    """Whether two pictures show another view; True where there was none before."""
    if before is None or before.shape != now.shape:
        return True
    if before is now:
        return False
    return int((np.abs(thumbnail(before) - thumbnail(now)) > CHANGED_LEVEL).sum()) >= CHANGED_CELLS


def sharpness(image: Image) -> float:
    """Mean absolute gradient of the grey picture in grey levels per pixel; 0 for a covered lens."""
    grey = image[::2, ::2].mean(axis=2, dtype=np.float32)
    if min(grey.shape) < 2:
        return 0.0
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())


def keep(glimpses: Sequence[Glimpse], frame: Frame, why: str = "changed") -> tuple[list[Glimpse], Glimpse]:
    """The memory with the frame in it if it shows another view, and the glimpse that now stands for the view."""
    newest = glimpses[-1] if glimpses else None
    if newest is not None and not changed(newest.image, frame.image):
        return list(glimpses), newest
    fresh = Glimpse(newest.id + 1 if newest else 1, frame.at_s, frame.image, None, sharpness(frame.image), why)
    passing = newest is not None and newest.findings is None and frame.at_s - newest.at_s < PASSING_S
    return [*(glimpses[:-1] if passing else glimpses), fresh][-KEPT:], fresh


def recall(glimpses: Sequence[Glimpse], at_s: float) -> Glimpse | None:
    """What was in view when words ended at `at_s`: the newest glimpse of that moment, None where there is none."""
    seen = [g for g in glimpses if g.at_s <= at_s + RECALL_S]
    return seen[-1] if seen else None


class Sight:
    """A camera, the eyes, and the memory in `conversation.glimpses`."""

    def __init__(self, camera: Camera, eyes: Worker[Eyes], conversation: Conversation, clock: Clock, log: Log) -> None:
        self._camera = camera
        self._eyes = eyes
        self._conversation = conversation
        self._clock = clock
        self._log = log
        self._reading: dict[int, asyncio.Task[Glimpse]] = {}

    async def watch(self, interval_s: float) -> None:
        """Look every `interval_s`, for ever; have the eyes read each view once it holds still."""
        before: Glimpse | None = None
        while True:
            now = self.look(self._clock.now_s())
            if now is not None and now is before and now.findings is None and not self._reading:
                self._start_reading(now)
            before = now
            await asyncio.sleep(interval_s)

    def look(self, at_s: float, why: str = "changed") -> Glimpse | None:
        """The view at `at_s` as a glimpse, kept if it is another one than before; None without a picture."""
        frame = self._camera.frame(at_s)
        if frame is None:
            return None
        self._conversation.glimpses, glimpse = keep(self._conversation.glimpses, frame, why)
        return glimpse

    async def read(self, glimpse: Glimpse) -> Glimpse:
        """The glimpse with its findings. Cancelling this does not cancel the reading."""
        for known in self._conversation.glimpses:
            if known.id == glimpse.id and known.findings is not None:
                return known
        if glimpse.findings is not None:
            return glimpse
        return await asyncio.shield(self._reading.get(glimpse.id) or self._start_reading(glimpse))

    def forget(self) -> None:
        """Drop every glimpse, and what is being read."""
        for reading in self._reading.values():
            reading.cancel()
        self._conversation.glimpses = []

    def _start_reading(self, glimpse: Glimpse) -> asyncio.Task[Glimpse]:
        task = asyncio.create_task(self._read(glimpse))
        self._reading[glimpse.id] = task
        task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        return task

    async def _read(self, glimpse: Glimpse) -> Glimpse:
        try:
            findings = await self._eyes.call(self._eyes.model.look, glimpse.image, cost="look")
            known = replace(glimpse, findings=findings)
            others = [g for g in self._conversation.glimpses if g.id != known.id]
            self._conversation.glimpses = sorted([*others, known], key=lambda g: g.id)[-KEPT:]
            self._log.emit("glimpse", id=known.id, why=known.why, text=known.text, labels=list(known.labels))
            return known
        finally:
            self._reading.pop(glimpse.id, None)
