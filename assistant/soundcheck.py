"""The sound check: whether a microphone is muted, too loud or too quiet, by what comes out of it.

Pure, over windows of sound (some 30 ms) with their probability of speech. The limits were measured on 58 recordings of
speech, noise and silence: none of them is taken for muted or quiet, and for too loud only the one that is. Knows no
device; what its owner muted on purpose must not be shown to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from assistant.events import HEARING_RATE_HZ, Samples

ZERO = 1 / 65_536
"""half a step of 16 bit: no sample of a microphone that is on stays below it for long (in recordings, 2.4 s at most)"""
MUTED_S = 5.0
"""so much of it is no pause of a voice behind a noise gate"""
RAIL, CUT_SHARE = 0.98, 0.02
"""a window with this share of its samples this near to full scale is cut off; loud speech that is not has none"""
CUT_S, CUT_FORGIVEN = 0.25, 0.02
"""so much of it is too loud; this share of the time may be, such as a knock against the table"""
VOICE_P = 0.5
QUIET_DB = -50.0
"""RMS of speech in dBFS: Silero still finds 94 % of it there (70 % of the worst recording), 78 % (23 %) at -62; the
quietest recording has -40"""
VOICED_S = 3.0
"""speech that its level is judged by"""
LOWEST_DB = -120.0
ADVICE = {
    "muted": "switch it on in the system's sound settings or on the device, or choose another with --microphone",
    "loud": "lower its level in the system's sound settings, or speak from further away",
    "quiet": "raise its level in the system's sound settings, or come nearer",
}
"""what to do, by the kind of fault"""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a microphone (`kind`: muted, loud or quiet), and how it shows."""

    kind: str
    found: str


@dataclass(frozen=True, slots=True)
class SoundCheck:
    """What was heard so far: seconds of zeros without a break, of sound that was cut off, of speech with its energy.

    `told`: the kinds of faults that came out already; each comes once.
    """

    silent_s: float = 0.0
    cut_s: float = 0.0
    voiced_s: float = 0.0
    energy: float = 0.0
    told: frozenset[str] = frozenset()


def check(state: SoundCheck, pcm: Samples, p_voice: float) -> tuple[SoundCheck, Fault | None]:
    """One step: the next state, and a fault where this window (16 kHz, with its probability of speech) shows one."""
    length_s = len(pcm) / HEARING_RATE_HZ
    zeros = float(np.abs(pcm).max(initial=0.0)) < ZERO
    cut = float((np.abs(pcm) >= RAIL).mean()) > CUT_SHARE
    voiced = p_voice >= VOICE_P
    anew = state.voiced_s >= VOICED_S
    voiced_s, energy = (0.0, 0.0) if anew else (state.voiced_s, state.energy)
    state = replace(
        state,
        silent_s=state.silent_s + length_s if zeros else 0.0,
        cut_s=max(0.0, state.cut_s + (length_s if cut else -CUT_FORGIVEN * length_s)),
        voiced_s=voiced_s + length_s * voiced,
        energy=energy + float(np.square(pcm).sum()) / HEARING_RATE_HZ * voiced,
    )
    fault = _fault(state)
    if fault is None or fault.kind in state.told:
        return state, None
    return replace(state, told=state.told | {fault.kind}), fault


def _fault(state: SoundCheck) -> Fault | None:
    if state.silent_s >= MUTED_S:
        return Fault("muted", f"the microphone gives nothing, not even noise, for {state.silent_s:.0f} s")
    if state.cut_s >= CUT_S:
        return Fault("loud", "the microphone is too loud, the peaks of the sound are cut off")
    level_db = decibels(state.energy / state.voiced_s) if state.voiced_s >= VOICED_S else 0.0
    if level_db < QUIET_DB:
        return Fault("quiet", f"the microphone is very quiet, speech comes in at {level_db:.0f} dBFS")
    return None


def decibels(power: float) -> float:
    """The level of a mean square (0 to 1) in dBFS; -120 for silence."""
    return 10 * math.log10(max(power, 10 ** (LOWEST_DB / 10)))
