"""Recordings as sounds of a scene, as they are or with a pause put in between two words. Drawn from what is handed in.

Knows no scene.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assistant.events import HEARING_RATE_HZ, Samples
from assistant.sessions.levels import GAP_S, frames
from assistant.sessions.microphone import Cue, Sound
from assistant.sessions.noises import faded, own_tone
from assistant.sessions.recordings import SPEECH_DB, Clip

PAUSE_MEDIAN_S, PAUSE_P90_S = 0.5, 1.0
"""of a pause's length, log-normal"""
QUIET_DB = SPEECH_DB - 20.0
"""no pause that is put in is louder"""


def said(kind: str, clip: Clip, cue: Cue, after_s: float) -> Sound:
    """A recording as it is."""
    return Sound(kind, clip.name, clip.pcm, clip.began_s, clip.ended_s, clip.text, clip.pauses, cue, after_s)


def paused(rng: np.random.Generator, clip: Clip, cue: Cue, after_s: float) -> Sound:
    """A recording as a turn with a pause put in between two of its words, filled with its own room; as it is where its
    words are not known or it has only one.
    """
    words = clip.words or ()
    if len(words) < 2:
        return said("turn", clip, cue, after_s)
    which = int(rng.integers(len(words) - 1))
    cut_s = _quietest_s(clip.pcm, words[which].ended_s, words[which + 1].began_s)
    length_s = pause_s(rng)
    cut = round(cut_s * HEARING_RATE_HZ)
    tone = own_tone(rng, clip.pcm, length_s, QUIET_DB)
    before, after = faded(clip.pcm[:cut], begin=False), faded(clip.pcm[cut:], end=False)
    pcm = np.concatenate([before, tone, after])
    return Sound(
        "turn",
        clip.name,
        pcm,
        clip.began_s,
        clip.ended_s + length_s,
        clip.text,
        _with_pause(clip.pauses, cut_s, length_s),
        cue,
        after_s,
    )


def pause_s(rng: np.random.Generator) -> float:
    """The length of a pause inside a turn: log-normal by PAUSE_MEDIAN_S and PAUSE_P90_S."""
    sigma = np.log(PAUSE_P90_S / PAUSE_MEDIAN_S) / 1.2815515655446004  # the 90th percentile of the normal distribution
    return float(PAUSE_MEDIAN_S * np.exp(sigma * rng.standard_normal()))


def _quietest_s(pcm: Samples, from_s: float, to_s: float) -> float:
    """Where to cut between two words: the quietest 10 ms from 30 ms before the end of one to 30 ms into the other."""
    level = frames(pcm)
    first = max(0, min(len(level) - 1, round((from_s - 0.03) * 100)))
    last = max(first + 1, min(len(level), round((to_s + 0.03) * 100)))
    return (first + int(np.argmin(level[first:last])) + 0.5) / 100


def _with_pause(
    pauses: Sequence[tuple[float, float]], cut_s: float, length_s: float
) -> tuple[tuple[float, float], ...]:
    """The pauses of a recording once another is put in; one that it falls into grows."""
    moved: list[tuple[float, float]] = []
    own = (cut_s, cut_s + length_s)
    for began_s, ended_s in pauses:
        if began_s < cut_s < ended_s:
            own = (began_s, ended_s + length_s)
        else:
            shift_s = length_s if began_s >= cut_s else 0.0
            moved.append((began_s + shift_s, ended_s + shift_s))
    if own[1] - own[0] >= GAP_S:
        moved.append(own)
    return tuple(sorted(moved))
