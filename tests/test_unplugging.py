"""Devices that go away in the middle of a talk, in virtual time: it says so, waits, and goes on when they are back."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from talking import Held, talk_through

from assistant import pacing
from assistant.backends.scripted import RecordingSpeaker, ScriptedCamera, ScriptedMicrophone, Sounded
from assistant.backends.timeline import FADE_S
from assistant.errors import DeviceError
from assistant.events import Phrase
from assistant.pacing import Clock
from assistant.prompting import prompt
from assistant.saying import say_through
from assistant.talk import Rules

ANSWER = "One two three four five six seven eight nine ten eleven twelve."
VIEW = np.full((48, 64, 3), 90, np.uint8)


def said_unasked(held: Held) -> list[tuple[float, str]]:
    """What was spoken without a question, and when."""
    asked = {e["text"] for e in held.all("phrase")}
    plays = [(s.at_s, s.phrase.text) for s in held.speaker.record if s.what == "play" and s.phrase is not None]
    return [(at_s, text) for at_s, text in plays if text not in asked]


# ---------------------------------------------------------------- the microphone


def test_a_microphone_that_goes_away_in_an_utterance_ends_it_with_what_was_there():
    microphone = partial(ScriptedMicrophone, gone=[(2.0, 6.0)])
    held = talk_through([(1, 4), (9, 10)], ["one two three", "later"], ["First.", "Second."], microphone=microphone)
    first, second = held.all("utterance")
    assert (first["began_s"], first["ended_s"]) == pytest.approx((1.0, 2.0), abs=0.05)
    assert (second["began_s"], second["ended_s"]) == pytest.approx((9.0, 10.0), abs=0.05)
    assert [(e.said, e.heard) for e in held.exchanges] == [("one two three", "First."), ("later", "Second.")]
    (told,) = said_unasked(held)
    assert told[1] == prompt("lost.microphone").strip()
    ended_s = next(e["at_s"] for e in held.all("exchange"))
    assert ended_s <= told[0] < 6.0  # once the answer is over, and before it is back


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_loss_is_told_once_and_a_second_loss_again(language):
    microphone = partial(ScriptedMicrophone, gone=[(2.0, 8.0), (12.0, 13.0)])
    held = talk_through([], microphone=microphone, seconds=20.0, rules=Rules(language=language))
    first, second = said_unasked(held)
    assert first[1] == second[1] == prompt("lost.microphone", language).strip()
    assert (first[0], second[0]) == pytest.approx((2.0, 12.0), abs=0.1)
    assert held.exchanges == [] and held.all("trouble") == []


def test_who_speaks_while_it_tells_of_a_loss_interrupts_it_and_is_answered():
    held = talk_through([(3.0, 4.5)], ["what is that"], camera=ScriptedCamera([(0.0, VIEW)], gone=[(2.0, 20.0)]))
    (told, *_) = said_unasked(held)
    assert told[0] < 3.0
    assert any(3.0 < at_s < 4.5 for at_s in held.record("hold"))
    assert [(e.said, e.cut) for e in held.exchanges] == [("what is that", False)]


# ---------------------------------------------------------------- the camera


def test_a_camera_that_goes_away_is_told_aloud_and_looked_for():
    camera = ScriptedCamera([(0.0, VIEW)], gone=[(4.0, 8.0)])
    held = talk_through([(1, 2), (10, 11)], ["first", "second"], camera=camera)
    assert [t["message"].split(",")[0].split(";")[0] for t in held.all("trouble")] == [
        "wanted pictures from the scripted camera",
        "the camera is back",
    ]
    assert all(t["kept_going"] and t["where"] == "camera" for t in held.all("trouble"))
    (told,) = said_unasked(held)
    assert 4.0 <= told[0] < 5.0 and told[1] == prompt("lost.camera").strip()
    assert [e.said for e in held.exchanges] == ["first", "second"]


# ---------------------------------------------------------------- the loudspeaker


def test_a_reply_is_cut_where_the_loudspeaker_went_and_the_history_holds_what_was_heard():
    speaker = partial(RecordingSpeaker, gone=[(4.0, 9.0)])
    held = talk_through([(1, 2), (11, 12)], ["first", "second"], [ANSWER, "Second."], speaker=speaker)
    first, second = held.exchanges
    assert first.cut and first.said == "first" and ANSWER.startswith(first.heard)
    began_s = held.record("play")[0]
    letters = (4.0 - began_s) / 0.05  # what the scripted voice says in that time
    assert abs(letters - len(first.heard)) < 7  # a word
    assert (second.said, second.heard, second.cut) == ("second", "Second.", False)
    assert held.all("trouble") == [] and held.talk.troubles == 0


def test_an_answer_waits_for_the_loudspeaker_and_no_word_of_it_is_lost():
    held = talk_through([(1, 2)], ["first"], [ANSWER], speaker=partial(RecordingSpeaker, gone=[(0.5, 9.0)]))
    (exchange,) = held.exchanges
    assert (exchange.heard, exchange.cut) == (ANSWER, False)
    assert held.record("play")[0] == pytest.approx(9.0, abs=0.3)


def test_what_was_asked_while_nothing_could_be_said_is_answered_with_what_is_asked_then():
    speaker = partial(RecordingSpeaker, gone=[(0.5, 12.0)])
    held = talk_through([(1, 2), (6, 7)], ["first", "second"], ["A.", "B."], speaker=speaker)
    assert [(e.said, e.cut) for e in held.exchanges] == [("first second", False)]


def test_three_losses_in_a_row_do_not_stop_the_program():
    spans = [(1 + 10 * i, 2 + 10 * i) for i in range(4)]
    gone = [(4 + 10 * i, 6 + 10 * i) for i in range(4)]
    held = talk_through(spans, ["again"], [ANSWER], speaker=partial(RecordingSpeaker, gone=gone))
    assert [e.cut for e in held.exchanges] == [True] * 4


def test_a_lost_loudspeaker_renders_nothing_of_what_was_cut():
    async def main() -> None:
        clock = Clock()
        clock.start()
        speaker = RecordingSpeaker(clock, gone=[(1.0, 2.0)])
        phrase = Phrase("hum", np.full(16_000 * 3, 0.5, np.float32), 16_000, ())
        await speaker.play(phrase)
        with pytest.raises(DeviceError, match=r"^wanted to be heard to the end, the loudspeaker went away; plug it in"):
            await speaker.drain()
        speaker.go_on()  # who judged a voice over it does not know
        assert clock.now_s() == pytest.approx(1.0, abs=0.01)
        await clock.until(2.5)
        rate_hz = speaker.rate_hz
        assert not speaker._line.render(round((1 + 2 * FADE_S) * rate_hz), 4 * rate_hz).any()
        with pytest.raises(DeviceError):
            await speaker.play(phrase)
        (played,) = speaker.stop()
        assert played.samples == pytest.approx(16_000, abs=20)
        began_s = await speaker.play(phrase)
        await speaker.drain()
        assert clock.now_s() - began_s == pytest.approx(3.0, abs=0.01)

    pacing.run(main(), fast=True)


# ---------------------------------------------------------------- a phrase alone


def said_through(*gone: tuple[float, float]) -> tuple[list[str], list[Sounded], float]:
    """What is told while a phrase of 3 s is said through a loudspeaker that goes away; its record; how long it took."""
    told: list[str] = []
    record: list[Sounded] = []
    ended: list[float] = []

    async def main() -> None:
        clock = Clock()
        clock.start()
        speaker = RecordingSpeaker(clock, gone)
        speaker.record = record
        if gone and gone[0][0] == 0.0:
            await clock.until(0.1)
        try:
            await say_through(speaker, Phrase("hum", np.full(48_000, 0.5, np.float32), 16_000, ()), told.append)
        finally:
            ended.append(clock.now_s())

    try:
        pacing.run(main(), fast=True)
    except DeviceError as error:
        told.append(str(error))
    return told, [sounded for sounded in record if sounded.what == "play"], ended[0]


def test_a_phrase_alone_is_said_without_a_word_where_nothing_happens():
    told, played, took_s = said_through()
    assert (told, len(played)) == ([], 1) and took_s == pytest.approx(3.0, abs=0.3)


@pytest.mark.parametrize("began_s", [0.0, 1.0])
def test_a_phrase_alone_waits_for_the_loudspeaker_says_so_once_and_is_said_again(began_s):
    told, played, took_s = said_through((began_s, 9.0), (10.0, 12.0))
    assert told == ["the loudspeaker is gone; plug it in, it is waited for (30 s)"]
    assert [play.at_s for play in played][-1] == pytest.approx(12.0, abs=0.3)
    assert took_s == pytest.approx(15.0, abs=0.5)


def test_a_phrase_alone_is_given_up_where_the_loudspeaker_stays_away():
    told, played, took_s = said_through((1.0, 99.0))
    assert told[0].startswith("the loudspeaker is gone") and len(told) == 2
    assert told[1] == (
        "wanted to be heard to the end, the loudspeaker was gone and not back within 30 s; plug it in and try again, "
        "or write it: -o FILE.wav"
    )
    assert len(played) == 1 and took_s == pytest.approx(31.0, abs=0.5)


def test_times_go_on_while_devices_are_gone():
    microphone = partial(ScriptedMicrophone, gone=[(2.0, 6.0)])
    held = talk_through([(1, 1.5), (8, 9)], ["first", "second"], microphone=microphone)
    times = [e["at_s"] for e in held.events]
    assert all(a <= b for a, b in pairwise(times))
