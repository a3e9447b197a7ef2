"""Sound at the rate of a card that takes another than the time line's: in pieces, as the card asks for them.

soxr works in blocks of its own, so that what goes in comes out later; how much later is known. Knows no device.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from assistant.events import Samples


class Converted:
    """A stream of mono sound at `from_hz`, put in in pieces, and taken out at `to_hz` in pieces of any length.

    It holds the filter's state and what has not been taken; where both rates are one, nothing is changed or delayed.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self.to_hz = to_hz
        self._left = np.zeros(0, np.float32)
        self._stream: Any = None
        if from_hz != to_hz:
            import soxr

            self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32")

    @property
    def ready(self) -> int:
        """How many samples can be taken."""
        return len(self._left)

    @property
    def pending_s(self) -> float:
        """How long what is put in now comes after what is taken now, in seconds."""
        within = self._stream.delay() if self._stream is not None else 0.0
        return (len(self._left) + within) / self.to_hz

    def put(self, pcm: Samples) -> None:
        """Put in what comes next, float32 at `from_hz`."""
        more = pcm if self._stream is None else self._stream.resample_chunk(pcm)
        self._left = np.concatenate([self._left, more])

    def take(self, samples: int) -> Samples:
        """Take out so many samples, `ready` at most, float32 at `to_hz`."""
        taken, self._left = self._left[:samples], self._left[samples:]
        return taken
