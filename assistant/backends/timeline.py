"""What a loudspeaker has to sound, as one frozen value: phrases laid behind each other, and how loud they are.

Positions are samples of the time line's own rate. Every change gives a new value, so that a sound card's callback can
render the one it finds without a lock. `LineSpeaker` is what all loudspeakers have in common. Knows no file and no
device.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from assistant.errors import DeviceError
from assistant.events import Phrase, Played, Samples

FADE_S = 0.005
"""what is stopped fades out over this long: a hard edge clicks"""
RAMP_S = 0.02
"""a change of loudness takes this long"""
DUCKED = 10 ** (-15 / 20)
"""the gain while somebody may be about to speak: -15 dB is plainly quieter and still understood"""
QUEUE_S = 6.0
"""`play` holds back while more than this is waiting to sound"""
RECENT = 16
"""phrases whose time is remembered"""
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
    """A stretch of a phrase's sound that begins at sample `begin` of the time line.

    `pcm` is the stretch, at the time line's rate; `skipped` samples of the phrase's `length` lie before it.
    """

    phrase: Phrase
    pcm: Samples
    begin: int
    skipped: int
    length: int

    @property
    def end(self) -> int:
        """The sample after its last."""
        return self.begin + len(self.pcm)

    def reached(self, at: int) -> int:
        """How much of the phrase has sounded by sample `at`, at the time line's rate."""
        return self.skipped + min(max(0, at - self.begin), len(self.pcm))

    def cut(self, at: int) -> Placed:
        """What sounds of it before `at`."""
        return replace(self, pcm=self.pcm[: at - self.begin])

    def rest(self, at: int, rate_hz: int) -> Placed:
        """What is left of it at `at`, from the beginning of the word that sounds then."""
        reached = self.reached(at)
        onsets = [(mark.sample - 1) * rate_hz // self.phrase.rate_hz for mark in self.phrase.marks]
        begin = max((onset for onset in onsets if self.skipped <= onset <= reached), default=self.skipped)
        return replace(self, pcm=self.pcm[begin - self.skipped :], skipped=begin)


@dataclass(frozen=True, slots=True, eq=False)
class TimeLine:
    """All that was put since the last `stop`, the fading rest of what was stopped, and how loud it is.

    `held` is what waits for `go_on` after a `hold`; None while nothing is held back.
    """

    rate_hz: int
    placed: tuple[Placed, ...] = ()
    fading: tuple[Placed, ...] = ()
    gain: Gain = Gain()
    held: tuple[Placed, ...] | None = None

    @property
    def end(self) -> int:
        """The sample after the last that is to sound; 0 where nothing is."""
        return self.placed[-1].end if self.placed else 0

    def put(self, phrase: Phrase, pcm: Samples, at: int) -> tuple[TimeLine, int]:
        """The time line with a phrase behind the others, at `at` at the earliest, and the sample it begins at."""
        begin = max(at, self.end)
        fading = tuple(f for f in self.fading if f.end > at)
        return replace(self, placed=(*self.placed, Placed(phrase, pcm, begin, 0, len(pcm))), fading=fading), begin

    def stop(self, at: int) -> TimeLine:
        """The time line with nothing on it but what sounds at `at`, fading out within FADE_S; ducking is undone."""
        return replace(self.to_gain(1.0, at, FADE_S), placed=(), fading=self._faded(at), held=None)

    def hold(self, at: int) -> TimeLine:
        """The time line silent from `at` on (but for a fade of FADE_S), what has not sounded held back for `go_on`."""
        if self.held is not None:
            return self
        before = [p.cut(at) if p.end > at else p for p in self.placed if p.begin < at]
        held = [p.rest(at, self.rate_hz) if p.begin < at else p for p in self.placed if p.end > at]
        return replace(self, placed=tuple(before), fading=self._faded(at), held=tuple(held))

    def go_on(self, at: int) -> TimeLine:
        """The time line with what was held laid behind each other from `at` on, as loud as ever.

        What was cut begins with the word it was cut in, faded in within FADE_S.
        """
        line = replace(self.to_gain(1.0, at), held=None)
        rise = np.linspace(0, 1, self._samples(FADE_S), dtype=np.float32)
        for part in self.held or ():
            pcm = part.pcm
            if part.skipped and len(pcm):
                pcm = pcm.copy()
                pcm[: len(rise)] *= rise[: len(pcm)]
            line = replace(line, placed=(*line.placed, replace(part, pcm=pcm, begin=max(at, line.end))))
        return line

    def to_gain(self, gain: float, at: int, within_s: float = RAMP_S) -> TimeLine:
        """The time line with its gain going from what it is at `at` to `gain`."""
        return replace(self, gain=Gain(float(self.gain.at(np.array([at]))[0]), gain, at, at + self._samples(within_s)))

    def played(self, at: int) -> tuple[Played, ...]:
        """What had sounded by `at` of each phrase since the last stop, in samples of the phrase's own rate.

        A phrase that was held and went on sounds in several stretches, and counts once.
        """
        heard: dict[int, Played] = {}
        for part in self.placed:
            before = heard.get(id(part.phrase))
            samples = max(self._heard(part, at), before.samples if before else 0)
            heard[id(part.phrase)] = Played(part.phrase, samples)
        return tuple(heard.values())

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

    def _faded(self, at: int) -> tuple[Placed, ...]:
        """What still fades at `at`, and the first FADE_S of what sounds then, fading."""
        fade = self._samples(FADE_S)
        down = np.linspace(1, 0, fade + 1, dtype=np.float32)[1:]
        fading = [f for f in self.fading if f.end > at]
        for placed in self.placed:
            if placed.begin <= at < placed.end:
                rest = placed.pcm[at - placed.begin :][:fade]
                fading.append(replace(placed, pcm=rest * down[: len(rest)], begin=at))
        return tuple(fading)

    def _heard(self, part: Placed, at: int) -> int:
        reached = part.reached(at)
        if reached >= part.length:
            return len(part.phrase.pcm)
        return min(reached * part.phrase.rate_hz // self.rate_hz, len(part.phrase.pcm))

    def _samples(self, seconds: float) -> int:
        return round(seconds * self.rate_hz)


class LineSpeaker(ABC):
    """The Speaker of the seams over a time line: what is played, held, stopped and ducked, and what was heard of it.

    A loudspeaker says how far it is (`_sounded`), from which sample on a change is heard (`_next`), when a sample
    sounds (`_when`), does in `_settle` what must be done before the line changes, and raises from `_check` what is
    wrong with it. One that goes away and comes back says so (`_lose`, `_regain`): what was sounding ends there, with a
    DeviceError from `play` and `drain` until `stop` tells what was heard of it; what has not begun waits.
    """

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.lost = False
        self._cut = False
        """it went away while something was to sound"""
        self._line = TimeLine(rate_hz)
        self._changed = asyncio.Event()
        self._recent: deque[tuple[Phrase, float]] = deque(maxlen=RECENT)

    async def play(self, phrase: Phrase) -> float:
        """Put a phrase behind the others; returns when its first sample sounds.

        Waits while the loudspeaker is gone, the voice is held back, or 6 s are waiting to sound. Raises DeviceError
        where it went away in what was sounding before.
        """
        self._check()
        pcm = self._sound(phrase)
        while self.lost or self._line.held is not None or self._waiting_s > QUEUE_S:
            await self._wait(LOOK_S if self.lost or self._line.held is not None else self._waiting_s - QUEUE_S)
        self._line, begin = self._line.put(phrase, pcm, self._next())
        began_s = self._when(begin)
        self._recent.append((phrase, began_s))
        return began_s

    def stop(self) -> tuple[Played, ...]:
        """Silence at once, and what was played of each phrase since the last stop."""
        played = self._line.played(self._sounded())
        self._cut = False
        self._become(self._line.stop(self._next()))
        return played

    async def drain(self) -> None:
        """Wait until all of it has sounded, or was stopped; a loudspeaker that goes away in it is a DeviceError."""
        while self.sounding:
            await self._wait(self._waiting_s)
        self._check()

    @property
    def recent(self) -> Sequence[tuple[Phrase, float]]:
        """The newest phrases, and when their first samples sounded or will."""
        return self._recent

    @property
    def sounding(self) -> bool:
        """Something is sounding, waiting to, or held back."""
        return bool(self._line.held) or self._line.end > self._sounded()

    def hold(self) -> None:
        """Silence at once, but keep what has not sounded for `go_on`."""
        self._become(self._line.hold(self._next()))

    def go_on(self) -> None:
        """Go on with what was held, from the word that was cut, as loud as ever."""
        if self._cut:
            return
        held = len(self._line.held or ())
        self._become(self._line.go_on(self._next()))
        for part in self._line.placed[len(self._line.placed) - held :]:
            self._recent.append((part.phrase, self._when(part.begin) - part.skipped / self.rate_hz))

    def duck(self) -> None:
        """Lower the voice by 15 dB."""
        self._become(self._line.to_gain(DUCKED, self._next()))

    def restore(self) -> None:
        """Take the lowering back."""
        self._become(self._line.to_gain(1.0, self._next()))

    @property
    def _waiting_s(self) -> float:
        held = sum(len(part.pcm) for part in self._line.held or ())
        return (max(0, self._line.end - self._sounded()) + held) / self.rate_hz

    def _become(self, line: TimeLine) -> None:
        """From here on the time line is another; whoever waits for it looks again."""
        self._settle()
        self._line = line
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait(self, seconds: float) -> None:
        """Wait a while, or until the line changes."""
        changed = self._changed
        try:
            async with asyncio.timeout(min(seconds, LOOK_S)):
                await changed.wait()
        except TimeoutError:
            pass
        self._check()

    def _lose(self) -> None:
        """The loudspeaker is gone: what has not sounded by now never will."""
        self.lost, self._cut = True, self._cut or self.sounding
        self._become(self._line.hold(self._sounded()) if self._cut else self._line)

    def _regain(self) -> None:
        """It is back: what waits may sound."""
        self.lost = False
        self._become(self._line)

    def _sound(self, phrase: Phrase) -> Samples:
        return resampled(phrase.pcm, phrase.rate_hz, self.rate_hz)

    @abstractmethod
    def _sounded(self) -> int: ...

    @abstractmethod
    def _next(self) -> int: ...

    @abstractmethod
    def _when(self, sample: int) -> float: ...

    def _settle(self) -> None:  # noqa: B027  # most have nothing to do
        pass

    def _check(self) -> None:
        if self._cut:
            raise DeviceError("wanted to be heard to the end, the loudspeaker went away; plug it in again")


def resampled(pcm: Samples, from_hz: int, to_hz: int) -> Samples:
    """The same sound at another rate (soxr, high quality)."""
    if from_hz == to_hz or not len(pcm):
        return pcm
    import soxr

    return soxr.resample(pcm, from_hz, to_hz).astype(np.float32, copy=False)
