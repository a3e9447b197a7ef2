"""Who is meant: wake phrases, sleep, and the time in which none is needed; in both languages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.addressing import (
    Acknowledge,
    AddressRules,
    Answer,
    Attention,
    Ignore,
    Verdict,
    acknowledgement,
    addressed,
    answered,
)
from assistant.config import load_config
from assistant.events import Word, Words
from assistant.running import address_rules

RULES = AddressRules(("assistant", "hey assistant", "小助手"), ("go to sleep", "去睡吧"), ("wake up", "醒醒"))
YES, ASLEEP, AWAKE = (Acknowledge(f"address.{name}") for name in ("yes", "asleep", "awake"))


def words(text: str) -> Words:
    language = "zh" if any("\u4e00" <= c <= "\u9fff" for c in text) else "en"
    timed = tuple(Word(w, i / 2, (i + 1) / 2) for i, w in enumerate(text.split()))
    return Words(text, timed, language)


def verdict(text: str, rules: AddressRules = RULES) -> Verdict:
    return addressed(Attention(), words(text), 0.0, rules)[1]


def letters(text: str) -> str:
    return "".join(c for c in text if c.isalnum())


def answer(text: str, **more: AddressRules) -> str | None:
    match verdict(text, **more):
        case Answer(said):
            assert letters("".join(w.text for w in said.words)) == letters(said.text)
            return said.text
        case _:
            return None


# ---------------------------------------------------------------- the wake phrase


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("assistant what time is it", "what time is it"),
        ("Assistant, what time is it?", "what time is it?"),
        ("Hey, Assistant! What time is it?", "What time is it?"),
        ("okay assistant what does it say", "what does it say"),
        ("the assistant how much does this cost", "how much does this cost"),
        ("assistance what time is it", "what time is it"),
        ("assistants what time is it", "what time is it"),
        ("assist ant what time is it", "what time is it"),
        ("oh hey assistant what is it", "what is it"),
        ("小助手，现在几点？", "现在几点？"),
        ("小助手现在几点", "现在几点"),
        ("嘿小助手 这个多少钱", "这个多少钱"),
        ("what time is it", None),
        ("i told my assistant what time it is", None),
        ("a system needs an assistant", None),
        ("现在几点", None),
        ("我的小助手在哪里", None),
        ("", None),
    ],
)
def test_a_question_begins_with_the_wake_phrase(text: str, said: str | None) -> None:
    assert answer(text) == said


def test_the_words_that_are_left_keep_their_times() -> None:
    match verdict("hey assistant what time is it"):
        case Answer(said):
            assert [(w.text, w.began_s) for w in said.words] == [("what", 1.0), ("time", 1.5), ("is", 2.0), ("it", 2.5)]
        case other:
            pytest.fail(f"{other}")
    match addressed(Attention(), Words("小助手几点了", (Word("小助手几点", 0, 1), Word("了", 1, 2)), "zh"), 0, RULES)[
        1
    ]:
        case Answer(said):
            assert [w.text for w in said.words] == ["几点", "了"] and said.language == "zh"
        case other:
            pytest.fail(f"{other}")


@pytest.mark.parametrize("text", ["assistant", "Hey assistant!", "assistance", "小助手", "小助手？", "oh assistant."])
def test_the_wake_phrase_alone_opens_the_floor(text: str) -> None:
    attention, found = addressed(Attention(), words(text), 5.0, RULES)
    assert found == YES
    assert isinstance(addressed(attention, words("what time is it"), 7.0, RULES)[1], Answer)


@pytest.mark.parametrize("text", ["what time is it", "assistant what time is it", "assistant", "现在几点", ""])
def test_without_a_wake_phrase_everything_is_meant(text: str) -> None:
    assert answer(text, rules=AddressRules()) == text


@given(st.text(max_size=30), st.sampled_from(["", "...", "？", "  "]))
def test_what_is_not_named_is_ignored_and_what_is_keeps_every_word(text: str, between: str) -> None:
    rules = AddressRules(("zzyzzxroad",))
    assert answer(text, rules=rules) is None
    named = answer(f"Zzyzzxroad{between} {text}", rules=rules)
    if named is not None:
        assert text.endswith(named)
        assert letters(named) == letters(text)
    else:
        assert not letters(text)


# ---------------------------------------------------------------- following up


def test_after_an_answer_no_wake_phrase_is_needed_for_a_while() -> None:
    attention, found = addressed(Attention(), words("assistant how much is it"), 1.0, RULES)
    assert isinstance(found, Answer)
    attention = answered(attention, 20.0, RULES)
    assert isinstance(addressed(attention, words("and that one"), 29.0, RULES)[1], Answer)
    assert addressed(attention, words("and that one"), 31.0, RULES) == (attention, Ignore("no wake phrase"))


def test_while_it_answers_it_can_be_interrupted_without_a_wake_phrase() -> None:
    attention, _ = addressed(Attention(), words("assistant tell me a story"), 1.0, RULES)
    assert isinstance(addressed(attention, words("another one"), 60.0, RULES)[1], Answer)


def test_the_end_of_an_answer_that_nobody_asked_for_opens_nothing() -> None:
    assert answered(Attention(), 20.0, RULES) == Attention()
    asleep = Attention(asleep=True)
    assert answered(asleep, 20.0, RULES) == asleep


# ---------------------------------------------------------------- sleep


@pytest.mark.parametrize(
    "text",
    [
        *("assistant go to sleep", "Assistant, please go to sleep now.", "hey assistant you can go to sleep"),
        *(
            "assistant go to sleep please",
            "小助手，去睡吧。",
            "小助手 你去睡吧",
            "小助手现在可以去睡了",
            "assistant got to sleep",
        ),
    ],
)
def test_it_goes_to_sleep_and_hears_nothing_until_it_is_woken(text: str) -> None:
    attention, found = addressed(Attention(), words(text), 1.0, RULES)
    assert found == ASLEEP and attention.asleep
    attention = answered(attention, 3.0, RULES)
    for said in ("assistant what time is it", "hello", "小助手现在几点", "they wake up early", "assistant"):
        assert addressed(attention, words(said), 4.0, RULES) == (attention, Ignore("asleep"))
    for said in ("wake up", "Assistant, wake up!", "okay wake up please", "醒醒", "小助手，醒醒吧"):
        awake, found = addressed(attention, words(said), 5.0, RULES)
        assert found == AWAKE and not awake.asleep
        assert isinstance(addressed(awake, words("what time is it"), 6.0, RULES)[1], Answer)


@pytest.mark.parametrize(
    "text",
    [
        *("how do i go to sleep earlier", "i want to go to sleep", "when do cats go to sleep", "go to sleep is a song"),
        *("怎么才能早点去睡", "孩子们去睡吧台边了", "go", "sleep", "what does go to sleep mean"),
    ],
)
def test_a_sentence_about_sleep_is_a_question(text: str) -> None:
    rules = AddressRules(sleep=RULES.sleep, wake_up=RULES.wake_up)
    assert answer(text, rules=rules) == text


def test_whoever_is_not_meant_is_not_sent_to_sleep_and_what_cannot_wake_does_not_sleep() -> None:
    assert verdict("go to sleep") == Ignore("no wake phrase")
    assert verdict("go to sleep", AddressRules(sleep=("go to sleep",))) == Answer(words("go to sleep"))
    assert verdict("wake up", AddressRules(wake_up=("wake up",))) == Answer(words("wake up"))


def test_phrases_without_letters_are_none() -> None:
    assert verdict("hello", AddressRules(wake=("", "!"))) == Ignore("no wake phrase")
    assert verdict("", AddressRules(sleep=("",), wake_up=("",))) == Answer(words(""))


# ---------------------------------------------------------------- the words for it


def test_it_says_how_it_is_woken_in_the_language_that_was_spoken() -> None:
    assert "wake up" in acknowledgement(ASLEEP, "en", RULES)
    assert "醒醒" in acknowledgement(ASLEEP, "zh", RULES)
    assert "reveille" in acknowledgement(ASLEEP, "zh", AddressRules(wake_up=("reveille",)))
    for found in (YES, ASLEEP, AWAKE):
        for language in ("en", "zh"):
            said = acknowledgement(found, language, RULES)
            assert said and "\n" not in said and "{" not in said


def test_the_configuration_ships_phrases_for_both_languages() -> None:
    rules = address_rules(load_config(environ={}))
    assert rules.wake == ()
    for text in ("go to sleep", "去睡吧", "睡觉吧"):
        attention, found = addressed(Attention(), words(text), 0.0, rules)
        assert found == ASLEEP
        for waking in ("wake up", "醒醒"):
            assert addressed(attention, words(waking), 1.0, rules)[1] == AWAKE
