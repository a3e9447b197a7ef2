"""What a recogniser hears in recordings, and how well: `assistant hear` and `assistant eval hearing`.

A recording is cut into segments by the same rules as live sound, and each is fed block by block, so that what is
measured is what a talk gets. Latency is processing time laid against the sound's own time; nothing sleeps. Knows the
seams, and no engine.
"""

from __future__ import annotations

import csv
import re
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assistant.backends import Recogniser, VoiceActivity
from assistant.backends.files import read_sound
from assistant.errors import AssistantError, SourceError
from assistant.events import (
    HEARING_RATE_HZ,
    Block,
    FalseAlarm,
    Onset,
    Pause,
    Resumed,
    Samples,
    Utterance,
    Words,
    join_words,
)
from assistant.hearing import Ear, TurnTaking, listen

BLOCK = 512
"""samples fed at a time: 32 ms"""
_NO_WORD = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sound that is fed as one segment: samples `begin` to `end`; its voice ended at `voice_ended_s`."""

    begin: int
    end: int
    voice_ended_s: float


@dataclass(slots=True)
class Latency:
    """How long after they were said words were known, in milliseconds."""

    partial_ms: list[float] = field(default_factory=list[float])
    final_ms: list[float] = field(default_factory=list[float])


def stretches(pcm: Samples, activity: VoiceActivity, rules: TurnTaking) -> Iterator[Stretch]:
    """The segments of a recording (16 kHz), as `hearing.hear` would open and close them."""
    size, rate = activity.window, HEARING_RATE_HZ
    padded = np.concatenate((pcm, np.zeros(int((rules.end_s + 0.3) * rate) // size * size + size, np.float32)))
    ear, state, begin, ended_s = Ear(), activity.start(), None, 0.0
    for at in range(0, len(padded) - size + 1, size):
        state, p_voice = activity.voice(state, padded[at : at + size])
        ear, events = listen(ear, Block(at / rate, padded[at : at + size]), p_voice, rules)
        for event in events:
            match event:
                case Onset(voice_s) | Resumed(voice_s):
                    begin = int(max(ended_s, voice_s - rules.preroll_s, 0) * rate)
                case FalseAlarm():
                    begin = None
                case Pause(voice_s) | Utterance(_, voice_s) if begin is not None:
                    yield Stretch(begin, min(at + size, len(padded)), voice_s)
                    begin, ended_s = None, voice_s
                case _:
                    pass
    if begin is not None:
        yield Stretch(begin, len(padded), ear.ended_s)


def hear_sound(
    pcm: Samples, recogniser: Recogniser, activity: VoiceActivity, language: str, latency: Latency | None = None
) -> Words:
    """The words of a recording (16 kHz), with times in its own seconds. Raises EngineError."""
    heard: list[Words] = []
    for stretch in stretches(pcm, activity, TurnTaking()):
        sound = np.zeros(stretch.end - stretch.begin, np.float32)
        there = pcm[stretch.begin : stretch.end]
        sound[: len(there)] = there
        heard.append(_hear_stretch(sound, stretch, recogniser, language, latency or Latency()))
    return join_words([*heard, Words("", (), "en" if language == "auto" else language)])


def hear_file(path: Path, recogniser: Recogniser, activity: VoiceActivity, language: str = "auto") -> Words:
    """The words of a sound file. Raises SourceError where it cannot be read, EngineError."""
    return hear_sound(read_sound(path), recogniser, activity, language)


def _hear_stretch(sound: Samples, stretch: Stretch, recogniser: Recogniser, language: str, latency: Latency) -> Words:
    """Feed one segment as it comes due; a block waits while the one before is being worked on."""
    begin_s, free_s = stretch.begin / HEARING_RATE_HZ, 0.0
    segment = recogniser.start(language)
    for at in range(0, len(sound), BLOCK):
        due_s = begin_s + min(at + BLOCK, len(sound)) / HEARING_RATE_HZ
        began = time.perf_counter()
        partial = recogniser.feed(segment, sound[at : at + BLOCK])
        free_s = max(free_s, due_s) + time.perf_counter() - began
        if partial is not None and partial.words:
            latency.partial_ms.append(1000 * max(0.0, free_s - begin_s - partial.words[-1].ended_s))
    began = time.perf_counter()
    words = recogniser.finish(segment)
    latency.final_ms.append(1000 * (free_s + time.perf_counter() - began - stretch.voice_ended_s))
    return words.shifted(begin_s)


# ---------------------------------------------------------------- how well


def evaluate_hearing(folder: Path, recogniser: Recogniser, activity: VoiceActivity) -> dict[str, Any]:
    """Word and character errors over a folder with `transcripts.tsv` (columns file, transcript, and lang if not
    English), and what is invented on `nonspeech/list.tsv`; the contract's keys and `left_out`, the recordings in
    languages the recogniser does not have. English is normalised as Whisper's authors do (Radford et al. 2022, appendix
    C), Chinese loses its punctuation and is counted by characters.

    A recording that cannot be read is a failure in the report. Raises SourceError where the table is missing or wrong.
    """
    rows = read_table(folder / "transcripts.tsv", ("file", "transcript"))
    latency, left_out = Latency(), 0
    failures: list[dict[str, str]] = []
    pairs: list[tuple[str, str, str]] = []
    for row in rows:
        language = row.get("lang") or "en"
        if language not in recogniser.languages:
            left_out += 1
            continue
        try:
            words = hear_sound(read_sound(folder / row["file"]), recogniser, activity, language, latency)
        except AssistantError as error:
            failures.append({"file": row["file"], "error": str(error)})
            continue
        pairs.append((language, row["transcript"], words.text))
    if not pairs and not failures:
        raise SourceError(
            f"wanted recordings in {', '.join(recogniser.languages)} in {folder / 'transcripts.tsv'}, found none; "
            "choose another recogniser"
        )
    return {
        **_errors(pairs),
        "n": len(pairs),
        "left_out": left_out,
        "partial_latency_ms": _median(latency.partial_ms),
        "final_latency_ms": _median(latency.final_ms),
        "invented": list(_invented(folder, recogniser, activity, failures)),
        "failures": failures,
    }


def _errors(pairs: Sequence[tuple[str, str, str]]) -> dict[str, float | None]:
    import jiwer
    from whisper.normalizers import EnglishTextNormalizer

    english = EnglishTextNormalizer()
    said = [(english(wanted), english(got)) for language, wanted, got in pairs if language == "en"]
    said = [(wanted, got) for wanted, got in said if wanted]
    letters = said + [(_NO_WORD.sub("", w), _NO_WORD.sub("", g)) for language, w, g in pairs if language != "en"]
    return {
        "wer": round(jiwer.wer([w for w, _ in said], [g for _, g in said]), 4) if said else None,
        "cer": round(jiwer.cer([w for w, _ in letters], [g for _, g in letters]), 4) if letters else None,
    }


def _invented(
    folder: Path, recogniser: Recogniser, activity: VoiceActivity, failures: list[dict[str, str]]
) -> Iterator[dict[str, str]]:
    table = folder / "nonspeech" / "list.tsv"
    for row in read_table(table, ("file",)) if table.is_file() else ():
        try:
            words = hear_sound(read_sound(table.parent / row["file"]), recogniser, activity, "auto")
        except AssistantError as error:
            failures.append({"file": f"{table.parent.name}/{row['file']}", "error": str(error)})
            continue
        if words.text:
            yield {"file": row["file"], "text": words.text}


def read_table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a tab-separated table that has these columns, all filled. Raises SourceError."""
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(
            f"wanted a table {path}, {getattr(error, 'strerror', None) or error}; see the README"
        ) from error
    if not rows or any(column not in rows[0] for column in columns):
        got = ", ".join(rows[0]) if rows else "nothing"
        raise SourceError(f"wanted the columns {', '.join(columns)} in {path}, got {got}; tabs go between them")
    for number, row in enumerate(rows, 2):
        if not all(row[column] for column in columns):
            raise SourceError(f"wanted {' and '.join(columns)} in line {number} of {path}, got less; complete the line")
    return rows


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 1) if values else None
