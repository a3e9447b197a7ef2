"""Gaps in the sound of a card, told by the clock: it was away for 1.8 s in the middle of a sentence and raised no flag.

Knows samples and the machine's time, no device.
"""

from __future__ import annotations

GAP_S = 0.1
"""a block that is late by more was not late, the card was away"""
FORGET = 0.002
"""so much of a lateness is forgotten with every block: two quartzes that drift apart are no gap"""


class Pace:
    """When the next block of a stream is due. `rate_hz`: samples a second; times are the machine's, in seconds.

    The earliest blocks set the pace, so that blocks that come in bursts are late by less than a burst is long.
    """

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self.due_at: float | None = None
        """when the next block should begin; None before the first"""

    def gap_s(self, began_at: float, samples: int) -> float:
        """How long the card was away before this block, whose first sample was heard at `began_at`; 0 if it was not."""
        late_s = 0.0 if self.due_at is None else began_at - self.due_at
        gap_s = late_s if late_s > GAP_S else 0.0
        kept_s = 0.0 if gap_s else max(0.0, late_s) * (1 - FORGET)
        self.due_at = began_at - kept_s + samples / self._rate_hz
        return gap_s
