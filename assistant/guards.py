"""Guards against words that nobody said: what recognisers make of noise and silence.

A segment with next to no voice is not recognised at all, and a hypothesis is doubted by what its engine says of it and
by its repetitions. Every doubt is a reason, for the log. Pure: knows no engine.
"""

from __future__ import annotations

import zlib

from assistant.backends import Hypothesis

VOICE_P = 0.35
"""from this probability on a window counts as voice: where one that goes on is believed to (`hearing.listen`)"""
LEAST_VOICE_S = 0.15
"""A segment with less voice holds no word. In real speech, clean and in noise, none of the 12 segments with less than
0.2 s did, and words were made of 9 of them; the shortest that did had 0.42 s."""
NO_SPEECH_P = 0.9
"""Above it nobody spoke, whatever the words (ufal/whisper_streaming). The next two are `whisper.transcribe`'s."""
LEAST_MEAN_LOGP = -1.0
MOST_COMPRESSION = 2.4
"""Text that zlib packs tighter than this repeats itself: the engine is in a loop."""


def too_little(voiced_s: float) -> str | None:
    """Why a segment with so many seconds of voice is not to be recognised, or None where it is."""
    if voiced_s < LEAST_VOICE_S:
        return f"{voiced_s:.2f} s of voice, wanted {LEAST_VOICE_S:g}"
    return None


def doubt(hypothesis: Hypothesis) -> str | None:
    """Why the words of a hypothesis are not to be believed, or None where they are."""
    if not hypothesis.words.text:
        return None
    if not hypothesis.mean_logp >= LEAST_MEAN_LOGP:  # so that nan, too, is none to believe
        return f"mean log-probability {hypothesis.mean_logp:.2f}, wanted {LEAST_MEAN_LOGP:g}"
    if hypothesis.no_speech_p > NO_SPEECH_P:
        return f"no speech by {hypothesis.no_speech_p:.2f}, wanted at most {NO_SPEECH_P:g}"
    if (ratio := compression(hypothesis.words.text)) > MOST_COMPRESSION:
        return f"repeats itself: packs {ratio:.1f} to 1, wanted at most {MOST_COMPRESSION:g}"
    return None


def compression(text: str) -> float:
    """Bytes of a text over its bytes when packed; far above 1 where it repeats itself."""
    whole = text.encode()
    return len(whole) / len(zlib.compress(whole))
