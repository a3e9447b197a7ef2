"""The loudspeaker of a simulated room: it remembers what it sounded, what it was told, and what it would have sounded.

In virtual time and in real time alike. Knows no microphone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from assistant.backends.timeline import Gain, LineSpeaker, TimeLine
from assistant.events import Phrase, Played, Samples
from assistant.pacing import Clock
from assistant.sessions.rooms import RATE


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What the loudspeaker was told (play, stop, hold, go_on, duck, restore, close), from which sample on it did so,
    and how much was left to sound then, in seconds.
    """

    at: int
    what: str
    left_s: float = 0.0
    phrase: Phrase | None = None


class RoomSpeaker(LineSpeaker):
    """A loudspeaker that remembers: the last `keep_s` seconds of what it sounded (None: all), and what it was told.

    Sample k sounds at k / (16000 (1 + drift)) seconds of the microphone's clock.
    """

    def __init__(self, clock: Clock, drift_ppm: float = 0.0, keep_s: float | None = None) -> None:
        super().__init__(RATE)
        self.told: list[Told] = []
        self.settled = 0
        """how many samples have sounded, and cannot change any more"""
        self._clock = clock
        self._true_hz = RATE * (1 + drift_ppm * 1e-6)
        self._keep = None if keep_s is None else round(keep_s * RATE)
        self._sound_kept = np.zeros(RATE, np.float32)
        self._forgotten = 0
        self._given = 0

    async def play(self, phrase: Phrase) -> float:
        """As every loudspeaker."""
        at_s = await super().play(phrase)
        self._tell("play", self.sample(at_s), phrase)
        return at_s

    def stop(self) -> tuple[Played, ...]:
        """As every loudspeaker."""
        self._tell("stop")
        return super().stop()

    def hold(self) -> None:
        """As every loudspeaker."""
        self._tell("hold")
        super().hold()

    def go_on(self) -> None:
        """As every loudspeaker."""
        self._tell("go_on")
        super().go_on()

    def duck(self) -> None:
        """As every loudspeaker."""
        self._tell("duck")
        super().duck()

    def restore(self) -> None:
        """As every loudspeaker."""
        self._tell("restore")
        super().restore()

    def close(self) -> None:
        """Stop; what sounded stays known."""
        self._tell("close")
        super().stop()

    def sample(self, at_s: float) -> int:
        """Which sample sounds at `at_s` of the microphone's clock."""
        return round(at_s * self._true_hz)

    def between(self, begin: int, end: int) -> Samples:
        """What sounded from sample `begin` to `end`, not after `settled`; silence before the first."""
        if end <= 0:
            return np.zeros(end - begin, np.float32)
        kept = self._sound_kept[max(0, begin) - self._forgotten : end - self._forgotten]
        return kept if begin >= 0 else np.concatenate([np.zeros(-begin, np.float32), kept])

    def given(self) -> Samples:
        """What sounded since the last call: an echo's reference."""
        self.settle()
        given = self.between(self._given, self.settled)
        self._given = self.settled
        return given

    def settle(self) -> None:
        """Sound what is due by now."""
        self._settle()

    @property
    def planned(self) -> TimeLine:
        """What will sound if nothing is told any more, at full loudness; good from now on."""
        return replace(self._line, gain=Gain(), fading=())

    def _tell(self, what: str, at: int | None = None, phrase: Phrase | None = None) -> None:
        if self._keep is None:
            self.told.append(Told(self._next() if at is None else at, what, max(0.0, self._waiting_s), phrase))

    def _settle(self) -> None:
        end = self._sounded()
        if end <= self.settled:
            return
        if end - self._forgotten > len(self._sound_kept):
            self._make_room(end)
        self._sound_kept[self.settled - self._forgotten : end - self._forgotten] = self._line.render(self.settled, end)
        self.settled = end

    def _make_room(self, end: int) -> None:
        kept = self._sound_kept[: self.settled - self._forgotten]
        if self._keep is not None and len(kept) > self._keep:
            self._forgotten += len(kept) - self._keep
            kept = kept[-self._keep :]
        size = max(2 * len(kept), end - self._forgotten + RATE)
        self._sound_kept = np.zeros(size, np.float32)
        self._sound_kept[: len(kept)] = kept

    def _sounded(self) -> int:
        return round(self._clock.now_s() * self._true_hz)

    def _next(self) -> int:
        return self._sounded()

    def _when(self, sample: int) -> float:
        return sample / self._true_hz
