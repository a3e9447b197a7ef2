"""An hour of interruptions in virtual time: nothing grows, and the clocks of both devices stay together."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import pytest
from talking import Scene, hold

from assistant import pacing
from assistant.backends.scripted import RecordingSpeaker, ScriptedMicrophone

HOUR_S = 3600.0
EVERY_S = 12.0
STATM = Path("/proc/self/statm")


def pages() -> int:
    """What is in memory of this process; 0 where the system does not say."""
    return int(STATM.read_text().split()[1]) if STATM.exists() else 0


class Watched(ScriptedMicrophone):
    """Notes, every ten minutes, how far the clock is from the samples, the pages of memory and the tasks there are."""

    def __init__(self, clock, *args, **options):
        super().__init__(clock, *args, **options, drift_ppm=100, jitter_s=0.02)
        self.notes: list[tuple[float, int, int]] = []
        self._watched = clock

    async def blocks(self):
        due_s = 600.0
        async for block in super().blocks():
            if block.end_s >= due_s:
                gc.collect()
                self.notes.append((self._watched.now_s() - block.end_s, pages(), len(asyncio.all_tasks())))
                due_s += 600
            yield block


class Forgetful(RecordingSpeaker):
    """Keeps no record of its own, which would grow."""

    @property
    def record(self):
        return []

    @record.setter
    def record(self, _):
        pass


def test_an_hour_of_interruptions_keeps_memory_flat_and_the_clocks_together():
    spans = [(at, at + 1.0) for at in (EVERY_S * i + 1 for i in range(int(HOUR_S / EVERY_S)))]
    reply = "It goes on for a while, and then for another while, so that there is something to interrupt. " * 4
    scene = Scene(spans, ["and what about this"], [reply], microphone=Watched, speaker=Forgetful, seconds=HOUR_S)
    held = pacing.run(hold(scene), fast=True)
    assert held.error is None
    assert len(held.exchanges) == len(spans)
    assert sum(e.cut for e in held.exchanges) == len(spans) - 1
    notes = held.microphone.notes
    assert len(notes) == 6
    assert all(abs(off_s) < 0.03 for off_s, _, _ in notes)
    assert (notes[-1][1] - notes[1][1]) * 4096 < 12e6, "memory grows"
    assert max(tasks for _, _, tasks in notes) <= 8
    first, *_, last = held.all("turn")
    assert last["voice_to_voice_ms"] == pytest.approx(first["voice_to_voice_ms"], abs=60)
