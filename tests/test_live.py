"""A live talk: the program as a user starts it, over PortAudio, against virtual sound devices (no files in between).

The loudspeaker is fed back into the microphone in the second test: the assistant must not answer itself.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pulse
import soundfile


def events(path: Path) -> list[dict]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


def wait_for(path: Path, type: str, process: subprocess.Popen, seconds: float = 60, count: int = 1) -> None:
    wait_until(lambda: sum(e["type"] == type for e in events(path)) >= count, process, seconds)


def wait_until(true: Callable[[], bool], process: subprocess.Popen, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert process.poll() is None, "the program ended"
        assert time.monotonic() < until, "what was waited for did not happen"
        time.sleep(0.05)


def live(card: pulse.PulseAudio, log: Path, during: Callable[[subprocess.Popen], None]) -> list[dict]:
    """Start the program, do something, end it with Ctrl-C; what it logged."""
    from assistant.demo import script

    picture = script().pictures[0][1]
    command = [sys.executable, "-m", "assistant", "--camera", str(picture), "--events", str(log)]
    process = subprocess.Popen(command, env=card.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(log, "ready", process)
        during(process)
    finally:
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        print(out)  # shown where the test fails
    assert process.returncode == 130, out
    return events(log)


def test_a_question_into_the_microphone_is_answered_over_the_loudspeaker(card, first_question, tmp_path):
    log, wav = tmp_path / "events.jsonl", tmp_path / "heard.wav"

    def talk(process: subprocess.Popen) -> None:
        with card.recording(wav):
            assert card.play(first_question).wait(30) == 0
            wait_for(log, "exchange", process)

    logged = live(card, log, talk)
    exchange = next(e for e in logged if e["type"] == "exchange")
    assert exchange["heard"] and not exchange["cut"]
    assert logged[-1]["type"] == "done"
    heard, rate_hz = soundfile.read(wav, dtype="float32")
    voiced = np.abs(heard).reshape(-1) > 0.02
    assert voiced.sum() > 0.2 * rate_hz


def test_over_an_open_loudspeaker_it_does_not_answer_itself(card, first_question, tmp_path):
    log = tmp_path / "events.jsonl"
    loop = ["module-loopback", "source=spk.monitor", "sink=micfeed", "latency_msec=60"]
    module = card.control("load-module", *loop).strip()

    def talk(process: subprocess.Popen) -> None:
        assert card.play(first_question).wait(30) == 0
        wait_for(log, "exchange", process)
        time.sleep(4)  # real time: long enough for it to answer itself, if it hears itself

    try:
        logged = live(card, log, talk)
    finally:
        card.control("unload-module", module)
    exchanges = [e for e in logged if e["type"] == "exchange"]
    assert len(exchanges) == 1, exchanges


def test_a_sound_card_that_pauses_in_a_reply_costs_no_word_and_the_talk_goes_on(card, first_question, tmp_path):
    log = tmp_path / "events.jsonl"

    def talk(process: subprocess.Popen) -> None:
        assert card.play(first_question).wait(30) == 0
        wait_for(log, "playing", process)
        with card.suspended():
            time.sleep(1.5)
        wait_for(log, "exchange", process)
        assert card.play(first_question).wait(30) == 0
        wait_for(log, "exchange", process, count=2)

    logged = live(card, log, talk)
    first, second = (e for e in logged if e["type"] == "exchange")
    assert first["heard"] == first["generated"] and not first["cut"]
    assert second["heard"] == second["generated"] and not second["cut"]
    paused = [e for e in logged if e["type"] == "trouble" and e["where"] == "speaker"]
    assert len(paused) == 1 and paused[0]["kept_going"] and "paused for 1." in paused[0]["message"]


def test_a_sound_card_that_is_unplugged_in_a_reply_cuts_it_and_the_talk_goes_on_when_it_is_back(
    card, first_question, tmp_path
):
    log = tmp_path / "events.jsonl"

    def told(what: str, count: int) -> Callable[[], bool]:
        return lambda: sum(e["type"] == "trouble" and e["message"].endswith(what) for e in events(log)) >= count

    def talk(process: subprocess.Popen) -> None:
        assert card.play(first_question).wait(30) == 0
        wait_for(log, "playing", process)
        card.unplug()
        wait_until(told("it is waited for", 2), process)
        card.plug()
        wait_until(told("is back", 2), process)
        assert card.play(first_question).wait(30) == 0
        wait_for(log, "exchange", process, count=1 + any(e["type"] == "exchange" for e in events(log)))

    logged = live(card, log, talk)
    troubles = [e for e in logged if e["type"] == "trouble"]
    assert {e["where"] for e in troubles} == {"microphone", "speaker"} and all(e["kept_going"] for e in troubles)
    *before, last = (e for e in logged if e["type"] == "exchange")
    assert all(e["generated"].startswith(e["heard"]) and e["cut"] == (e["heard"] != e["generated"]) for e in before)
    assert last["heard"] == last["generated"] and not last["cut"]
    times = [e["at_s"] for e in logged]
    assert times == sorted(times)


def test_a_microphone_that_goes_away_is_told_of_aloud(card, tmp_path):
    log, wav = tmp_path / "events.jsonl", tmp_path / "heard.wav"

    def talk(process: subprocess.Popen) -> None:
        time.sleep(6)  # real time: a card that has just been opened may be silent for 5 s
        with card.recording(wav), card.suspended("vmic", "micfeed"):
            wait_for(log, "trouble", process)
            time.sleep(3)  # real time: it speaks

    logged = live(card, log, talk)
    assert next(e["where"] for e in logged if e["type"] == "trouble") == "microphone"
    heard, rate_hz = soundfile.read(wav, dtype="float32")
    assert (np.abs(heard) > 0.02).sum() > 0.2 * rate_hz
