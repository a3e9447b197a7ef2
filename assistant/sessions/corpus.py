"""The recordings that scenes are made from: what people say, what they say while others speak, and what is no speech.

A corpus is a folder with `transcripts.tsv` and, if there is one, `nonspeech/`; without a folder the demo's questions
are it. Every recording is brought to one level, cut to its speech, and its words are looked for. Knows no scene.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.backends.files import read_sound
from assistant.errors import SourceError
from assistant.events import HEARING_RATE_HZ, Samples, Word
from assistant.sessions.aligning import Aligner, spelled_out
from assistant.sessions.hearing import read_table
from assistant.sessions.interjections import interjections
from assistant.sessions.levels import GAP_S, leveled, pauses_s, rms_db, voice_span_s
from assistant.sessions.noises import faded

SPEECH_DB = -24.0
"""dBFS, RMS where it is audible: somebody half a metre from a laptop, and about what the built-in voice sounds with"""
LONGEST_S = 8.2
"""longer recordings are no turns of a talk and are left out"""
LEAST_NOISE_S = 0.9
MARGIN_S = 0.2
"""of each recording, this much is kept before and after the speech"""
SLACK_S = 0.05
"""an alignment is good to about this much"""
SILENCE_DB = -80.0
LISTENING = frozenset("yes yeah yep okay ok right mhm uh-huh mm hmm oh sure".split())
"""a recording that says nothing else is a backchannel where somebody else is speaking"""

Span = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Somebody who says `text`: 16 kHz at SPEECH_DB, and in its own seconds where the speech begins and ends, where it
    pauses for GAP_S or more, and its words; None where they could not be found.
    """

    name: str
    pcm: Samples
    text: str
    language: str
    began_s: float
    ended_s: float
    pauses: tuple[Span, ...] = ()
    words: tuple[Word, ...] | None = None

    @property
    def seconds(self) -> float:
        """How long the speech lasts."""
        return self.ended_s - self.began_s


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """What scenes are made from. `noises` are (name, 16 kHz sound); any of them may be empty but `clips`."""

    name: str
    clips: tuple[Clip, ...]
    backchannels: tuple[Clip, ...]
    stops: tuple[Clip, ...]
    noises: tuple[tuple[str, Samples], ...]


def shared_corpus() -> Path | None:
    """`$ASSISTANT_SHARED/data/speech`, where that is set and there."""
    shared = os.environ.get("ASSISTANT_SHARED")
    folder = Path(shared) / "data" / "speech" if shared else None
    return folder if folder is not None and folder.is_dir() else None


def read_corpus(folder: Path | None, languages: Sequence[str] = ("en",)) -> Corpus:
    """The recordings of a folder, or the demo's, in the languages given, of up to LONGEST_S seconds of speech.

    Raises SourceError where the table or a recording cannot be read, or none is left.
    """
    aligner = Aligner()
    if folder is None:
        said, name = _demo_clips(aligner), "the demo"
    else:
        said, name = _folder_clips(folder, languages, aligner), str(folder)
    clips = tuple(clip for clip in said if clip.seconds <= LONGEST_S)
    if not clips:
        raise SourceError(
            f"wanted recordings in {', '.join(languages)} of up to {LONGEST_S:.0f} s in {name}, found none; add some"
        )
    shipped = [
        (line.kind, make_clip(line.name, line.pcm, line.text, "zh" if not line.text.isascii() else "en", None))
        for line in interjections()
    ]
    return Corpus(
        name,
        clips,
        (*(c for kind, c in shipped if kind == "backchannel"), *(c for c in clips if listens(c.text))),
        tuple(c for kind, c in shipped if kind == "stop"),
        tuple(_noises(folder)) if folder is not None else (),
    )


def make_clip(name: str, pcm: Samples, text: str, language: str, aligner: Aligner | None) -> Clip:
    """A recording cut to its speech and brought to level. Raises SourceError for silence.

    The speech is what is audible (3 % of the loudest frame) and, where its words are found, within SLACK_S of them:
    some recordings have noise of their own that is louder than that.
    """
    began_s, ended_s = voice_span_s(pcm)
    words = aligner.words(pcm, text) if aligner is not None and language == "en" else None
    if words:
        began_s = max(began_s, words[0].began_s - SLACK_S)
        ended_s = max(began_s + SLACK_S, min(ended_s, words[-1].ended_s + SLACK_S))
    from_s = max(0.0, began_s - MARGIN_S)
    kept = pcm[round(from_s * HEARING_RATE_HZ) : round((ended_s + MARGIN_S) * HEARING_RATE_HZ)]
    inside = [span for span in _silences(pcm, words) if began_s < span[0] and span[1] < ended_s]
    return Clip(
        name,
        faded(leveled(kept, SPEECH_DB)),
        text,
        language,
        began_s - from_s,
        ended_s - from_s,
        tuple((a - from_s, b - from_s) for a, b in inside),
        tuple(Word(w.text, w.began_s - from_s, w.ended_s - from_s) for w in words) if words else None,
    )


def listens(text: str) -> bool:
    """Whether a text says no more than that somebody listens."""
    words = spelled_out(text)
    return bool(words) and all(word in LISTENING for word in words)


def _silences(pcm: Samples, words: tuple[Word, ...] | None) -> list[Span]:
    """Where nothing is audible, or lies between two words, for GAP_S or more; what overlaps is one."""
    between = [(a.ended_s, b.began_s) for a, b in zip(words or (), (words or ())[1:], strict=False)]
    spans = sorted([*pauses_s(pcm), *(s for s in between if s[1] - s[0] >= GAP_S)])
    merged: list[Span] = []
    for span in spans:
        if merged and span[0] <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], span[1]))
        else:
            merged.append(span)
    return merged


def _folder_clips(folder: Path, languages: Sequence[str], aligner: Aligner) -> list[Clip]:
    rows = read_table(folder / "transcripts.tsv", ("file", "transcript"))
    clips: list[Clip] = []
    for row in rows:
        language = row.get("lang") or "en"
        if language in languages:
            clips.append(
                make_clip(
                    Path(row["file"]).stem, read_sound(folder / row["file"]), row["transcript"], language, aligner
                )
            )
    return clips


def _demo_clips(aligner: Aligner) -> list[Clip]:
    from assistant.demo import script

    demo = script()
    sound = read_sound(demo.sound)
    clips: list[Clip] = []
    for question in demo.questions:
        begin, end = (int(s * HEARING_RATE_HZ) for s in (question.began_s, question.ended_s))
        clips.append(make_clip(question.text, sound[begin:end], question.text, "en", aligner))
    return clips


def _noises(folder: Path) -> list[tuple[str, Samples]]:
    """The recordings of `nonspeech/` that last and are not silent."""
    where = folder / "nonspeech"
    table = where / "list.tsv"
    if table.is_file():
        names = [row["file"] for row in read_table(table, ("file",))]
    else:
        names = sorted(p.name for p in where.glob("*") if p.suffix in (".flac", ".wav", ".ogg"))
    sounds = [(Path(name).stem, read_sound(where / name)) for name in names]
    return [(n, pcm) for n, pcm in sounds if len(pcm) >= LEAST_NOISE_S * HEARING_RATE_HZ and rms_db(pcm) > SILENCE_DB]
