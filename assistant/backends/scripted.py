"""Fakes for every seam, shipped: they do what a script says, at once and always the same, and are called scripted.

Tests use them to reach every state of a conversation; `--mind scripted` (and `--recogniser`, `--voice`, `--eyes`) puts
one in place of an engine to see which part of a chain is slow or wrong. None of them understands anything.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np

from assistant.backends import Hypothesis, Message, Speech, Stop
from assistant.backends.files import SilentSpeaker
from assistant.errors import DeviceError
from assistant.events import (
    HEARING_RATE_HZ,
    Block,
    Box,
    Finding,
    Frame,
    Image,
    Matrix,
    Phrase,
    Samples,
    Vector,
    Word,
    Words,
)
from assistant.pacing import Clock

LOUD = 0.05
"""mean absolute level (0 to 1) above which the scripted ear takes sound for a voice"""


class ScriptedActivity:
    """A voice is whatever is loud."""

    window = 512

    def start(self) -> None:
        """No state."""

    def voice(self, state: None, pcm: Samples) -> tuple[None, float]:
        """Certainty, one way or the other."""
        return None, 1.0 if float(np.abs(pcm).mean()) > LOUD else 0.0


class ScriptedEndOfTurn:
    """Thinks of each pause what its script says (probabilities, or None for no opinion), and of all later ones the
    last. `heard_s` keeps how many seconds of sound it was given.
    """

    def __init__(self, script: Sequence[float | None] = (0.9,)):
        self.heard_s: list[float] = []
        self._script = list(script) or [None]

    def over(self, pcm: Samples) -> float | None:
        """The next opinion of the script."""
        self.heard_s.append(len(pcm) / HEARING_RATE_HZ)
        return self._script.pop(0) if len(self._script) > 1 else self._script[0]


@dataclass(eq=False)
class _Segment:
    text: str
    language: str
    seconds: float = 0.0
    shown: int = 0


class ScriptedRecogniser:
    """Hears the texts of its script, one per segment, in order; the last one again and again.

    A text grows word by word, three words a second, while sound comes in.
    """

    longest_s = math.inf

    def __init__(self, texts: Sequence[str] = ("these words are scripted",), languages: Sequence[str] = ("en", "zh")):
        self.languages = tuple(languages)
        self._texts = list(texts) or [""]

    def start(self, language: str) -> _Segment:
        """Take the next text of the script."""
        text = self._texts.pop(0) if len(self._texts) > 1 else self._texts[0]
        chinese = any("\u4e00" <= c <= "\u9fff" for c in text)
        return _Segment(text, "zh" if chinese else "en")

    def feed(self, segment: _Segment, pcm: Samples) -> Words | None:
        """One more word for each third of a second."""
        segment.seconds += len(pcm) / HEARING_RATE_HZ
        words = segment.text.split()
        count = min(len(words), int(3 * segment.seconds))
        if count <= segment.shown:
            return None
        segment.shown = count
        return Words(" ".join(words[:count]), (), segment.language)

    def finish(self, segment: _Segment) -> Words:
        """All of the text, its words spread evenly over the sound."""
        words = segment.text.split()
        step = segment.seconds / max(1, len(words))
        timed = tuple(Word(w, i * step, (i + 1) * step) for i, w in enumerate(words))
        return Words(segment.text, timed, segment.language)


class ScriptedDecoder:
    """The `Decodes` seam: hears the words of its script in sound that `spoken` makes of them, and knows nothing else.

    The last `wobble` words of a sound that ends in a voice are misheard, every time in another way; a word whose
    beginning is missing is heard as its end. Word times are `blur_s` early and late by turns. `asked` keeps (seconds of
    sound, language, prompt) of every call.
    """

    def __init__(
        self,
        script: str = "these words are scripted",
        wobble: int = 1,
        blur_s: float = 0.0,
        languages: Sequence[str] = ("en", "zh"),
        mean_logp: float = -0.1,
        no_speech_p: float = 0.0,
    ):
        self.languages = tuple(languages)
        self.mean_logp, self.no_speech_p = mean_logp, no_speech_p
        self.asked: list[tuple[float, str, str]] = []
        self._words = script.split()
        self._wobble = wobble
        self._blur_s = blur_s

    def spoken(self, word_s: float = 0.3, gap_s: float = 0.0) -> Samples:
        """The script as sound at 16 kHz: each word is a stretch of its own level, 0.1 to 1."""
        word, gap = (round(s * HEARING_RATE_HZ) for s in (word_s, gap_s))
        levels = [0.1 + 0.9 * (i + 1) / len(self._words) for i in range(len(self._words))]
        pieces = [np.concatenate([np.full(word, v, np.float32), np.zeros(gap, np.float32)]) for v in levels]
        return np.concatenate([np.zeros(0, np.float32), *pieces])

    def decode(self, pcm: Samples, language: str, prompt: str, stop: Stop) -> Hypothesis:
        """The words in this sound."""
        self.asked.append((len(pcm) / HEARING_RATE_HZ, language, prompt))
        number = np.rint((pcm - 0.1) / 0.9 * len(self._words)).astype(int)
        edges = [0, *(np.flatnonzero(np.diff(number)) + 1), len(pcm)] if len(pcm) else [0]
        spans = [
            (int(number[a]), a / HEARING_RATE_HZ, b / HEARING_RATE_HZ) for a, b in pairwise(edges) if number[a] > 0
        ]
        longest_s = max((b - a for _, a, b in spans), default=0.0)
        words = list[Word]()
        for i, (which, began_s, ended_s) in enumerate(spans):
            text = self._words[which - 1]
            if began_s == 0 and ended_s < 0.8 * longest_s:
                text = text[len(text) // 2 :]
            elif pcm[-1] != 0 and i >= len(spans) - self._wobble:
                text += str(len(self.asked))
            blur_s = self._blur_s if which % 2 else -self._blur_s
            words.append(Word(text, max(0.0, began_s + blur_s), max(0.0, ended_s + blur_s)))
        chinese = any("\u4e00" <= c <= "\u9fff" for word in words for c in word.text)
        text = ("" if chinese else " ").join(word.text for word in words)
        return Hypothesis(Words(text, tuple(words), "zh" if chinese else "en"), self.mean_logp, self.no_speech_p)


class ScriptedMind:
    """Says the replies of its script, one per call, word by word; `{said}` is what was said, `{seen}` what stands in
    front of it. The last reply is said again and again. A reply may also be an error, which is raised.

    `heard` keeps the messages of every call.
    """

    def __init__(
        self,
        replies: Sequence[str | Exception] = ("You said: {said}.",),
        sees: bool = False,
        free: bool = True,
        context_tokens: int = 2048,
    ):
        self.sees, self.free, self.context_tokens = sees, free, context_tokens
        self.heard: list[tuple[Message, ...]] = []
        self.grammars: list[str | None] = []
        self._replies = list(replies)

    def count(self, text: str) -> int:
        """Words."""
        return len(text.split())

    def reply(self, messages: Sequence[Message], stop: Stop, grammar: str | None = None) -> Iterator[str]:
        """The next reply of the script."""
        self.heard.append(tuple(messages))
        self.grammars.append(grammar)
        reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        if isinstance(reply, Exception):
            raise reply
        seen, _, said = messages[-1].text.rpartition("\n")
        for i, word in enumerate(reply.replace("{said}", said).replace("{seen}", seen).split(" ")):
            if stop():
                return
            yield word if i == 0 else " " + word


class ScriptedEyes:
    """Finds in every picture what its script says."""

    def __init__(self, lines: Sequence[str] = ()):
        self._findings = tuple(Finding("text", line, 1.0) for line in lines)

    def look(self, image: Image) -> tuple[Finding, ...]:
        """The findings of the script."""
        return self._findings


class ScriptedDetector:
    """Finds in every picture the things its script names, side by side from left to right."""

    def __init__(self, labels: Sequence[str] = ()):
        self._labels = tuple(labels)

    def look(self, image: Image) -> tuple[Finding, ...]:
        """One finding a thing."""
        height, width = image.shape[:2]
        step = width / max(1, len(self._labels))
        return tuple(
            Finding("object", label, 1.0, (i * step, 0.0, (i + 1) * step, float(height)))
            for i, label in enumerate(self._labels)
        )


PLANTED: Mapping[str, tuple[int, int, int]] = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}
"""word -> the shade it stands for, red, green and blue, 0 to 255"""
SHADE = 60
"""how far a pixel may be from a shade in each of the three to have it"""


class ScriptedEncoder:
    """Knows the words it was planted with by a shade each: a picture is near a word as far as it has that shade.

    All that is no planted word, and no planted shade, is one direction more.
    """

    def __init__(self, planted: Mapping[str, Sequence[int]] = PLANTED):
        self._words = list(planted)
        self._shades = np.array([planted[word] for word in self._words], np.float32).reshape(-1, 3)

    def embed_image(self, image: Image) -> Vector:
        """The share of each shade, and of none."""
        pixels = image[::4, ::4].reshape(-1, 1, 3).astype(np.float32)
        has = (np.abs(pixels - self._shades) <= SHADE).all(axis=2).mean(axis=0)
        return _unit(np.append(has, max(0.0, 1.0 - float(has.sum()))))

    def embed_text(self, text: str) -> Vector:
        """The planted words that occur in it; without any, the direction that stands for the rest."""
        has = np.array([word in text.lower() for word in self._words], np.float32)
        return _unit(np.append(has, float(not has.any())))

    def embed_regions(self, image: Image, boxes: Sequence[Box]) -> Matrix:
        """What `embed_image` says of each part."""
        rows: list[Vector] = []
        for left, top, right, bottom in boxes:
            part = image[int(top) : max(int(top) + 1, round(bottom)), int(left) : max(int(left) + 1, round(right))]
            rows.append(self.embed_image(part))
        return np.array(rows, np.float32).reshape(len(rows), len(self._words) + 1)


def _unit(values: Any) -> Vector:
    vector = np.asarray(values, np.float32)
    return vector / max(float(np.linalg.norm(vector)), 1e-9)


class ScriptedVoice:
    """Says every character with a hum of its own length, so that marks are exact."""

    def __init__(self, languages: Sequence[str] = ("en", "zh"), s_per_character: float = 0.05, rate_hz: int = 16_000):
        self.languages = tuple(languages)
        self._step = int(s_per_character * rate_hz)
        self._rate_hz = rate_hz

    def synthesise(self, text: str, language: str, stop: Stop) -> Speech:
        """A hum of 200 Hz, one mark a word."""
        time = np.arange(len(text) * self._step, dtype=np.float32) / self._rate_hz
        ends = [i for i in range(1, len(text) + 1) if i == len(text) or (text[i] == " " and text[i - 1] != " ")]
        hum = (0.3 * np.sin(2 * np.pi * 200 * time)).astype(np.float32)
        return Speech(hum, self._rate_hz, tuple((end, end * self._step) for end in ends))


class ScriptedMicrophone:
    """Hears a hum during the given spans (from, to, in seconds) and silence between them, `seconds` long.

    While it is `gone` (from, to) it is `lost`, and there is silence. `block_s` is a test's: the real ones bring 10 ms.
    `drift_ppm`: a second of its quartz lasts so many millionths more than the machine's. `jitter_s`: each block
    comes late by up to so much, at random (`seed`), in order.
    """

    def __init__(
        self,
        clock: Clock,
        spans: Sequence[tuple[float, float]],
        seconds: float | None = None,
        block_s: float = 0.032,
        *,
        drift_ppm: float = 0.0,
        jitter_s: float = 0.0,
        seed: int = 0,
        gone: Sequence[tuple[float, float]] = (),
    ):
        self.over = self.lost = False
        self._gone = tuple(gone)
        self._clock = clock
        self._spans = list(spans)
        self._seconds = seconds if seconds is not None else (spans[-1][1] + 0.1 if spans else 0.0)
        self._size = int(block_s * HEARING_RATE_HZ)
        self._slow = 1 + drift_ppm / 1e6
        self._jitter_s = jitter_s
        self._random = Random(seed)
        self._closed = False

    async def blocks(self) -> AsyncIterator[Block]:
        """The blocks, each when its last sample is due by the microphone's own quartz."""
        self._clock.start()
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        loud = np.full(self._size, 0.3, dtype=np.float32)
        quiet = np.zeros(self._size, dtype=np.float32)
        step, count = self._size / HEARING_RATE_HZ, 0
        while not self._closed:
            at_s = count * step
            due_at = began_at + (at_s + step) * self._slow + self._random.uniform(0, self._jitter_s)
            await asyncio.sleep(max(0.0, due_at - loop.time()))
            self._clock.heard(at_s + step)
            self.over = at_s >= self._seconds
            while self._spans and self._spans[0][1] <= at_s:
                self._spans.pop(0)
            self.lost = any(began_s <= at_s < ended_s for began_s, ended_s in self._gone)
            yield Block(at_s, loud if not self.lost and self._spans and self._spans[0][0] <= at_s else quiet)
            count += 1

    def close(self) -> None:
        """End after the block that is under way."""
        self._closed = True


