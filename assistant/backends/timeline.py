"""What a loudspeaker has to sound, as one frozen value: phrases laid behind each other, and how loud they are.

Positions are samples of the time line's own rate. Every change gives a new value, so that a sound card's callback can
render the one it finds without a lock. `LineSpeaker` is what all loudspeakers have in common. Knows no file and no
device.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assistant.events import Phrase, Played, Samples

FADE_S = 0.005
"""what is stopped fades out over this long: a hard edge clicks"""
RAMP_S = 0.02
"""a change of loudness takes this long"""
DUCKED = 10 ** (-15 / 20)
"""the gain while somebody may be about to speak: -15 dB is plainly quieter and still understood"""
QUEUE_S = 6.0
"""`play` holds back while more than this is waiting to sound"""
LOOK_S = 0.25
"""whoever waits for the sound to end looks this often whether the loudspeaker is still there"""


@dataclass(frozen=True, slots=True)
class Gain:
    """A gain that goes evenly from `before` at sample `begin` to `after` at sample `end`."""

    before: float = 1.0
    after: float = 1.0
    begin: int = 0
    end: int = 0

    def at(self, samples: NDArray[np.int64]) -> Samples:
        """The gain at each of the samples."""
        return np.interp(samples, (self.begin, self.end), (self.before, self.after)).astype(np.float32)

    @property
    def idle(self) -> bool:
        """It is 1 all the time."""
        return self.before == self.after == 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A phrase whose sound `pcm`, at the time line's rate, begins at sample `begin`."""

    phrase: Phrase
    pcm: Samples
    begin: int

    @property
    def end(self) -> int:
        """The sample after its last."""
        return self.begin + len(self.pcm)


@dataclass(frozen=True, slots=True, eq=False)
class TimeLine:
    """All that was put since the last `stop`, the fading rest of what was stopped, and how loud it is."""

    rate_hz: int
    placed: tuple[Placed, ...] = ()
    fading: tuple[Placed, ...] = ()
    gain: Gain = Gain()

    @property
    def end(self) -> int:
        """The sample after the last that is to sound; 0 where nothing is."""
        return self.placed[-1].end if self.placed else 0

    def put(self, phrase: Phrase, pcm: Samples, at: int) -> tuple[TimeLine, int]:
        """The time line with a phrase behind the others, at `at` at the earliest, and the sample it begins at."""
        begin = max(at, self.end)
        fading = tuple(f for f in self.fading if f.end > at)
        return replace(self, placed=(*self.placed, Placed(phrase, pcm, begin)), fading=fading), begin

    def stop(self, at: int) -> TimeLine:
        """The time line with nothing on it but what sounds at `at`, fading out within FADE_S; ducking is undone."""
        fade = self._samples(FADE_S)
        down = np.linspace(1, 0, fade + 1, dtype=np.float32)[1:]
        fading = [f for f in self.fading if f.end > at]
        for placed in self.placed:
            if placed.begin <= at < placed.end:
                rest = placed.pcm[at - placed.begin :][:fade]
                fading.append(Placed(placed.phrase, rest * down[: len(rest)], at))
        return replace(self.to_gain(1.0, at, FADE_S), placed=(), fading=tuple(fading))

    def to_gain(self, gain: float, at: int, within_s: float = RAMP_S) -> TimeLine:
        """The time line with its gain going from what it is at `at` to `gain`."""
        return replace(self, gain=Gain(float(self.gain.at(np.array([at]))[0]), gain, at, at + self._samples(within_s)))

    def played(self, at: int) -> tuple[Played, ...]:
        """What had sounded by `at` of each phrase since the last stop, in samples of the phrase's own rate."""
        return tuple(Played(p.phrase, self._heard(p, at)) for p in self.placed)

    def render(self, begin: int, end: int) -> Samples:
        """The sound of the samples `begin` to `end`, float32, -1 to 1; only good from the last change on."""
        out = np.zeros(end - begin, np.float32)
        for part in (*self.fading, *self.placed):
            first, last = max(begin, part.begin), min(end, part.end)
            if first < last:
                out[first - begin : last - begin] += part.pcm[first - part.begin : last - part.begin]
        if not self.gain.idle:
            out *= self.gain.at(np.arange(begin, end))
        return np.clip(out, -1, 1, out=out)

    def _heard(self, placed: Placed, at: int) -> int:
        if at >= placed.end:
            return len(placed.phrase.pcm)
        heard = max(0, at - placed.begin) * placed.phrase.rate_hz // self.rate_hz
        return min(heard, len(placed.phrase.pcm))

    def _samples(self, seconds: float) -> int:
        return round(seconds * self.rate_hz)


class LineSpeaker(ABC):
    """The Speaker of the seams over a time line: what is played, stopped and ducked, and what was heard of it.

    A loudspeaker says how far it is (`_sounded`), from which sample on a change is heard (`_next`), when a sample
    sounds (`_when`), and raises from `_check` what is wrong with it.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._line = TimeLine(rate_hz)
        self._stopped = asyncio.Event()

    async def play(self, phrase: Phrase) -> float:
        """Put a phrase behind the others; returns when its first sample sounds. Waits while 6 s are waiting."""
        self._check()
        pcm = self._sound(phrase)
        while self._waiting_s > QUEUE_S:
            await self._wait(self._waiting_s - QUEUE_S)
        self._line, begin = self._line.put(phrase, pcm, self._next())
        return self._when(begin)

    def stop(self) -> tuple[Played, ...]:
        """Silence at once, and what was played of each phrase since the last stop."""
        played = self._line.played(self._sounded())
        self._line = self._line.stop(self._next())
        self._stopped.set()
        self._stopped = asyncio.Event()
        return played

    async def drain(self) -> None:
        """Wait until all of it has sounded, or was stopped."""
        while self.sounding:
            await self._wait(self._waiting_s)
        self._check()

    @property
    def sounding(self) -> bool:
        """Something is sounding, or waiting to."""
        return self._line.end > self._sounded()

    def duck(self) -> None:
        """Lower the voice by 15 dB."""
        self._line = self._line.to_gain(DUCKED, self._next())

    def restore(self) -> None:
        """Take the lowering back."""
        self._line = self._line.to_gain(1.0, self._next())

    @property
    def _waiting_s(self) -> float:
        return (self._line.end - self._sounded()) / self.rate_hz

    async def _wait(self, seconds: float) -> None:
        """Wait a while, or until somebody stops the sound."""
        stopped = self._stopped
        try:
            async with asyncio.timeout(min(seconds, LOOK_S)):
                await stopped.wait()
        except TimeoutError:
            self._check()

    def _sound(self, phrase: Phrase) -> Samples:
        return resampled(phrase.pcm, phrase.rate_hz, self.rate_hz)

    @abstractmethod
    def _sounded(self) -> int: ...

    @abstractmethod
    def _next(self) -> int: ...

    @abstractmethod
    def _when(self, sample: int) -> float: ...

    def _check(self) -> None:  # noqa: B027  # most have nothing to complain of
        pass


def resampled(pcm: Samples, from_hz: int, to_hz: int) -> Samples:
    """The same sound at another rate (soxr, high quality)."""
    if from_hz == to_hz or not len(pcm):
        return pcm
    import soxr

    return soxr.resample(pcm, from_hz, to_hz).astype(np.float32, copy=False)
