"""What the tests of `test_sounddevice` run in a process of its own: `pulse_programs.py WHAT OUT [SOUND]`.

Each leaves what it saw in OUT (.npz, or .json for what was said), and prints a line when it is ready for what comes.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from pathlib import Path

import numpy as np

from assistant.backends.devices import open_microphone, open_speaker, without_echo
from assistant.backends.files import read_sound
from assistant.backends.passing import PassingMicrophone
from assistant.backends.portaudio import list_devices
from assistant.backends.sounddevice import Microphone, Speaker
from assistant.doctor.sound import Listening, measure_echo
from assistant.errors import AssistantError, DeviceError
from assistant.events import Block, Phrase
from assistant.pacing import Clock

RATE_HZ = 16_000
PATIENCE_S = 10.0
"""a busy machine that runs tests is no lost device"""


def tone(seconds: float, rate_hz: int) -> Phrase:
    pcm = 0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate_hz)) / rate_hz)
    return Phrase("a tone", pcm.astype(np.float32), rate_hz, ())


def leave(out: Path, what: object) -> None:
    out.write_text(json.dumps(what))


async def hear(out: Path) -> None:
    """Listen for 6.5 s, and be ready after half a second."""
    clock = Clock()
    microphone = Microphone(None, clock, PATIENCE_S)
    blocks, came = [], []
    async for block in microphone.blocks():
        blocks.append(block)
        came.append(clock.now_s())
        if len(blocks) == 50:
            print("ready", flush=True)
        if len(blocks) == 650:
            microphone.close()
    np.savez(out, pcm=np.concatenate([b.pcm for b in blocks]), at_s=[b.at_s for b in blocks], came=came)


async def speak(out: Path, sound: Path) -> None:
    """Say a recording, then a tone that is ducked, restored and stopped."""
    clock = Clock()
    clock.start()
    speaker = Speaker(None, clock, PATIENCE_S)
    await clock.until(0.5)
    began = [await speaker.play(Phrase("speech", read_sound(sound), 16_000, ()))]
    await speaker.drain()
    drained_s = clock.now_s()
    first = speaker.stop()
    await asyncio.sleep(1.0)
    began.append(await speaker.play(tone(4.0, 22_050)))
    await speaker.play(tone(4.0, 22_050))
    began_at = began[1]
    changes = []
    for seconds, change in ((1.0, speaker.duck), (2.0, speaker.restore)):
        await clock.until(began_at + seconds)
        changes.append(clock.now_s())
        change()
    await clock.until(began_at + 3.0)
    changes.append(clock.now_s())
    second = speaker.stop()
    sounding = speaker.sounding
    await asyncio.sleep(1.0)
    given = speaker.given()
    latency_s = speaker._stream.latency_s
    speaker.close()
    np.savez(
        out,
        began=began,
        drained_s=drained_s,
        played=[p.samples for p in (*first, *second)],
        changes=changes,
        sounding=sounding,
        latency_s=latency_s,
        given=given,
        rate_hz=speaker.rate_hz,
    )


async def devices(out: Path) -> None:
    """Everything there is, by number, by name and by default."""
    found = list_devices()
    said = []
    for name in ("pulse", str(next(d.number for d in found if d.name == "pulse")), "default", None):
        microphone, speaker = open_microphone(name, Clock()), open_speaker(name, Clock())
        said.append(type(without_echo(microphone, speaker)).__name__)
        microphone.close()
        speaker.close()
    for opening in (open_microphone, open_speaker):
        for name in ("no such card", "999"):
            try:
                opening(name, Clock())
            except AssistantError as error:
                said.append(str(error))
    leave(out, [[d.name for d in found], [list(d.default) for d in found], said])


async def lose(out: Path, sound: Path, device: str | None = None) -> None:
    """Speak and listen while the sound card is taken away and given back; then hear what is played into it."""
    clock, told, blocks, came = Clock(), list[tuple[str, float]](), list[Block](), list[float]()
    microphone, speaker = Microphone(device, clock), Speaker(device, clock)
    changed = asyncio.Event()

    def note(what: str) -> None:
        told.append((what, clock.now_s()))
        changed.set()

    async def listen() -> None:
        async for block in microphone.blocks():
            blocks.append(block)
            came.append(clock.now_s())

    async def until(count: int) -> None:
        while len(told) < count:
            changed.clear()
            await changed.wait()

    microphone.on_lost, speaker.on_lost = lambda line: note(line), lambda line: note(line)
    microphone.on_back, speaker.on_back = lambda: note("microphone back"), lambda: note("loudspeaker back")
    listening = asyncio.create_task(listen())
    phrase = Phrase("speech", read_sound(sound), 16_000, ())
    await asyncio.sleep(1.0)
    await clock.until(await speaker.play(phrase) + 1.0)
    print("ready", flush=True)
    try:
        await speaker.drain()
    except DeviceError as error:
        note(str(error))
    (first,) = speaker.stop()
    await until(3)
    waiting = asyncio.create_task(speaker.play(phrase))
    await asyncio.sleep(1.0)
    waited = not waiting.done()
    print("lost", flush=True)
    await until(5)
    began_s = await waiting
    await speaker.drain()
    (second,) = speaker.stop()
    print("back", flush=True)
    await asyncio.sleep(5.0)
    microphone.close()
    await listening
    speaker.close()
    np.savez(
        out,
        pcm=np.concatenate([b.pcm for b in blocks]),
        at_s=[b.at_s for b in blocks],
        came=came,
        what=[what for what, _ in told],
        when=[at_s for _, at_s in told],
        played=[first.samples, second.samples],
        waited=waited,
        began_s=began_s,
    )


async def pause(out: Path, sound: Path) -> None:
    """Say a recording while the sound cards are away for a moment, and stop it 6 s after it began."""
    clock, gaps = Clock(), {"microphone": list[float](), "speaker": list[float]()}
    microphone, speaker = Microphone(None, clock, PATIENCE_S), Speaker(None, clock, PATIENCE_S)
    microphone.on_gap, speaker.on_gap = gaps["microphone"].append, gaps["speaker"].append
    came: list[tuple[float, float]] = []
    hearing = asyncio.Event()

    async def listen() -> None:
        async for block in microphone.blocks():
            came.append((block.end_s, clock.now_s()))
            hearing.set()

    listening = asyncio.create_task(listen())
    await hearing.wait()
    phrase = Phrase("speech", read_sound(sound), 16_000, ())
    await clock.until(await speaker.play(phrase) + 1.0)
    began_s, at, positions = clock.now_s(), [], []
    print("ready", flush=True)
    while clock.now_s() < began_s + 5.0:
        at.append(clock.now_s())
        positions.append(speaker._line.played(speaker._sounded())[0].samples)
        speaker._check()  # as whoever waits for the end of a reply does
        await asyncio.sleep(0.02)
    (played,) = speaker.stop()
    await asyncio.sleep(0.5)
    microphone.close()
    await listening
    speaker.close()
    np.savez(
        out,
        at=at,
        positions=positions,
        played=played.samples,
        came=came,
        heard=gaps["microphone"],
        said=gaps["speaker"],
    )


class Room(PassingMicrophone):
    """A microphone that hears everything `delay` samples later and `gain` times as loud."""

    def __init__(self, microphone: Microphone) -> None:
        super().__init__(microphone)
        self.delay, self.gain = 0, 1.0
        self._past = np.zeros(RATE_HZ, np.float32)

    def _passed(self, block: Block) -> Block:
        self._past = np.concatenate([self._past, block.pcm])[-RATE_HZ:]
        end = RATE_HZ - self.delay
        return Block(block.at_s, np.float32(self.gain) * self._past[end - len(block.pcm) : end])


async def echo(out: Path) -> None:
    """Measure the echo path three times: as it is, behind a known delay and gain, and without any sound."""
    clock = Clock()
    room = Room(Microphone(None, clock, PATIENCE_S))
    speaker, listening = Speaker(None, clock, PATIENCE_S), Listening(room)
    await listening.until(1.0, 20.0)
    measured = []
    for delay_s, gain_db in ((0.0, 0.0), (0.12, -9.0), (0.0, -math.inf)):
        room.delay, room.gain = round(delay_s * RATE_HZ), 10 ** (gain_db / 20)
        measured.append(await measure_echo(listening, speaker, clock))
    await listening.close()
    speaker.close()
    leave(out, [None if path is None else [path.delay_s, path.coupling_db] for path in measured])


PROGRAMS = {"echo": echo, "hear": hear, "speak": speak, "devices": devices, "lose": lose, "pause": pause}

if __name__ == "__main__":
    asyncio.run(PROGRAMS[sys.argv[1]](*map(Path, sys.argv[2:4]), *sys.argv[4:]))
