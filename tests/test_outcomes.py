"""What is read off a scene: constructed sounds and logs of which the answer is known, and planted violations."""

from dataclasses import replace

import numpy as np
import pytest

from assistant.backends.espeak import Espeak
from assistant.config import load_config
from assistant.errors import SourceError
from assistant.pacing import Clock, run
from assistant.sessions.latency import Latencies, Noted, covered_s, overhead
from assistant.sessions.levels import first_sound_s, voice_end_s
from assistant.sessions.loudspeaker import RoomSpeaker
from assistant.sessions.outcomes import Alone, Outcome, Silence, Turn, outcome
from assistant.sessions.recordings import read_corpus, shared_corpus
from assistant.sessions.remembering import Remembered, remembered
from assistant.sessions.report import curve, figures, word_error
from assistant.sessions.rooms import RATE, Room
from assistant.sessions.scenes import draw, make_scene
from assistant.sessions.silencing import silenced
from assistant.sessions.staging import set_stage
from assistant.speaking import heard, make_phrase, speakable

# ---------------------------------------------------------------- latency, read off sound


def voice(seconds, level=0.3, rate_hz=RATE):
    return (level * np.sin(np.arange(int(seconds * rate_hz)) * 0.3)).astype(np.float32)


@pytest.mark.parametrize(("level", "ended_s"), [(0.3, 2.0), (0.02, 2.0), (0.005, 1.0)])
def test_speech_ends_with_its_last_frame_above_three_percent_of_the_loudest(level, ended_s):
    quiet = np.zeros(RATE // 2, np.float32)
    pcm = np.concatenate((voice(1.0), voice(1.0, level), quiet))
    assert voice_end_s(pcm) == pytest.approx(ended_s, abs=0.011)


def test_the_first_sound_is_the_first_sample_above_minus_fifty_decibels():
    pcm = np.zeros(3 * RATE, np.float32)
    assert first_sound_s(pcm, RATE) is None
    pcm[RATE] = 0.9 * 10 ** (-50 / 20)
    assert first_sound_s(pcm, RATE) is None
    pcm[2 * RATE] = -1.1 * 10 ** (-50 / 20)
    assert first_sound_s(pcm, RATE) == pytest.approx(2.0)


@pytest.mark.parametrize("pcm", [np.zeros(0, np.float32), np.zeros(RATE, np.float32)])
def test_silence_is_no_speech(pcm):
    with pytest.raises(SourceError, match="silence"):
        voice_end_s(pcm)


# ---------------------------------------------------------------- silencing


def gains(*steps):
    """A gain per sample: from each time (seconds) on, what follows."""
    gain = np.ones(2 * RATE, np.float32)
    for at_s, value in steps:
        gain[round(at_s * RATE) :] = value
    return gain


@pytest.mark.parametrize(
    ("steps", "ducked_s", "silent_s"),
    [
        ([], None, None),
        ([(0.12, 0.18)], 0.12, None),
        ([(0.12, 0.18), (0.31, 0.0)], 0.12, 0.31),
        ([(0.2, 0.0)], 0.2, 0.2),
        ([(0.2, 0.0), (0.3, 1.0)], 0.2, None),  # too short to be silent, and then as loud as before
        ([(0.2, 0.0), (0.35, 1.0), (0.8, 0.0)], 0.2, 0.8),
        ([(0.2, 0.5)], None, None),
    ],
)
def test_a_voice_is_silenced_when_it_was_loud_and_heard_for_the_last_time(steps, ducked_s, silent_s):
    planned = voice(2.0)
    assert silenced(planned, planned * gains(*steps), RATE) == (
        pytest.approx(ducked_s, abs=0.006),
        pytest.approx(silent_s, abs=0.006),
    )


def test_a_voices_own_pause_is_no_silencing_and_nothing_cannot_be_silenced():
    planned = voice(2.0) * gains((0.3, 0.0), (0.9, 1.0))
    assert silenced(planned, planned, RATE) == (None, None)
    assert silenced(planned, planned * gains((0.6, 0.0)), RATE) == (pytest.approx(0.3), pytest.approx(0.3))
    assert silenced(np.zeros(RATE, np.float32), np.zeros(RATE, np.float32), RATE) is None


# ---------------------------------------------------------------- what the history holds

REPLY = "The library keeps the old maps in a flat drawer, so ask at the desk. Most apples are picked in September."


@pytest.fixture(scope="module")
def phrases():
    """A reply in two phrases, as the built-in voice speaks it."""
    voice, cut = Espeak(), REPLY.index("Most")
    spans = [(0, REPLY[:cut]), (cut, REPLY[cut:])]
    return [make_phrase(b, s := speakable(t, "en"), voice.synthesise(s.text, "en", lambda: False)) for b, t in spans]


def played(phrases, *, stop_s, hold_s=None, go_on_s=None, duck_s=None):
    """A reply that is told so; the loudspeaker, and what the program's own account says was heard."""

    async def main():
        clock = Clock()
        clock.start()
        speaker = RoomSpeaker(clock)
        await clock.until(0.2)
        for phrase in phrases:
            await speaker.play(phrase)
        told = [(duck_s, speaker.duck), (hold_s, speaker.hold), (go_on_s, speaker.go_on)]
        for at_s, tell in sorted(((a, t) for a, t in told if a is not None), key=lambda each: each[0]):
            await clock.until(at_s)
            tell()
        await clock.until(stop_s)
        was_heard = heard(speaker.stop(), REPLY)
        event = {"at_s": clock.now_s(), "type": "exchange", "generated": REPLY, "heard": was_heard}
        await clock.until(stop_s + 1.0)
        speaker.close()
        return speaker, event

    return run(main(), fast=True)


@pytest.mark.parametrize("stop_s", [0.3, 1.1, 2.0, 3.3, 4.7, 6.1, 9.9])
@pytest.mark.parametrize(
    "told", [{}, {"duck_s": 0.9}, {"hold_s": 1.0, "go_on_s": 1.8}, {"hold_s": 2.9, "go_on_s": 3.2}]
)
def test_what_the_history_holds_is_found_in_the_sound(phrases, stop_s, told):
    told = {name: at_s for name, at_s in told.items() if at_s < stop_s}
    speaker, exchange = played(phrases, stop_s=stop_s, **told)
    found = remembered(speaker, [exchange])
    assert found.kept == found.dropped == ()
    words = len(exchange["heard"].split())
    assert words - 1 <= found.words <= words


def test_a_word_that_was_ducked_as_it_began_is_found(phrases):
    for duck_s in np.arange(2.0, 5.0, 0.06):
        speaker, exchange = played(phrases, hold_s=1.0, go_on_s=1.8, duck_s=duck_s, stop_s=duck_s + 0.12)
        found = remembered(speaker, [exchange])
        assert found.kept == found.dropped == (), duck_s


@pytest.mark.parametrize("told", [{}, {"hold_s": 1.0, "go_on_s": 1.8}])
def test_a_word_too_many_and_a_word_too_few_are_found(phrases, told):
    speaker, exchange = played(phrases, stop_s=3.3, **told)
    words = exchange["heard"].split()
    following = REPLY[len(exchange["heard"]) :].split()
    fewer = " ".join(words[:-2])
    more = " ".join([*words, *following[:2]])
    assert len(remembered(speaker, [{**exchange, "heard": fewer}]).dropped) in (2, 3)
    assert len(remembered(speaker, [{**exchange, "heard": more}]).kept) in (1, 2)
    nothing = remembered(speaker, [])
    assert len(nothing.dropped) == nothing.words >= 5


def test_a_word_that_was_held_back_and_never_said_is_found(phrases):
    speaker, exchange = played(phrases, hold_s=1.0, stop_s=2.5)
    assert remembered(speaker, [exchange]).kept == ()
    had_it_gone_on, _ = played(phrases, stop_s=2.5)
    said = remembered(had_it_gone_on, [{**exchange, "heard": REPLY}]).words
    wrongly = {**exchange, "heard": " ".join(REPLY.split()[:said])}
    assert len(remembered(speaker, [wrongly]).kept) >= 3


# ---------------------------------------------------------------- whole scenes

COSTS = {
    "recogniser.feed": 0.01,
    "recogniser.finish": 0.06,
    "endpointing.over": 0.05,
    "mind.reply.first": 0.1,
    "mind.reply.next": 0.03,
    "voice.synthesise": 0.02,
}


@pytest.fixture(scope="module")
def stage():
    """The built-in engines with a scripted mind, in virtual time."""
    return set_stage(load_config(environ={}), COSTS)


@pytest.fixture(scope="module")
def corpus():
    return read_corpus(None)


def test_the_same_seed_and_costs_make_the_same_events(stage, corpus):
    def scene():
        whole = draw(corpus, "interruption", np.random.default_rng(5), coupling_db=-10.0)
        return replace(whole, sounds=whole.sounds[:2], replies=(" ".join(whole.replies[0].split()[:40]),))

    one = stage.play(scene())
    assert len(one.heard) == 2
    costlier = replace(stage, costs={**COSTS, "mind.reply.first": 1.0}).play(scene())
    other = stage.play(scene())
    assert one.events == other.events
    assert outcome(one, 0.5) == outcome(other, 0.5)
    assert costlier.events != one.events


def test_an_interruption_that_is_heard_ends_the_answer_and_what_was_heard_of_it_is_kept(stage, corpus):
    scene = draw(corpus, "interruption", np.random.default_rng(8), coupling_db=-10.0, noisy=False)
    came = outcome(stage.play(scene), 0.5)
    assert [over.kind for over in came.over] == ["interruption"] * 2
    for over in came.over:
        assert over.ended
        assert over.ducked_s is not None
        assert over.silent_s is not None
        assert over.ducked_s <= over.silent_s < 1.5
    errors = word_error([(over.text, over.recognised) for over in came.over])
    assert errors is not None
    assert errors < 0.7
    assert came.remembered.words > 20
    assert came.remembered.kept == came.remembered.dropped == ()
    assert came.self_talk == 0
    assert came.turns[0].voice_to_voice_s is not None


def test_nothing_is_answered_in_silence(stage, corpus):
    came = outcome(stage.play(draw(corpus, "silence", np.random.default_rng(0))), 0.5)
    assert came.seconds >= 60
    assert (came.turns, came.over, came.self_talk, came.to_noise, came.drafts) == ((), (), 0, 0, 0)


def test_its_own_voice_in_headphones_is_let_be(stage, corpus):
    scene = draw(corpus, "own speech, echo", np.random.default_rng(2))
    scene = replace(scene, room=Room(None), replies=(" ".join(scene.replies[0].split()[:40]),))
    came = outcome(stage.play(scene), 0.5)
    assert 10 < came.alone.seconds < 25
    assert (came.alone.stops, came.alone.holds, came.self_talk) == (0, 0, 0)


def test_whoever_is_answered_in_a_pause_is_counted_as_cut_off(stage, corpus):
    clip = max(corpus.clips, key=lambda clip: clip.seconds)
    scene = draw(corpus, "turns", np.random.default_rng(0), noisy=False)
    middle = len(clip.pcm) // 2
    pause = np.zeros(3 * RATE, np.float32)
    middle_s = middle / RATE
    long = replace(
        scene.sounds[0],
        pcm=np.concatenate([clip.pcm[:middle], pause, clip.pcm[middle:]]),
        began_s=clip.began_s,
        ended_s=clip.ended_s + 3.0,
        pauses=((middle_s, middle_s + 3.0),),
    )
    (turn,) = outcome(stage.play(replace(scene, sounds=(long,))), 0.5).turns
    assert turn.cut_off
    assert turn.cut_pauses == 1
    assert turn.voice_to_voice_s is None
    assert any(s.lasted_s is not None and s.lasted_s == pytest.approx(3.0, abs=0.4) for s in turn.silences)
    assert [p["false_cutoffs"] for p in curve([turn, ended_after(0.5)], scales=(0.5, 20.0))] == [0.5, 0.0]


# ---------------------------------------------------------------- figures


def ended_after(wait_s, pause=None, **fields):
    """A turn that was answered, with or without a pause (how long it lasted) in it."""
    silences = ([Silence(pause, wait_s)] if pause else []) + [Silence(None, wait_s)]
    turn = Turn("", False, int(bool(pause)), 0, False, True, 0.7, tuple(silences))
    return replace(turn, **fields)


def test_the_curve_gives_fewer_cut_offs_for_longer_waits():
    turns = [ended_after(0.5, pause=pause) for pause in (None, None, 0.3, 0.45)]
    points = curve(turns, scales=(0.5, 0.8, 1.0))
    assert [p["false_cutoffs"] for p in points] == [0.5, 0.25, 0.0]
    assert [p["voice_to_voice_ms"] for p in points] == pytest.approx([450, 600, 700])
    assert all(low <= p["false_cutoffs"] <= high for p in points for low, high in [p["interval"]])


def came(kind, **fields):
    nothing = Outcome(0, kind, "", 60.0, (), (), Alone(), 0, 0, Remembered(), 0, 0, 0.0, 0.0, ())
    return replace(nothing, **fields)


def test_figures_are_shares_and_rates_of_what_came_of_the_scenes():
    turns = (ended_after(0.5), ended_after(0.5, cut_off=True, voice_to_voice_s=None, pauses=1, cut_pauses=1))
    report = figures(
        Latencies(),
        [
            came("turns", turns=turns, drafts=4, dropped=1),
            came("own speech, echo", alone=Alone(1800.0, stops=1, holds=3, ducks=5)),
            came("own speech, noise", alone=Alone(1800.0, ducks=1), self_talk=1, remembered=Remembered(9, ("a",), ())),
        ],
    )
    assert report["false_cutoffs"]["per_turn"] == report["false_cutoffs"]["interval"][0] + 0.4055
    assert report["false_cutoffs"]["per_pause"] == 1.0
    assert report["missed_turns"] == {"rate": 0.0, "n": 2}
    assert report["false_interruptions_per_hour"] == {"echo": 2.0, "noise": 0.0}
    assert report["false_ducks_per_hour"] == 6.0
    assert report["wasted_speculation"] == 0.25
    assert (report["self_talk_loops"], report["history_violations"]) == (1, 1)
    assert len(report["remarkable"]) == 2
    assert report["voice_to_voice_ms"] == {"median": None, "p95": None, "n": 0}
    assert report["intervals"]["false_interruptions_per_hour.echo"] == pytest.approx([0.0506, 11.1432], abs=1e-3)


def test_only_what_neither_waits_nor_works_is_overhead():
    events = [
        {"at_s": 2.72, "type": "utterance", "ended_s": 2.2},
        {"at_s": 2.9, "type": "playing", "first_sample_s": 2.9},
        {"at_s": 2.9, "type": "turn", "stages": {"see_ms": 0.0}},
    ]
    work = [
        Noted("mind.reply.first", 2.5, 2.8),
        Noted("recogniser.feed", 2.75, 2.85),
        Noted("eyes.look", 2.8, 2.9),
        Noted("mind.prefill", 2.85, 2.9),
    ]
    took = overhead(events, events[-1], 2.1, 2.91, work, end_s=0.5)
    assert (took.total_ms, took.gate_ms, took.lead_in_ms) == pytest.approx((60, 20, 10))
    seen = {**events[-1], "stages": {"see_ms": 5.0}}
    assert overhead([*events[:-1], seen], seen, 2.1, 2.91, work, end_s=0.5).total_ms == pytest.approx(10)
    judged = {"at_s": 2.4, "type": "wait", "wait_s": 0.52}
    assert overhead([judged, *events], events[-1], 2.1, 2.91, work, end_s=0.5).gate_ms == pytest.approx(0)


def test_time_that_is_covered_twice_counts_once():
    assert covered_s([(0, 2), (1, 3), (5, 9), (2, 2.5)], 0.5, 6) == pytest.approx(3.5)


def test_work_costs_its_median_and_feeding_its_mean():
    spent = {"mind.reply.first": [0.1, 0.2, 9.0], "recogniser.feed": [0.0, 0.0, 0.3], "voice.load": [5.0]}
    assert Latencies(spent=spent).costs == {"mind.reply.first": 0.2, "recogniser.feed": 0.1}


def test_scenes_of_real_recordings_are_played(shared, monkeypatch, stage):
    monkeypatch.setenv("ASSISTANT_SHARED", str(shared))
    scene = make_scene(read_corpus(shared_corpus()), 0, 0)
    came = outcome(stage.play(scene), 0.5)
    assert len(came.turns) == 3
    assert came.remembered.kept == came.remembered.dropped == ()
    assert came.troubles == ()
