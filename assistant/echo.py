"""What the loudspeaker is saying, taken out of what the microphone hears (WebRTC's canceller, out of LiveKit's wheel).

40 dB once it has settled, whatever the delay and the drift between the two sound cards; words that overlap with the
voice come out damaged, so it is good for noticing that somebody speaks, not for recognising it: the sound as it was
stays with each block. What still comes through is told from a user's words by `own_voice`. Knows no device.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from assistant.backends import Microphone, Speaker
from assistant.backends.passing import PassingMicrophone
from assistant.events import HEARING_RATE_HZ, Block, Samples, Word, Words

FRAME_S = 0.01
"""what the canceller works on"""
AT_ONCE = 4
"""frames of the reference for each of the microphone's: where a card was away they wait, and its own queue is short"""
HINT_EARLY_S = 0.04
"""a delay that is told too long costs 12 dB in the first half second, one told too short by so much costs nothing"""
HINT_STEP_S = 0.02
"""a delay that changed by less is not told again: the canceller follows by itself"""
HINT_MOST_S = 0.5
"""WebRTC takes no longer delay"""
HINT_SLOWLY = 0.01
"""so much of a change is believed per block: whoever was busy for a moment makes no delay"""
SETTLING_S = 1.5
"""the canceller has settled after so much sound of the loudspeaker (measured: 25 dB after 1 s, 41 dB in the end)"""
ROOM_BLOCKS, WINDOW_BLOCKS, LOUD_BLOCKS = 50, 50, 100
"""Headphones: half a second of the room must be known, half a second of the loudspeaker is compared with it, and a
second of the opposite is needed to believe that they were taken off"""
AS_QUIET, UNHEARD, HEARD = 1.2, 0.02, 0.05
"""as quiet as it was is up to 1.6 dB more; unheard is what comes back 34 dB fainter than it was given, heard 26 dB"""
LATE_S = 0.15
"""an echo comes this late"""
SOUNDS = 0.01
"""a reference below this sample value teaches it nothing"""
TAIL_S = 0.2
"""a room sounds on for about so long after the loudspeaker"""


