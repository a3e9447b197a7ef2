"""LocalAgreement-2 by itself: what stays, what is cut away, and what is said in the end."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.agreement import LONG_S, MOST_S, Agreement, agree, cut, overflow, pieces, text
from assistant.events import Word, Words


def words_of(said, word_s=0.4, began_s=0.0, language="en"):
    timed = tuple(Word(w, began_s + i * word_s, began_s + (i + 1) * word_s) for i, w in enumerate(said.split()))
    return Words(said if language == "en" else said.replace(" ", ""), timed, language)


def heard_by(said, ended_s, began_s=0.0):
    """What an engine that is never wrong hears in [began_s, ended_s] of a text, 0.4 s a word."""
    inside = [w for w in words_of(said).words if w.began_s >= began_s - 1e-6 and w.ended_s <= ended_s + 1e-6]
    return Words(" ".join(w.text for w in inside), tuple(inside)).shifted(-began_s)


TEXTS = st.lists(st.text("ab", min_size=1, max_size=2), min_size=1, max_size=80).map(" ".join)


@given(TEXTS, st.lists(st.tuples(st.floats(0.1, 2.0), st.text("ab", max_size=2)), max_size=40))
def test_what_is_stable_stays_and_the_end_is_what_was_said(said, ticks):
    """Whatever an engine makes of the last word of each tick; `ab` make words that repeat themselves all the time."""
    known, ended_s, length_s = Agreement(), 0.0, 0.4 * len(said.split())
    for step_s, wrong in ticks:
        before, ended_s = known, min(length_s, ended_s + step_s)
        known = cut(known, ended_s)
        heard = heard_by(said, ended_s, known.began_s)
        if wrong and ended_s < length_s:
            last = Word(wrong, max(0.0, ended_s - known.began_s - 0.1), ended_s - known.began_s)
            heard = Words(f"{heard.text} {wrong}".strip(), (*heard.words, last))
        known = agree(known, heard)
        assert known.stable[: len(before.stable)] == before.stable
        assert ended_s - known.began_s <= MOST_S
        times = [t for w in known.words.words for t in (w.began_s, w.ended_s)]
        assert times == sorted(times)
    known = cut(known, length_s)
    known = agree(known, heard_by(said, length_s, known.began_s))
    assert known.final.text == said
    times = [t for w in known.final.words for t in (w.began_s, w.ended_s)]
    assert times == sorted(times)


def test_two_hypotheses_have_to_agree():
    once = agree(Agreement(), words_of("turn on the lamb"))
    assert (once.stable, text(once.rest)) == ((), "turn on the lamb")
    twice = agree(once, words_of("turn on the lamp in here"))
    assert (text(twice.stable), text(twice.rest)) == ("turn on the", " lamp in here".strip())
    assert twice.words.text == "turn on the lamp in here"
    assert agree(twice, words_of("turn off the lamp")).words.text.startswith("turn on the")


def test_the_last_hypothesis_has_the_last_word_on_what_is_not_settled():
    known = Agreement()
    for heard in ("I scream", "I scream is", "ice cream is cold"):
        known = agree(known, words_of(heard))
    assert text(known.stable) == "I scream is"
    assert known.final.text == "ice cream is cold"


def test_a_hypothesis_that_was_rejected_leaves_what_is_stable():
    known = agree(agree(Agreement(), words_of("good morning")), words_of("good morning"))
    assert agree(known, Words("")).final.text == "good morning"


def test_a_long_buffer_is_cut_and_the_prompt_says_what_is_gone():
    said = " ".join(f"w{i}" for i in range(40))
    known = Agreement()
    for ended_s in (8.0, 10.0, 12.0, 14.0):
        known = agree(known, heard_by(said, ended_s))
    assert 14.0 > LONG_S
    shorter = cut(known, 14.0)
    assert shorter.stable == known.stable and 14.0 - shorter.began_s <= 6
    assert f"{shorter.settled.text} {heard_by(said, 14.0, shorter.began_s).text}" == heard_by(said, 14.0).text
    assert cut(known, LONG_S) == known


def test_a_cut_goes_where_a_sentence_begins():
    said = " ".join(f"w{i}{'.' if i == 24 else ''}" for i in range(40))
    known = agree(agree(Agreement(), heard_by(said, 14.0)), heard_by(said, 14.0))
    assert cut(known, 14.0).settled.text.endswith("w24.")


@pytest.mark.parametrize("scrap", ["", "ing", "ing or"])
def test_scraps_of_a_word_that_was_cut_are_not_said_twice(scrap):
    said = " ".join(f"w{i}" for i in range(40))
    known = cut(agree(agree(Agreement(), heard_by(said, 14.0)), heard_by(said, 14.0)), 14.0)
    rest = heard_by(said, 16.0, known.began_s)
    early = tuple(Word(w, 0.02 * i, 0.02 * (i + 1)) for i, w in enumerate(scrap.split()))
    heard = Words(f"{scrap} {rest.text}".strip(), (*early, *rest.words))
    known = agree(known, heard)
    assert known.words.text == known.final.text == said


def test_a_full_buffer_is_settled_by_one_hypothesis_but_for_its_edge():
    said = " ".join(f"w{i}" for i in range(60))
    full = overflow(agree(Agreement(), heard_by(said, 15.0)), 15.0)
    assert text(full.stable).endswith("w34") and full.rest == () and 9.0 <= full.began_s <= 14.0
    assert agree(full, heard_by(said, 24.0, full.began_s)).final.text == said
    silent = overflow(agree(Agreement(), Words("")), 15.0)
    assert silent.began_s == 14.0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("its lightning-fast start.", ["its", "lightning", "-fast", "start."]),
        ("打开客厅的灯。", ["打", "开", "客厅", "的", "灯。"]),
        ("say 你好 now", ["say", "你", "好", "now"]),
    ],
)
def test_the_text_keeps_its_spaces_whatever_its_words(said, words):
    language = "zh" if "打" in said else "en"
    heard = Words(said, tuple(Word(w, i, i + 1) for i, w in enumerate(words)), language)
    assert text(pieces(heard)) == said
    known = agree(agree(Agreement(), heard), heard)
    assert known.final == heard and known.words == heard


def test_chinese_goes_on_without_a_space_and_english_with_one():
    for language, said in (("zh", "打 开 客 厅 的 灯"), ("en", "turn on the lamp in here")):
        whole = words_of(said, 3.0, language=language)
        known = cut(agree(agree(Agreement(), whole), whole), 18.0)
        assert 0 < known.inside < 6
        rest = words_of(" ".join(said.split()[-known.inside :]), 3.0, language=language)
        assert agree(known, rest).final.text == whole.text


def test_times_rise_even_where_the_engine_s_do_not():
    known = agree(Agreement(), Words("a b", (Word("a", 0.5, 0.4), Word("b", 0.1, 0.9))))
    assert [(w.began_s, w.ended_s) for p, q in pairwise(known.rest) for w in (p.word, q.word)] == [
        (0.5, 0.5),
        (0.5, 0.9),
    ]
