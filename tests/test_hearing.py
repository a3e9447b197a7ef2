"""Turn-taking: the order of events for any voice, and the real detector on real recordings."""

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.backends.silero import Silero
from assistant.events import Block, FalseAlarm, Onset, Pause, Resumed, Speaking, Utterance
from assistant.hearing import Ear, TurnTaking, listen

RULES = TurnTaking()
WINDOW = np.zeros(512, dtype=np.float32)
STEP_S = 0.032
LETTER = {Onset: "o", FalseAlarm: "f", Speaking: "s", Pause: "p", Resumed: "r", Utterance: "u"}


def events_of(probabilities, rules=RULES):
    ear, out = Ear(), []
    for i, p in enumerate(probabilities):
        ear, events = listen(ear, Block(i * STEP_S, WINDOW), p, rules)
        out += events
    return out


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 40)), max_size=40))
def test_events_keep_their_order_whatever_is_heard(runs):
    events = events_of([p for p, n in runs for _ in range(n)])
    word = "".join(LETTER[type(event)] for event in events)
    assert re.fullmatch(r"(o(f|s(p(r|u))*(pu|u)?(?=o|$))|os(p(r|u))*p?)*(o|os(pr)*p?)?", word), word
    for before, after in pairwise(events):
        if isinstance(before, Utterance):
            assert isinstance(after, Onset)
        if isinstance(after, Speaking | FalseAlarm):
            assert isinstance(before, Onset)
        if isinstance(after, Resumed):
            assert isinstance(before, Pause)


def test_a_turn_is_dated_by_its_voice_and_not_by_its_silence():
    events = events_of([0.0] * 10 + [0.9] * 20 + [0.0] * 30)
    assert [type(e) for e in events] == [Onset, Speaking, Pause, Utterance]
    assert (events[-1].began_s, events[-1].ended_s) == pytest.approx((10 * STEP_S, 30 * STEP_S))


def test_a_click_is_a_false_alarm():
    assert [type(e) for e in events_of([0.0] * 5 + [0.9] * 2 + [0.0] * 30)] == [Onset, FalseAlarm]


def test_a_voice_that_goes_on_resumes_the_turn():
    events = events_of([0.9] * 20 + [0.0] * 10 + [0.9] * 20 + [0.0] * 30)
    assert [type(e) for e in events] == [Onset, Speaking, Pause, Resumed, Pause, Utterance]


def test_an_endless_turn_is_ended():
    events = events_of([0.9] * 400, TurnTaking(longest_s=5.0))
    assert [type(e) for e in events[:3]] == [Onset, Speaking, Utterance]
    assert events[2].ended_s == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize("silence_s", [0.2, 0.5])
def test_the_pause_comes_after_the_silence_that_was_asked_for(silence_s):
    quiet_after = [0.9] * 20 + [0.0] * 40
    rules = TurnTaking(pause_s=silence_s, end_s=silence_s + 0.3)
    ear, at_s = Ear(), None
    for i, p in enumerate(quiet_after):
        ear, events = listen(ear, Block(i * STEP_S, WINDOW), p, rules)
        if any(isinstance(e, Pause) for e in events):
            at_s = (i + 1) * STEP_S
    assert at_s is not None
    assert silence_s <= at_s - 20 * STEP_S + 1e-6 < silence_s + STEP_S


def probabilities(pcm):
    vad = Silero()
    state, out = vad.start(), []
    for i in range(0, len(pcm) - 511, 512):
        state, p = vad.voice(state, pcm[i : i + 512])
        out.append(p)
    return out


@pytest.mark.parametrize("clip", ["en_weather_like", "en_lamp", "en_quilter", "zh_light_tts"])
def test_real_speech_is_one_voice_with_a_beginning_and_an_end(shared, clip):
    import soundfile

    pcm, _ = soundfile.read(shared / f"data/speech/{clip}.flac", dtype="float32")
    padded = np.concatenate((np.zeros(8000, np.float32), pcm, np.zeros(16000, np.float32)))
    events = events_of(probabilities(padded), TurnTaking(end_s=0.8))
    assert [type(e) for e in events if isinstance(e, Utterance)]
    ended_s = [e for e in events if isinstance(e, Utterance)][-1].ended_s
    level = np.sqrt((pcm[: len(pcm) // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1))
    true_end_s = 0.5 + 0.01 * (1 + np.flatnonzero(level > 0.03 * level.max())[-1])
    assert ended_s == pytest.approx(true_end_s, abs=0.45)


@pytest.mark.parametrize("clip", ["silence_digital", "silence_empty_room", "tone_beep", "noise_room"])
def test_quiet_and_tones_are_no_speech(shared, clip):
    import soundfile

    pcm, _ = soundfile.read(shared / f"data/speech/nonspeech/{clip}.flac", dtype="float32")
    assert not [e for e in events_of(probabilities(pcm)) if isinstance(e, Speaking)]
