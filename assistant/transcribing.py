"""Streaming words out of a recogniser, segment by segment.

A pause closes a segment (a recogniser's last pass cannot be taken back), a voice that goes on opens the next; the words
of a turn are its segments joined. What a recogniser cannot take yet waits and goes in as one piece, so that a slow one
falls behind in captions and not in memory. Knows nothing of pauses: `hearing` says when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from assistant.backends import Recogniser
from assistant.events import Block, Samples, Words, join_words
from assistant.workers import Worker

Segment = asyncio.Task[Words]
"""A stretch of speech that becomes words; its times are the session's."""


@dataclass(eq=False)
class _Open:
    """A segment that still grows."""

    began_s: float
    waiting: list[Samples] = field(default_factory=list[Samples])
    closed: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Transcriber:
    """One recogniser on its worker, and the segments of the turn that is being spoken.

    `partial` is called with the words so far whenever the recogniser knows more. `raw`: it is fed what the microphone
    heard and not what the echo canceller left of it.
    """

    def __init__(
        self, worker: Worker[Recogniser], language: str, partial: Callable[[Words], None], *, raw: bool = False
    ) -> None:
        self._worker = worker
        self._raw = raw
        self._language = language
        self._partial = partial
        self._open: _Open | None = None
        self._segments: tuple[Segment, ...] = ()
        self._newest: Segment | None = None
        self._latest = Words("")

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments of this turn so far; `joined` makes words of them."""
        return self._segments

    @property
    def latest(self) -> Words:
        """The best that is known of this turn's words so far."""
        return self._latest

    def begin(self) -> None:
        """Start a new turn; what the last one's segments are still at goes on for whoever holds them."""
        self.close()
        self._segments = ()
        self._latest = Words("")

    def feed(self, block: Block) -> None:
        """Hand in sound; opens a segment where none is open."""
        if self._open is None:
            self._open = _Open(block.at_s)
            segment = asyncio.create_task(self._transcribe(self._open, self._segments, self._newest))
            segment.add_done_callback(_retrieve)
            self._newest = segment
            self._segments = (*self._segments, segment)
        self._open.waiting.append(block.raw if self._raw and block.raw is not None else block.pcm)
        self._open.news.set()

    def close(self) -> None:
        """End the open segment, if there is one: its words become final."""
        if self._open is not None:
            self._open.closed = True
            self._open.news.set()
            self._open = None

    def drop(self) -> None:
        """Forget this turn: it was no speech."""
        self._open = None
        for segment in self._segments:
            segment.cancel()
        self._segments = ()

    async def _transcribe(self, sound: _Open, before: Sequence[Segment], last: Segment | None) -> Words:
        if last is not None:
            await asyncio.wait({last})  # a recogniser is at one segment at a time
        recogniser, call = self._worker.model, self._worker.call
        state = await call(recogniser.start, self._language, cost="start")
        while True:
            await sound.news.wait()
            sound.news.clear()
            while sound.waiting:
                pcm = np.concatenate(sound.waiting)
                sound.waiting.clear()
                words = await call(recogniser.feed, state, pcm, cost="feed")
                if words is not None and words.text:
                    so_far = join_words([*(s.result() for s in before if _finished(s)), words.shifted(sound.began_s)])
                    if sound is self._open:
                        self._latest = so_far
                    self._partial(so_far)
            if sound.closed:
                return (await call(recogniser.finish, state, cost="finish")).shifted(sound.began_s)


async def joined(segments: Sequence[Segment]) -> Words:
    """The final words of a turn. Raises what the recogniser raised; cancelling this does not cancel the segments."""
    return join_words([await asyncio.shield(segment) for segment in segments])


def _finished(segment: Segment) -> bool:
    return segment.done() and not segment.cancelled() and segment.exception() is None


def _retrieve(segment: Segment) -> None:
    """Look at the error, or asyncio complains where a draft was dropped; whoever awaits it still gets it."""
    if not segment.cancelled():
        segment.exception()
