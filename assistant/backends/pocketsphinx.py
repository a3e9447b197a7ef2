"""English speech to words by PocketSphinx, streaming; acoustic model, dictionary and trigrams come with its wheel.

The decoder is loaded once and holds one utterance: a segment is an explicit value, and the one that is fed last has the
decoder. Each segment is heard on its own: nothing of an earlier one, or of who spoke it, is carried over.
Source: Huggins-Daines et al., PocketSphinx, ICASSP 2006; https://github.com/cmusphinx/pocketsphinx, BSD-2-Clause.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from assistant.errors import EngineError
from assistant.events import HEARING_RATE_HZ, Samples, Word, Words

if TYPE_CHECKING:
    from pocketsphinx import Decoder

FRAMES_PER_S = 100
PRIOR_FRAMES = 500
"""What a mean that is set counts for in the decoder's own (CMN_WIN in cmn.h)."""
LEVEL = "level"
"""The search that is on while the mean is measured: a grammar of one word, next to no work."""
WORDS = "_default"
"""The decoder's own name for the search over its trigrams."""
LEAST_P = 1e-300
END = 1
"""the state of a grammar in which a phrase is over"""
NO_MEAN = ",".join(["0"] * 13)
SPOTTED_S = 1.8
"""a segment that is longer is not asked about: no phrase that is spotted takes so long, with the silence around it"""
SPOTTED_NATS, DOUBTFUL = 0.7, 0.3
"""so much less likely, per frame, may a phrase be than the words that were heard, one of which must be this doubtful"""
PIECE = HEARING_RATE_HZ // 10
"""samples the decoder gets at a time: its front end is not indifferent to where sound is cut, so that the words would
depend on how fast the machine is"""


@dataclass(slots=True, eq=False)
class Segment:
    """A stretch of speech being heard."""

    waiting: list[Samples] = field(default_factory=list[Samples])
    """sound the decoder has not had yet: it starts once the mean is known, and takes whole pieces"""
    samples: int = 0
    known_s: float = 0.0
    """when words were last looked for, in seconds of the segment"""
    text: str = ""
    phase: str = "waiting"
    """waiting, decoding or over"""
    mean: str = ""
    """the mean of the features that it was decoded with"""
    sound: list[Samples] = field(default_factory=list[Samples])
    """what was decoded, while it is short enough to be asked about"""
    nats: float | None = None
    """how likely its final words are by their sound alone; None where there are none, or all are sure"""


