"""How soon a voice became quieter, and inaudible, after somebody else began: read off what sounded, against what would
have sounded. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from assistant.events import Samples
from assistant.sessions.levels import AUDIBLE

FRAME_S = 0.005
DUCKED_DB = 10.0
"""so much below what would have sounded, a voice has made way"""
SILENT_S = 0.2
"""so long without a sound, where there would have been one, a voice is inaudible"""


class Silenced(NamedTuple):
    """Seconds until the last moment at which the voice was loud, and at which it was heard; None: it stayed so."""

    ducked_s: float | None
    silent_s: float | None


def silenced(planned: Samples, sounded: Samples, rate_hz: int) -> Silenced | None:
    """What became of a voice. Both sounds begin when the other voice did; None where nothing would have sounded.

    Ducked: from when on no frame of 5 ms lies less than 10 dB below what would have sounded (until one lies lower).
    Inaudible: from when on nothing above -50 dBFS sounds for SILENT_S, although something would have within it. A voice
    that happens to pause as it is silenced counts from where it was last heard.
    """
    size = round(FRAME_S * rate_hz)
    dry, wet = _framed(planned, size), _framed(sounded, size)
    count = min(len(dry), len(wet))
    would, loudness = np.abs(dry[:count]).max(1) > AUDIBLE, np.abs(wet[:count]).max(1)
    if not would.any():
        return None
    gain = np.sqrt((wet[:count] ** 2).sum(1) / np.maximum((dry[:count] ** 2).sum(1), 1e-12))
    low = would & (gain <= 10 ** (-DUCKED_DB / 20))
    ducked_s = None
    if low.any():
        loud_before = np.flatnonzero(would[: int(np.argmax(low))])
        ducked_s = float((loud_before[-1] + 1) * FRAME_S) if len(loud_before) else 0.0
    return Silenced(ducked_s, _silent_s(would, loudness <= AUDIBLE))


def _silent_s(would: NDArray[np.bool_], quiet: NDArray[np.bool_]) -> float | None:
    least = round(SILENT_S / FRAME_S)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]])))
    for begin, end in edges.reshape(-1, 2):
        if end - begin >= least and would[begin:end].any():
            return float(begin * FRAME_S)
    return None


def _framed(pcm: Samples, size: int) -> NDArray[np.float64]:
    return pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float64)