class EchoCanceller:
    """An adaptive filter with its state: give it everything that was heard and everything that was played, in order.

    `reference_hz`: the rate of what was played, a multiple of 100.
    """

    def __init__(self, reference_hz: int = HEARING_RATE_HZ) -> None:
        from livekit.rtc import AudioProcessingModule

        self._filter = AudioProcessingModule(echo_cancellation=True, high_pass_filter=True)
        self._reference_hz = reference_hz
        self._reference = np.zeros(0, np.float32)

    def cancel(self, pcm: Samples, reference: Samples) -> Samples:
        """The sound without the echo of what was played.

        `pcm`: 16 kHz, whole frames of 10 ms. `reference`: what was given to the loudspeaker since the last call, zeros
        included, any length; it may come early or in lumps, but not after its echo.
        """
        frame = round(HEARING_RATE_HZ * FRAME_S)
        if len(pcm) % frame:
            raise ValueError(f"wanted whole frames of {frame} samples, got {len(pcm)} samples")
        self._reference = np.concatenate([self._reference, reference])
        parts = [self._heard(part) for part in pcm.reshape(-1, frame)]
        return np.concatenate(parts) if parts else pcm

    def expect(self, delay_s: float) -> None:
        """Say how long after it was given a sample comes back; a head start, the canceller finds out by itself."""
        self._filter.set_stream_delay_ms(round(1000 * min(max(0.0, delay_s - HINT_EARLY_S), HINT_MOST_S)))

    def _heard(self, pcm: Samples) -> Samples:
        size = round(self._reference_hz * FRAME_S)
        now = min(AT_ONCE, len(self._reference) // size) * size
        for part in self._reference[:now].reshape(-1, size):
            self._filter.process_reverse_stream(_frame(part, self._reference_hz))
        self._reference = self._reference[now:]
        frame = _frame(pcm, HEARING_RATE_HZ)
        self._filter.process_stream(frame)
        return np.frombuffer(frame.data, np.int16).astype(np.float32) / np.float32(32768)


def _frame(pcm: Samples, rate_hz: int) -> Any:
    from livekit.rtc import AudioFrame

    data = (np.clip(pcm, -1, 1) * 32767).astype(np.int16).tobytes()
    return AudioFrame(bytearray(data), rate_hz, 1, len(pcm))


# ---------------------------------------------------------------- microphones


class Headphones:
    """Whether the loudspeaker cannot be heard at all: while it sounds, the room stays as quiet as it was, and far more
    quiet than what is given.

    The canceller is careful until it knows its echo, and hides a user's first words; where there is no echo, nothing
    needs to be taken out.
    """

    def __init__(self) -> None:
        self.on = False
        self._room: deque[float] = deque(maxlen=300)
        self._powers: deque[tuple[float, float]] = deque(maxlen=WINDOW_BLOCKS)
        self._silent_s, self._loud = 0.0, 0

    def heard(self, level: float, given: float) -> None:
        """Ten milliseconds of the microphone, and of what was given to the loudspeaker meanwhile, as RMS.

        An echo comes later than what was given, so that only their sums over half a second are compared.
        """
        self._silent_s = 0.0 if given > SOUNDS else self._silent_s + FRAME_S
        if self._silent_s > LATE_S + TAIL_S:
            self._room.append(level)
            self._powers.clear()
            return
        self._powers.append((level**2, given**2))
        if len(self._room) < ROOM_BLOCKS or len(self._powers) < WINDOW_BLOCKS:
            return
        comes_back, goes_out = (float(np.sqrt(np.mean(powers))) for powers in zip(*self._powers, strict=True))
        room = sorted(self._room)[len(self._room) // 2]
        self._loud = self._loud + 1 if comes_back > HEARD * goes_out else 0
        unheard = comes_back <= min(AS_QUIET * room, UNHEARD * goes_out)
        self.on = (self.on or unheard) and self._loud < LOUD_BLOCKS


@runtime_checkable
class Referring(Protocol):
    """A loudspeaker that keeps what it gave to the sound card. `delay_s`, where it has it: until that is heard."""

    rate_hz: int

    def given(self) -> Samples:
        """What it gave since the last call, zeros included."""
        ...


class EchoFreeMicrophone(PassingMicrophone):
    """A microphone without what the loudspeaker beside it says; each block keeps the sound as it was in `raw`."""

    def __init__(self, microphone: Microphone, speaker: Referring) -> None:
        super().__init__(microphone)
        self._speaker = speaker
        self._canceller = EchoCanceller(speaker.rate_hz)
        self._delay_s = self._told_s = 0.0
        self._learned_s = 0.0
        self._headphones = Headphones()
        self._speaker.given()

    @property
    def delay_s(self) -> float:
        """How long from a sample being given to the sound card until its echo comes in, as far as the devices know."""
        return getattr(self._speaker, "delay_s", 0.0) + getattr(self._microphone, "delay_s", 0.0)

    @property
    def settled(self) -> bool:
        """Whether the canceller has heard enough of the loudspeaker to know its echo, or that there is none."""
        return self._learned_s >= SETTLING_S or self._headphones.on

    def _passed(self, block: Block) -> Block:
        self._delay_s += (self.delay_s - self._delay_s) * (HINT_SLOWLY if self._delay_s else 1.0)
        if abs(self._delay_s - self._told_s) > HINT_STEP_S:
            self._told_s = self._delay_s
            self._canceller.expect(self._told_s)
        given = self._speaker.given()
        sounds = bool(np.abs(given).max(initial=0.0) > SOUNDS)
        if sounds and not self.settled:
            self._learned_s += len(given) / self._speaker.rate_hz
        self._headphones.heard(_rms(block.pcm), _rms(given))
        clean = self._canceller.cancel(block.pcm, given)
        if self._headphones.on:
            return block
        return Block(block.at_s, clean, block.rate_hz, block.pcm)


def _rms(pcm: Samples) -> float:
    return float(np.sqrt(np.square(pcm).mean())) if len(pcm) else 0.0


class HalfDuplexMicrophone(PassingMicrophone):
    """A microphone that is deaf while the loudspeaker sounds and 0.2 s longer: no echo, and no interruption either."""

    def __init__(self, microphone: Microphone, speaker: Speaker) -> None:
        super().__init__(microphone)
        self._speaker = speaker
        self._deaf_until_s = 0.0

    def _passed(self, block: Block) -> Block:
        if self._speaker.sounding:
            self._deaf_until_s = block.end_s + TAIL_S
        if block.at_s >= self._deaf_until_s:
            return block
        return Block(block.at_s, np.zeros_like(block.pcm), block.rate_hz)


# ---------------------------------------------------------------- the second net

OWN_WORDS = 3
"""so many words of a transcript must match what was sounding before it may be our own voice"""
OWN_WITHIN_S = 0.5
"""and each must have been said within this time of when it sounded"""
OWN_ENERGY = 0.1
"""and less than this share of the energy must be left: an echo loses nearly all to the canceller, a user nearly none"""

_PIECES = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3400-\u9fff\uf900-\ufaff]+(?:['’][^\W_]+)*")


def own_voice(words: Words, sounded: Sequence[Word], raw_energy: float, cancelled_energy: float) -> bool:
    """Whether a transcript is what the assistant itself said: an echo that came through the canceller.

    `sounded`: the words of the loudspeaker with the session's times. The energies (any unit, 0 or more) are those of
    the stretch that was transcribed, before and after cancellation. Both must say so: three words that match in their
    order and their time, and under a tenth of the energy left. Somebody who repeats us says the words, but keeps the
    energy. A transcript without times of words is never ours.
    """
    if not raw_energy > 0 or cancelled_energy >= OWN_ENERGY * raw_energy:
        return False
    return _matching(_pieces(words.words), _pieces(sounded)) >= OWN_WORDS


def _matching(said: Sequence[tuple[str, float]], sounded: Sequence[tuple[str, float]]) -> int:
    """How many words match in their order and time: the longest common subsequence."""
    best = [0] * (len(sounded) + 1)
    for text, began_s in said:
        row = [0]
        for i, (own, own_s) in enumerate(sounded):
            same = text == own and abs(began_s - own_s) <= OWN_WITHIN_S
            row.append(best[i] + 1 if same else max(best[i + 1], row[i]))
        best = row
    return best[-1]


def _pieces(words: Sequence[Word]) -> list[tuple[str, float]]:
    """Words without case and punctuation, Chinese ones character by character, each with the time it began."""
    found: list[tuple[str, float]] = []
    for word in words:
        pieces = _PIECES.findall(word.text.casefold().replace("’", "'"))
        step_s = (word.ended_s - word.began_s) / max(1, len(pieces))
        found += [(piece, word.began_s + i * step_s) for i, piece in enumerate(pieces)]
    return found
