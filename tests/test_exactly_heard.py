"""The history holds exactly the words that sounded, however often and whenever a reply is interrupted.

What sounded is read off the time line that the loudspeaker rendered, where every word has a level of its own; nothing
of how the program itself counts is used.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from talking import Scene, hold

from assistant import pacing
from assistant.backends import Speech
from assistant.backends.scripted import RecordingSpeaker
from assistant.backends.timeline import Gain

RATE_HZ = 24_000
REPLY = "This is one more sentence of a reply, which goes on and on without an end. " * 30
SAID = ["go on please", "", "mm-hmm", "how about this", "stop", "okay", "no the other one", "yeah", "wait", "the"]


class LevelVoice:
    """Every word it says is one constant level, another for each: `words` has them in order."""

    languages = ("en",)

    def __init__(self):
        self.words: list[str] = []

    def synthesise(self, text, language, stop):
        parts, marks, at = [], [], 0
        for word in text.split():
            self.words.append(word)
            parts.append(np.full(len(word) * 1200, len(self.words), np.float32))
            marks.append((text.index(word, at) + len(word), sum(map(len, parts))))
            at = marks[-1][0]
        return Speech((np.concatenate(parts) / 1e6).astype(np.float32), RATE_HZ, tuple(marks))


class LevelSpeaker(RecordingSpeaker):
    """Keeps the levels that sounded, ducked or not."""

    def __init__(self, clock):
        super().__init__(clock)
        self.levels: list[int] = []
        self._done = 0

    def _sound(self, phrase):
        return phrase.pcm

    def _settle(self):
        end = self._sounded()
        sound = replace(self._line, gain=Gain()).render(self._done, end).astype(np.float64) * 1e6
        steady = np.flatnonzero((sound[1:] > 0.5) & (sound[1:] == sound[:-1]))  # a fade is no word
        self.levels += [round(level) for level in np.unique(sound[steady])]
        self._done = end


@pytest.mark.parametrize("seed", range(4))
def test_the_history_is_what_sounded_across_thousands_of_random_interruptions(seed):
    random = np.random.default_rng(seed)
    over = 0
    for _ in range(20):
        at_s, spans, said = 1.0, [], []
        for _ in range(25):
            length_s = float(random.choice([0.1, 0.3, 0.5, 0.9, 1.6]))
            spans.append((at_s, at_s + length_s))
            said.append(SAID[random.integers(len(SAID))])
            at_s += length_s + float(random.uniform(0.3, 6))
        voice = LevelVoice()
        costs = {"recogniser.finish": float(random.uniform(0, 0.4)), "voice.synthesise": float(random.uniform(0, 0.3))}
        scene = Scene(spans, ["go on please", *said[1:]], [REPLY], costs, voice=voice, speaker=LevelSpeaker)
        held = pacing.run(hold(scene), fast=True)
        assert held.error is None
        sounded = [voice.words[level - 1] for level in sorted(set(held.speaker.levels))]
        kept = [word for exchange in held.exchanges for word in exchange.heard.split()]
        assert kept == sounded
        for exchange in held.exchanges:
            assert exchange.generated.startswith(exchange.heard)
        over += len(held.all("interruption"))
    assert over > 200
