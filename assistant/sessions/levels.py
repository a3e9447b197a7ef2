"""How loud sound is, and where in it somebody can be heard; what every measure over sound files rests on.

A frame of 10 ms is audible in a recording where its RMS is above 3 % of the loudest frame's (contract, how latency is
read). Knows numpy only.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from assistant.errors import SourceError
from assistant.events import HEARING_RATE_HZ, Samples

FRAME_S = 0.01
AUDIBLE_SHARE = 0.03
"""of the loudest frame's RMS"""
AUDIBLE = 10 ** (-50 / 20)
"""of full scale: what a loudspeaker sounds above it can be heard"""
GAP_S = 0.2
"""a silence inside speech that is shorter is no pause (stop consonants, breath)"""


def frames(pcm: Samples, rate_hz: int = HEARING_RATE_HZ) -> NDArray[np.float64]:
    """The RMS of each whole frame of 10 ms."""
    size = round(FRAME_S * rate_hz)
    whole = pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float64)
    return np.sqrt((whole**2).mean(axis=1))


def voiced(pcm: Samples, rate_hz: int = HEARING_RATE_HZ) -> NDArray[np.bool_]:
    """Which frames are audible. Raises SourceError for silence."""
    level = frames(pcm, rate_hz)
    if not len(level) or level.max() == 0:
        raise SourceError("wanted a recording of speech, got silence; use another one")
    return level > AUDIBLE_SHARE * level.max()


def voice_span_s(pcm: Samples, rate_hz: int = HEARING_RATE_HZ) -> tuple[float, float]:
    """Where the speech of a recording begins and ends, in seconds. Raises SourceError for silence."""
    audible = np.flatnonzero(voiced(pcm, rate_hz))
    return float(audible[0] * FRAME_S), float((audible[-1] + 1) * FRAME_S)


def voice_end_s(pcm: Samples, rate_hz: int = HEARING_RATE_HZ) -> float:
    """The true end of speech in seconds. Raises SourceError for silence."""
    return voice_span_s(pcm, rate_hz)[1]


def pauses_s(pcm: Samples, rate_hz: int = HEARING_RATE_HZ) -> tuple[tuple[float, float], ...]:
    """The silences of GAP_S and more inside the speech of a recording, as (from, to) in seconds."""
    audible = np.flatnonzero(voiced(pcm, rate_hz))
    return tuple(
        (float((before + 1) * FRAME_S), float(after * FRAME_S))
        for before, after in pairwise(audible)
        if (after - before - 1) * FRAME_S >= GAP_S - 1e-9
    )


def first_sound_s(pcm: Samples, rate_hz: int) -> float | None:
    """When the first sample above -50 dBFS sounds, in seconds; None where none does."""
    audible = np.flatnonzero(np.abs(pcm) > AUDIBLE)
    return int(audible[0]) / rate_hz if len(audible) else None


def leveled(pcm: Samples, level_db: float) -> Samples:
    """The sound with the RMS of its audible frames at `level_db` dBFS, clipped where that is too loud."""
    level = frames(pcm)
    loud = level[level > AUDIBLE_SHARE * level.max(initial=0.0)]
    if not len(loud):
        return pcm
    gain = 10 ** (level_db / 20) / float(np.sqrt((loud**2).mean()))
    return np.clip(pcm * np.float32(gain), -1, 1)


def rms_db(pcm: Samples) -> float:
    """The RMS of all of it in dBFS; -200 for silence."""
    return (
        20 * float(np.log10(max(1e-10, float(np.sqrt((pcm.astype(np.float64) ** 2).mean()))))) if len(pcm) else -200.0
    )
