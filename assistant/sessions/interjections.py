"""What people say while somebody else speaks ("mhm", "嗯", "stop"), as short recordings that come with the package.

`python -m assistant.sessions.interjections [FOLDER]` makes them again: flite's English voices and espeak-ng's Chinese
one speak them at asset-build time (apt install flite). They are synthetic, and named so. Knows no scene.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from assistant.backends import Voice
from assistant.backends.files import read_sound
from assistant.backends.timeline import resampled
from assistant.errors import SourceError
from assistant.events import HEARING_RATE_HZ, Samples
from assistant.sessions.levels import leveled, voice_span_s

ASSETS = Path(__file__).parent / "assets"
LINES: tuple[tuple[str, str, str, str], ...] = (
    ("backchannel", "yeah", "yeah", "rms slt awb"),
    ("backchannel", "okay", "okay", "rms slt awb"),
    ("backchannel", "right", "right", "rms awb kal16"),
    ("backchannel", "mhm", "um hum", "rms slt awb"),  # flite spells "mhm" out as letters
    ("backchannel", "uh-huh", "uh huh", "rms awb"),
    ("backchannel", "I see", "i see", "rms slt"),
    ("backchannel", "oh", "oh", "awb slt"),
    ("backchannel", "嗯", "嗯", "espeak"),
    ("backchannel", "对", "对", "espeak"),
    ("stop", "stop", "stop", "rms slt awb"),
    ("stop", "stop it please", "stop it please", "rms awb"),
    ("stop", "wait a moment", "wait a moment", "rms slt"),
    ("stop", "hold on", "hold on", "rms kal16"),
    ("stop", "that's enough", "that's enough", "awb slt"),
)
"""kind, what is said, how it is written for the voices, and the voices"""
SPEECH_DB = -24.0
GAP_S = 0.1
"""silence after each"""


class Interjection(NamedTuple):
    """A short recording (16 kHz, without silence around it); `kind` is backchannel or stop."""

    kind: str
    name: str
    text: str
    pcm: Samples


def interjections(folder: Path = ASSETS) -> tuple[Interjection, ...]:
    """All that come with the package. Raises SourceError where they are missing or damaged."""
    sound = read_sound(folder / "interjections.flac")
    try:
        table = json.loads((folder / "interjections.json").read_text(encoding="utf-8"))
        return tuple(
            Interjection(
                row["kind"],
                f"{row['text']} ({row['voice']}, synthetic)",
                row["text"],
                sound[row["begin"] : row["end"]],
            )
            for row in table
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"wanted the interjections in {folder}, got '{error}'; install assistant again") from error


def main(folder: Path = ASSETS) -> None:
    """Write the recordings of the package. Raises EngineError and OutputError."""
    import soundfile

    from assistant.backends.espeak import Espeak
    from assistant.demo import write
    from assistant.demo.speak import flite

    espeak = Espeak()
    gap = np.zeros(round(GAP_S * HEARING_RATE_HZ), np.float32)
    table: list[dict[str, str | int]] = []
    parts: list[Samples] = []
    at = 0
    for kind, text, written, voices in LINES:
        for voice in voices.split():
            pcm = flite(written, voice) if voice != "espeak" else _chinese(espeak, written)
            table.append({"kind": kind, "text": text, "voice": voice, "begin": at, "end": at + len(pcm)})
            parts += [pcm, gap]
            at += len(pcm) + len(gap)
    whole = io.BytesIO()
    soundfile.write(whole, np.concatenate(parts), HEARING_RATE_HZ, format="FLAC", subtype="PCM_16")
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "interjections.flac", whole.getvalue())
    rows = ",\n ".join(json.dumps(row, ensure_ascii=False) for row in table)
    write(folder / "interjections.json", f"[{rows}]\n".encode())


def _chinese(espeak: Voice, text: str) -> Samples:
    """A text spoken, without the silence around it, at SPEECH_DB."""
    speech = espeak.synthesise(text, "zh", lambda: False)
    pcm = resampled(speech.pcm, speech.rate_hz, HEARING_RATE_HZ)
    began_s, ended_s = voice_span_s(pcm)
    return leveled(pcm[round(began_s * HEARING_RATE_HZ) : round(ended_s * HEARING_RATE_HZ)], SPEECH_DB)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
