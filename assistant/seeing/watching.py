"""`Sight`: a camera, the senses that look at what it shows, and the memory of it.

The camera is looked at a few times a second; what holds still, and the sharpest of what does not, is looked into in the
background: one glimpse at a time, and never while a reply is being prepared, unless the reply asks. Pictures that
memory cannot hold go to the album. Knows nothing of words and questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from assistant.backends import Album, Camera, Encoder, Eyes
from assistant.errors import DeviceError, EngineError, OutputError
from assistant.eventlog import Log
from assistant.events import Conversation, Finding, Gaze, Glimpse, Image
from assistant.pacing import Clock
from assistant.seeing.captioning import Captioner
from assistant.seeing.judging import Thumbnail, changed, thumbnail
from assistant.seeing.memory import DENSE_S, KEY_S, PASSING_S, keep, thin
from assistant.workers import Worker

IN_MEMORY_BYTES = 160_000_000
"""of pictures; what is over it goes to the album, the oldest first: a minute of 720p, six frames of 4K"""
TURN_S = 1.5
"""for so long after the user has stopped speaking nothing is looked into that was not asked for"""
IDLE_S = 3.0
"""so much longer after that a mind may be asked to describe a picture"""
SAME_LEVEL = 14.0
"""no cell of two thumbnails differs by more: the same thing as before, and what was found in it still holds"""
KNOWN_VIEWS = 64
"""views that are recognised when they come back"""


class Sight:
    """A camera, the senses, and the memory in `conversation.glimpses`.

    senses: what looks besides the eyes (a detector). encoder: makes vectors of pictures. album: keeps pictures on disk;
    without one what memory cannot hold is gone. captioner: describes pictures while nobody talks. memory: False drops
    what is older than a few seconds. learned: is called with a glimpse whenever more is known of it.
    """

    def __init__(
        self,
        camera: Camera,
        eyes: Worker[Eyes],
        conversation: Conversation,
        clock: Clock,
        log: Log,
        *,
        senses: Sequence[Worker[Eyes]] = (),
        encoder: Worker[Encoder] | None = None,
        album: Worker[Album] | None = None,
        captioner: Captioner | None = None,
        memory: bool = True,
        learned: Callable[[Glimpse], object] = lambda _: None,
    ) -> None:
        self.encoder = encoder
        self.gaze: Gaze | None = None
        """what a reply looked at last"""
        self.lost = False
        """the camera is gone, and waited for"""
        self._camera = camera
        self._eyes = eyes
        self._senses = (eyes, *senses)
        self._conversation = conversation
        self._clock = clock
        self._log = log
        self._album = album
        self._captioner = captioner
        self._captioning: asyncio.Task[None] | None = None
        self._memory = memory
        self._learned = learned
        self._reading: dict[int, asyncio.Task[Glimpse]] = {}
        self._failed: set[int] = set()
        self._storing: dict[int, asyncio.Task[None]] = {}
        self._dropping: set[asyncio.Task[None]] = set()
        self._free_id = 1
        self._quiet_until_s = 0.0
        self._known: list[tuple[Thumbnail, int]] = []
        self._shunned: Image | None = None

    # ------------------------------------------------------------ watching

    async def watch(self, interval_s: float) -> None:
        """Look every `interval_s`, for ever; have the senses look into what is worth it."""
        before: Glimpse | None = None
        while True:
            now = self.look(self._clock.now_s())
            still = now if now is not None and before is not None and now.id == before.id else None
            if not self._reading and self._clock.now_s() >= self._quiet_until_s:
                worth = (still, self._sharpest(), self._left())
                for glimpse in [g for g in worth if g is not None and self._new(g)][:1]:
                    self._start_reading(glimpse)
            self._caption_next()
            before = now
            await asyncio.sleep(interval_s)

    def look(self, at_s: float, why: str = "changed") -> Glimpse | None:
        """The view at `at_s` as a glimpse, kept if it is another one than before; None without a picture."""
        try:
            frame = self._camera.frame(at_s)
        except DeviceError as error:  # it is waited for, and the talk goes on without it
            if not self.lost:
                self._log.emit("trouble", where="camera", message=str(error), kept_going=True)
            self.lost = True
            return None
        if frame is None:
            return None
        if self.lost:
            self.lost = False
            self._log.emit("trouble", where="camera", message="the camera is back", kept_going=True)
        if self._shunned is not None and not changed(self._shunned, frame.image):
            return None
        self._shunned = None
        known = self._conversation.glimpses
        glimpses, glimpse = keep(known, frame, why, max(at_s, frame.at_s), self._free_id)
        self._conversation.glimpses = glimpses
        if glimpse.id >= self._free_id:
            self._free_id = glimpse.id + 1
            self._tidy(at_s)
        return glimpse

    def attend(self, at_s: float) -> None:
        """The user has stopped speaking: the senses are theirs for a while."""
        self._quiet_until_s = at_s + TURN_S
        if self._captioning is not None:
            self._captioning.cancel()

    def _caption_next(self) -> None:
        """Have the newest view described that was there for a while, once nobody has talked for long enough."""
        captioner = self._captioner
        idle = self._clock.now_s() >= self._quiet_until_s + IDLE_S and not self._reading
        if captioner is None or captioner.busy() or not idle or self._captioning is not None:
            return
        lasted = (g for g in reversed(self._conversation.glimpses) if g.ended_s - g.at_s >= PASSING_S and g.findings)
        glimpse = next((g for g in lasted if not g.caption and g.id not in self._failed), None)
        if glimpse is not None:
            self._captioning = asyncio.create_task(self._caption(captioner, glimpse))

    async def _caption(self, captioner: Captioner, glimpse: Glimpse) -> None:
        try:
            image = await self.picture(glimpse)
            found = await captioner.caption(image) if image is not None else None
            if found is not None:
                self._learn(glimpse, findings=(*(self.newest(glimpse).findings or ()), found))
            elif not captioner.busy():
                self._failed.add(glimpse.id)
        finally:
            self._captioning = None

    def _sharpest(self) -> Glimpse | None:
        """The sharpest view of the last seconds, where none of them has been looked into: what a hand holds never holds
        still.
        """
        now_s = self._clock.now_s()
        recent = [g for g in self._conversation.glimpses if g.ended_s > now_s - KEY_S]
        if len(recent) < 2 or any(g.findings for g in recent) or recent[0].at_s > now_s - KEY_S / 2:
            return None
        return max(filter(self._new, recent), key=lambda g: g.sharpness, default=None)

    def _left(self) -> Glimpse | None:
        """The newest view that was there for a while and that nobody had the time to look into."""
        lasted = (g for g in reversed(self._conversation.glimpses[:-1]) if g.ended_s - g.at_s >= PASSING_S)
        return next(filter(self._new, lasted), None)

    def _new(self, glimpse: Glimpse) -> bool:
        return glimpse.findings is None and glimpse.sharpness > 0 and glimpse.id not in self._failed

    # ------------------------------------------------------------ looking into

    async def read(self, glimpse: Glimpse) -> Glimpse:
        """The glimpse with all that the senses find. Cancelling this does not cancel the senses.

        Raises EngineError where the eyes fail.
        """
        reading = self._reading.get(glimpse.id)
        if reading is None:
            known = self.newest(glimpse)
            if known.findings is not None:
                return known
            reading = self._start_reading(known)
        return await asyncio.shield(reading)

    def newest(self, glimpse: Glimpse) -> Glimpse:
        """What is known of it by now, be it all or not."""
        return next((g for g in self._conversation.glimpses if g.id == glimpse.id), glimpse)

    async def picture(self, glimpse: Glimpse) -> Image | None:
        """Its picture, out of the album where it lies there; None where it is gone."""
        if glimpse.image is not None or self._album is None:
            return glimpse.image
        return await self._album.call(self._album.model.get, glimpse.id, cost="get")

    async def reread(self, image: Image) -> tuple[Finding, ...]:
        """What the eyes find in a part of a picture; boxes are pixels of the part. Raises EngineError."""
        return await self._eyes.call(self._eyes.model.look, image, cost="look")

    def _start_reading(self, glimpse: Glimpse) -> asyncio.Task[Glimpse]:
        task = asyncio.create_task(self._read(glimpse))
        self._reading[glimpse.id] = task
        task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        return task

    async def _read(self, glimpse: Glimpse) -> Glimpse:
        try:
            image = await self.picture(glimpse)
            if image is None:
                return self._learn(glimpse, findings=())
            small = thumbnail(image)
            known = self._seen_before(small)
            if known is not None:
                known = self._learn(glimpse, findings=known.findings, features=known.features)
            else:
                known = await self._look_into(glimpse, image)
                self._known = [*self._known[1 - KNOWN_VIEWS :], (small, glimpse.id)]
            self._log.emit("glimpse", id=known.id, why=known.why, text=known.text, labels=list(known.labels))
            return known
        finally:
            self._reading.pop(glimpse.id, None)

    async def _look_into(self, glimpse: Glimpse, image: Image) -> Glimpse:
        """Every sense at the same time, each on its thread; what one finds is known before the others are done.

        The eyes' failure is raised, another sense's is logged.
        """
        found: dict[int, tuple[Finding, ...]] = {}

        def all_found() -> tuple[Finding, ...]:
            return tuple(finding for _, findings in sorted(found.items()) for finding in findings)

        async def look(number: int, sense: Worker[Eyes]) -> None:
            found[number] = await sense.call(sense.model.look, image, cost="look")
            self._learn(glimpse, findings=all_found())

        async def encode(encoder: Worker[Encoder]) -> None:
            self._learn(glimpse, features=await encoder.call(encoder.model.embed_image, image, cost="image"))

        jobs = {sense.name: look(number, sense) for number, sense in enumerate(self._senses)}
        if self.encoder is not None:
            jobs[self.encoder.name] = encode(self.encoder)
        outcomes = await asyncio.gather(*jobs.values(), return_exceptions=True)
        for name, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                self._failed.add(glimpse.id)
                if name == self._eyes.name or not isinstance(outcome, EngineError):
                    raise outcome
                self._log.emit("trouble", where=name, message=str(outcome), kept_going=True)
        return self._learn(glimpse, findings=all_found())

    def __contains__(self, glimpse: Glimpse) -> bool:
        return any(g.id == glimpse.id for g in self._conversation.glimpses)

    def _learn(self, glimpse: Glimpse, **news: Any) -> Glimpse:
        """Put what a sense found into the memory, if the glimpse is still there; the glimpse with it."""
        known = replace(self.newest(glimpse), **news)
        self._learned(known)
        self._conversation.glimpses = [known if g.id == known.id else g for g in self._conversation.glimpses]
        return known

    def _seen_before(self, small: Thumbnail) -> Glimpse | None:
        """An earlier glimpse of just this view that has been looked into."""
        for other, of in reversed(self._known):
            if float(np.abs(other - small).max()) <= SAME_LEVEL:
                known = next((g for g in self._conversation.glimpses if g.id == of), None)
                if known is not None and known.findings is not None:
                    return known
        return None

    # ------------------------------------------------------------ keeping and forgetting

    def forget(self, which: Callable[[Glimpse], bool] = lambda _: True) -> int:
        """Drop glimpses (all, or those that `which` names) with their pictures, on disk too, and what was looked at
        last; how many.

        What is still in view is taken up again, but where it is shunned.
        """
        gone = [g for g in self._conversation.glimpses if which(g)]
        self._delete(gone)
        self.gaze = None
        return len(gone)

    def shun(self) -> None:
        """Do not take up again what is in view now, until the view changes or `look_again`."""
        if self._shunned is None and self._conversation.glimpses:  # else it is shunned already
            self._shunned = self._conversation.glimpses[-1].image

    def look_again(self, at_s: float, since_s: float) -> None:
        """Take up a view that is shunned, as a new glimpse; nothing where none is.

        at_s: now; since_s: when it was first asked about, for the view has not changed since it was shunned.
        """
        if self._shunned is None:
            return
        self._shunned, free_id = None, self._free_id
        glimpse = self.look(at_s, "asked")
        if glimpse is not None and glimpse.id >= free_id:  # a camera's picture may be older, and the glimpse is not
            self._conversation.glimpses = [*self._conversation.glimpses[:-1], replace(glimpse, at_s=since_s)]

    def close(self) -> None:
        """Delete the pictures on disk; nothing may be looked at any more."""
        captioning = [self._captioning] if self._captioning is not None else []
        for task in (*self._storing.values(), *self._dropping, *self._reading.values(), *captioning):
            task.cancel()
        if self._album is not None:
            self._album.close()
            self._album.model.close()

    def _delete(self, gone: Sequence[Glimpse]) -> None:
        ids = {g.id for g in gone}
        for id in ids & self._reading.keys():
            self._reading[id].cancel()
        self._conversation.glimpses = [g for g in self._conversation.glimpses if g.id not in ids]
        self._known = [(small, id) for small, id in self._known if id not in ids]
        if self._album is not None and ids:
            task = asyncio.create_task(self._drop(self._album, ids))
            self._dropping.add(task)
            task.add_done_callback(self._dropping.discard)

    def _tidy(self, now_s: float) -> None:
        """Let go of what is not worth keeping, and put the pictures away that memory cannot hold."""
        before = self._conversation.glimpses
        used = {id for exchange in self._conversation.exchanges for id in exchange.seen} | self._reading.keys()
        kept = thin(before, now_s, used)
        if not self._memory:
            kept = [g for g in kept if g.ended_s > now_s - DENSE_S or g.id in self._reading or g is kept[-1]]
        ids = {g.id for g in kept}
        self._delete([g for g in before if g.id not in ids])
        self._conversation.glimpses = kept
        room = IN_MEMORY_BYTES
        for glimpse in reversed(kept):
            if glimpse.image is None:
                continue
            room -= glimpse.image.nbytes
            if room < 0 and glimpse is not kept[-1] and glimpse.id not in self._storing:
                self._storing[glimpse.id] = asyncio.create_task(self._store(glimpse))

    async def _store(self, glimpse: Glimpse) -> None:
        image, album = glimpse.image, self._album if self._memory else None
        try:
            if album is not None and image is not None:
                await album.call(album.model.put, glimpse.id, image, cost="put")
                if glimpse not in self:  # it was forgotten meanwhile
                    await self._drop(album, {glimpse.id})
        except OutputError as error:
            self._log.emit("trouble", where="memory", message=str(error), kept_going=True)
        finally:
            self._learn(glimpse, image=None, stored=glimpse.size)
            self._storing.pop(glimpse.id, None)

    async def _drop(self, album: Worker[Album], ids: Collection[int]) -> None:
        await album.call(album.model.drop, ids, cost="drop")
