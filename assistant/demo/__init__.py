"""The demo: a talk of a few turns over pictures that are drawn and questions that are spoken, both in this package.

`script` says what is heard and shown when; `mix` puts the two sides of a talk into one file. `things`, `talk`, `draw`
and `speak` made the assets: `python -m assistant.demo.draw` and `… .speak` make them again, from another seed too.
Knows no engine.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.errors import OutputError, SourceError

if TYPE_CHECKING:
    from assistant.events import Samples

__all__ = ["ASSETS", "SEED", "DemoQuestion", "DemoScript", "mix", "script"]

SEED = 127
"""of the assets in this package"""
ASSETS = Path(__file__).parent / "assets"


@dataclass(frozen=True, slots=True)
class DemoQuestion:
    """Something the user says. `began_s` and `ended_s` bound the voice; a right answer contains all of `expected`.

    kind: read, compare, recall (of what was shown or said before), refuse (it cannot be answered) or tell (a statement;
    nothing particular is expected of what follows it).
    """

    began_s: float
    ended_s: float
    text: str
    expected: tuple[str, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class DemoScript:
    """The user's side of the talk as a sound file, the pictures with the seconds from which on they are shown, and what
    is asked.
    """

    sound: Path
    pictures: tuple[tuple[float, Path], ...]
    questions: tuple[DemoQuestion, ...]


def script(folder: Path = ASSETS) -> DemoScript:
    """The talk whose assets lie in `folder`. Raises SourceError where they are missing or damaged."""
    try:
        table = json.loads((folder / "script.json").read_text(encoding="utf-8"))
        pictures = tuple((float(at_s), folder / name) for at_s, name in table["pictures"])
        questions = tuple(
            DemoQuestion(q["began_s"], q["ended_s"], q["text"], tuple(q["expected"]), q["kind"])
            for q in table["questions"]
        )
        return DemoScript(folder / table["sound"], pictures, questions)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"wanted the demo's script in {folder}, got '{error}'; install assistant again") from error


def mix(user: Path, assistant_wav: Path, out: Path) -> None:
    """Write both sides of a talk into `out`: 16-bit stereo WAV, left the user, right the assistant.

    Sample 0 of both files is the same moment; the shorter one is followed by silence. The rate is the assistant's.
    Raises SourceError for a side that cannot be read, OutputError where `out` cannot be written.
    """
    import numpy as np
    import soundfile

    right, rate_hz = _read(assistant_wav)
    left, user_rate_hz = _read(user)
    if user_rate_hz != rate_hz:
        import soxr

        left = soxr.resample(left, user_rate_hz, rate_hz)
    both = np.zeros((max(len(left), len(right)), 2), np.float32)
    both[: len(left), 0] = left
    both[: len(right), 1] = right
    whole = io.BytesIO()
    soundfile.write(whole, both, rate_hz, format="WAV", subtype="PCM_16")
    write(out, whole.getvalue())


def write(path: Path, data: bytes) -> None:
    """Write a file in one go. Raises OutputError."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise OutputError(f"wanted to write {path}, {error.strerror or error}; choose another folder") from error


def _read(path: str | os.PathLike[str]) -> tuple[Samples, int]:
    """Sound as float32 mono, -1 to 1, at its own rate (Hz); empty sound is fine."""
    import soundfile

    try:
        pcm, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise SourceError(f"wanted the sound file {path}, got '{error}'; check the name") from error
    return pcm.mean(axis=1), rate_hz
