"""What the loudspeaker is saying, taken out of what the microphone hears (WebRTC's canceller, out of LiveKit's wheel).

40 dB once it has settled, whatever the delay and the drift between the two sound cards; words that overlap with the
voice come out damaged, so it is good for noticing that somebody speaks, not for recognising it. Knows no device.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

import numpy as np

from assistant.backends import Microphone
from assistant.events import HEARING_RATE_HZ, Block, Samples

FRAME_S = 0.01
"""what the canceller works on"""


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
        self._play(reference)
        parts = [self._heard(part) for part in pcm.reshape(-1, frame)]
        return np.concatenate(parts) if parts else pcm

    def _play(self, reference: Samples) -> None:
        frame = round(self._reference_hz * FRAME_S)
        waiting = np.concatenate([self._reference, reference])
        whole = len(waiting) // frame * frame
        for part in waiting[:whole].reshape(-1, frame):
            self._filter.process_reverse_stream(_frame(part, self._reference_hz))
        self._reference = waiting[whole:]

    def _heard(self, pcm: Samples) -> Samples:
        frame = _frame(pcm, HEARING_RATE_HZ)
        self._filter.process_stream(frame)
        return np.frombuffer(frame.data, np.int16).astype(np.float32) / np.float32(32768)


def _frame(pcm: Samples, rate_hz: int) -> Any:
    from livekit.rtc import AudioFrame

    data = (np.clip(pcm, -1, 1) * 32767).astype(np.int16).tobytes()
    return AudioFrame(bytearray(data), rate_hz, 1, len(pcm))


class Played(Protocol):
    """A loudspeaker that keeps what it gave to the sound card."""

    rate_hz: int

    def given(self) -> Samples:
        """What it gave since the last call, zeros included."""
        ...


class EchoFreeMicrophone:
    """A microphone without what the loudspeaker beside it says."""

    over = False

    def __init__(self, microphone: Microphone, speaker: Played) -> None:
        self._microphone = microphone
        self._speaker = speaker
        self._canceller = EchoCanceller(speaker.rate_hz)
        self._speaker.given()

    async def blocks(self) -> AsyncIterator[Block]:
        """The microphone's blocks, without the echo."""
        async for block in self._microphone.blocks():
            self.over = self._microphone.over
            yield Block(block.at_s, self._canceller.cancel(block.pcm, self._speaker.given()), block.rate_hz)

    def close(self) -> None:
        """Close the microphone."""
        self._microphone.close()
