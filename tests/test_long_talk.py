"""An hour of talk, simulated: memory stays flat, and what is heard and said keeps one time, though the clocks drift."""

import resource
import sys
from pathlib import Path

import numpy as np
import pytest

from assistant import pacing
from assistant.backends.scripted import ScriptedCamera
from assistant.config import load_config
from assistant.hiring import load_engines
from assistant.running import talk_over
from assistant.sessions.levels import AUDIBLE
from assistant.sessions.loudspeaker import RoomSpeaker
from assistant.sessions.microphone import RoomMicrophone, Sound
from assistant.sessions.rooms import RATE, Room
from assistant.talk import Devices

MINUTES = 60
DRIFT_PPM = 100.0
SLOTS = ("activity", "endpointing", "recogniser", "mind", "eyes", "voice")


def memory_mb():
    """What this process takes now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the memory of a process as Linux tells it")
def test_an_hour_of_talk_takes_no_more_memory_than_ten_minutes_and_keeps_its_time():
    config = load_config(None, [f"{slot}.engine=scripted" for slot in SLOTS], {})
    question = np.full(RATE, 0.25, np.float32)
    sounds = [
        Sound("turn", "question", question, 0.0, 1.0, cue="begin", after_s=59.0 if n else 1.0) for n in range(MINUTES)
    ]
    memory, late_ms, answers = [], [], []
    room: list[RoomSpeaker] = []

    def open_devices(clock):
        speaker = RoomSpeaker(clock, DRIFT_PPM, keep_s=60.0)
        room.append(speaker)
        microphone = RoomMicrophone(clock, Room(None), speaker, sounds, limit_s=60.0 * MINUTES + 30)
        return Devices(microphone, ScriptedCamera(), speaker)

    def note(event):
        if event["type"] == "turn":
            answers.append(event["at_s"])
        if event["type"] == "exchange":  # the answer has sounded: when did it begin, by the microphone's clock?
            memory.append(memory_mb())
            speaker = room[0]
            begin = speaker.sample(answers[-1] - 0.5)
            first = begin + int(np.flatnonzero(np.abs(speaker.between(begin, speaker.settled)) > AUDIBLE)[0])
            late_ms.append(1000 * (first / RATE / (1 + DRIFT_PPM * 1e-6) - answers[-1]))

    async def main():
        engines = await load_engines(config)
        try:
            return await talk_over(config, engines, open_devices, (note,))
        finally:
            engines.close()

    talk = pacing.run(main(), fast=True)
    assert len(talk.conversation.exchanges) == len(answers) == MINUTES
    assert max(memory[10:]) - memory[9] < 12
    assert all(abs(late) < 2 for late in late_ms)
