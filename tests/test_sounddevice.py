"""The sound card: real PortAudio against a PulseAudio of our own, so that what is played and heard can be measured.

Without PulseAudio and PortAudio these tests skip, and say what is missing. What a machine without them is told is
tested everywhere.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from ctypes.util import find_library
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pulse
import pytest
import soundfile

from assistant.backends import portaudio
from assistant.backends.files import resampled
from assistant.backends.rates import Converted
from assistant.backends.sounddevice import Microphone, Speaker
from assistant.backends.timeline import DUCKED
from assistant.errors import DeviceError
from assistant.events import Phrase, Samples
from assistant.pacing import Clock

PROGRAMS = Path(__file__).with_name("pulse_programs.py")
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds with the rhythm of speech: nothing in it repeats, so that it can be found again."""
    rng = np.random.default_rng(2)
    noise = np.convolve(rng.standard_normal(3 * RATE_HZ), 0.7 ** np.arange(30), "same")
    pcm = noise * np.repeat(rng.uniform(0.05, 1, 30), RATE_HZ // 10)
    path = tmp_path_factory.mktemp("sound") / "speech.wav"
    soundfile.write(path, 0.5 * pcm / np.abs(pcm).max(), RATE_HZ)
    return path


def loudness(pcm: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(pcm))))


def found(part: Samples, whole: Samples) -> tuple[int, float]:
    """Where a sound is in another, and how alike the two are there (correlation)."""
    size = 1 << (len(part) + len(whole)).bit_length()
    both = np.fft.irfft(np.fft.rfft(whole, size) * np.conj(np.fft.rfft(part, size)), size)
    begin = int(np.argmax(both[: len(whole)]))
    there = whole[begin : begin + len(part)]
    return begin, float(np.corrcoef(there, part[: len(there)])[0, 1])


def read(path: Path) -> Samples:
    return np.asarray(soundfile.read(path)[0], dtype=np.float32)


