"""Every rule of the loop, on scripted engines in virtual time."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from talking import Scene, hold, talk_through

from assistant import pacing
from assistant.addressing import AddressRules
from assistant.backends.scripted import ScriptedMicrophone, ScriptedMind, ScriptedRecogniser, ScriptedVoice
from assistant.errors import EngineError
from assistant.hearing import TurnTaking
from assistant.prompting import prompt
from assistant.talk import Rules

LONG = "This is a long answer, it goes on for quite a while. It has a second sentence. And there is a third one too."
LONG_S = 3.5
"""about when the reply to a turn that ended at 2 s is in its second sentence"""


def test_what_is_said_is_answered_and_both_are_remembered():
    held = talk_through([(1, 2)], ["hello there"], ["Hello to you."])
    (exchange,) = held.exchanges
    assert (exchange.said, exchange.heard, exchange.cut) == ("hello there", "Hello to you.", False)
    (playing,) = held.all("playing")
    assert playing["first_sample_s"] == pytest.approx(2.5, abs=0.1)
    (turn,) = held.all("turn")
    assert turn["voice_to_voice_ms"] == pytest.approx(sum(turn["stages"].values()), abs=0.5)


def test_the_history_reaches_the_mind_turn_by_turn():
    held = talk_through([(1, 2), (8, 9)], ["my name is Anna", "who am I"], ["Nice to meet you.", "You are Anna."])
    assert [(m.role, m.text) for m in held.mind.heard[-1][1:]] == [
        ("user", "my name is Anna"),
        ("assistant", "Nice to meet you."),
        ("user", "who am I"),
    ]


def test_history_is_kept_within_the_budget_and_the_newest_stays():
    rules = Rules(budget_tokens=80)
    spans = [(1 + 6 * i, 2 + 6 * i) for i in range(8)]
    held = talk_through(spans, [f"question number {i}" for i in range(8)], ["Short."], rules=rules)
    last = held.mind.heard[-1]
    assert sum(len(m.text.split()) for m in last) <= 80
    assert last[-1].text == "question number 7"
    assert last[-3].text == "question number 6"
    assert "question number 0" not in [m.text for m in last]


def test_thinking_is_never_spoken():
    held = talk_through([(1, 2)], ["hi"], ["<think>They greet me. I greet back.</think>Good morning."])
    assert held.exchanges[0].generated == held.exchanges[0].heard == "Good morning."
    assert all("greet" not in p["text"] for p in held.all("phrase"))


# ---------------------------------------------------------------- the gate


def test_a_reply_is_ready_behind_its_gate_when_the_turn_is_over():
    costs = {"mind.reply.first": 0.1, "voice.synthesise": 0.1, "recogniser.finish": 0.05}
    held = talk_through([(1, 2)], costs=costs)
    (turn,) = held.all("turn")
    assert turn["stages"]["endpoint_ms"] == pytest.approx(turn["voice_to_voice_ms"], abs=40)
    assert held.exchanges


def test_behind_a_closed_gate_one_phrase_is_synthesised_and_nothing_is_heard_or_logged():
    class Counting(ScriptedVoice):
        def __init__(self):
            super().__init__()
            self.texts = []

        def synthesise(self, text, language, stop):
            self.texts.append(text)
            return super().synthesise(text, language, stop)

    voice = Counting()
    rules = Rules(turn=TurnTaking(end_s=5.0))
    held = talk_through([(1, 2)], replies=[LONG], rules=rules, voice=voice, cancel_at_s=4.0)
    assert len(voice.texts) == 1
    assert not held.record("play") and not held.exchanges
    assert not [e for e in held.events if e["type"] in ("phrase", "playing", "fusion", "turn", "exchange")]


def test_a_draft_is_dropped_when_the_user_goes_on_and_the_words_are_joined():
    held = talk_through([(1, 2), (2.35, 3)], ["tell me", "about the sea"], ["It is wide."])
    assert [d["why"] for d in held.all("draft")] == ["resumed"]
    assert [e.said for e in held.exchanges] == ["tell me about the sea"]
    assert len(held.record("play")) == 1


def test_a_failing_draft_is_silent_and_tried_again_when_the_turn_is_over():
    held = talk_through([(1, 2)], ["hello"], [EngineError("the mind stumbled"), "Hello."])
    assert [e.heard for e in held.exchanges] == ["Hello."]
    assert not held.all("trouble")


def test_another_picture_before_the_end_of_the_turn_starts_the_reply_anew():
    dark, light = (np.full((60, 80, 3), level, np.uint8) for level in (10, 240))
    costs = {"mind.reply.first": 0.05}
    held = talk_through(
        [(1, 2)], ["what does it say"], pictures=[(0, dark), (2.15, light)], lines=["MILK"], costs=costs,
        rules=Rules(watch_interval_s=0.03),
    )  # fmt: skip
    assert [d["why"] for d in held.all("draft")] in (["other frame"], [])
    assert len(held.exchanges) == 1


def test_while_somebody_speaks_the_mind_reads_what_was_said_before_and_what_is_in_view():
    class Reading(ScriptedMind):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.read = []

        def prefill(self, messages, stop):
            self.read.append(messages)

    light = np.full((60, 80, 3), 240, np.uint8)
    mind = Reading(["It is a wall."], sees=True)
    held = talk_through(
        [(1, 2), (6, 7)], ["what is this", "and now"], mind=mind, pictures=[(0, light[:, ::2]), (4, light)]
    )
    assert len(held.exchanges) == 2
    before_second = [messages for messages in mind.read if len(messages) == 4 and not messages[-1].text][-1]
    assert before_second[-1].images[0] is light
    assert [m.text for m in before_second[1:-1]] == ["what is this", "It is a wall."]
    assert [m.text for m in held.mind.heard[-1][:3]] == [m.text for m in before_second[:3]]


def test_while_the_last_words_are_being_recognised_the_mind_reads_the_words_so_far():
    class Reading(ScriptedMind):
        def prefill(self, messages, stop):
            read.append([m.text for m in messages])

    read = []
    mind = Reading(["It is late."])
    held = talk_through([(1, 2.2)], ["what time is it"], mind=mind, costs={"recogniser.finish": 0.1})
    (so_far,) = (texts for texts in read if texts[-1].startswith("what time"))
    assert so_far[:-1] == [m.text for m in held.mind.heard[0]][:-1]


# ---------------------------------------------------------------- barge-in


def test_speech_silences_the_reply_and_the_history_holds_what_was_heard():
    held = talk_through([(1, 2), (LONG_S + 1, LONG_S + 2)], ["go on", "thank you"], [LONG, "You are welcome."])
    first, second = held.exchanges
    assert first.cut and LONG.startswith(first.heard) and 0 < len(first.heard) < len(LONG)
    assert second.heard == "You are welcome."
    silent_s = min(t for t in held.record("hold") if t > LONG_S)
    assert silent_s - (LONG_S + 1) < 0.3
    said = held.mind.heard[-1]
    assert said[2].text.startswith(first.heard) and first.generated[len(first.heard) :].strip() not in said[2].text


def test_the_voice_ducks_at_the_onset_and_a_click_brings_it_back():
    held = talk_through([(1, 2), (LONG_S + 1, LONG_S + 1.1)], ["go on"], [LONG], seconds=12)
    (ducked,) = held.record("duck")
    assert ducked - (LONG_S + 1) < 0.1
    assert min(t for t in held.record("restore") if t > ducked) - ducked < 0.5
    assert [e.cut for e in held.exchanges] == [False]


def test_nothing_heard_leaves_the_speech_unanswered_and_it_joins_the_next_turn():
    costs = {"voice.synthesise": 1.0}
    held = talk_through([(1, 2), (2.7, 3.5)], ["what is", "the time please"], ["It is late."], costs=costs)
    (exchange,) = held.exchanges
    assert exchange.said == "what is the time please"
    assert held.talk.unanswered == []


@pytest.mark.parametrize("fast", [True, False])
def test_a_stuck_mind_neither_delays_barge_in_nor_loses_sound(fast):
    class Stuck(ScriptedMind):
        def reply(self, messages, stop, grammar=None):
            for i, piece in enumerate(super().reply(messages, stop, grammar)):
                yield piece
                if not fast and i == 6 and len(self.heard) == 1:
                    time.sleep(1.5)  # a real thread that hears nothing

    from assistant.backends.scripted import ScriptedActivity

    class Counting(ScriptedActivity):
        windows = 0

        def voice(self, state, pcm):
            Counting.windows += 1
            return super().voice(state, pcm)

    reply = "One two three four, five six seven eight nine ten eleven twelve. " * 3
    costs = {"mind.reply.next": 0.0}
    mind = Stuck([reply, "Yes."])
    held = talk_through([(0.2, 0.8), (1.6, 2.2)], ["go on", "what is that"], mind=mind, costs=costs, fast=fast)
    silent_s = min(t for t in held.record("hold") if t > 1.6)
    assert silent_s - 1.6 < 0.45
    assert [e.heard for e in held.exchanges][-1] == "Yes."


def test_ctrl_c_commits_what_was_heard_and_is_not_swallowed():
    held = talk_through([(1, 2)], ["go on"], [LONG], cancel_at_s=LONG_S)
    assert isinstance(held.error, asyncio.CancelledError)
    (exchange,) = held.exchanges
    assert exchange.cut and LONG.startswith(exchange.heard) and exchange.heard


OVER = (LONG_S + 1, LONG_S + 1.4)
"""a short sound over the reply"""


@pytest.mark.parametrize(
    ("said", "verdict"),
    [("", "noise"), ("mm-hmm", "backchannel"), ("Okay, right.", "backchannel"), ("嗯嗯", "backchannel")],
)
def test_a_sound_that_asks_for_nothing_lets_the_voice_go_on_where_it_was(said, verdict):
    held = talk_through([(1, 2), OVER], ["go on", said], [LONG], costs={"recogniser.finish": 0.1})
    assert [i["verdict"] for i in held.all("interruption")] == [verdict]
    assert [(e.said, e.heard, e.cut) for e in held.exchanges] == [("go on", LONG, False)]
    (silent_s,), (on_s,) = held.record("hold"), held.record("go_on")
    assert silent_s - OVER[0] < 0.3 and on_s - OVER[1] < 0.45
    assert [d["why"] for d in held.all("draft")] == ["nothing was asked"]
    assert len(held.all("utterance")) == 1 and not held.talk.unanswered


@pytest.mark.parametrize("said", ["Stop.", "wait please", "oh stop it now", "停", "别说了"])
def test_stop_ends_the_reply_and_gets_no_answer(said):
    held = talk_through([(1, 2), OVER, (9, 10)], ["go on", said, "and now"], [LONG, "Now this."])
    assert [i["verdict"] for i in held.all("interruption")] == ["stop"]
    first, second = held.exchanges
    assert first.cut and LONG.startswith(first.heard)
    assert (second.said, second.heard) == ("and now", "Now this.")
    assert len(held.mind.heard) == 2


def test_a_long_stop_gets_no_answer_either():
    held = talk_through([(1, 2), (LONG_S + 1, LONG_S + 2.4)], ["go on", "that's enough, stop talking please"], [LONG])
    assert [i["verdict"] for i in held.all("interruption")] == ["interruption"]  # by its length
    assert len(held.exchanges) == 1 and len(held.mind.heard) == 1 and not held.talk.unanswered


class Spotting(ScriptedRecogniser):
    """Mishears, and on being asked once more about a segment knows better."""

    def __init__(self, texts, after_all):
        super().__init__(texts)
        self.after_all = after_all
        self.asked = []

    def spot(self, segment, phrases):
        self.asked.append(segment.text)
        return self.after_all.get(segment.text)


@pytest.mark.parametrize(
    ("said", "meant", "verdict"), [("stop the police", "stop it please", "stop"), ("and hum", "mhm", "backchannel")]
)
def test_what_was_misheard_over_a_reply_is_an_interjection_after_all(said, meant, verdict):
    recogniser = Spotting(["go on", said], {said: meant})
    held = talk_through([(1, 2), OVER], [], [LONG], recogniser=recogniser)
    assert [i["verdict"] for i in held.all("interruption")] == [verdict]
    assert [e.cut for e in held.exchanges] == [verdict == "stop"]
    assert recogniser.asked == [said] and len(held.mind.heard) == 1


def test_an_interruption_is_asked_about_once():
    recogniser = Spotting(["go on", "how much is it"], {})
    held = talk_through([(1, 2), OVER], [], [LONG, "Two dollars."], recogniser=recogniser)
    assert held.exchanges[-1].heard == "Two dollars." and recogniser.asked == ["how much is it"]


def test_a_long_stop_that_was_misheard_gets_no_answer_either():
    said = "that's enough show up"
    recogniser = Spotting(["go on", said], {said: "that's enough stop"})
    held = talk_through([(1, 2), (LONG_S + 1, LONG_S + 2.4)], [], [LONG], recogniser=recogniser)
    assert [i["verdict"] for i in held.all("interruption")] == ["interruption"]  # by its length
    assert len(held.exchanges) == 1 and len(held.mind.heard) == 1


def test_what_is_said_in_no_reply_is_heard_as_it_is():
    recogniser = Spotting(["go on"], {"go on": "stop"})
    held = talk_through([(1, 2)], [], [LONG], recogniser=recogniser)
    assert [e.said for e in held.exchanges] == ["go on"] and not recogniser.asked


def test_a_voice_that_lasts_interrupts_before_its_words_are_known():
    costs = {"recogniser.finish": 1.0}
    held = talk_through([(1, 2), (LONG_S + 2, LONG_S + 5)], ["go on", "no not that one"], [LONG, "Yes."], costs=costs)
    (judged,) = held.all("interruption")
    assert judged["verdict"] == "interruption" and judged["at_s"] - (LONG_S + 2) < 1.0, judged
    assert held.exchanges[0].cut


def test_an_interruption_that_goes_on_after_a_backchannel_is_taken():
    spans = [(1, 2), (LONG_S + 1, LONG_S + 1.4), (LONG_S + 1.65, LONG_S + 2.6)]
    held = talk_through(spans, ["go on", "yeah", "but how much is it"], [LONG, "Two dollars."])
    first, second = held.exchanges
    assert first.cut and second.heard == "Two dollars." and second.said.endswith("but how much is it")


def test_an_interruption_before_the_first_sound_joins_the_question():
    costs = {"voice.synthesise": 1.5}
    held = talk_through([(1, 2), (2.9, 4.2)], ["what is", "the time please"], ["It is late."], costs=costs)
    assert [e.said for e in held.exchanges] == ["what is the time please"]


def test_who_was_answered_too_early_is_answered_again_on_all_of_it():
    """The first half was taken for a turn and its answer had begun."""
    held = talk_through([(1, 2), (2.8, 4)], ["turn on the", "lamp in the kitchen"], ["I will not. " * 5, "It is on."])
    first, second = held.exchanges
    assert (first.said, second.said) == ("turn on the", "turn on the lamp in the kitchen")
    assert first.cut and second.heard == "It is on."
    assert held.talk.pauses.count > 0.9 and not held.talk.unanswered


def test_a_cough_before_the_first_sound_costs_nothing():
    costs = {"voice.synthesise": 1.5}
    held = talk_through([(1, 2), (2.9, 3.2)], ["what is the time", ""], ["It is late."], costs=costs)
    assert [(e.said, e.heard) for e in held.exchanges] == [("what is the time", "It is late.")]
    (turn,) = held.all("turn")
    assert turn["voice_to_voice_ms"] < 2100


def test_after_an_interruption_the_next_answer_knows_what_was_heard():
    held = talk_through([(1, 2), (LONG_S + 1, LONG_S + 2)], ["go on", "why is that"], [LONG, "Because."])
    history = [m.text for m in held.mind.heard[-1]]
    assert any(text.startswith(held.exchanges[0].heard) for text in history)
    assert not any("third one" in text for text in history)


# ---------------------------------------------------------------- being addressed


def test_who_lets_the_key_go_is_answered_without_a_wait():
    class Pushed(ScriptedMicrophone):
        """Its key is pressed until 2.1 s."""

        let_go = False

        async def blocks(self):
            async for block in super().blocks():
                self.let_go = block.at_s > 2.1
                yield block

    rules = Rules(turn=TurnTaking(end_s=5.0))
    held = talk_through([(1, 2)], ["what is this"], ["A cup."], rules=rules, microphone=Pushed, seconds=8)
    assert [e.heard for e in held.exchanges] == ["A cup."]
    assert held.all("turn")[0]["voice_to_voice_ms"] < 200


ADDRESS = AddressRules(("assistant", "小助手"), ("go to sleep", "去睡吧"), ("wake up", "醒醒"), follow_up_s=4.0)


def test_with_a_wake_phrase_only_who_says_it_is_answered_and_may_follow_up():
    spans = [(1, 2), (4, 5), (9, 10), (18, 19)]
    said = ["what time is it", "assistant what is this", "and this one", "what was that"]
    held = talk_through(spans, said, ["A cup."], rules=Rules(address=ADDRESS))
    assert [e.said for e in held.exchanges] == ["assistant what is this", "and this one"]
    assert [m[-1].text for m in held.mind.heard] == ["what is this", "and this one"]
    assert [(i["text"], i["why"]) for i in held.all("ignored")] == [
        ("what time is it", "no wake phrase"), ("what was that", "no wake phrase")
    ]  # fmt: skip
    assert not held.talk.unanswered


@pytest.mark.parametrize(
    ("sleep", "wake", "asleep", "awake"),
    [
        ("Go to sleep.", "wake up", "address.asleep", "address.awake"),
        ("去睡吧", "醒醒", "address.asleep", "address.awake"),
    ],
)
def test_it_sleeps_and_wakes_on_a_word(sleep, wake, asleep, awake):
    language = "zh" if sleep > "z" else "en"
    spans = [(1, 2), (7, 8), (11, 12), (18, 19)]
    held = talk_through(
        spans, [sleep, "what is this", wake, "and now"], ["A cup."],
        rules=Rules(address=AddressRules((), ADDRESS.sleep, ADDRESS.wake_up)),
    )  # fmt: skip
    first, second, third = held.exchanges
    assert first.heard == prompt(asleep, language).replace("{wake_up}", wake)
    assert second.heard == prompt(awake, language)
    assert (third.said, third.heard) == ("and now", "A cup.")
    assert [i["why"] for i in held.all("ignored")] == ["asleep"]


def test_a_trouble_is_told_in_the_language_that_was_spoken():
    held = talk_through([(1, 2)], ["这是什么"], [EngineError("no"), EngineError("no")])
    (sorry,) = [s.phrase.text for s in held.speaker.record if s.phrase is not None]
    assert any("\u4e00" <= c <= "\u9fff" for c in sorry)


# ---------------------------------------------------------------- properties over many conversations

SPEECH = st.lists(st.tuples(st.floats(0.05, 3), st.floats(0.05, 3)), min_size=1, max_size=6)


def spans_of(gaps):
    at_s, spans = 0.5, []
    for silence_s, voice_s in gaps:
        spans.append((at_s + silence_s, at_s + silence_s + voice_s))
        at_s = spans[-1][1]
    return spans


@settings(max_examples=60, deadline=None)
@given(SPEECH, st.floats(0, 0.6), st.floats(0, 0.3), st.none() | st.floats(0, 20))
def test_any_conversation_keeps_the_rules(gaps, think_s, speak_s, cancel_at_s):
    costs = {"mind.reply.first": think_s, "voice.synthesise": speak_s, "recogniser.finish": 0.1}
    held = talk_through(spans_of(gaps), ["alpha beta", "gamma"], [LONG], costs=costs, cancel_at_s=cancel_at_s)
    opened = [e["at_s"] for e in held.all("utterance")]
    for exchange in held.exchanges:
        assert exchange.generated.startswith(exchange.heard) and exchange.heard
        assert exchange.cut == (exchange.heard != exchange.generated)
    for playing in held.all("playing"):
        assert any(at_s <= playing["at_s"] for at_s in opened), "a gate that never opened was heard"
    assert [e["at_s"] for e in held.events] == sorted(e["at_s"] for e in held.events)
    marks = sorted([(s.at_s, s.what) for s in held.speaker.record if s.what in ("duck", "restore", "stop")])
    assert not marks or cancel_at_s is not None or marks[-1][1] != "duck", "the voice was left ducked"
    said = " ".join(e.said for e in held.exchanges).split()
    finals = [w["text"] for w in held.all("words") if w["final"]]
    assert len(held.exchanges) <= len(held.all("utterance"))
    assert set(said) <= {word for text in finals for word in text.split()} | {"alpha", "beta", "gamma"}


@settings(max_examples=10, deadline=None)
@given(SPEECH, st.floats(0, 0.6))
def test_the_same_input_and_costs_give_the_same_events(gaps, think_s):
    costs = {"mind.reply.first": think_s, "voice.synthesise": 0.03, "recogniser.feed": 0.002, "eyes.look": 0.4}
    picture = [(0, np.zeros((48, 64, 3), np.uint8)), (2, np.full((48, 64, 3), 200, np.uint8))]
    runs = [
        talk_through(spans_of(gaps), ["what does it say", "and now"], [LONG], costs=costs, pictures=picture).events
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


def test_ten_minutes_of_talk_are_one_deterministic_test():
    spans = [(2.0 + 10 * i, 4.0 + 10 * i) for i in range(60)]
    texts = [f"this is question {i}" for i in range(60)]
    costs = {"mind.reply.first": 0.08, "mind.reply.next": 0.02, "voice.synthesise": 0.03, "recogniser.finish": 0.1}
    replies = [f"And this is answer {i}, which ends here." for i in range(60)]
    began = time.process_time()
    held = talk_through(spans, texts, replies, costs=costs, seconds=600.0)
    assert [e.said for e in held.exchanges] == texts
    assert [e.heard for e in held.exchanges] == replies
    assert all(b["at_s"] - a["at_s"] == pytest.approx(10, abs=0.1) for a, b in pairwise(held.all("turn")))
    print(f"ten minutes took {time.process_time() - began:.2f} s of processor time")


# ---------------------------------------------------------------- failing well


def test_a_failed_turn_says_so_and_the_talk_goes_on():
    failing = [EngineError("no memory"), EngineError("no memory"), "I am back."]
    held = talk_through([(1, 2), (8, 9)], ["first", "second"], failing)
    (trouble,) = held.all("trouble")
    assert trouble["kept_going"] and "no memory" in trouble["message"]
    assert len(held.record("play")) == 2  # the sentence about it, and the next answer
    assert [(e.said, e.heard) for e in held.exchanges] == [("first second", "I am back.")]


def test_three_failed_turns_in_a_row_stop_the_program():
    scene = Scene([(1 + 8 * i, 2 + 8 * i) for i in range(5)], replies=[EngineError("the weights are broken")])
    held = pacing.run(hold(scene), fast=True)
    assert isinstance(held.error, EngineError) and "the weights are broken" in str(held.error)
    assert [t["kept_going"] for t in held.all("trouble")] == [True, True, False]


def test_a_voice_that_cannot_speak_is_logged_and_the_talk_goes_on():
    class Hoarse(ScriptedVoice):
        def synthesise(self, text, language, stop):
            raise EngineError("the voice is gone")

    scene = Scene([(1, 2)], voice=Hoarse())
    held = pacing.run(hold(scene), fast=True)
    assert held.error is None
    assert [t["where"] for t in held.all("trouble")] == ["turn", "voice"]


def test_noise_that_gives_no_words_gets_no_answer():
    held = talk_through([(1, 2)], [""], ["Never said."])
    assert not held.exchanges and not held.record("play") and held.talk.unanswered == []


def test_without_memory_nothing_outlives_its_turn():
    picture = [(0, np.full((48, 64, 3), 90, np.uint8))]
    held = talk_through(
        [(1, 2), (8, 9)], ["what does it say", "and now"], rules=Rules(memory=False), pictures=picture, lines=["TEA"]
    )
    assert held.exchanges == []
    assert held.talk.sight.gaze is None, "where it looked is not kept either"
    assert len(held.all("exchange")) == 2
    assert all(m.role in ("system", "user") for m in held.mind.heard[-1]) and len(held.mind.heard[-1]) == 2


def test_late_fusion_reads_the_picture_for_a_mind_that_could_see_it_too():
    picture = [(0, np.full((48, 64, 3), 90, np.uint8))]
    held = talk_through(
        [(0.2, 1)],
        ["what does it say"],
        mind=ScriptedMind(sees=True),
        pictures=picture,
        lines=["GREEN TEA"],
        rules=Rules(fusion="late", watch_interval_s=60),  # nothing is read in the background
    )
    assert [f["mode"] for f in held.all("fusion")] == ["late"]
    assert "GREEN TEA" in held.mind.heard[-1][-1].text and not held.mind.heard[-1][-1].images


# ---------------------------------------------------------------- a mind that is held to what is true


def decide(pieces, sentences):
    from assistant.replying import decided

    taken = []

    async def stream():
        for piece in pieces:
            taken.append(piece)
            yield piece

    async def main():
        return [piece async for piece in decided(stream(), sentences)]

    return "".join(pacing.run(main(), fast=True)), len(taken)


SENTENCES = ("It costs $3.49.", "It is $3.49.", "The price is $3.49.")


@given(st.sampled_from(SENTENCES), st.lists(st.integers(1, 5), max_size=20))
def test_what_the_mind_has_decided_is_said_without_waiting_for_it(sentence, cuts):
    pieces, rest = [], sentence
    for cut in cuts:
        pieces, rest = [*pieces, rest[:cut]], rest[cut:]
    pieces = [p for p in [*pieces, rest] if p]
    said, taken = decide(pieces, SENTENCES)
    assert said == sentence
    assert len("".join(pieces[: taken - 1])) < len("It is") + 1


def test_who_waits_is_told_the_best_true_sentence():
    from assistant.replying import decided

    async def slow():
        yield "It"
        await asyncio.sleep(5)
        yield " never came"

    async def main(sentences, at_s):
        due = asyncio.Event()
        asyncio.get_running_loop().call_later(at_s, due.set)
        said = "".join([piece async for piece in decided(slow(), sentences, due)])
        return said, asyncio.get_running_loop().time()

    both = ("The price is $3.49.", "It is $3.49.", "It costs $3.49.")
    assert pacing.run(main(both, 1), fast=True) == ("It is $3.49.", 1)
    assert pacing.run(main((), 1), fast=True) == ("It never came", 5)


def test_one_true_sentence_needs_no_mind_and_a_free_mind_is_not_touched():
    assert decide(["never", " asked"], ("It is blue.",)) == ("It is blue.", 0)
    assert decide(["It", " wan", "ders"], ()) == ("It wanders", 3)
    assert decide([" It", " is", " blue."], ("It is blue.", "It looks blue."))[0].strip() == "It is blue."
