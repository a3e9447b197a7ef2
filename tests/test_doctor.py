"""The doctor: what it makes of sound, pictures, disks and engines, and its command with and without devices."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pulse
import pytest
import soundfile
from test_sounddevice import PROGRAMS

from assistant import cli
from assistant.backends.files import read_sound
from assistant.backends.pictures import open_files
from assistant.backends.scripted import ScriptedMind, ScriptedRecogniser, ScriptedVoice
from assistant.backends.silero import Silero
from assistant.choosing import Choice
from assistant.config import load_config
from assistant.demo import script
from assistant.doctor import ESSENTIAL, Finding, engines
from assistant.doctor.echo_path import EchoPath, chirp, measure
from assistant.doctor.machine import ROOM_BYTES, Gpu, camera, camera_finding, disk_finding, gpu_finding
from assistant.doctor.sound import echo_finding, microphone_finding, voices
from assistant.errors import EngineError
from assistant.events import Image, Samples

RATE_HZ = 16_000
SCRIPTED = [
    word
    for slot in ("activity", "recogniser", "mind", "eyes", "voice")
    for word in ("--set", f"{slot}.engine=scripted")
] + ["--set", "endpointing.engine=words"]
NOTHING = ["--microphone", "none", "--camera", "none", "--speaker", "none"]


# ---------------------------------------------------------------- the echo path


def echoed(delay_s: float, gain_db: float, noise_db: float = -70.0, room_s: float = 0.0) -> Samples:
    """What a microphone hears for 2 s when the chirp is to sound after 0.3 s."""
    rng = np.random.default_rng(3)
    heard = 10 ** (noise_db / 20) * rng.standard_normal(2 * RATE_HZ)
    played = chirp()
    if room_s:
        tail = rng.standard_normal(round(room_s * RATE_HZ)) * np.exp(
            -6.9 * np.arange(round(room_s * RATE_HZ)) / (room_s * RATE_HZ)
        )
        tail[0] = 5.0
        played = np.convolve(played, tail / np.sqrt(np.square(tail).sum()))
    begin = round((0.3 + delay_s) * RATE_HZ)
    heard[begin : begin + len(played)] += 10 ** (gain_db / 20) * played
    return heard.astype(np.float32)


@pytest.mark.parametrize("delay_s", [-0.05, 0.0, 0.0371, 0.12, 0.45, 0.8])
@pytest.mark.parametrize("gain_db", [0.0, -12.0, -25.0])
def test_a_delay_and_a_gain_are_measured_within_5_ms_and_1_db(delay_s: float, gain_db: float) -> None:
    path = measure(echoed(delay_s, gain_db), 0.3)
    assert path is not None
    assert path.delay_s == pytest.approx(delay_s, abs=0.005)
    assert path.coupling_db == pytest.approx(gain_db, abs=1)


def test_an_echo_is_found_in_noise_and_in_a_room() -> None:
    noisy, roomy = measure(echoed(0.1, -20.0, noise_db=-45.0), 0.3), measure(echoed(0.1, -6.0, room_s=0.3), 0.3)
    assert noisy is not None and roomy is not None
    assert noisy.delay_s == pytest.approx(0.1, abs=0.005) and noisy.coupling_db == pytest.approx(-20, abs=2)
    assert roomy.delay_s == pytest.approx(0.1, abs=0.005) and roomy.coupling_db == pytest.approx(-6, abs=1.5)


def test_noise_silence_and_speech_are_no_echo(shared: Path) -> None:
    assert measure(echoed(0.1, -200.0, noise_db=-30.0), 0.3) is None
    assert measure(np.zeros(2 * RATE_HZ, np.float32), 0.3) is None
    for path in sorted((shared / "data" / "speech").rglob("*.flac")):
        assert measure(read_sound(path)[: 2 * RATE_HZ], 0.3) is None, path


@pytest.mark.parametrize(
    ("path", "known_s", "ok", "found"),
    [
        (EchoPath(0.02, -20.0), 0.1, True, "an echo comes back after 120 ms at -20 dB; the canceller copes"),
        (EchoPath(-0.02, -20.0), 0.01, True, "an echo comes back after 0 ms at -20 dB; the canceller copes"),
        (EchoPath(0.45, -20.0), 0.1, False, "an echo comes back after 550 ms at -20 dB, too late for the canceller"),
        (EchoPath(0.02, 9.0), 0.1, False, "an echo comes back after 120 ms at +9 dB, too loud for it"),
        (None, 0.1, True, "no echo comes back"),
    ],
)
def test_an_echo_is_judged_by_what_the_canceller_copes_with(
    path: EchoPath | None, known_s: float, ok: bool, found: str
) -> None:
    finding = echo_finding(path, known_s)
    assert (finding.check, finding.ok) == ("echo path", ok) and finding.found.startswith(found)
    assert bool(finding.advice) == (not ok or path is None)


# ---------------------------------------------------------------- the microphone


def test_a_microphone_is_judged_by_two_seconds_of_it(shared: Path) -> None:
    speech = read_sound(shared / "data" / "speech" / "en_libri1995.flac")[: 2 * RATE_HZ]
    radio = read_sound(shared / "data" / "speech" / "en_channel5.flac")
    silero = Silero()

    def judged(pcm: Samples) -> Finding:
        return microphone_finding("a microphone", pcm, voices(pcm, silero))

    assert judged(speech).ok and judged(speech).found.startswith("'a microphone': -2")
    quiet = judged(speech * np.float32(10 ** (-35 / 20)))
    assert not quiet.ok and "dBFS only" in quiet.found and quiet.advice.startswith("raise its level")
    loud = judged(radio)
    assert not loud.ok and "too loud" in loud.found and loud.advice.startswith("lower its level")
    muted = judged(np.zeros(2 * RATE_HZ, np.float32))
    assert not muted.ok and "not even noise" in muted.found and muted.advice.startswith("switch it on")
    room = np.random.default_rng(0).standard_normal(2 * RATE_HZ).astype(np.float32) / np.float32(2000)
    assert judged(room).ok  # nobody speaks: how loud speech would be is not known


# ---------------------------------------------------------------- camera and disk


def photograph() -> Image:
    frame = open_files(script().pictures[0][1], 1.0).frame(0.0)
    assert frame is not None
    return frame.image


def test_a_picture_tells_of_a_dark_a_covered_and_a_blurred_camera() -> None:
    sharp = photograph()
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 12), np.uint8)
    wall = np.full((480, 640, 3), 120, np.uint8)
    found = {
        name: camera_finding(image)
        for name, image in (("sharp", sharp), ("black", sharp // 40), ("blurred", blurred), ("wall", wall))
    }
    assert [name for name, finding in found.items() if finding.ok] == ["sharp"]
    assert found["black"].found.endswith("black")
    assert "blurred" in found["blurred"].found and found["blurred"].advice == "wipe its lens, or focus it"
    assert found["wall"].found.endswith("nothing is to be seen")
    assert camera_finding(None).found == "there is none"


def test_photographs_are_sharp_at_any_size(shared: Path) -> None:
    pictures = sorted((shared / "data" / "images").rglob("*.jpg"))[:12]
    assert pictures
    for path in pictures:
        image = np.asarray(cv2.cvtColor(np.asarray(cv2.imread(str(path))), cv2.COLOR_BGR2RGB), np.uint8)
        big = np.asarray(cv2.resize(image, None, fx=2, fy=2), np.uint8)
        assert camera_finding(image).ok and camera_finding(big).ok, path


def test_a_camera_that_is_a_file_or_none_is_looked_at_too(tmp_path: Path) -> None:
    def looked(source: str) -> Finding:
        return camera(load_config(sets=[f"camera.source={source}"], environ={}))

    assert looked(str(script().pictures[0][1])).ok
    assert looked("none") == Finding("camera", True, "none is wanted")
    gone = looked(str(tmp_path / "gone.png"))
    assert not gone.ok and gone.found.startswith("wanted") and gone.advice


def test_a_full_disk_is_told_with_what_to_do() -> None:
    assert disk_finding(2 * ROOM_BYTES, Path("/weights")) == Finding("disk", True, "2.0 GB free in /weights")
    full = disk_finding(ROOM_BYTES // 2, Path("/weights"))
    assert not full.ok and "[models] folder" in full.advice


@pytest.mark.parametrize(
    ("seen", "ok", "found", "advice"),
    [
        (Gpu("2.13.0+cpu"), True, "none: everything runs on the processor", ""),
        (Gpu("2.13.0", "13.0", True, "H100, 79 GiB"), True, "H100, 79 GiB, torch 2.13.0", ""),
        (
            Gpu("2.13.0+cpu", None, True),
            False,
            "an NVIDIA driver, but torch 2.13.0+cpu is built without CUDA",
            "pip ins",
        ),
        (Gpu("2.13.0", "13.0", True), False, "an NVIDIA driver, but torch 2.13.0 finds no GPU", "install a driver"),
        (
            Gpu("2.13.0", "13.0", True, "K80, 11 GiB", "no kernel image"),
            False,
            "K80, 11 GiB, torch 2.13.0: it f",
            "inst",
        ),
    ],
)
def test_a_gpu_is_in_order_or_what_it_lacks_is_told(seen: Gpu, ok: bool, found: str, advice: str) -> None:
    finding = gpu_finding(seen)
    assert finding.ok == ok and finding.found.startswith(found) and finding.advice.startswith(advice)
    assert bool(finding.advice) == (not ok)


# ---------------------------------------------------------------- engines


def tried(slot: str, engine: Callable[[], Any]) -> Finding:
    choice = Choice("scripted", "a test's")
    return engines.examine_one(slot, choice, lambda: (engine(), choice))


def test_an_engine_that_is_not_here_or_is_broken_is_told_and_the_others_are_looked_at() -> None:
    def missing() -> tuple[Any, Choice]:
        raise EngineError("wanted the weights of x, they are not here; run: assistant models pull x")

    def broken() -> tuple[Any, Choice]:
        raise ImportError("libthing.so.3: cannot open shared object file")

    assert engines.examine_one("mind", Choice("x", ""), missing) == Finding(
        "mind", False, "wanted the weights of x, they are not here", "run: assistant models pull x"
    )
    finding = engines.examine_one("voice", Choice("y", ""), broken)
    assert finding.found == "y fails with ImportError: libthing.so.3: cannot open shared object file"
    assert finding.advice == "install its packages again, or choose another: --set voice.engine=…"


def test_a_spare_that_took_the_place_of_an_engine_is_told_with_the_reason() -> None:
    spare = Choice("scripted", "built in, in place of big: wanted the weights of big, they are damaged")
    finding = engines.examine_one("voice", Choice("big", "asked for"), lambda: (ScriptedVoice(), spare))
    assert finding.ok and finding.found.startswith(f"scripted ({spare.why}): loaded in ")


def test_an_engine_that_gives_nothing_is_not_in_order_and_is_let_go() -> None:
    closed = list[str]()

    class Mute(ScriptedVoice):
        def synthesise(self, text: str, language: str, stop: Any) -> Any:
            return super().synthesise("", language, stop)

        def close(self) -> None:
            closed.append("voice")

    class Dumb(ScriptedMind):
        def reply(self, messages: Any, stop: Any, grammar: str | None = None) -> Any:
            return iter(())

    assert not tried("voice", Mute).ok
    assert tried("mind", Dumb).found.endswith("it says nothing")
    assert closed == ["voice"]


def test_a_recogniser_that_is_slower_than_speech_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 10_000, 100))
    monkeypatch.setattr(engines.time, "perf_counter", lambda: float(next(ticks)))
    finding = tried("recogniser", ScriptedRecogniser)
    assert not finding.ok and finding.advice == "choose a smaller model"


# ---------------------------------------------------------------- the command


def doctor(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, Any]]]:
    code = cli.run(["doctor", "--json", *SCRIPTED, *words])
    return code, json.loads(capsys.readouterr().out)


def test_a_machine_that_lacks_nothing_it_was_asked_for_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    code, findings = doctor(capsys, *NOTHING)
    assert code == 0
    assert all(set(finding) == {"check", "ok", "found", "advice"} for finding in findings)
    checks = [finding["check"] for finding in findings]
    assert checks[:5] == ["disk", "gpu", "camera", "microphone", "loudspeaker"]
    assert {"activity", "endpointing", "recogniser", "mind", "eyes", "voice"} < set(checks) and checks[-1] == "network"
    assert findings[-1]["ok"] and all(finding["ok"] for finding in findings if finding["check"] in ESSENTIAL)


def test_what_is_missing_is_told_and_the_rest_is_looked_at(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    gone = ["--microphone", str(tmp_path / "gone.wav"), "--speaker", "none", "--camera", "none"]
    code, findings = doctor(capsys, *gone)
    assert code == 1
    (microphone,) = (finding for finding in findings if not finding["ok"] and finding["check"] in ESSENTIAL)
    assert microphone["check"] == "microphone" and "gone.wav" in microphone["found"] and microphone["advice"]
    assert findings[-1]["check"] == "network"


def test_for_readers_every_finding_is_a_line_and_its_cure_another(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "muted.wav", np.zeros(4 * RATE_HZ), RATE_HZ)
    words = ["--microphone", str(tmp_path / "muted.wav"), "--speaker", "none", "--camera", "none"]
    assert cli.run(["doctor", *SCRIPTED, *words]) == 1
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("BAD  microphone: "))
    assert lines[at].endswith("gives nothing, not even noise")
    assert lines[at + 1].startswith("     switch it on in the system's sound settings")


# ---------------------------------------------------------------- with a sound card


def test_the_echo_of_a_sound_card_is_measured(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    with pulse.pulse_audio(tmp_path / "server") as card:
        card.control("load-module", "module-remap-source", "source_name=room", "master=spk.monitor")
        card.control("set-default-source", "room")
        done = card.run(PROGRAMS, "echo", tmp_path / "told.json")
        assert (done.returncode, done.stderr) == (0, "")
        plain, distant, silent = json.loads((tmp_path / "told.json").read_text())
        # the loop itself: both times are PortAudio's, right to about a block
        assert plain[0] == pytest.approx(0.0, abs=0.05) and plain[1] == pytest.approx(0.0, abs=1)
        # and what was put into it
        assert distant[0] - plain[0] == pytest.approx(0.12, abs=0.005)
        assert distant[1] - plain[1] == pytest.approx(-9.0, abs=1)
        assert silent is None

        noise = np.random.default_rng(0).standard_normal(60 * RATE_HZ) / 1000  # no room is without
        soundfile.write(tmp_path / "noise.wav", noise, RATE_HZ)
        with card.play(tmp_path / "noise.wav", "spk") as noisy:
            done = card.run("-m", "assistant", "doctor", "--json", *SCRIPTED, "--camera", "none")
            noisy.terminate()
        assert (done.returncode, done.stderr) == (0, "")
        found = {finding["check"]: finding for finding in json.loads(done.stdout)}
        assert found["loudspeaker"]["found"].endswith("a chirp was played at 48000 Hz")
        assert found["echo path"]["found"].startswith("an echo comes back after ")
        assert found["echo path"]["found"].endswith("dB; the canceller copes")
