"""A simulated room: how a loudspeaker's sound comes back into a microphone.

Late, off the walls, bent by a loudspeaker that is driven, and by another clock. 16 kHz, float32. Knows neither device,
but by what has sounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from assistant.events import HEARING_RATE_HZ, Samples

RATE = HEARING_RATE_HZ
"""of both devices of a room, in Hz"""
BLOCK = RATE // 100
"""samples of a microphone block: 10 ms"""
SPEECH_BEND_HZ = 500.0
"""speech loses about 6 dB an octave above this (Byrne et al., long-term average speech spectrum, 1994)"""
LOWEST_HZ = 80.0
"""below it neither voices nor small loudspeakers have anything"""
REVERBERANT = 0.5
"""share of the echo's energy that comes off the walls"""
SINC_TAPS = 32
"""of the interpolation between the clocks of the two devices"""


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


class Sounded(Protocol):
    """A loudspeaker that knows what it has sounded."""

    settled: int
    """how many samples have sounded"""

    def between(self, begin: int, end: int) -> Samples:
        """Samples `begin` to `end`, not after `settled`; silence before the first."""
        ...


class Echo:
    """A loudspeaker's sound as it arrives at the microphone, block after block."""

    def __init__(self, room: Room, speaker: Sounded) -> None:
        response = impulse_response(room)
        self._silent = room.coupling_db is None
        self._speaker = speaker
        self._drive = room.drive
        self._drift = room.drift_ppm * 1e-6
        self._delay = round(room.delay_s * RATE) - (SINC_TAPS // 2 if self._drift else 0)
        self._taps = len(response)
        self._step = self._delay // BLOCK * BLOCK + BLOCK
        """how much is convolved at once (overlap-save): what the delay allows"""
        self._size = 1 << (self._taps + self._step).bit_length()
        self._spectrum = np.fft.rfft(response, self._size)
        self._ready = np.zeros(0, np.float32)
        self._begin = 0
        """the sample that `_ready` begins with"""

    def heard(self, begin: int, end: int) -> Samples:
        """Samples `begin` to `end` of the microphone, by when the loudspeaker must have sounded. Called in order."""
        if self._silent:
            return np.zeros(end - begin, np.float32)
        if not self._drift:
            return self._arrived(begin, end)
        places = np.arange(begin, end) * (1 + self._drift) - SINC_TAPS // 2  # what is not heard yet is not needed
        first = max(0, int(places[0]) - SINC_TAPS // 2)
        last = min(max(1, int(places[-1]) + SINC_TAPS // 2 + 2), self._speaker.settled)
        return _interpolated(self._arrived(first, last), places - first)

    def _arrived(self, begin: int, end: int) -> Samples:
        """The same in the loudspeaker's samples."""
        while self._begin + len(self._ready) < end:
            at = self._begin + len(self._ready)
            step = min(self._step, self._speaker.settled + self._delay - at)
            last = at - self._delay + step
            dry = self._speaker.between(last - self._taps - step, last)
            if self._drive:
                dry = np.tanh(self._drive * dry) / self._drive
            wet = np.zeros(step, np.float32)
            if dry.any():
                whole = np.fft.irfft(np.fft.rfft(dry, self._size) * self._spectrum, self._size)
                wet = whole[len(dry) - step : len(dry)].astype(np.float32)
            self._ready = np.concatenate([self._ready[begin - self._begin :], wet])
            self._begin = begin
        return self._ready[begin - self._begin : end - self._begin]


def _interpolated(pcm: Samples, places: np.ndarray) -> Samples:
    """The sound between its samples: a sinc under a Hann window; silence outside."""
    whole = np.floor(places).astype(np.int64)
    offsets = np.arange(1 - SINC_TAPS // 2, SINC_TAPS // 2 + 1)
    away = (places - whole)[:, None] - offsets
    weights = np.sinc(away) * (0.5 + 0.5 * np.cos(2 * np.pi * away / SINC_TAPS))
    index = whole[:, None] + offsets
    inside = (index >= 0) & (index < len(pcm))
    return (np.where(inside, pcm[np.clip(index, 0, max(0, len(pcm) - 1))], 0) * weights).sum(1).astype(np.float32)