class PocketSphinx:
    """The `Recogniser` seam. Raises EngineError where the package or its model is missing.

    fwdflat, bestpath: the passes after the end of a segment; without the first, words come in a fifth of the time and 4
    points more of them are wrong.
    settle_s: how much of a segment is measured before decoding begins. The model was trained on features whose mean
    over the utterance is 0, and the decoder's own guess of that mean is off for every other microphone; measured on the
    first 0.8 s instead, word error over 29 recordings of as many microphones falls from 43 to 30 % (0.6 to 1.0 s: the
    same within the error of measurement).
    partial_s: partial words are looked for this often.
    max_hmms: what is tried at a time, at most; 3000 halve the work of the package's own 30000 and lose no word.
    longest_s: a voice that goes on longer is cut. The passes at the end take 50 ms of processor for each second of a
    segment; of 8 voices of 10 to 17 s the words were final 460 ms after the voice in place of 850 (median, the pause of
    200 included), and no more of them wrong (26 against 28 %).

    Confidences tell noise from speech too badly to drop words by: right words get 0.1, talk in the background 0.3.
    """

    languages = ("en",)

    def __init__(
        self,
        fwdflat: bool = True,
        bestpath: bool = True,
        settle_s: float = 0.8,
        partial_s: float = 0.2,
        max_hmms: int = 3000,
        longest_s: float = 6.0,
    ) -> None:
        try:
            from pocketsphinx import Config, Decoder
        except ImportError as error:
            raise EngineError(f"wanted pocketsphinx, {error}; run: pip install pocketsphinx") from error
        try:
            decoder = Decoder(Config(loglevel="FATAL", fwdflat=fwdflat, bestpath=bestpath, maxhmmpf=max_hmms))
            decoder.add_jsgf_string(LEVEL, "#JSGF V1.0; grammar level; public <level> = a;")
        except (RuntimeError, ValueError) as error:
            raise EngineError(
                f"wanted the English model of pocketsphinx, {error}; run: pip install --force-reinstall pocketsphinx"
            ) from error
        self._decoder: Decoder = decoder
        self._trigrams = decoder.get_lm(WORDS)
        self._settle = round(settle_s * HEARING_RATE_HZ)
        self._partial_s = partial_s
        self.longest_s = longest_s
        self._holder: Segment | None = None
        self._grammars: dict[tuple[str, ...], str | None] = {}

    def start(self, language: str) -> Segment:
        """A new segment. `language` is en or auto; another is an EngineError. Costs nothing until it is fed."""
        if language not in ("auto", *self.languages):
            raise EngineError(f"wanted to hear '{language}', pocketsphinx knows en only; use --recogniser whisper")
        return Segment()

    def feed(self, segment: Segment, pcm: Samples) -> Words | None:
        """Decode 16 kHz sound; the words so far where they are other ones than before.

        Raises EngineError for a segment that is finished, or lost the decoder to a later one.
        """
        self._check(segment)
        segment.samples += len(pcm)
        segment.waiting.append(pcm)
        if segment.phase == "waiting":
            if segment.samples < self._settle:
                return None
            self._begin(segment)
        self._decode(segment)
        if segment.samples / HEARING_RATE_HZ - segment.known_s < self._partial_s:
            return None
        segment.known_s = segment.samples / HEARING_RATE_HZ
        words = self._words()
        if words.text == segment.text:
            return None
        segment.text = words.text
        return words

    def finish(self, segment: Segment) -> Words:
        """The final words with their times and confidences. Raises EngineError as `feed` does."""
        self._check(segment)
        if segment.phase == "waiting":
            self._begin(segment)
        self._decode(segment, all_of_it=True)
        segment.phase = "over"
        self._holder = None
        self._decoder.end_utt()
        words = self._words()
        if any(word.p < DOUBTFUL for word in words.words):
            segment.nats, _ = self._likelihood()
        return words

    def spot(self, segment: Segment, phrases: Sequence[str]) -> str | None:
        """Which of the phrases a finished segment of up to 1.8 s is after all; None where it is plainly none, or where
        its words were sure.

        The segment is decoded again under a grammar of nothing but the phrases: trigrams know no "mhm" beside "and",
        and no "stop" beside "to". Phrases with words that the dictionary does not have are left out.
        """
        if segment.phase != "over" or segment.nats is None or segment.samples > SPOTTED_S * HEARING_RATE_HZ:
            return None
        decoder, grammar = self._decoder, self._grammar(tuple(phrases))
        if grammar is None or self._holder is not None:
            return None  # the next segment has the decoder already
        decoder.activate_search(grammar)
        try:
            decoder.set_cmn(segment.mean)
            decoder.start_utt()
            decoder.process_raw(_pcm16(np.concatenate(segment.sound)))
            decoder.end_utt()
            nats, frames = self._likelihood()
            best = decoder.hyp()
            if best is None or nats is None or segment.nats - nats > SPOTTED_NATS * frames:
                return None
            return best.hypstr if best.hypstr in phrases else None  # else it ended within a phrase
        finally:
            decoder.activate_search(WORDS)

    def _grammar(self, phrases: tuple[str, ...]) -> str | None:
        """The name of the search for one of these phrases, made when it is first asked for; None where none is in the
        dictionary. All are as likely as can be: with a share of the probability each, the beam loses them to silence.
        """
        if phrases not in self._grammars:
            decoder, name = self._decoder, f"phrases {len(self._grammars)}"
            states: dict[tuple[str, ...], int] = {(): 0}
            steps: set[tuple[int, int, float, str]] = set()
            for words in (phrase.split() for phrase in phrases):
                if all(decoder.lookup_word(word) for word in words):
                    path = [states.setdefault(tuple(words[:n]), len(states) + 1) for n in range(len(words))]
                    steps |= {(*step, 1.0, word) for step, word in zip(pairwise([*path, END]), words, strict=True)}
            if steps:
                decoder.add_fsg(name, decoder.create_fsg(name, 0, END, sorted(steps)))
            self._grammars[phrases] = name if steps else None
        return self._grammars[phrases]

    def _likelihood(self) -> tuple[float | None, int]:
        """The log-likelihood of the words that were decoded by their sound alone, and how many frames they take."""
        spoken = list(self._decoder.seg()) if self._decoder.hyp() is not None else []
        frames = sum(s.end_frame - s.start_frame + 1 for s in spoken if s.word[0] not in "<[+(")
        return (sum(math.log(max(LEAST_P, s.ascore)) for s in spoken) if frames else None), frames

    def ends_p(self, words: Sequence[str]) -> float | None:
        """How likely a sentence ends after these words, by the trigrams that the decoder goes by anyway; microseconds.
        None where there are none.
        """
        if not words:
            return None
        latest_first = [*reversed(words), "<s>"][:2]
        return self._decoder.logmath.exp(self._trigrams.prob(["</s>", *latest_first]))

    def _check(self, segment: Segment) -> None:
        if segment.phase == "over" or (segment.phase == "decoding" and segment is not self._holder):
            what = "finished" if segment.phase == "over" else "given up for a later one"
            raise EngineError(f"wanted a segment that is open, got one that was {what}; start a new one")

    def _begin(self, segment: Segment) -> None:
        """Give the decoder to this segment, from whoever had it."""
        if self._holder is not None:
            self._holder = None
            self._decoder.end_utt()
        sound = np.concatenate(segment.waiting) if segment.waiting else np.zeros(0, np.float32)
        segment.mean = self._mean(_pcm16(sound[: self._settle]))
        self._decoder.set_cmn(segment.mean)
        self._decoder.start_utt()
        self._holder, segment.phase = segment, "decoding"

    def _decode(self, segment: Segment, *, all_of_it: bool = False) -> None:
        """Hand over the sound that waits, in pieces; what fills none waits on."""
        sound = np.concatenate(segment.waiting) if segment.waiting else np.zeros(0, np.float32)
        end = len(sound) if all_of_it else len(sound) // PIECE * PIECE
        for begin in range(0, end, PIECE):
            self._decoder.process_raw(_pcm16(sound[begin : min(begin + PIECE, end)]))
        segment.waiting = [sound[end:]] if end < len(sound) else []
        segment.sound = [*segment.sound, sound[:end]] if segment.samples <= SPOTTED_S * HEARING_RATE_HZ else []

    def _mean(self, sound: bytes) -> str:
        """The mean of the decoder's features over the sound, as `set_cmn` takes it; zeros where there is no frame."""
        decoder = self._decoder
        decoder.activate_search(LEVEL)
        decoder.set_cmn(NO_MEAN)
        decoder.start_stream()  # forget the noise of whatever was heard before
        decoder.start_utt()
        if sound:
            decoder.process_raw(sound)
        decoder.end_utt()
        frames = decoder.n_frames()
        shrunk = [float(c) for c in decoder.get_cmn(True).split(",")]
        decoder.activate_search(WORDS)
        return ",".join(f"{c * (PRIOR_FRAMES + frames) / frames:.3f}" for c in shrunk) if frames else NO_MEAN

    def _words(self) -> Words:
        found = self._decoder.seg() if self._decoder.hyp() is not None else ()
        words = tuple(
            Word(
                re.sub(r"\(\d+\)$", "", s.word),
                s.start_frame / FRAMES_PER_S,
                (s.end_frame + 1) / FRAMES_PER_S,
                min(1.0, max(0.0, s.prob)),
            )
            for s in found
            if s.word[0] not in "<[+("
        )
        return Words(" ".join(w.text for w in words), words, ends_p=self.ends_p([w.text for w in words]))


def _pcm16(pcm: Samples) -> bytes:
    return (np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes()