@dataclass
class ScriptedCamera:
    """Shows each picture from its time (seconds) on, but for the times (from, to) when it is gone."""

    pictures: Sequence[tuple[float, Image]] = ()
    gone: Sequence[tuple[float, float]] = ()

    def frame(self, at_s: float) -> Frame | None:
        """The picture of the moment. Raises DeviceError while it is gone."""
        if any(began_s <= at_s < ended_s for began_s, ended_s in self.gone):
            raise DeviceError("wanted pictures from the scripted camera, it sends none any more; plug it in again")
        shown = [(t, image) for t, image in self.pictures if t <= at_s]
        return Frame(*shown[-1]) if shown else None

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Sounded:
    """What a `RecordingSpeaker` was told, and when (seconds)."""

    at_s: float
    what: str
    phrase: Phrase | None = None


class RecordingSpeaker(SilentSpeaker):
    """A loudspeaker that plays in the clock's time and records what it was told: play, stop, hold, go_on, duck, ...

    It goes away and comes back at the times (from, to) of `gone`, in seconds from when it was made.
    """

    def __init__(self, clock: Clock, gone: Sequence[tuple[float, float]] = ()):
        super().__init__(clock)
        for began_s, ended_s in gone:
            asyncio.get_running_loop().call_later(began_s, self._lose)
            asyncio.get_running_loop().call_later(ended_s, self._regain)
        self._its_clock = clock
        self.record: list[Sounded] = []

    async def play(self, phrase: Phrase) -> float:
        """Play, and note it with the time its first sample sounds."""
        at_s = await super().play(phrase)
        self.record.append(Sounded(at_s, "play", phrase))
        return at_s

    def stop(self):
        """Stop, and note it."""
        self.record.append(Sounded(self._its_clock.now_s(), "stop"))
        return super().stop()

    def hold(self) -> None:
        """Hold, and note it."""
        self.record.append(Sounded(self._its_clock.now_s(), "hold"))
        super().hold()

    def go_on(self) -> None:
        """Go on, and note it."""
        self.record.append(Sounded(self._its_clock.now_s(), "go_on"))
        super().go_on()

    def duck(self) -> None:
        """Duck, and note it."""
        self.record.append(Sounded(self._its_clock.now_s(), "duck"))
        super().duck()

    def restore(self) -> None:
        """Restore, and note it."""
        self.record.append(Sounded(self._its_clock.now_s(), "restore"))
        super().restore()
