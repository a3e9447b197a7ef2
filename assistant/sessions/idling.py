"""What the program costs while nobody speaks: the time until it is ready, its memory, its share of a core.

Knows no recording and no scene.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assistant.backends.files import FileMicrophone, SilentSpeaker
from assistant.backends.pictures import PictureCamera
from assistant.events import HEARING_RATE_HZ, Image
from assistant.hiring import Engines
from assistant.pacing import Clock
from assistant.running import talk_over
from assistant.talk import Devices

if TYPE_CHECKING:
    from assistant.config import Config

IDLE_S = 10.0
"""how long idle listening is measured"""
SETTLED_S = 3.0
"""by then the first picture has been read"""


async def idle_share(config: Config, engines: Engines, picture: Image | None) -> float:
    """Processor seconds per second while nothing is said, once the first picture has been read."""
    marks: list[tuple[float, float]] = []
    silence = np.zeros(int((IDLE_S + SETTLED_S) * HEARING_RATE_HZ), np.float32)

    def open_devices(clock: Clock) -> Devices:
        shown = [(0.0, picture)] if picture is not None else []
        return Devices(FileMicrophone(silence, clock), PictureCamera(shown), SilentSpeaker(clock))

    await talk_over(config, engines, open_devices, level=lambda block: marks.append((block.at_s, time.process_time())))
    settled = [(at_s, used_s) for at_s, used_s in marks if at_s >= SETTLED_S]
    (from_s, used_before), (to_s, used_after) = settled[0], settled[-1]
    return round((used_after - used_before) / (to_s - from_s), 3)


def cold_start_s() -> float:
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


def memory_mb() -> int:
    """The largest this process has been."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)
