"""Where the words of a recording begin and end, given what is said in it (forced alignment by PocketSphinx).

English only; a transcript with words outside PocketSphinx's dictionary gives None. Knows no engine of a talk.
"""

from __future__ import annotations

import re

import numpy as np

from assistant.events import HEARING_RATE_HZ, Samples, Word
from assistant.speaking import speakable

FRAMES_PER_S = 100
_OTHER = re.compile(r"[^a-z' ]+")


class Aligner:
    """PocketSphinx's aligner, loaded when it is first asked for something."""

    def __init__(self) -> None:
        self._decoder = None

    def words(self, pcm: Samples, text: str) -> tuple[Word, ...] | None:
        """The words of `text` in 16 kHz sound, in order and in seconds, or None where they cannot be found."""
        from pocketsphinx import Config, Decoder

        spelled = spelled_out(text)
        if not spelled:
            return None
        if self._decoder is None:
            self._decoder = Decoder(Config(loglevel="FATAL"))
        decoder = self._decoder
        if any(decoder.lookup_word(word) is None for word in spelled):
            return None
        try:
            decoder.set_align_text(" ".join(spelled))
            decoder.start_utt()
            decoder.process_raw((np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
            decoder.end_utt()
            found = [s for s in decoder.seg() or () if not s.word.startswith(("<", "["))]
        except RuntimeError:  # no path through the sound says these words
            return None
        if len(found) != len(spelled):
            return None
        return tuple(
            Word(word, s.start_frame / FRAMES_PER_S, min((s.end_frame + 1) / FRAMES_PER_S, len(pcm) / HEARING_RATE_HZ))
            for word, s in zip(spelled, found, strict=True)
        )


def spelled_out(text: str) -> list[str]:
    """The words of an English text as a dictionary has them, numbers in words."""
    spoken = speakable(text, "en").text.lower().replace("-", " ").replace("’", "'")
    return [word.strip("'") for word in _OTHER.sub(" ", spoken).split() if word.strip("'")]
