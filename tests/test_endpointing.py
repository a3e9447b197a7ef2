"""How long is waited: by sound, by words, by the speaker; and what that is worth on real recordings."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.backends.files import read_sound
from assistant.backends.pocketsphinx import PocketSphinx
from assistant.backends.smart_turn import SmartTurn
from assistant.endpointing import TAIL_S, Pauses, Waiting, best_wait_s, judge, undecided, went_on
from assistant.errors import WeightsError
from assistant.events import HEARING_RATE_HZ, Samples, Words
from assistant.sessions.hearing import read_table

RULES = Waiting()
NOBODY = Pauses()
SEED = 7
seconds = st.floats(0.05, 10)
probability = st.floats(0, 1)
texts = st.text(alphabet="what is the and 这是的吗?,…", max_size=30)


def wait_s(
    text: str | None, p_over: float | None = None, ends_p: float | None = None, pauses: Pauses = NOBODY
) -> float:
    chinese = text is not None and any("\u4e00" <= c <= "\u9fff" for c in text)
    words = None if text is None else Words(text, (), "zh" if chinese else "en", ends_p)
    return judge(p_over, words, pauses, RULES).seconds


# ---------------------------------------------------------------- what holds for all waits


@given(st.none() | probability, texts, st.none() | probability, st.builds(Waiting, seconds, seconds, seconds, seconds))
def test_waits_keep_within_their_bounds(p_over, text, ends_p, rules):
    wait = judge(p_over, Words(text, (), "zh", ends_p), NOBODY, rules)
    assert max(rules.pause_s, min(rules.min_wait_s, rules.end_s)) - 1e-6 <= wait.seconds
    assert wait.seconds <= max(rules.max_wait_s, rules.end_s, rules.pause_s) + 1e-6
    assert wait.why


@given(st.lists(probability, min_size=2, max_size=6), texts, st.none() | probability)
def test_the_more_it_sounds_over_the_shorter_the_wait(several, text, ends_p):
    waits = [wait_s(text, p, ends_p) for p in sorted(several)]
    assert all(earlier >= later for earlier, later in pairwise(waits))


@given(st.lists(probability, min_size=2, max_size=6), texts, st.none() | probability)
def test_the_likelier_a_sentence_ends_there_the_shorter_the_wait(several, text, p_over):
    waits = [wait_s(text, p_over, ends_p) for ends_p in sorted(several)]
    assert all(earlier >= later for earlier, later in pairwise(waits))


@given(st.floats(0.3, 2))
def test_end_s_is_waited_where_nothing_is_known_and_all_other_waits_follow_it(end_s):
    rules = Waiting(end_s=end_s, min_wait_s=0.05, pause_s=0.05, max_wait_s=20)
    assert judge(None, None, NOBODY, rules).seconds == pytest.approx(end_s, abs=0.006)
    assert judge(None, Words(""), NOBODY, rules).seconds == pytest.approx(end_s, abs=0.006)
    unsure = best_wait_s(1.0, 1.0, Waiting(pause_s=0.05, min_wait_s=0.05, max_wait_s=20))
    assert best_wait_s(1.0, 1.0, rules) == pytest.approx(unsure * end_s / 0.5, abs=0.02)


def test_with_people_s_usual_odds_end_s_is_also_the_best_wait():
    assert best_wait_s(4.0, 1.0, RULES) == pytest.approx(RULES.end_s, abs=0.011)


def test_a_turn_is_not_ended_while_it_is_being_judged():
    assert undecided(RULES).seconds == RULES.max_wait_s == max(wait_s("and", 0.0, 0.0), RULES.max_wait_s)


def test_three_equal_waits_are_one_fixed_wait():
    rules = Waiting(end_s=0.7, min_wait_s=0.7, max_wait_s=0.7)
    for p, text in ((0.99, "what time is it"), (0.01, "and the"), (None, "")):
        assert judge(p, Words(text), NOBODY, rules).seconds == 0.7


# ---------------------------------------------------------------- words

UNFINISHED = [
    ("turn on the lamp and", "turn on the lamp"),
    ("i would like to", "i would like to go"),
    ("put it on the", "put it on the table"),
    ("i stay because", "i stay because of you"),
    ("what is my", "what is my name"),
    ("um", "yes"),
    ("look at this,", "look at this"),
    ("我想买牛奶但是", "我想买牛奶"),
    ("今天不去因为", "今天不去"),
    ("我们先吃饭然后", "我们先吃饭"),
    ("桌子上红色的", "桌子上红色的杯子"),
    ("请", "好的"),
]


@pytest.mark.parametrize(("unfinished", "finished"), UNFINISHED)
@pytest.mark.parametrize("p_over", [None, 0.3, 0.9])
def test_unfinished_words_are_waited_for(unfinished, finished, p_over):
    assert wait_s(unfinished, p_over) > wait_s(finished, p_over)
    assert wait_s(unfinished, p_over) >= 0.6
    assert wait_s(unfinished, 0.3) >= 1.0


@pytest.mark.parametrize(
    "text",
    [
        *("what time is it", "how much does this cost", "who is she?", "yes", "thank you", "stop"),
        *("turn on the living room lamp", "read the first line to me", "Turn it off."),
        *("这是什么", "现在几点了？", "这是谁的", "好的", "停", "打开客厅的灯"),
    ],
)
def test_what_is_plainly_over_is_answered_at_once(text):
    assert wait_s(text, 0.97) == RULES.min_wait_s
    assert wait_s(text) <= 0.65


def test_what_may_end_a_question_is_not_taken_for_unfinished():
    for text in ("what is it standing on", "tell me what this is", "what is the person looking for", "这个杯子是谁的"):
        assert wait_s(text, 0.95) <= RULES.end_s, text


def test_the_reasons_are_told():
    why = judge(0.2, Words("i want to go and", (), "en", 0.02), NOBODY, RULES).why
    assert why == "sounds unfinished (0.20), words seldom end so (0.02), unfinished after 'and'"
    assert judge(None, None, NOBODY, RULES).why == "nothing is known"


# ---------------------------------------------------------------- the speaker


def spoken(turns: list[list[float]]) -> Pauses:
    """What is known of a speaker who paused so long (seconds) inside these turns."""
    pauses = Pauses()
    for turn in turns:
        for silence_s in turn:
            pauses = pauses.resumed(silence_s)
        pauses = pauses.ended()
    return pauses


def test_who_pauses_long_and_often_is_given_more_time_and_who_never_does_less():
    slow, fluent = spoken([[1.1]] * 8), spoken([[]] * 15)
    for p in (0.3, 0.6, 0.8):
        assert wait_s(None, p, pauses=fluent) <= wait_s(None, p) <= wait_s(None, p, pauses=slow)
    assert wait_s(None, 0.6, pauses=fluent) == RULES.min_wait_s
    assert wait_s(None, 0.6, pauses=slow) > wait_s(None, 0.6) + 0.2
    assert wait_s(None, pauses=slow) > RULES.end_s


def test_a_turn_that_was_answered_too_early_counts_as_a_pause():
    taken_back = Pauses().ended().cut_off(0.9)
    assert taken_back.ended() == Pauses().resumed(0.9).ended()
    assert went_on(3.0, 3.0) and went_on(3.0, 3.9) and not went_on(3.0, 4.5) and not went_on(3.0, 2.9)


@given(st.lists(st.none() | st.floats(0, 30), max_size=200))
def test_nobody_moves_the_waits_without_bounds(heard):
    pauses = Pauses()
    for silence_s in heard:
        pauses = pauses.ended() if silence_s is None else pauses.resumed(silence_s).cut_off(silence_s)
        assert 0.7 <= pauses.pace <= 2 and 0.05 <= pauses.per_turn <= 2


def test_what_was_long_ago_is_forgotten():
    pauses = spoken([[1.5, 1.5]] * 10)
    assert pauses.pace > 1.3 and pauses.per_turn > 1
    for _ in range(100):
        pauses = pauses.ended()
    assert pauses.pace == pytest.approx(1, abs=0.05) and pauses.per_turn < 0.15


def test_a_speaker_like_all_others_changes_little():
    rng = np.random.default_rng(SEED)
    made = rng.lognormal(math.log(0.5), math.log(2) / 1.2816, 60)
    pauses = spoken([turn for silence_s in made for turn in ([], [float(silence_s)], [], [])])
    assert pauses.pace == pytest.approx(1, abs=0.2) and pauses.per_turn == pytest.approx(0.25, abs=0.12)


# ---------------------------------------------------------------- real recordings


def cut(pcm: Samples, at_s: float, rng: np.random.Generator) -> tuple[Samples, float]:
    """The recording until then, and the pause with faint noise that `TAIL_S` is about; where its voice ends."""
    noise = (3e-4 * rng.standard_normal(round(TAIL_S * HEARING_RATE_HZ))).astype(np.float32)
    return np.concatenate((pcm[: round(at_s * HEARING_RATE_HZ)], noise)), at_s


def outlasts(silence_s: float) -> float:
    """How likely a pause inside a turn is to last longer (log-normal: median 0.5 s, 90th percentile 1.0 s)."""
    return 0.5 * math.erfc(math.log(silence_s / 0.5) / (math.log(2) / 1.2816 * math.sqrt(2)))


def test_on_short_recordings_it_cuts_off_less_than_a_fixed_wait_and_answers_sooner(shared: Path):
    """Each as it is, and cut off after the word in its middle; words as the built-in recogniser hears them."""
    try:
        smart_turn = SmartTurn()
    except WeightsError as reason:
        pytest.skip(f"needs the weights of smart_turn: {reason}")
    recogniser, rng = PocketSphinx(), np.random.default_rng(SEED)

    def hear(pcm: Samples) -> Words:
        segment = recogniser.start("en")
        recogniser.feed(segment, pcm)
        return recogniser.finish(segment)

    over: list[float] = []
    paused: list[float] = []
    for row in read_table(shared / "data/speech/transcripts.tsv", ("file", "lang", "seconds")):
        if row["lang"] != "en" or float(row["seconds"]) > 3:
            continue
        pcm = read_sound(shared / "data/speech" / row["file"])
        words = hear(pcm)
        times = [word.ended_s for word in words.words]
        for at_s, waits in ((times[-1], over), (times[(len(times) - 1) // 2], paused)):
            if len(times) > 1 or waits is over:
                sound, _ = cut(pcm, at_s, rng)
                waits.append(judge(smart_turn.over(sound), hear(sound), NOBODY, RULES).seconds)
    cut_off = 0.25 * np.mean([outlasts(wait) for wait in paused])
    fixed = 0.25 * outlasts(float(np.mean(over)))
    assert len(over) >= 15 and len(paused) >= 13
    assert np.median(over) < 0.5 < np.median(paused)
    assert np.quantile(over, 0.95) < 1.3
    assert cut_off < 0.1 and cut_off < 0.9 * fixed, (cut_off, fixed)
