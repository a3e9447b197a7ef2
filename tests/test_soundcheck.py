"""The sound check on real recordings as they are, and turned down, turned up and muted."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.backends.files import FileMicrophone, SilentSpeaker, read_sound
from assistant.backends.keys import OnKey
from assistant.backends.pictures import PictureCamera
from assistant.backends.silero import Silero
from assistant.config import load_config
from assistant.events import Samples
from assistant.hiring import load_engines
from assistant.pacing import Clock, run
from assistant.running import talk_over
from assistant.soundcheck import MUTED_S, Fault, SoundCheck, check
from assistant.talk import Devices

WINDOW = 512
CLIPPED = "en_channel5.flac"
"""a radio's recording that is driven to full scale throughout"""


def faults(pcm: Samples, voices: list[float] | None = None) -> list[Fault]:
    """What the check says of a sound; without probabilities, by the real voice activity detector."""
    found, state = [], SoundCheck()
    windows = [pcm[i : i + WINDOW] for i in range(0, len(pcm) - WINDOW + 1, WINDOW)]
    if voices is None:
        silero = Silero()
        memory, voices = silero.start(), []
        for window in windows:
            memory, p_voice = silero.voice(memory, window)
            voices.append(p_voice)
    for window, p_voice in zip(windows, voices, strict=False):
        state, fault = check(state, window, p_voice)
        found += [fault] if fault is not None else []
    return found


def quantised(pcm: Samples, gain_db: float) -> Samples:
    """As a 16-bit converter gives it with another gain."""
    return (np.clip(np.round(pcm * 10 ** (gain_db / 20) * 32767), -32768, 32767) / 32768).astype(np.float32)


def test_no_recording_raises_a_false_alarm_and_the_one_that_is_cut_off_a_true_one(shared: Path) -> None:
    recordings = sorted((shared / "data" / "speech").rglob("*.flac"))
    assert len(recordings) > 50
    told = {path.name: [f.kind for f in faults(read_sound(path))] for path in recordings}
    assert {name: kinds for name, kinds in told.items() if kinds} == {CLIPPED: ["loud"]}


def test_speech_that_comes_in_too_quietly_is_noticed_once(shared: Path) -> None:
    for name, down_db in (("en_libri1995", -35), ("en_lj9", -40), ("zh_yasui", -30)):
        speech = read_sound(shared / "data" / "speech" / f"{name}.flac")
        (fault,) = faults(quantised(np.concatenate([speech, speech]), down_db))
        assert fault.kind == "quiet"
        assert fault.found.startswith("the microphone is very quiet, speech comes in at -")
        assert faults(quantised(speech, -20)) == []


def test_speech_that_is_amplified_into_the_rails_is_noticed_once(shared: Path) -> None:
    speech = read_sound(shared / "data" / "speech" / "en_jfk.flac")
    assert [f.kind for f in faults(quantised(speech, 20))] == ["loud"]


def test_a_muted_microphone_is_noticed_after_five_seconds_and_once() -> None:
    silence = np.zeros(round(MUTED_S * 16_000) - WINDOW, np.float32)
    assert faults(silence, [0.0] * 1000) == []
    assert [f.kind for f in faults(np.zeros(60 * 16_000, np.float32), [0.0] * 10_000)] == ["muted"]


def test_the_quietest_noise_is_not_muted_and_nobody_speaking_is_not_quiet() -> None:
    noise = np.random.default_rng(1).integers(-1, 2, 60 * 16_000).astype(np.float32) / np.float32(32768)
    assert faults(noise, [0.0] * 10_000) == []


@pytest.mark.parametrize(("every_s", "kinds"), [(10.0, []), (1.0, ["loud"])])
def test_a_knock_now_and_then_is_forgiven_and_many_are_not(every_s: float, kinds: list[str]) -> None:
    sound = np.full(60 * 16_000, 0.01, np.float32)
    for at_s in np.arange(0, 60, every_s):
        sound[round(at_s * 16_000) : round((at_s + 0.1) * 16_000)] = 1.0
    assert [f.kind for f in faults(sound, [0.0] * 10_000)] == kinds


# ---------------------------------------------------------------- in a talk


class Room(FileMicrophone):
    """A recording that stands for a microphone in this room."""

    in_room = True


def troubles(microphone: type[FileMicrophone], keys: Sequence[tuple[float, str]] = ()) -> list[dict[str, Any]]:
    """What is told of a microphone that gives zeros for 20 s, while keys are typed at their times."""
    events: list[dict[str, Any]] = []

    @contextmanager
    def typed(on_key: OnKey) -> Generator[None]:
        due = [asyncio.get_running_loop().call_later(at_s, on_key, key) for at_s, key in keys]
        yield
        for one in due:
            one.cancel()

    def open_them(clock: Clock) -> Devices:
        return Devices(microphone(np.zeros(20 * 16_000, np.float32), clock), PictureCamera(()), SilentSpeaker(clock))

    async def main() -> None:
        slots = ("activity", "recogniser", "mind", "eyes", "voice")
        sets = [f"{slot}.engine=scripted" for slot in slots]
        engines = await load_engines(load_config(sets=[*sets, "endpointing.engine=words"], environ={}))
        await talk_over(load_config(sets=sets, environ={}), engines, open_them, (events.append,), keys=typed)
        engines.close()

    run(main(), fast=True)
    return [event for event in events if event["type"] == "trouble"]


def test_a_muted_microphone_is_told_of_once_in_a_talk_with_what_to_do() -> None:
    (trouble,) = troubles(Room)
    assert trouble["where"] == "microphone" and trouble["kept_going"]
    assert trouble["at_s"] == pytest.approx(MUTED_S, abs=0.1)
    assert "switch it on in the system's sound settings" in trouble["message"]


def test_what_the_user_muted_on_purpose_and_a_recording_are_not_told_of() -> None:
    assert troubles(Room, [(1.0, "m")]) == []
    assert troubles(FileMicrophone) == []
