"""A simulated room: a loudspeaker, and a microphone that hears what people say, the loudspeaker's echo, and noise.

Sound is mixed block by block as time passes, so that what is said can depend on what the loudspeaker does (a cue); in
virtual time and in real time alike. Everything that sounded, and what would have sounded, stays known for measuring.
Knows no engine, and not who speaks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from assistant.backends.timeline import Gain, LineSpeaker, TimeLine
from assistant.events import HEARING_RATE_HZ, Block, Phrase, Played, Samples
from assistant.pacing import Clock

RATE = HEARING_RATE_HZ
"""of both devices of a room, in Hz"""
BLOCK = RATE // 100
"""samples of a microphone block: 10 ms"""
AUDIBLE = 10 ** (-50 / 20)
"""a loudspeaker sounds where a sample is above -50 dBFS (contract, how latency is read)"""
PATIENCE_S = 12.0
"""a cue that has not come by then does not come: nobody answered"""
SPEECH_BEND_HZ = 500.0
"""speech loses about 6 dB an octave above this (Byrne et al., long-term average speech spectrum, 1994)"""
LOWEST_HZ = 80.0
"""below it neither voices nor small loudspeakers have anything"""
REVERBERANT = 0.5
"""share of the echo's energy that comes off the walls"""
SINC_TAPS = 32
"""of the interpolation between the clocks of the two devices"""


# ---------------------------------------------------------------- the room


@dataclass(frozen=True, slots=True)
class Room:
    """How the loudspeaker reaches the microphone.

    `coupling_db`: the echo's level against the loudspeaker's, for sound with the spectrum of speech; None: headphones.
    `delay_s`: of the direct sound, buffers of the sound card included. `tail_s`: until the walls' echo has lost 60 dB.
    `drive`: how hard the loudspeaker is driven; its sound is bent as tanh(drive x) / drive, 0 is linear. `drift_ppm`:
    how much faster the loudspeaker's clock runs than the microphone's. `seed` draws the walls.
    """

    coupling_db: float | None = None
    delay_s: float = 0.04
    tail_s: float = 0.25
    drive: float = 1.0
    drift_ppm: float = 0.0
    seed: int = 0


def impulse_response(room: Room) -> Samples:
    """What a click of the loudspeaker is at the microphone, without the delay: 16 kHz, the direct sound first.

    White noise under an exponential decay stands for the walls (Moorer, About this reverberation business, 1979).
    """
    if room.coupling_db is None:
        return np.zeros(1, np.float32)
    length = max(2, round(room.tail_s * RATE))
    decay = 10 ** (-3 * np.arange(length) / length)
    walls = np.random.default_rng(room.seed).standard_normal(length) * decay
    walls[0] = 0.0
    walls *= np.sqrt(REVERBERANT / (1 - REVERBERANT) / (walls**2).sum())
    response = walls
    response[0] = 1.0
    return np.asarray(response * (10 ** (room.coupling_db / 20) / _gain(response)), np.float32)


def _gain(response: np.ndarray) -> float:
    """How much louder speech comes out of a response, as a factor of its RMS."""
    size = 1 << (len(response) + 1023).bit_length()
    hz = np.fft.rfftfreq(size, 1 / RATE)
    power = np.where(hz < LOWEST_HZ, 0.0, 1 / (1 + (hz / SPEECH_BEND_HZ) ** 2))
    return float(np.sqrt((power * np.abs(np.fft.rfft(response, size)) ** 2).sum() / power.sum()))


