"""Speaks the demo's questions with flite, at asset-build time, and lays them out as one recording of a quiet room.

`python -m assistant.demo.speak [FOLDER]` makes the sound and the script of the package again; it needs the program
`flite` (apt install flite), which nothing else does. flite's voice rms is one that the built-in recogniser understands.
Source: Black and Lenzo, Flite: a small fast run-time synthesis engine, SSW4 2001.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile

from assistant.demo import ASSETS, SEED, DemoQuestion, write
from assistant.demo.draw import Scene, draw
from assistant.demo.talk import Line
from assistant.errors import EngineError
from assistant.events import HEARING_RATE_HZ, Samples

VOICE = "rms"
SPEECH_DB = -24.0
"""dBFS, RMS: somebody half a metre from a laptop"""
ROOM_DB = -66.0
"""dBFS, RMS: a quiet room and its microphone"""
ROOM_TILT = 0.95
"""pole of the low-pass that makes noise sound like a room: fans and traffic are low"""
LEAD_S = 3.0
"""before the first words: the first picture is looked at"""
ANSWER_S = {"tell": 3.6, "read": 3.6, "compare": 5.8, "recall": 3.8, "refuse": 4.2}
"""left over for what follows each kind of line, from the end of its voice to the next"""
DIGIT_S = 0.3
"""and for each digit of the answer: 22.10.2027 takes a long time to say"""
END_S = 1.0
"""after the last words: whoever plays the recording goes on with silence"""
SHOWN_S = 3.0
"""a thing is held up so long before it is spoken of"""
AUDIBLE = 0.03
"""of the largest RMS of a clip: what is below is no voice (contract, how latency is read)"""
FRAME = HEARING_RATE_HZ // 100


def speak(scene: Scene, seed: int) -> tuple[Samples, tuple[DemoQuestion, ...]]:
    """The user's side of a talk, 16 kHz, and where each line stands in it. Raises EngineError where flite fails."""
    clips = [flite(line.text) for line in scene.lines]
    spans = list(_spans(scene.lines, clips))
    track = room(spans[-1][1] + END_S, seed)
    for (began_s, _), clip in zip(spans, clips, strict=True):
        begin = round(began_s * HEARING_RATE_HZ)
        track[begin : begin + len(clip)] += clip
    questions = [
        DemoQuestion(began_s, ended_s, line.text, line.expected, line.kind)
        for (began_s, ended_s), line in zip(spans, scene.lines, strict=True)
    ]
    return track, tuple(questions)


def pictures(scene: Scene, questions: Iterable[DemoQuestion]) -> list[tuple[float, str]]:
    """From when on each picture is shown (seconds), and its name; the first from the beginning."""
    first: dict[int, float] = {}
    for line, question in zip(scene.lines, questions, strict=True):
        first.setdefault(line.thing, round(question.began_s - SHOWN_S, 2))
    return [(max(0.0, at_s) if thing else 0.0, f"picture{thing + 1}.png") for thing, at_s in first.items()]


def flite(text: str, voice: str = VOICE) -> Samples:
    """A text spoken, 16 kHz, without the silence around it, at SPEECH_DB. Raises EngineError."""
    program = shutil.which("flite")
    if program is None:
        raise EngineError("wanted flite to speak the demo's questions, found none; apt install flite")
    done = subprocess.run([program, "-voice", voice, "-t", text, "-o", "/dev/stdout"], capture_output=True, check=False)
    try:
        pcm, rate_hz = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    except soundfile.LibsndfileError as error:
        said = done.stderr.decode(errors="replace").strip() or str(error)
        raise EngineError(f"wanted flite to say '{text}', it failed with '{said}'; check `flite -lv`") from error
    if rate_hz != HEARING_RATE_HZ or not len(pcm):
        raise EngineError(f"wanted 16 kHz sound of flite, got {len(pcm)} samples at {rate_hz} Hz; use voice {VOICE}")
    pcm = pcm[: len(pcm) // FRAME * FRAME]
    levels = np.sqrt((pcm.reshape(-1, FRAME) ** 2).mean(1))
    voiced = np.flatnonzero(levels > AUDIBLE * levels.max())
    pcm = pcm[voiced[0] * FRAME : (voiced[-1] + 1) * FRAME]
    return np.asarray(pcm * (10 ** (SPEECH_DB / 20) / np.sqrt((pcm**2).mean())), np.float32)


def room(seconds: float, seed: int) -> Samples:
    """Low, steady noise at ROOM_DB, 16 kHz."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * HEARING_RATE_HZ))
    tail = ROOM_TILT ** np.arange(256)
    low = np.convolve(noise, tail)[: len(noise)]
    return np.asarray(low * (10 ** (ROOM_DB / 20) / np.sqrt((low**2).mean())), np.float32)


def _spans(lines: Iterable[Line], clips: Iterable[Samples]) -> Iterable[tuple[float, float]]:
    at_s = LEAD_S
    for line, clip in zip(lines, clips, strict=True):
        ended_s = at_s + len(clip) / HEARING_RATE_HZ
        yield round(at_s, 2), round(ended_s, 2)
        at_s = ended_s + _answer_s(line)


def _answer_s(line: Line) -> float:
    digits = sum(c.isdigit() for expected in line.expected for c in expected)
    values = 2 if line.kind == "compare" else 1
    return ANSWER_S[line.kind] + DIGIT_S * digits * values


def main(folder: Path = ASSETS) -> None:
    """Write the sound and the script of the package. Raises EngineError and OutputError."""
    folder.mkdir(parents=True, exist_ok=True)
    scene = draw(SEED)
    track, questions = speak(scene, SEED)
    whole = io.BytesIO()
    soundfile.write(whole, track, HEARING_RATE_HZ, format="FLAC", subtype="PCM_16")
    write(folder / "questions.flac", whole.getvalue())
    table = {
        "sound": "questions.flac",
        "pictures": pictures(scene, questions),
        "questions": [asdict(question) for question in questions],
    }
    write(folder / "script.json", (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
