"""Measures of turn-taking over recordings: `assistant bench turns`.

Each recording is one conversation at the speed of sound: sound file in, a camera on, time line out, and the latency is
read off the two files alone, as the contract says; end-pointing is part of it. Only what is measured is reported. Knows
no engine's inside.
"""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant import pacing
from assistant.backends.files import FileMicrophone, FileSpeaker, SilentSpeaker, read_sound
from assistant.backends.pictures import PictureCamera, read_picture
from assistant.conversation import Devices
from assistant.errors import SourceError
from assistant.events import HEARING_RATE_HZ, Image, Samples
from assistant.pacing import Clock
from assistant.running import Engines, load_engines, talk_over
from assistant.sessions.hearing import read_table

if TYPE_CHECKING:
    from assistant.config import Config

SHORT_S = 4.0
"""longer recordings are no short questions and are left out"""
LEAD_S = 0.5
"""silence before each recording"""
IDLE_S = 10.0
"""how long idle listening is measured"""
VOICE_FRAME_S = 0.01
VOICE_RATIO = 0.03
AUDIBLE = 10 ** (-50 / 20)


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording, and the picture in view while it is heard."""

    name: str
    pcm: Samples
    picture: Image


# ---------------------------------------------------------------- reading latency off sound


def voice_end_s(pcm: Samples, rate_hz: int = HEARING_RATE_HZ) -> float:
    """The true end of speech in seconds: the end of the last 10 ms frame above 3 % of the loudest frame's RMS."""
    size = int(VOICE_FRAME_S * rate_hz)
    frames = pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float64)
    level = np.sqrt((frames**2).mean(axis=1))
    if not len(level) or level.max() == 0:
        raise SourceError("wanted a recording of speech, got silence; use another one")
    return float((np.flatnonzero(level > VOICE_RATIO * level.max())[-1] + 1) * VOICE_FRAME_S)


def first_sound_s(pcm: Samples, rate_hz: int) -> float | None:
    """When the first sample above -50 dBFS sounds, in seconds; None where none does."""
    audible = np.flatnonzero(np.abs(pcm) > AUDIBLE)
    return int(audible[0]) / rate_hz if len(audible) else None


# ---------------------------------------------------------------- the bench


