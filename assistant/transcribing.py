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
from dataclasses import dataclass, replace
from typing import Any

from assistant import agreement
from assistant.backends import Decodes, Hypothesis, Spots
from assistant.events import Block, Samples, Words, join_words
from assistant.guards import VOICE_P, doubt, too_little
from assistant.segments import MOST, SOON_S, Sound
from assistant.workers import Worker

Segment = asyncio.Task[Words]
"""A stretch of speech that becomes words; its times are the session's."""


@dataclass(frozen=True, slots=True)
class Streaming:
    """How often and how much is recognised, in seconds."""

    tick_s: float = 0.5
    """an engine that takes whole recordings is asked this often, and never sooner than twice what the last time took"""
    quiet_s: float = 0.1
    """so much silence may become a pause: it is asked at once, to be done when the pause is there"""
    resume_s: float = 2.0
    """a voice that goes on within this time is heard as one recording with what was before"""


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
        self._longest_s = math.inf if self._whole else float(worker.model.longest_s)
        self._language = language
        self._partial = partial
        self._dropped = dropped
        self._rules = rules or Streaming()
        self._open: Sound | None = None
        self._turn: tuple[tuple[Sound, Segment], ...] = ()
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

    @property
    def stable(self) -> int:
        """How many of the words of `latest` stay, whatever is said next; the others are tentative."""
        count = 0
        for sound, _ in self._turn:
            count += sound.stable
            if not sound.final:
                break
        return count

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
        if self._open.end_s - self._open.began_s > self._longest_s and p_voice >= VOICE_P:
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

    async def spot(self, segments: Sequence[Segment], phrases: Sequence[str]) -> str:
        """Which of the phrases all that was said in these segments is after all; empty where it is plainly none, where
        there is more than one segment, and where the engine cannot tell. A segment is asked about once. Raises what the
        engine raises.
        """
        mine = [sound for sound, segment in self._turn if segment in segments]
        if len(mine) != 1 or len(segments) != 1 or mine[0].engines is None or not isinstance(self._worker.model, Spots):
            return ""
        await segments[0]
        if mine[0].spotted is None:
            spot = self._worker.model.spot
            mine[0].spotted = await self._worker.call(spot, mine[0].engines, phrases, cost="spot") or ""
        return mine[0].spotted

    # ------------------------------------------------------------ segments

    def _begin(self, at_s: float) -> Sound:
        loop = asyncio.get_running_loop()
        sound = Sound(at_s, loop.time(), loop.create_future())
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

    def _split(self, sound: Sound) -> None:
        """End a long segment where it was quietest of late, and go on from there with the next one."""
        at = sound.quietest()
        self.close()
        sound.until_s = sound.blocks[at][0].at_s
        self._open = self._begin(sound.until_s)
        for block, p_voice in sound.blocks[at:]:
            self._open.add(block, p_voice)

    async def _transcribe(self, sound: Sound, before: Sequence[Sound], last: Segment | None) -> Words:
        if last is not None:
            await asyncio.wait({last})  # a recogniser is at one segment at a time
        words = await (self._ask(sound, before) if self._whole else self._stream(sound))
        if words is None:
            self._dropped("", too_little(sound.voiced_s) or "")
            words = Words("", (), "en" if self._language == "auto" else self._language)
        sound.heard, sound.final = words, True
        return words

    def _tell(self, sound: Sound, words: Words) -> None:
        if words != sound.heard:
            sound.heard = words
            if words.text and any(sound is other for other, _ in self._turn):
                self._partial(self.latest)

    # ------------------------------------------------------------ engines that stream

    async def _stream(self, sound: Sound) -> Words | None:
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
                segment = sound.engines = await call(recogniser.start, self._language, cost="start")
            while (pcm := sound.take()) is not None:
                words = await call(recogniser.feed, segment, pcm, cost="feed")
                if words is not None and words.text:
                    self._tell(sound, words.shifted(sound.began_s))
        words = await call(recogniser.finish, segment, cost="finish")
        return sound.own(words.shifted(sound.began_s))

    # ------------------------------------------------------------ engines that take whole recordings

    async def _ask(self, sound: Sound, before: Sequence[Sound]) -> Words | None:
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

    def _complete(self, sound: Sound) -> bool:
        """Whether the segment is closed and the newest hypothesis is about all of its voice."""
        return sound.closed.done() and (sound.heard_by(sound.covered_s) or too_little(sound.voiced_s) is not None)

    async def _due(self, sound: Sound) -> None:
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

    def _next_at(self, sound: Sound) -> float | None:
        """When (the loop's time) to ask again; None while there is nothing new to ask about."""
        if too_little(sound.voiced_s) or sound.heard_by(sound.covered_s):
            return None
        rested_at = self._asked_at + 2 * self._cost_s
        if sound.end_s - sound.voice_ended_s >= self._rules.quiet_s - SOON_S:
            return rested_at
        return max(rested_at, max(self._asked_at, sound.opened_at) + self._rules.tick_s)

    async def _decode(self, sound: Sound, said: Sequence[Words]) -> None:
        """Ask once. Where the segment closes meanwhile and there is voice that this was not about, it is abandoned."""
        known = agreement.cut(sound.agreed, sound.end_s - sound.began_s)
        sound.agreed = known
        pcm, ended_s = sound.buffer()
        language = known.language if known.began_s > 0 else self._language
        hypothesis = await self._answer(sound, ended_s, (pcm, language, join_words([*said, known.settled]).text))
        if hypothesis is None:
            return
        words = hypothesis.words
        why = doubt(hypothesis)
        sound.doubt = (words.text, why) if why is not None else None
        sound.covered_s = ended_s
        sound.agreed = agreement.agree(known, words if why is None else Words("", (), known.language or words.language))
        if len(pcm) == MOST and not sound.heard_by(ended_s):
            sound.agreed = agreement.overflow(sound.agreed, ended_s - sound.began_s)
            if sound.doubt is not None:
                self._dropped(*sound.doubt)
        self._tell(sound, sound.agreed.words.shifted(sound.began_s))

    async def _answer(self, sound: Sound, ended_s: float, asked: tuple[Samples, str, str]) -> Hypothesis | None:
        """The engine's hypothesis about sound that ends at `ended_s`, and what it cost; None where it was abandoned."""
        loop = asyncio.get_running_loop()
        self._asked_at = loop.time()
        job = asyncio.ensure_future(self._worker.stoppable(self._worker.model.decode, *asked, cost="decode"))
        job.add_done_callback(_retrieve)
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


def _retrieve(task: asyncio.Future[Any]) -> None:
    """Look at the error, or asyncio complains where nobody waits any more; whoever does still gets it."""
    if not task.cancelled():
        task.exception()