class _Echo:
    """The loudspeaker's sound as it arrives at the microphone, in the loudspeaker's samples, computed as it is needed.

    As much as the delay allows is convolved at once (overlap-save).
    """

    def __init__(self, room: Room) -> None:
        response = impulse_response(room)
        self.silent = room.coupling_db is None
        self._drive = room.drive
        self._delay = round(room.delay_s * RATE) - (SINC_TAPS // 2 if room.drift_ppm else 0)
        self._taps = len(response)
        self._step = self._delay // BLOCK * BLOCK + BLOCK
        self._size = 1 << (self._taps + self._step).bit_length()
        self._spectrum = np.fft.rfft(response, self._size)
        self._ready = np.zeros(0, np.float32)
        self._begin = 0
        """the sample that `_ready` begins with"""

    def heard(self, speaker: RoomSpeaker, begin: int, end: int) -> Samples:
        """Samples `begin` to `end`; the loudspeaker must have sounded up to `end`. Called in order."""
        while self._begin + len(self._ready) < end:
            at = self._begin + len(self._ready)
            step = min(self._step, speaker.settled + self._delay - at)
            last = at - self._delay + step
            dry = speaker.between(last - self._taps - step, last)
            if self._drive:
                dry = np.tanh(self._drive * dry) / self._drive
            wet = np.zeros(step, np.float32)
            if dry.any():
                whole = np.fft.irfft(np.fft.rfft(dry, self._size) * self._spectrum, self._size)
                wet = whole[len(dry) - step : len(dry)].astype(np.float32)
            self._ready = np.concatenate([self._ready[begin - self._begin :], wet])
            self._begin = begin
        return self._ready[begin - self._begin : end - self._begin]


# ---------------------------------------------------------------- the loudspeaker


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


# ---------------------------------------------------------------- the microphone


Cue = Literal["begin", "answer", "quiet"]
"""What a sound waits for once the one before it has ended: nothing, the loudspeaker's next sound, or that one's end."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Something that is heard in the room: `pcm` (16 kHz), `after_s` seconds after its cue.

    `kind`: turn, interruption, backchannel, cough or knock. `began_s` and `ended_s` bound what is audible of it, and
    `pauses` (from, to) its silences in between, all in its own seconds; `text` is what is said.
    """

    kind: str
    name: str
    pcm: Samples
    began_s: float
    ended_s: float
    text: str = ""
    pauses: tuple[tuple[float, float], ...] = ()
    cue: Cue = "begin"
    after_s: float = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A sound that was heard, its first sample at `at_s` of the microphone's clock.

    `planned`: what the loudspeaker would have sounded, had nobody been heard; None where the sound was not audible yet.
    """

    sound: Sound
    at_s: float
    planned: TimeLine | None = None

    @property
    def began_s(self) -> float:
        """When it became audible."""
        return self.at_s + self.sound.began_s

    @property
    def ended_s(self) -> float:
        """When it was over."""
        return self.at_s + self.sound.ended_s


@dataclass(slots=True)
class _Waiting:
    """How far the scene has come."""

    sounds: list[Sound]
    since_s: float = 0.0
    """when the newest sound ended"""
    spoke_s: float | None = None
    """when the loudspeaker first sounded after that"""
    last_s: float = 0.0
    """when it last sounded"""
    heard: list[Heard] = field(default_factory=list[Heard])


class RoomMicrophone:
    """Hears the sounds of a scene as their cues come, the echo of the loudspeaker, and a background that goes on.

    `over` is True once all sounds are (or a cue did not come within PATIENCE_S, and those behind it are dropped), and
    `seconds` have passed; after `limit_s` the microphone ends, whatever is going on. `background` (16 kHz) is repeated.
    """

    def __init__(
        self,
        clock: Clock,
        room: Room,
        speaker: RoomSpeaker,
        sounds: Sequence[Sound],
        background: Samples | None = None,
        *,
        seconds: float = 0.0,
        limit_s: float = 300.0,
    ) -> None:
        self.over = False
        self.rate_hz = RATE
        self._clock = clock
        self._speaker = speaker
        self._echo = _Echo(room)
        self._drift = room.drift_ppm * 1e-6
        self._background = background if background is not None and len(background) else np.zeros(BLOCK, np.float32)
        self._seconds = seconds
        self._limit_s = limit_s
        self._waiting = _Waiting(list(sounds))
        self._closed = False

    @property
    def heard(self) -> tuple[Heard, ...]:
        """The sounds so far, in order."""
        return tuple(self._waiting.heard)

    async def blocks(self) -> AsyncIterator[Block]:
        """Blocks of 10 ms, each when its last sample is due."""
        self._clock.start()
        begin = 0
        while not self._closed and begin < self._limit_s * RATE:
            end_s = (begin + BLOCK) / RATE
            await self._clock.until(end_s)
            self._speaker.settle()
            self._await_cue(begin)
            pcm = self._mixed(begin)
            self.over = not self._waiting.sounds and end_s > max(self._waiting.since_s, self._seconds)
            yield Block(begin / RATE, pcm)
            begin += BLOCK

    def close(self) -> None:
        """End after the block that is under way."""
        self._closed = True

    def _await_cue(self, begin: int) -> None:
        """Let the next sound begin with this block if it is time."""
        waiting, begin_s, end_s = self._waiting, begin / RATE, (begin + BLOCK) / RATE
        newest = self._speaker.between(self._speaker.sample(begin_s), self._speaker.settled)
        if np.abs(newest).max(initial=0.0) > AUDIBLE:
            waiting.last_s = end_s
            if waiting.spoke_s is None and begin_s >= waiting.since_s:
                waiting.spoke_s = begin_s
        if not waiting.sounds or begin_s < waiting.since_s:
            return
        sound = waiting.sounds[0]
        match sound.cue:
            case "begin":
                cue_s = waiting.since_s
            case "answer":
                cue_s = waiting.spoke_s
            case "quiet":
                quiet = waiting.spoke_s is not None and not self._speaker.sounding
                cue_s = max(waiting.last_s, waiting.since_s) if quiet else None
        if cue_s is not None and begin_s >= cue_s + sound.after_s - 1e-9:
            waiting.sounds.pop(0)
            waiting.heard.append(Heard(sound, begin_s))
            waiting.since_s, waiting.spoke_s = begin_s + len(sound.pcm) / RATE, None
        elif waiting.spoke_s is None and sound.cue != "begin" and begin_s > waiting.since_s + PATIENCE_S:
            waiting.sounds.clear()

    def _mixed(self, begin: int) -> Samples:
        end = begin + BLOCK
        places = np.arange(begin, end) % len(self._background)
        pcm = self._background[places] + self._echoed(begin, end)
        for number, heard in enumerate(self._waiting.heard):
            first = begin - round(heard.at_s * RATE)
            if 0 <= first < len(heard.sound.pcm):
                part = heard.sound.pcm[first : first + BLOCK]
                pcm[: len(part)] += part
                if heard.planned is None and heard.began_s < end / RATE:
                    self._waiting.heard[number] = replace(heard, planned=self._speaker.planned)
        return np.clip(pcm, -1, 1, out=pcm)

    def _echoed(self, begin: int, end: int) -> Samples:
        if self._echo.silent:
            return np.zeros(end - begin, np.float32)
        if not self._drift:
            return self._echo.heard(self._speaker, begin, end)
        places = np.arange(begin, end) * (1 + self._drift) - SINC_TAPS // 2  # what is not heard yet is not needed
        first = max(0, int(places[0]) - SINC_TAPS // 2)
        last = min(max(1, int(places[-1]) + SINC_TAPS // 2 + 2), self._speaker.settled)
        return _interpolated(self._echo.heard(self._speaker, first, last), places - first)


def _interpolated(pcm: Samples, places: np.ndarray) -> Samples:
    """The sound between its samples: a sinc under a Hann window; silence outside."""
    whole = np.floor(places).astype(np.int64)
    offsets = np.arange(1 - SINC_TAPS // 2, SINC_TAPS // 2 + 1)
    away = (places - whole)[:, None] - offsets
    weights = np.sinc(away) * (0.5 + 0.5 * np.cos(2 * np.pi * away / SINC_TAPS))
    index = whole[:, None] + offsets
    inside = (index >= 0) & (index < len(pcm))
    return (np.where(inside, pcm[np.clip(index, 0, max(0, len(pcm) - 1))], 0) * weights).sum(1).astype(np.float32)
