"""A stretch of speech on its way to becoming words: its sound, the voice in it, and what is known of it so far.

What `transcribing` keeps of each segment of a turn. Knows no engine and no clock, and recognises nothing itself.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

import numpy as np

from assistant import agreement
from assistant.agreement import MOST_S, Agreement
from assistant.events import HEARING_RATE_HZ, Block, Samples, Words
from assistant.guards import VOICE_P

AFTER_S = 0.03
"""so much sound after a voice shows that its last word is whole"""
GAP_S = 0.01
"""so much sound may be missing, or be there twice, before it counts: clocks are not exact"""
MOST = round(MOST_S * HEARING_RATE_HZ)
SOON_S = 1e-6
"""times closer together are the same"""


@dataclass(eq=False, slots=True)
class Sound:
    """A segment that grows: its sound, and what is known of it. Times are the session's, those of `agreed` its own."""

    began_s: float
    opened_at: float
    """the loop's time"""
    closed: asyncio.Future[None]
    resumes: Sound | None = None
    """the segment that this one goes on from"""
    end_s: float = -math.inf
    until_s: float = math.inf
    """words said later are the next segment's"""
    blocks: list[tuple[Block, float]] = field(default_factory=list[tuple[Block, float]])
    """the sound, each with the probability of voice"""
    voiced_s: float = 0.0
    voice_ended_s: float = -math.inf
    taken: int = 0
    """how many blocks an engine that streams has had"""
    engines: object = None
    """what an engine that streams calls this segment"""
    spotted: str | None = None
    """the phrase that it is after all, empty where it is none; None while nobody has asked"""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    agreed: Agreement = field(default_factory=Agreement)
    covered_s: float = -math.inf
    """the newest hypothesis is about the sound up to here"""
    doubt: tuple[str, str] | None = None
    """what was not believed of late, and why"""
    final: bool = False
    heard: Words = field(default_factory=lambda: Words(""))
    """the newest words, tentative or final"""

    @property
    def stable(self) -> int:
        """How many of the words that were heard stay whatever is said next."""
        return len(self.heard.words) if self.final else len(self.agreed.stable)

    def add(self, block: Block, p_voice: float) -> None:
        """Add sound that follows. What is here already is left out; what is missing is silence."""
        length_s, missing_s = block.end_s - block.at_s, block.at_s - self.end_s
        if missing_s < -length_s / 2:
            return
        if GAP_S < missing_s < math.inf:
            silence = np.zeros(round(missing_s * HEARING_RATE_HZ), np.float32)
            self.blocks.append((Block(self.end_s, silence), 0.0))
        self.blocks.append((block, p_voice))
        self.end_s = block.end_s
        if p_voice >= VOICE_P:
            self.voiced_s += length_s
            self.voice_ended_s = block.end_s
        self.news.set()

    def go_on(self) -> None:
        """Take over the sound and the knowledge of the segment that this one goes on from."""
        before, self.resumes = self.resumes, None
        if before is None:
            return
        self.blocks = [*before.blocks, *self.blocks]
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

    def buffer(self) -> tuple[Samples, float]:
        """The sound that the next hypothesis is to be about, and where it ends; what lies before it is forgotten."""
        began_s = self.began_s + self.agreed.began_s
        while self.blocks[0][0].end_s <= began_s + SOON_S:
            del self.blocks[0]
        begin = max(0, round((began_s - self.blocks[0][0].at_s) * HEARING_RATE_HZ))
        pcm = np.concatenate([block.pcm for block, _ in self.blocks])[begin:]
        if len(pcm) <= MOST:
            return pcm, self.end_s
        return pcm[:MOST], began_s + MOST_S

    def quietest(self) -> int:
        """Which block is the quietest of the newer half, with the ones beside it, but for those at the end."""
        power = np.array([float((block.pcm**2).mean()) for block, _ in self.blocks])
        around = np.convolve(power, np.ones(3) / 3, mode="same")
        first = len(power) // 2
        last = max(first + 1, len(power) - 1 - len(power) // 16)
        return first + int(around[first:last].argmin())

    def own(self, words: Words) -> Words:
        """Those of the words that were said before `until_s`, by their middle."""
        mine = [p for p in agreement.pieces(words) if (p.word.began_s + p.word.ended_s) / 2 < self.until_s]
        if len(mine) == len(words.words):
            return words
        return Words(agreement.text(mine), tuple(piece.word for piece in mine), words.language)
