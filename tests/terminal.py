"""The program on a pseudo-terminal, on scripted engines: keys in, what it draws and logs out."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

FAKES = ("activity", "endpointing", "recogniser", "mind", "eyes", "voice")
SCRIPTED = [f"{slot}.engine={'words' if slot == 'endpointing' else 'scripted'}" for slot in FAKES]


class Terminal:
    """The program on a terminal of its own, over a second of voice after `silence_s` and a minute of silence after it.

    What it wrote, and the terminal's settings before and after.
    """

    def __init__(self, tmp_path: Path, *more: str, silence_s: float = 30.0, environ: Mapping[str, str] = {}) -> None:
        self.events = tmp_path / "events.jsonl"
        self.events.unlink(missing_ok=True)
        sound = tmp_path / "sound.wav"
        said = (np.zeros(int(16_000 * silence_s)), np.full(16_000, 0.3), np.zeros(16_000 * 60))
        soundfile.write(sound, np.concatenate(said), 16_000)
        self._master, self._slave = pty.openpty()
        self.before = self.settings
        words = ["--microphone", str(sound), "--camera", "none", "--speaker", "none", "--events", str(self.events)]
        sets = [word for one in SCRIPTED for word in ("--set", one)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "assistant", "run", *words, *sets, *more],
            env={**os.environ, "TERM": "xterm-256color", "XDG_CONFIG_HOME": str(tmp_path), **environ},
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # make it the controlling terminal
        )
        self.shown = ""

    @property
    def settings(self) -> list[Any]:
        return termios.tcgetattr(self._slave)

    def until(self, seen: Callable[[], bool]) -> None:
        """Read what is shown until something is seen."""
        os.set_blocking(self._master, False)
        end = time.monotonic() + 60
        while not seen():
            assert time.monotonic() < end and self.process.poll() is None, self.shown
            time.sleep(0.02)
            try:
                drawn = os.read(self._master, 65536).decode(errors="replace")
            except BlockingIOError:
                continue
            self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def logged(self, type: str) -> list[dict[str, Any]]:
        lines = self.events.read_text(encoding="utf-8").splitlines() if self.events.exists() else []
        return [event for event in (json.loads(line) for line in lines if line.endswith("}")) if event["type"] == type]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        os.close(self._master)
        os.close(self._slave)