def bench_turns(config: Config, corpus: Path | None, tell: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Measure on a folder with a `transcripts.tsv` (default: the questions of the demo). Raises SourceError.

    Returns the keys of the contract that are measured so far, and `ready_s` (a fresh process until `ready`),
    `memory_mb` (the largest this process was) and `idle_cpu` (share of a core while nobody speaks).
    """
    recordings = demo_recordings() if corpus is None else short_recordings(corpus)
    return pacing.run(_bench(config, recordings, tell), fast=False)


async def _bench(config: Config, recordings: Sequence[Recording], tell: Callable[[str], None]) -> dict[str, Any]:
    tell("starting a fresh process")
    ready_s = await asyncio.to_thread(_cold_start_s)
    engines = await load_engines(config)
    latencies: list[float] = []
    stages: list[dict[str, float]] = []
    missed: list[str] = []
    cut_off: list[str] = []
    used_s = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for i, recording in enumerate(recordings):
            path = Path(folder) / f"{i}.wav"
            turns = [e for e in await _converse(config, engines, recording, path) if e["type"] == "turn"]
            ended_s = LEAD_S + voice_end_s(recording.pcm)
            first_s = _first_sound_s(path)
            if first_s is None:
                missed.append(recording.name)
                tell(f"{recording.name}: no answer")
            elif first_s < ended_s:
                cut_off.append(recording.name)
                tell(f"{recording.name}: cut off {ended_s - first_s:.1f} s before its end")
            else:
                latencies.append(1000 * (first_s - ended_s))
                stages += [turn["stages"] for turn in turns[-1:]]
                tell(f"{recording.name}: {latencies[-1]:.0f} ms")
        used_s = time.process_time() - used_s
        idle = {
            "without_camera": await _idle_share(config, engines, None),
            "with_camera": await _idle_share(config, engines, recordings[0].picture),
        }
    engines.close()
    return {
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        "engines": {slot: choice.name for slot, choice in engines.chosen.items()},
        "voice_to_voice_ms": _summary(latencies),
        "stages_ms": {
            key: round(statistics.median(s[key] for s in stages), 1) for key in (stages[0] if stages else {})
        },
        "false_cutoffs": {"per_turn": round(len(cut_off) / len(recordings), 3), "n": len(recordings)},
        "missed_turns": {"rate": round(len(missed) / len(recordings), 3), "n": len(recordings)},
        "cpu_s": round(used_s, 2),
        "ready_s": round(ready_s, 2),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "idle_cpu": idle,
    }


async def _converse(config: Config, engines: Engines, recording: Recording, path: Path) -> list[dict[str, Any]]:
    sound = np.concatenate((np.zeros(int(LEAD_S * HEARING_RATE_HZ), np.float32), recording.pcm))
    events: list[dict[str, Any]] = []

    def open_devices(clock: Clock) -> Devices:
        return Devices(
            FileMicrophone(sound, clock), PictureCamera([(0.0, recording.picture)]), FileSpeaker(path, clock)
        )

    await talk_over(config, engines, open_devices, (events.append,))
    return events


def _first_sound_s(path: Path) -> float | None:
    import soundfile

    pcm, rate_hz = soundfile.read(path, dtype="float32")
    return first_sound_s(np.asarray(pcm, np.float32), rate_hz)


async def _idle_share(config: Config, engines: Engines, picture: Image | None) -> float:
    """Processor seconds per second while nothing is said, once the first picture has been read."""
    marks: list[tuple[float, float]] = []
    silence = np.zeros(int((IDLE_S + 3) * HEARING_RATE_HZ), np.float32)

    def open_devices(clock: Clock) -> Devices:
        shown = [(0.0, picture)] if picture is not None else []
        return Devices(FileMicrophone(silence, clock), PictureCamera(shown), SilentSpeaker(clock))

    await talk_over(config, engines, open_devices, level=lambda block: marks.append((block.at_s, time.process_time())))
    settled = [(at_s, used_s) for at_s, used_s in marks if at_s >= 3.0]
    (from_s, used_before), (to_s, used_after) = settled[0], settled[-1]
    return round((used_after - used_before) / (to_s - from_s), 3)


def _cold_start_s() -> float:
    """Seconds from starting a process to its `ready`, weights cached."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        silence, events = Path(folder) / "silence.wav", Path(folder) / "events.jsonl"
        soundfile.write(silence, np.zeros(1600, np.float32), HEARING_RATE_HZ)
        devices = ["--microphone", str(silence), "--camera", "none", "--speaker", "none"]
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "assistant", "run", *devices, "--events", str(events)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and not (events.exists() and '"ready"' in events.read_text(encoding="utf-8")):
            time.sleep(0.02)
        took_s = time.monotonic() - began
        process.wait()
        return took_s


def _summary(values: Sequence[float]) -> dict[str, Any]:
    if not values:
        return {"median": None, "p95": None, "n": 0}
    return {
        "median": round(statistics.median(values), 1),
        "p95": round(float(np.percentile(values, 95)), 1),
        "n": len(values),
    }


# ---------------------------------------------------------------- what is measured on


def short_recordings(folder: Path) -> list[Recording]:
    """The English recordings of up to 4 s in `transcripts.tsv`. Raises SourceError."""
    table = folder / "transcripts.tsv"
    rows = read_table(table, ("file",))
    picture = demo_recordings()[0].picture
    sounds = [(row["file"], read_sound(folder / row["file"])) for row in rows if (row.get("lang") or "en") == "en"]
    short = [Recording(name, pcm, picture) for name, pcm in sounds if len(pcm) <= SHORT_S * HEARING_RATE_HZ]
    if not short:
        raise SourceError(f"wanted English recordings of up to {SHORT_S:.0f} s in {table}, found none; add some")
    return short


def demo_recordings() -> list[Recording]:
    """The questions of the demo, each with the picture that is shown then."""
    from assistant.demo import script

    demo = script()
    sound = read_sound(demo.sound)
    recordings: list[Recording] = []
    for question in demo.questions:
        begin, end = (int(s * HEARING_RATE_HZ) for s in (question.began_s, question.ended_s))
        shown = [path for at_s, path in demo.pictures if at_s <= question.ended_s]
        recordings.append(Recording(question.text, sound[begin:end], read_picture(shown[-1])))
    return recordings