def start(card: pulse.PulseAudio, *args: str | Path) -> "subprocess.Popen[str]":
    """Start a program and wait until it is ready."""
    command = [sys.executable, "-W", "error", str(PROGRAMS), *map(str, args)]
    program = subprocess.Popen(command, env=card.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(program, "ready")
    return program


def wait_for(program: "subprocess.Popen[str]", line: str) -> None:
    """Wait until a program says so."""
    assert program.stdout is not None
    assert program.stdout.readline() == f"{line}\n", program.communicate()[1]


# ---------------------------------------------------------------- with a sound card


def test_a_recording_played_into_the_microphone_is_heard(card: pulse.PulseAudio, speech: Path, tmp_path: Path) -> None:
    out = tmp_path / "heard.npz"
    with start(card, "hear", out) as program:
        card.play(speech).wait(30)
        assert program.communicate(timeout=60)[1] == ""
    heard = np.load(out)
    assert np.allclose(heard["at_s"], np.arange(650) / 100)
    late = heard["came"] - heard["at_s"] - 0.01
    assert np.median(late) < 0.2
    assert min(late) > -0.05  # no block comes before it was heard
    played = read(speech)
    begin, alike = found(played, heard["pcm"])
    assert alike > 0.9
    there = heard["pcm"][begin : begin + len(played)]
    assert loudness(there) == pytest.approx(loudness(played), rel=0.1)


def test_what_is_spoken_sounds_ducks_and_stops(card: pulse.PulseAudio, speech: Path, tmp_path: Path) -> None:
    out, wav = tmp_path / "spoken.npz", tmp_path / "monitor.wav"
    with card.recording(wav):
        done = card.run(PROGRAMS, "speak", out, speech)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    told = np.load(out)
    sounded, played = read(wav), read(speech)

    at48 = resampled(played, RATE_HZ, 48_000)
    begin, alike = found(at48, sounded)
    assert alike > 0.9
    assert loudness(sounded[begin : begin + len(at48)]) == pytest.approx(loudness(at48), rel=0.1)
    assert told["drained_s"] - told["began"][0] == pytest.approx(3.0, abs=0.2)
    assert told["played"][0] == len(played)

    # the tone: times of the file count from where the speech begins in it
    def at(seconds: float) -> int:
        return begin + round((seconds - told["began"][0]) * 48_000)

    duck_s, restore_s, stop_s = told["changes"]
    latency_s = float(told["latency_s"])
    slack_s = 0.1 + latency_s
    full = loudness(sounded[at(told["began"][1] + 0.3) : at(duck_s - 0.05)])
    low = loudness(sounded[at(duck_s + slack_s) : at(restore_s - 0.05)])
    again = loudness(sounded[at(restore_s + slack_s) : at(stop_s - 0.05)])
    assert full == pytest.approx(0.5 / np.sqrt(2), rel=0.1)
    assert 20 * np.log10(low / full) == pytest.approx(20 * np.log10(DUCKED), abs=1)
    assert again == pytest.approx(full, rel=0.05)
    assert np.abs(sounded[at(stop_s + slack_s) :]).max() < 0.001
    assert not told["sounding"]
    assert told["played"][1] / 22_050 == pytest.approx(stop_s - told["began"][1], abs=0.1)
    assert told["played"][2] == 0

    # what was given to the card is kept for the echo canceller, silence included
    given = told["given"]
    assert told["rate_hz"] == 48_000
    assert len(given) == pytest.approx(2 * 48_000, rel=0.1)
    assert np.abs(given[: 48_000 // 2]).max() > 0.4
    assert not given[-24_000:].any()


def test_cards_that_are_away_for_a_moment_lose_neither_the_place_nor_the_time(
    card: pulse.PulseAudio, tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    pcm = np.convolve(rng.standard_normal(7 * RATE_HZ), 0.7 ** np.arange(30), "same")
    sound, wav, out = tmp_path / "speech.wav", tmp_path / "monitor.wav", tmp_path / "told.npz"
    soundfile.write(sound, 0.3 * pcm / np.abs(pcm).max(), RATE_HZ)
    with card.recording(wav), start(card, "pause", out, sound) as program:
        with card.suspended():
            time.sleep(1.5)
        assert program.communicate(timeout=60)[1] == ""
    told = np.load(out)
    for what in ("said", "heard"):
        assert len(told[what]) == 1 and told[what][0] == pytest.approx(1.6, abs=0.4), what

    # the loudspeaker stood still, went on where it was, and what counts as heard is what sounded
    positions = told["positions"] / RATE_HZ
    steps = np.diff(positions)
    assert steps.min() > -0.06
    assert np.diff(told["at"])[steps == 0].sum() > 1.0
    sounded = read(wav)
    loud = np.flatnonzero(np.abs(sounded) > 0.001)
    begin, alike = found(resampled(read(sound)[: RATE_HZ // 2], RATE_HZ, 48_000), sounded)
    assert alike > 0.9
    assert int(told["played"]) / RATE_HZ == pytest.approx((loud[-1] - begin) / 48_000, abs=0.1)

    # the microphone's samples kept the machine's time
    ended_s, now_s = told["came"].T
    assert np.allclose(np.diff(ended_s), 0.01)
    assert np.median((now_s - ended_s)[-30:]) == pytest.approx(np.median((now_s - ended_s)[:30]), abs=0.1)


def test_devices_are_found_by_number_by_name_and_by_default(card: pulse.PulseAudio, tmp_path: Path) -> None:
    done = card.run(PROGRAMS, "devices", tmp_path / "said.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    names, defaults, said = json.loads((tmp_path / "said.json").read_text())
    assert {"pulse", "default"} <= set(names)
    assert sorted(what for default in defaults for what in default) == ["loudspeaker", "microphone"]
    assert said[:4] == ["EchoFreeMicrophone"] * 4
    assert len(said) == 8
    for line, what in zip(said[4:], ["microphone", "microphone", "loudspeaker", "loudspeaker"], strict=True):
        assert line.startswith(f"wanted the {what} '")
        assert line.endswith("there is none; choose one that `assistant devices` lists")


def lost_and_found(told: Any, length: int) -> None:
    """What holds of a program that lost the sound card and got it back, however that happened."""
    what = [str(line) for line in told["what"]]
    cut = "wanted to be heard to the end, the loudspeaker went away; plug it in again"
    assert sorted(line.split(" '")[0] for line in what[:3]) == sorted([cut, "the loudspeaker", "the microphone"])
    assert all(line == cut or line.endswith("is gone; plug it in, it is waited for") for line in what[:3])
    assert sorted(what[3:]) == ["loudspeaker back", "microphone back"]
    first, second = told["played"]
    assert 0.5 * RATE_HZ < first < length and second == length
    assert told["waited"] and told["began_s"] > told["when"][2] + 1.0

    # the microphone's samples kept the time: silence while it was gone, and afterwards what was heard
    assert np.allclose(told["at_s"], np.arange(len(told["at_s"])) / 100)
    late = told["came"] - told["at_s"]
    assert np.median(late[-100:]) == pytest.approx(np.median(late[:50]), abs=0.15)
    gone = slice(round(100 * (told["when"][2] + 0.3)), round(100 * (min(told["when"][3:]) - 0.5)))
    assert not told["pcm"].reshape(-1, 160)[gone].any()


def test_a_sound_card_that_is_unplugged_is_told_waited_for_and_taken_back(speech: Path, tmp_path: Path) -> None:
    out, wav = tmp_path / "told.npz", tmp_path / "monitor.wav"
    (tmp_path / "server").mkdir()
    with pulse.pulse_audio(tmp_path / "server") as card:
        with card.recording(wav), start(card, "lose", out, speech, "default") as program:
            card.unplug()
            wait_for(program, "lost")
            card.plug()
            wait_for(program, "back")
            card.play(speech).wait(30)
            program.communicate(timeout=30)
    told, length = np.load(out), len(read(speech))
    lost_and_found(told, length)
    sounded = np.flatnonzero(np.abs(read(wav)) > 0.001)
    assert told["played"][0] / RATE_HZ == pytest.approx((sounded[-1] - sounded[0]) / 48_000, abs=0.1)
    begin, alike = found(read(speech), told["pcm"])
    assert alike > 0.9 and begin / RATE_HZ > told["began_s"] + length / RATE_HZ - 0.3


def test_a_text_that_is_said_waits_for_a_sound_card_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    text = "One loudspeaker was pulled out while this was said, and all of it is said again."
    say = [sys.executable, "-W", "error", "-m", "assistant", "say", text, "--offline"]
    listen = ["parec", "-d", "spk.monitor", "--rate=48000", "--channels=1", "--latency-msec=20"]
    with pulse.pulse_audio(tmp_path / "server") as card:
        ear = subprocess.Popen(listen, env=card.env, stdout=subprocess.PIPE)
        said = subprocess.Popen(say, env=card.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert ear.stdout is not None and said.stderr is not None
            while not any(ear.stdout.read(1_920)):
                assert said.poll() is None
            card.unplug()
            told = next(line for line in said.stderr if "loudspeaker" in line)  # PortAudio has its say as well
            card.plug()
            out, err = said.communicate(timeout=60)
        finally:
            for program in (ear, said):
                program.kill()
                program.communicate()
    assert told == "the loudspeaker is gone; plug it in, it is waited for (30 s)\n"
    assert (said.returncode, out) == (0, "") and "loudspeaker" not in err


def test_a_sound_server_that_is_started_again_is_found_again(speech: Path, tmp_path: Path) -> None:
    out, folder = tmp_path / "told.npz", tmp_path / "server"
    folder.mkdir()
    with pulse.pulse_audio(folder) as card, start(card, "lose", out, speech) as program:
        card.server.kill()
        card.server.wait(10)
        wait_for(program, "lost")
        again = pulse.start(folder)
        try:
            again.plug()
            wait_for(program, "back")
            program.communicate(timeout=30)
        finally:
            again.server.terminate()
            again.server.wait(10)
    lost_and_found(np.load(out), len(read(speech)))


# ---------------------------------------------------------------- without one

ASK = """
import asyncio, sys
from assistant.backends.devices import {opening}
from assistant.errors import DeviceError
from assistant.pacing import Clock
try:
    {opening}("default", Clock())
except DeviceError as error:
    print(error)
"""


def told(program: str, tmp_path: Path, before: str = "") -> str:
    """What a program says where no sound server runs and no sound card is."""
    nowhere = {"PULSE_SERVER": f"unix:{tmp_path / 'none'}", "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    command = [sys.executable, "-W", "error", "-c", before + program]
    done = subprocess.run(command, env={**os.environ, **nowhere}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.skipif(find_library("portaudio") is None, reason="needs PortAudio: apt install libportaudio2")
@pytest.mark.skipif(any(Path("/proc/asound").glob("card*")), reason="this machine has a sound card")
@pytest.mark.parametrize(
    ("opening", "line"),
    [
        (
            "open_microphone",
            "wanted a microphone, this machine has none; "
            "plug one in, or speak from a recording: --microphone FILE.wav\n",
        ),
        (
            "open_speaker",
            "wanted a loudspeaker, this machine has none; "
            "plug one in, or let it speak into a file: --speaker FILE.wav, or --speaker none\n",
        ),
    ],
)
def test_a_machine_without_sound_is_told_what_to_do_instead(tmp_path: Path, opening: str, line: str) -> None:
    assert told(ASK.format(opening=opening), tmp_path) == line


@pytest.mark.parametrize("opening", ["open_microphone", "open_speaker"])
def test_a_missing_portaudio_is_told_with_the_command_that_helps(tmp_path: Path, opening: str) -> None:
    hidden = "import ctypes.util\nctypes.util.find_library = lambda name: None\n"
    line = told(ASK.format(opening=opening), tmp_path, hidden)
    assert line.startswith(
        "wanted the PortAudio library, got 'PortAudio library not found'; apt install libportaudio2,"
    )
    assert "\n" not in line.strip()


def test_without_portaudio_everything_over_files_works(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(8000, 0.1), RATE_HZ)
    program = f"""
import sys
sys.modules["sounddevice"] = None
from assistant.backends.devices import open_camera, open_microphone, open_speaker, without_echo
from assistant.events import Phrase
from assistant.pacing import Clock, run
import numpy as np

async def main():
    clock = Clock()
    speaker = open_speaker({str(tmp_path / "b.wav")!r}, clock)
    microphone = without_echo(open_microphone({str(tmp_path / "a.wav")!r}, clock), speaker)
    open_camera("none", clock).close()
    async for block in microphone.blocks():
        if microphone.over:
            break
    await speaker.play(Phrase("", np.full(1600, 0.5, np.float32), 16000, ()))
    await speaker.drain()
    speaker.close()
    print(round(clock.now_s(), 2))

run(main(), fast=True)
"""
    assert told(program, tmp_path) == "0.61\n"
    assert soundfile.info(tmp_path / "b.wav").duration == pytest.approx(0.61, abs=0.01)


# ---------------------------------------------------------------- cards as they are


@pytest.mark.parametrize(("inputs", "own_hz"), [(1, 48_000), (2, 44_100), (8, 96_000)])
def test_all_that_a_card_may_take_is_tried_the_best_first(inputs: int, own_hz: int) -> None:
    found = {"max_input_channels": inputs, "default_samplerate": float(own_hz)}
    tried = list(portaudio.shapes(found, "input", RATE_HZ))
    rates = [RATE_HZ, own_hz, *({48_000, 44_100} - {own_hz})]
    assert {(rate_hz, channels) for rate_hz in rates for channels in {1, min(2, inputs), inputs}} == set(tried)
    assert len(tried) == len(set(tried))
    assert tried[0] == (RATE_HZ, 1)
    assert [rate_hz for rate_hz, channels in tried if channels == 1][:2] == [RATE_HZ, own_hz]


class CardError(Exception):
    """What the stand-in raises where PortAudio does."""


class StandIn:
    """A stand-in for the module `sounddevice`: cards that take one shape only, and are listed anew only on request.

    `plugged`: name -> (rate, channels) of what is plugged in. `log` keeps what was done.
    """

    PortAudioError = CardError

    def __init__(self, plugged: dict[str, tuple[int, int]]) -> None:
        self.plugged = plugged
        self.log = list[str]()
        self.open = list[Any]()
        self._initialize()

    def _terminate(self) -> None:
        assert not self.open, "PortAudio lists anew only without streams"
        self.log.append("terminate")

    def _initialize(self) -> None:
        self.listed = dict(self.plugged)

    def query_hostapis(self, index: int) -> dict[str, Any]:
        return {"name": "ALSA"}

    def query_devices(self, device: int | str | None, kind: str) -> dict[str, Any]:
        wanted = "" if device is None else str(device).lower()
        for index, (name, (rate_hz, channels)) in enumerate(self.listed.items()):
            if all(word in f"{name}, ALSA".lower() for word in wanted.split()):
                shape = {"default_samplerate": float(rate_hz), f"max_{kind}_channels": channels}
                return {"name": name, "hostapi": 0, "index": index, **shape}
        raise ValueError(f"No {kind} device matching {device!r}")

    def check_input_settings(self, **options: Any) -> None:
        name = list(self.listed)[options["device"]]
        if self.plugged.get(name) != (options["samplerate"], options["channels"]):
            raise CardError("Invalid sample rate")

    check_output_settings = check_input_settings

    def InputStream(self, **options: Any) -> Any:
        return StandInStream(self, options)

    OutputStream = InputStream


class StandInStream:
    latency = 0.02

    def __init__(self, card: StandIn, options: dict[str, Any]) -> None:
        self.samplerate, self.channels = options["samplerate"], options["channels"]
        self.callback, self.ended = options["callback"], options["finished_callback"]
        self._card = card
        card.open.append(self)

    def start(self) -> None:
        self._card.log.append(f"start {self.samplerate} {self.channels}")

    def abort(self, ignore_errors: bool) -> None:
        pass

    def close(self, ignore_errors: bool) -> None:
        self._card.open.remove(self)


@pytest.mark.parametrize("shape", [(48_000, 2), (44_100, 1), (44_100, 2), (48_000, 8)])
def test_a_card_that_takes_one_shape_only_is_opened_so_and_heard_as_mono_at_16_khz(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]
) -> None:
    rate_hz, channels = shape
    card = StandIn({"odd card": shape})
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    tone = np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz).astype(np.float32)
    when = SimpleNamespace(currentTime=0.0, inputBufferAdcTime=0.0)

    async def main() -> Samples:
        microphone, heard = Microphone(None, Clock()), list[Samples]()
        blocks = microphone.blocks()
        first = asyncio.ensure_future(anext(blocks))
        await asyncio.sleep(0)
        size = rate_hz // 50
        for i in range(50):
            card.open[0].callback(np.repeat(tone[i * size : (i + 1) * size, None], channels, axis=1), size, when, None)
        heard.append((await first).pcm)
        while len(heard) < 90:
            heard.append((await anext(blocks)).pcm)
        microphone.close()
        return np.concatenate(heard)

    heard = asyncio.run(main())
    assert card.log == [f"start {rate_hz} {channels}"] and card.open == []
    spectrum = np.abs(np.fft.rfft(heard[1600:12_800]))
    assert np.argmax(spectrum) * RATE_HZ / 11_200 == pytest.approx(440, abs=2)
    assert loudness(heard[1600:12_800]) == pytest.approx(1 / np.sqrt(2), rel=0.02)


def test_a_card_that_takes_no_shape_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    card = StandIn({"busy card": (48_000, 2)})
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    card.plugged.clear()
    with pytest.raises(DeviceError, match=r"^wanted sound through the loudspeaker 'busy card', PortAudio says 'Inv"):
        portaudio.Stream("output", None, 48_000, lambda *_: None)


def test_the_list_of_devices_is_made_anew_without_any_open_stream_and_a_card_in_another_slot_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    headset, desk = "Headset: USB (hw:1,0)", "Desk: Analog (hw:0,0)"
    card = StandIn({desk: (48_000, 1), headset: (16_000, 1)})
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    changes = list[bool]()
    kept, lost = (portaudio.Stream("input", name, 16_000, lambda *_: None) for name in (desk, headset))
    lost.on_change = lambda: changes.append(lost.lost)
    keeper = portaudio.Keeper()
    keeper.streams += [kept, lost]
    for stream in (kept, lost):
        stream._start()

    # pulled out: its stream ends, and the old list leads nowhere
    del card.plugged[headset]
    card.open[1].ended()
    keeper.step()
    assert changes == [True] and not lost.waiting and len(card.open) == 1
    lost.take_back()
    keeper.step()
    assert lost.waiting and lost.lost

    # plugged in again, into another slot: nothing is found before the list is new
    card.plugged["Headset: USB (hw:3,0)"] = (16_000, 1)
    lost.again()
    assert lost.waiting
    keeper.renew()
    assert card.log[-3:] == ["terminate", "start 48000 1", "start 16000 1"]
    assert changes == [True]  # it is back once it calls back
    lost.beat(0.0, 0.0)
    keeper.step()
    assert changes == [True, False] and lost.name == "Headset: USB (hw:3,0)" and not kept.lost
    for stream in (kept, lost):
        keeper.leave(stream)
    assert card.open == []


@pytest.mark.parametrize("back_hz", [48_000, 44_100, 16_000, 96_000])
def test_a_loudspeaker_that_comes_back_at_another_rate_sounds_as_before(
    monkeypatch: pytest.MonkeyPatch, back_hz: int
) -> None:
    """As when a headset takes a loudspeaker's place: the time line, and what an echo canceller is given, stay at the
    rate that they had.
    """
    card = StandIn({"card": (48_000, 1)})
    keeper = portaudio.Keeper()
    keeper._thread = threading.current_thread()  # no thread of its own: it is told when to look
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    monkeypatch.setattr(portaudio, "_keeper", keeper)
    when = SimpleNamespace(currentTime=0.0, outputBufferDacTime=0.0)
    tone = np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000).astype(np.float32)

    def sounds(blocks: int) -> Samples:
        """What the card gets in so many times 10 ms."""
        parts: list[Samples] = []
        for _ in range(blocks):
            out = np.full((back_hz // 100, 1), np.nan, np.float32)
            card.open[0].callback(out, len(out), when, None)
            parts.append(out[:, 0])
        return np.concatenate(parts)

    async def main() -> None:
        clock = Clock()
        clock.start()
        speaker = Speaker(None, clock)
        card.plugged["card"] = (back_hz, 1)
        card.open[0].ended()
        keeper.step()
        await asyncio.sleep(0)
        assert speaker.lost and not card.open
        keeper.renew()
        sounds(1)
        keeper.step()
        await asyncio.sleep(0)
        assert not speaker.lost and speaker.rate_hz == 48_000 and card.open[0].samplerate == back_hz
        speaker.given()
        await speaker.play(Phrase("hum", tone, 24_000, ()))
        heard, given = sounds(130), speaker.given()
        loud = np.flatnonzero(np.abs(heard) > 0.05)
        assert len(loud) and (loud[-1] - loud[0]) / back_hz == pytest.approx(1.0, abs=0.005)
        spectrum = np.abs(np.fft.rfft(heard[loud[0] : loud[0] + back_hz // 2]))
        assert np.argmax(spectrum) * 2 == pytest.approx(440, abs=2)
        assert loudness(heard[loud[0] : loud[-1]]) == pytest.approx(1 / np.sqrt(2), rel=0.02)
        assert len(given) / 48_000 == pytest.approx(1.3, abs=0.04)
        assert loudness(given[given != 0]) == pytest.approx(1 / np.sqrt(2), rel=0.02)
        (played,) = speaker.stop()
        assert played.samples == len(tone)
        speaker.close()

    asyncio.run(main())


@pytest.mark.parametrize("rates", [(48_000, 44_100), (48_000, 16_000), (44_100, 48_000), (48_000, 48_000)])
def test_how_late_converted_sound_comes_is_known(rates: tuple[int, int]) -> None:
    from_hz, to_hz = rates
    stream, taken = Converted(from_hz, to_hz), 0
    clicks: list[float] = []
    came: list[Samples] = []
    for i in range(60):
        pcm = np.zeros(from_hz // 100, np.float32)
        if i in (10, 25, 40):
            clicks.append(taken / to_hz + stream.pending_s)
            pcm[0] = 1.0
        stream.put(pcm)
        came.append(stream.take(min(to_hz // 100, stream.ready)))
        taken += len(came[-1])
    out = np.abs(np.concatenate(came))
    for at_s in clicks:
        near = slice(round((at_s - 0.02) * to_hz), round((at_s + 0.02) * to_hz))
        assert (near.start + np.argmax(out[near])) / to_hz == pytest.approx(at_s, abs=0.0002)
        assert out[near].max() > 0.2


def test_a_stream_that_follows_at_once_on_the_last_is_looked_at_no_more_often_than_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", StandIn({"card": (16_000, 1)}))
    keeper = portaudio.Keeper()
    keeper._thread = threading.current_thread()  # the last one's, which has yet to see that it left
    first, second = (portaudio.Stream("input", None, 16_000, lambda *_: None) for _ in range(2))
    keeper.watch(first)
    keeper.leave(first)
    assert keeper._left.is_set()
    keeper.watch(second)
    assert not keeper._left.is_set()
    keeper.leave(second)


def test_a_process_of_its_own_tells_whether_a_card_is_there(tmp_path: Path) -> None:
    ask = "import sys; from assistant.backends.portaudio import probe; print(probe(*sys.argv[1:]))"
    (tmp_path / "server").mkdir()

    def told(card: pulse.PulseAudio) -> list[str]:
        done = [card.run("-c", ask, *words) for words in (("input", ""), ("output", "pulse"), ("input", "no card"))]
        return [one.stdout.strip() for one in done]

    with pulse.pulse_audio(tmp_path / "server") as card:
        assert told(card) == ["True", "True", "False"]
        card.unplug()
        assert told(card) == ["False", "False", "False"]


@pytest.mark.parametrize(
    ("rate_hz", "channels", "format"), [(44_100, 2, "s16le"), (44_100, 1, "s24le"), (96_000, 6, "float32le")]
)
def test_cards_of_any_rate_channels_and_format_are_heard_and_spoken_through(
    speech: Path, tmp_path: Path, rate_hz: int, channels: int, format: str
) -> None:
    (tmp_path / "server").mkdir()
    with pulse.pulse_audio(tmp_path / "server") as card:
        card.unplug()
        card.plug(rate_hz, channels, format)
        with start(card, "hear", tmp_path / "heard.npz") as program:
            card.play(speech).wait(30)
            assert program.communicate(timeout=60)[1] == ""
        _, alike = found(read(speech), np.load(tmp_path / "heard.npz")["pcm"])
        assert alike > 0.9
        with card.recording(tmp_path / "monitor.wav"):
            done = card.run(PROGRAMS, "speak", tmp_path / "spoken.npz", speech)
        assert (done.returncode, done.stderr) == (0, "")
    _, alike = found(resampled(read(speech), RATE_HZ, 48_000), read(tmp_path / "monitor.wav"))
    assert alike > 0.9
