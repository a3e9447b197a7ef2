"""Streaming words out of any recogniser, segment by segment.

A pause closes a segment and its words become final; the words of a turn are its segments joined. An engine that streams
is fed as sound comes in, and what it cannot take yet waits and goes in as one piece: a slow one falls behind in
captions and not in memory. One that takes whole recordings only is asked again and again about the sound so far
(`agreement`), never for more than half of the time. What nobody said is dropped with a reason (`guards`). Knows nothing
of pauses: `hearing` says when.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from assistant import agreement
from assistant.agreement import MOST_S, Agreement
from assistant.backends import Decodes, Hypothesis
from assistant.events import HEARING_RATE_HZ, Block, Samples, Words, join_words
from assistant.guards import VOICE_P, doubt, too_little
from assistant.workers import Worker

Segment = asyncio.Task[Words]
"""A stretch of speech that becomes words; its times are the session's."""

AFTER_S = 0.03
"""so much sound after a voice shows that its last word is whole"""
SOON_S = 1e-6


@dataclass(frozen=True, slots=True)
class Streaming:
    """How often and how much is recognised, in seconds."""

    tick_s: float = 0.5
    """an engine that takes whole recordings is asked this often, and never sooner than twice what the last time took"""
    quiet_s: float = 0.1
    """so much silence may become a pause: it is asked at once, to be done when the pause is there"""
    resume_s: float = 2.0
    """a voice that goes on within this time is heard as one recording with what was before"""


@dataclass(eq=False, slots=True)
class _Sound:
    """A segment: its sound, and what is known of it. Times are the session's, those of `agreed` the segment's."""

    began_s: float
    opened_at: float
    """the loop's time"""
    closed: asyncio.Future[None]
    resumes: _Sound | None = None
    """the segment that this one goes on from"""
    end_s: float = -math.inf
    until_s: float = math.inf
    """words that begin later are the next segment's"""
    blocks: list[tuple[Block, float]] = field(default_factory=list[tuple[Block, float]])
    """the sound, each with the probability of voice"""
    voiced_s: float = 0.0
    voice_ended_s: float = -math.inf
    taken: int = 0
    """how many blocks an engine that streams has had"""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    agreed: Agreement = field(default_factory=Agreement)
    covered_s: float = -math.inf
    """the newest hypothesis is about the sound up to here"""
    doubt: tuple[str, str] | None = None
    """what was not believed of late, and why"""
    heard: Words = field(default_factory=lambda: Words(""))
    """the newest words, tentative or final"""

    def add(self, block: Block, p_voice: float) -> None:
        """Add sound that follows; what is here already is left out."""
        if block.at_s < self.end_s - SOON_S:
            return
        self.blocks.append((block, p_voice))
        self.end_s = block.end_s
        if p_voice >= VOICE_P:
            self.voiced_s += block.end_s - block.at_s
            self.voice_ended_s = block.end_s
        self.news.set()

    def go_on(self) -> None:
        """Take over the sound and the knowledge of the segment that this one goes on from; silence fills the gap."""
        before, self.resumes = self.resumes, None
        if before is None:
            return
        gap = round((self.blocks[0][0].at_s - before.end_s) * HEARING_RATE_HZ) if self.blocks else 0
        filled = [(Block(before.end_s, np.zeros(gap, np.float32)), 0.0)] if gap > 0 else []
        self.blocks = [*before.blocks, *filled, *self.blocks]
        self.voiced_s += before.voiced_s
        self.voice_ended_s = max(self.voice_ended_s, before.voice_ended_s)
        self.began_s, self.agreed, self.covered_s = before.began_s, before.agreed, before.covered_s
        self.doubt = before.doubt

    def heard_by(self, ended_s: float) -> bool:
        """Whether sound that ends there holds all of the voice so far, and enough after it to tell that it is over."""
        return ended_s >= min(self.voice_ended_s + AFTER_S, self.end_s) - SOON_S

    def take(self) -> Samples | None:
        """The sound that an engine that streams has not had."""
        waiting = [block.pcm for block, _ in self.blocks[self.taken :]]
        self.taken = len(self.blocks)
        return np.concatenate(waiting) if waiting else None

    def buffer(self) -> Samples:
        """The sound that the next hypothesis is to be about; what lies before it is forgotten."""
        began_s = self.began_s + self.agreed.began_s
        while self.blocks[0][0].end_s <= began_s + SOON_S:
            del self.blocks[0]
        begin = max(0, round((began_s - self.blocks[0][0].at_s) * HEARING_RATE_HZ))
        pcm = np.concatenate([block.pcm for block, _ in self.blocks])
        return pcm[begin : begin + round(MOST_S * HEARING_RATE_HZ)]


