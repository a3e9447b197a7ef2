"""A sound card of software: a private PulseAudio with a virtual microphone and a virtual loudspeaker.

What is played into the sink `micfeed` is heard by the microphone `vmic`; what the loudspeaker `spk` plays can be
recorded from its monitor. The environment of `PulseAudio.env` leads PortAudio (through ALSA's pulse plugin) to it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path

import pytest

# norewinds: without it a null sink renders two seconds ahead while it is idle, and its first stream waits for them
DEVICES = """
load-module module-native-protocol-unix auth-anonymous=1 socket={socket}
"""
SINK = "module-null-sink sink_name={name} rate={rate_hz} channels={channels} format={format} norewinds=1"


@dataclass(frozen=True)
class PulseAudio:
    """`folder` is the server's; `env` leads a program to it."""

    folder: Path
    env: dict[str, str]
    server: subprocess.Popen[bytes]

    def control(self, *words: str) -> str:
        """Tell the server something."""
        return subprocess.run(["pactl", *words], env=self.env, capture_output=True, text=True, check=True).stdout

    def plug(self, rate_hz: int = 48_000, channels: int = 2, format: str = "s16le") -> None:
        """Plug in the sound card: `spk`, and `micfeed` with `vmic`."""
        for name in ("spk", "micfeed"):
            shape = SINK.format(name=name, rate_hz=rate_hz, channels=channels, format=format)
            self.control("load-module", *shape.split())
        self.control("load-module", "module-remap-source", "source_name=vmic", "master=micfeed.monitor")
        self.control("set-default-sink", "spk")
        self.control("set-default-source", "vmic")

    def unplug(self) -> None:
        """Take the sound card away, loudspeaker and microphone."""
        for module in ("module-remap-source", "module-null-sink"):
            self.control("unload-module", module)

    def play(self, sound: Path, sink: str = "micfeed") -> subprocess.Popen[bytes]:
        """Play a file, into the virtual microphone."""
        return subprocess.Popen(["paplay", "-d", sink, str(sound)], env=self.env)

    @contextmanager
    def recording(self, wav: Path) -> Iterator[None]:
        """Record what the loudspeaker plays, 48 kHz mono."""
        what = ["-d", "spk.monitor", "--file-format=wav", "--rate=48000", "--channels=1", "--latency-msec=20"]
        recorder = subprocess.Popen(["parecord", *what, str(wav)], env=self.env)
        try:
            yield
        finally:
            recorder.terminate()
            recorder.wait(10)

    @contextmanager
    def suspended(self, *devices: str) -> Iterator[None]:
        """These do not get on, as when a machine turns to something else; all of them where none is named."""
        kinds = {"spk": "sink", "vmic": "source", "micfeed": "sink"}
        for state in ("1", "0"):
            for name in devices or kinds:
                self.control(f"suspend-{kinds[name]}", name, state)
            if state == "1":
                yield

    def run(self, *args: str | Path, seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a Python program against it: PortAudio looks for its devices once a process."""
        command = [sys.executable, "-W", "error", *map(str, args)]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=seconds, check=False)


def missing() -> str:
    """What the machine lacks for it, or nothing."""
    if sys.platform != "linux":
        return "needs Linux"
    tools = [tool for tool in ("pulseaudio", "pactl", "paplay", "parecord") if not shutil.which(tool)]
    if tools:
        return f"needs {', '.join(tools)}: apt install pulseaudio pulseaudio-utils libasound2-plugins"
    plugin = "alsa-lib/libasound_module_pcm_pulse.so"
    if not [*Path("/usr").glob(f"lib*/{plugin}"), *Path("/usr").glob(f"lib*/*/{plugin}")]:
        return "needs ALSA's way to PulseAudio: apt install libasound2-plugins"
    return "" if find_library("portaudio") else "needs PortAudio: apt install libportaudio2"


def start(folder: Path) -> PulseAudio:
    """A server of our own, without a sound card."""
    socket = folder / "native"
    (folder / "devices.pa").write_text(DEVICES.format(socket=socket))
    env = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder), "PULSE_SERVER": f"unix:{socket}"}
    options = ["--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--realtime=no", "--disallow-exit"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            ["pulseaudio", "-n", "-F", str(folder / "devices.pa"), *options], env=env, stdout=log, stderr=log
        )
    until = time.monotonic() + 20
    while subprocess.run(["pactl", "info"], env=env, capture_output=True, check=False).returncode:
        if server.poll() is not None or time.monotonic() > until:
            server.kill()
            server.wait(10)
            pytest.fail(f"PulseAudio did not start: {(folder / 'log').read_text()}")
    return PulseAudio(folder, env, server)


@contextmanager
def pulse_audio(folder: Path) -> Iterator[PulseAudio]:
    """A server of our own with its sound card plugged in, ended at the end."""
    if reason := missing():
        pytest.skip(reason)
    card = start(folder)
    try:
        card.plug()
        yield card
    finally:
        card.server.terminate()
        card.server.wait(10)
