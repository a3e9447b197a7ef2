"""What the program costs while nobody speaks: the time until it is ready, its memory, its share of a core, and what of
that is watching.

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

from assistant.backends import Camera
from assistant.backends.files import FileMicrophone, SilentSpeaker
from assistant.backends.pictures import PictureCamera, VideoCamera
from assistant.errors import OutputError
from assistant.eventlog import Event
from assistant.events import HEARING_RATE_HZ, Block, Image
from assistant.hiring import Engines
from assistant.pacing import Clock
from assistant.running import talk_over
from assistant.talk import Devices

if TYPE_CHECKING:
    from assistant.config import Config

IDLE_S = 10.0
"""how long idle listening is measured"""
SETTLED_S = 5.0
"""so long it may take to read the first picture; if it takes longer, the rest is measured"""
FILM_SIZE = (1280, 720)
FILM_HZ = 30.0
"""what most webcams send"""
FILM_NOISE = 3.0
"""grey levels of noise, as a standard deviation: an ordinary room in the evening"""
FILM_FRAMES = 8
"""so many different frames, over and over"""


async def idle_shares(config: Config, engines: Engines, picture: Image) -> dict[str, float]:
    """Processor seconds per second while nothing is said: `without_camera`, and `with_camera`, one that shows the
    picture at FILM_SIZE and FILM_HZ while nothing happens in view.

    Raises OutputError where the film cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        seen = film(Path(folder) / "still.avi", picture, SETTLED_S + IDLE_S + 1)
        return {
            "without_camera": await idle_share(config, engines, PictureCamera([])),
            "with_camera": await idle_share(config, engines, VideoCamera(seen)),
        }


async def idle_share(config: Config, engines: Engines, camera: Camera) -> float:
    """Processor seconds per second while nothing is said, once the first picture has been read."""
    marks: list[tuple[float, float]] = []
    read_s = [SETTLED_S]
    silence = np.zeros(int((IDLE_S + SETTLED_S) * HEARING_RATE_HZ), np.float32)

    def open_devices(clock: Clock) -> Devices:
        return Devices(FileMicrophone(silence, clock), camera, SilentSpeaker(clock))

    def heed(event: Event) -> None:
        if event["type"] == "glimpse":
            read_s.append(event["at_s"])

    def mark(block: Block) -> None:
        marks.append((block.at_s, time.process_time()))

    await talk_over(config, engines, open_devices, (heed,), mark)
    settled = [(at_s, used_s) for at_s, used_s in marks if at_s >= max(read_s)]
    (from_s, used_before), (to_s, used_after) = settled[0], settled[-1]
    return round((used_after - used_before) / (to_s - from_s), 3)


def film(path: Path, picture: Image, seconds: float) -> Path:
    """A camera that looks at a picture and sees nothing happen, as a webcam sends it: motion JPEG with sensor noise.

    Raises OutputError where it cannot be written.
    """
    import cv2

    random = np.random.default_rng(0)
    still = cv2.resize(picture, FILM_SIZE, interpolation=cv2.INTER_AREA)[:, :, ::-1]
    noisy = [
        np.clip(still + random.normal(0, FILM_NOISE, still.shape), 0, 255).astype(np.uint8) for _ in range(FILM_FRAMES)
    ]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FILM_HZ, FILM_SIZE)
    if not writer.isOpened():
        raise OutputError(f"wanted to write the film {path}, it cannot be; free some room in {path.parent}")
    for number in range(int(seconds * FILM_HZ)):
        writer.write(noisy[number % FILM_FRAMES])
    writer.release()
    return path


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