class Transcriber:
    """One recogniser on its worker, and the segments of the turn that is being spoken.

    `partial` is called with the words of the turn so far whenever more is known, `dropped` with a text that was not
    believed and the reason. `raw`: it is fed what the microphone heard and not what the echo canceller left of it.
    """

    def __init__(
        self,
        worker: Worker[Any],
        language: str,
        partial: Callable[[Words], None],
        dropped: Callable[[str, str], None] = lambda text, why: None,
        rules: Streaming | None = None,
        *,
        raw: bool = False,
    ) -> None:
        self._worker = worker
        self._raw = raw
        self._whole = isinstance(worker.model, Decodes)
        self._language = language
        self._partial = partial
        self._dropped = dropped
        self._rules = rules or Streaming()
        self._open: _Sound | None = None
        self._turn: tuple[tuple[_Sound, Segment], ...] = ()
        self._newest: Segment | None = None
        self._asked_at = -math.inf
        self._cost_s = 0.0

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments of this turn so far; `joined` makes words of them."""
        return tuple(segment for _, segment in self._turn)

    @property
    def latest(self) -> Words:
        """The best that is known of this turn's words so far, in the session's time."""
        return join_words([sound.heard for sound, _ in self._turn])

    def begin(self) -> None:
        """Start a new turn; what the last one's segments are still at goes on for whoever holds them."""
        self.close()
        self._turn = ()

    def feed(self, block: Block, p_voice: float = 1.0) -> None:
        """Hand in sound, and the probability that it holds voice; opens a segment where none is open.

        A segment with next to no voice is not recognised.
        """
        if self._raw and block.raw is not None:
            block = replace(block, pcm=block.raw)
        if self._open is None:
            self._open = self._begin(block.at_s)
        self._open.add(block, p_voice)
        if not self._whole and self._open.end_s - self._open.began_s > self._worker.model.longest_s:
            self._split(self._open)

    def close(self) -> None:
        """End the open segment, if there is one: its words become final."""
        if self._open is not None:
            self._open.closed.set_result(None)
            self._open.news.set()
            self._open = None

    def drop(self) -> None:
        """Forget this turn: it was no speech."""
        self._open = None
        for _, segment in self._turn:
            segment.cancel()
        self._turn = ()

    # ------------------------------------------------------------ segments

    def _begin(self, at_s: float) -> _Sound:
        loop = asyncio.get_running_loop()
        sound = _Sound(at_s, loop.time(), loop.create_future())
        before = self._turn
        if self._whole and before and at_s - before[-1][0].end_s <= self._rules.resume_s:
            sound.resumes = before[-1][0]
            sound.end_s, sound.heard = sound.resumes.end_s, sound.resumes.heard
            before = before[:-1]
        said = [earlier for earlier, _ in before]
        segment = asyncio.create_task(self._transcribe(sound, said, self._newest))
        segment.add_done_callback(_retrieve)
        self._newest = segment
        self._turn = (*before, (sound, segment))
        return sound

    def _split(self, sound: _Sound) -> None:
        """End a long segment where it was quietest of late, and go on from there with the next one."""
        at = quietest([block.pcm for block, _ in sound.blocks])
        self.close()
        sound.until_s = sound.blocks[at][0].at_s
        self._open = self._begin(sound.until_s)
        for block, p_voice in sound.blocks[at:]:
            self._open.add(block, p_voice)

    async def _transcribe(self, sound: _Sound, before: Sequence[_Sound], last: Segment | None) -> Words:
        if last is not None:
            await asyncio.wait({last})  # a recogniser is at one segment at a time
        words = await (self._ask(sound, before) if self._whole else self._stream(sound))
        if words is None:
            self._dropped("", too_little(sound.voiced_s) or "")
            words = Words("", (), "en" if self._language == "auto" else self._language)
        sound.heard = words
        return words

    def _tell(self, sound: _Sound, words: Words) -> None:
        if words != sound.heard:
            sound.heard = words
            if words.text and any(sound is other for other, _ in self._turn):
                self._partial(self.latest)

    # ------------------------------------------------------------ engines that stream

    async def _stream(self, sound: _Sound) -> Words | None:
        """The words of a segment, in the session's time; None where there is too little voice."""
        recogniser, call, segment = self._worker.model, self._worker.call, None
        while not sound.closed.done() or sound.taken < len(sound.blocks):
            await sound.news.wait()
            sound.news.clear()
            if too_little(sound.voiced_s):
                if sound.closed.done():
                    return None
                continue
            if segment is None:
                segment = await call(recogniser.start, self._language, cost="start")
            while (pcm := sound.take()) is not None:
                words = await call(recogniser.feed, segment, pcm, cost="feed")
                if words is not None and words.text:
                    self._tell(sound, words.shifted(sound.began_s))
        words = await call(recogniser.finish, segment, cost="finish")
        return _until(words.shifted(sound.began_s), sound.until_s)

    # ------------------------------------------------------------ engines that take whole recordings

    async def _ask(self, sound: _Sound, before: Sequence[_Sound]) -> Words | None:
        """The same of an engine that takes whole recordings, and is asked time and again while the sound grows."""
        sound.go_on()
        while not self._complete(sound):
            await self._due(sound)
            if not self._complete(sound):
                await self._decode(sound, [earlier.heard for earlier in before])
        if sound.covered_s == -math.inf:
            return None
        if sound.doubt is not None:
            self._dropped(*sound.doubt)
        return sound.agreed.final.shifted(sound.began_s)

    def _complete(self, sound: _Sound) -> bool:
        """Whether the segment is closed and the newest hypothesis is about all of its voice."""
        return sound.closed.done() and (sound.heard_by(sound.covered_s) or too_little(sound.voiced_s) is not None)

    async def _due(self, sound: _Sound) -> None:
        """Wait until the engine is to be asked again."""
        loop = asyncio.get_running_loop()
        while not sound.closed.done():
            at = self._next_at(sound)
            if at is not None and at <= loop.time() + SOON_S:
                return
            sound.news.clear()
            try:
                async with asyncio.timeout_at(at):
                    await sound.news.wait()
            except TimeoutError:
                pass

    def _next_at(self, sound: _Sound) -> float | None:
        """When (the loop's time) to ask again; None while there is nothing new to ask about."""
        if too_little(sound.voiced_s) or sound.heard_by(sound.covered_s):
            return None
        rested_at = self._asked_at + 2 * self._cost_s
        if sound.end_s - sound.voice_ended_s >= self._rules.quiet_s - SOON_S:
            return rested_at
        return max(rested_at, max(self._asked_at, sound.opened_at) + self._rules.tick_s)

    async def _decode(self, sound: _Sound, said: Sequence[Words]) -> None:
        """Ask once. Where the segment closes meanwhile and there is voice that this was not about, it is abandoned."""
        known = agreement.cut(sound.agreed, sound.end_s - sound.began_s)
        sound.agreed = known
        pcm = sound.buffer()
        ended_s = sound.began_s + known.began_s + len(pcm) / HEARING_RATE_HZ
        language = known.language if known.began_s > 0 else self._language
        hypothesis = await self._answer(sound, ended_s, (pcm, language, join_words([*said, known.settled]).text))
        if hypothesis is None:
            return
        words = hypothesis.words
        why = doubt(hypothesis)
        sound.doubt = (words.text, why) if why is not None else None
        sound.covered_s = ended_s
        sound.agreed = agreement.agree(known, words if why is None else Words("", (), known.language or words.language))
        if sound.end_s > ended_s + SOON_S and len(pcm) >= round(MOST_S * HEARING_RATE_HZ):
            sound.agreed = agreement.overflow(sound.agreed, ended_s - sound.began_s)
            if sound.doubt is not None:
                self._dropped(*sound.doubt)
        self._tell(sound, sound.agreed.words.shifted(sound.began_s))

    async def _answer(self, sound: _Sound, ended_s: float, asked: tuple[Samples, str, str]) -> Hypothesis | None:
        """The engine's hypothesis about sound that ends at `ended_s`, and what it cost; None where it was abandoned."""
        loop = asyncio.get_running_loop()
        self._asked_at = loop.time()
        job = asyncio.ensure_future(self._worker.stoppable(self._worker.model.decode, *asked, cost="decode"))
        waits_for = {job} if sound.closed.done() else {job, sound.closed}
        try:
            await asyncio.wait(waits_for, return_when=asyncio.FIRST_COMPLETED)
            if not job.done() and not sound.heard_by(ended_s):
                return None
            hypothesis = await job
            self._cost_s = loop.time() - self._asked_at
            return hypothesis
        finally:
            job.cancel()


async def joined(segments: Sequence[Segment]) -> Words:
    """The final words of a turn. Raises what the recogniser raised; cancelling this does not cancel the segments."""
    return join_words([await asyncio.shield(segment) for segment in segments])


def quietest(blocks: Sequence[Samples]) -> int:
    """Which block of a sound is the quietest of the last few seconds, with the ones beside it; not one at the end."""
    power = np.array([float((pcm**2).mean()) for pcm in blocks])
    around = np.convolve(power, np.ones(3) / 3, mode="same")
    first, last = len(blocks) // 2, max(len(blocks) // 2 + 1, len(blocks) - 1 - len(blocks) // 16)
    return first + int(around[first:last].argmin())


def _until(words: Words, until_s: float) -> Words:
    """The words whose middle is before a time."""
    pieces = [p for p in agreement.pieces(words) if (p.word.began_s + p.word.ended_s) / 2 < until_s]
    if len(pieces) == len(words.words):
        return words
    return Words(agreement.text(pieces), tuple(piece.word for piece in pieces), words.language)


def _retrieve(segment: Segment) -> None:
    """Look at the error, or asyncio complains where a draft was dropped; whoever awaits it still gets it."""
    if not segment.cancelled():
        segment.exception()
