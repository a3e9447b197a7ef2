"""What a recogniser hears in recordings, and how well: `assistant hear` and `assistant eval hearing`.

A recording goes through the very code that hears a talk, in virtual time in which recognising takes what it really
took: what is measured is what a talk gets, and nothing sleeps. Knows the seams, and no engine.
"""

from __future__ import annotations

import csv
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant import pacing
from assistant.backends import Decodes, Recogniser, VoiceActivity
from assistant.backends.files import FileMicrophone, read_sound
from assistant.errors import AssistantError, SourceError
from assistant.events import Pause, Samples, Utterance, Words, join_words
from assistant.hearing import TurnTaking, hear
from assistant.pacing import Clock
from assistant.transcribing import Segment, Transcriber, joined
from assistant.workers import Worker

_NO_WORD = re.compile(r"[\W_]+")


@dataclass(slots=True)
class Latency:
    """How long after they were said words were known, in milliseconds."""

    partial_ms: list[float] = field(default_factory=list[float])
    final_ms: list[float] = field(default_factory=list[float])


def hear_sound(
    pcm: Samples,
    recogniser: Recogniser | Decodes,
    activity: VoiceActivity,
    language: str,
    latency: Latency | None = None,
) -> Words:
    """The words of a recording (16 kHz), with times in its own seconds. Raises EngineError."""
    return pacing.run(_hear(pcm, recogniser, activity, language, latency or Latency()), fast=True)


def hear_file(path: Path, recogniser: Recogniser | Decodes, activity: VoiceActivity, language: str = "auto") -> Words:
    """The words of a sound file. Raises SourceError where it cannot be read, EngineError."""
    return hear_sound(read_sound(path), recogniser, activity, language)


async def _hear(
    pcm: Samples, recogniser: Recogniser | Decodes, activity: VoiceActivity, language: str, latency: Latency
) -> Words:
    """Hear a recording as a talk would; the running loop's time is virtual."""
    clock = Clock()
    worker: Worker[Any] = Worker("recogniser", measured=True)
    worker.model = recogniser
    turns: list[tuple[Segment, ...]] = []

    def partial(words: Words) -> None:
        if words.words:
            latency.partial_ms.append(1000 * max(0.0, clock.now_s() - words.words[-1].ended_s))

    def final(voice_ended_s: float) -> Callable[[Segment], None]:
        return lambda _: latency.final_ms.append(1000 * (clock.now_s() - voice_ended_s))

    transcriber = Transcriber(worker, language, partial)
    microphone = FileMicrophone(pcm, clock)
    async for event in hear(microphone, activity, transcriber, TurnTaking(), busy=lambda: False):
        match event:
            case Pause(voice_ended_s):
                transcriber.segments[-1].add_done_callback(final(voice_ended_s))
            case Utterance():
                turns.append(transcriber.segments)
            case _:
                pass
    heard = [await joined(segments) for segments in turns]
    return join_words([*heard, Words("", (), "en" if language == "auto" else language)])


# ---------------------------------------------------------------- how well


def evaluate_hearing(folder: Path, recogniser: Recogniser | Decodes, activity: VoiceActivity) -> dict[str, Any]:
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
    folder: Path, recogniser: Recogniser | Decodes, activity: VoiceActivity, failures: list[dict[str, str]]
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
