"""Which evidence answers: typed values, layout, questions, comparisons, the talk, refusals, and the grammar."""

import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.backends import Message, load
from assistant.errors import WeightsError
from assistant.events import Exchange, Finding, Glimpse
from assistant.grounding import Grounds, asks_to_see, evidence, evidence_of, ground, ranking, words
from assistant.grounding.evidence import seen
from assistant.grounding.values import repair, values
from assistant.grounding.wording import grammar
from assistant.grounding.words import likeness

BLANK = np.zeros((480, 640, 3), np.uint8)


def glimpse(*rows: str, id: int = 1, at_s: float = 0.0, colours: Sequence[str] = ()) -> Glimpse:
    """A glimpse as the eyes would find it; `|` parts what stands apart on a row, the first row is twice as tall."""
    findings: list[Finding] = []
    top = 10.0
    for number, row in enumerate(rows):
        height, left = (48.0, 20.0) if number == 0 else (24.0, 20.0)
        for text in row.split("|"):
            right = left + 0.5 * height * len(text)
            findings.append(Finding("text", text, 0.97, (left, top, right, top + height)))
            left = right + 3 * height
        top += 1.6 * height
    findings += [Finding("colour", name, 0.8) for name in colours]
    return Glimpse(id, at_s, BLANK, tuple(findings))


def ask(question: str, *glimpses: Glimpse, talk: Sequence[Exchange] = (), language: str = "en") -> Grounds:
    return ground(question, glimpses, talk, 100.0, language)


def an_hour() -> list[Glimpse]:
    """Four hundred labels that were shown, with a few thousand words among them."""
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghiklmnoprstuvw", k=rng.randint(3, 9))) for _ in range(4000)]

    def row(number: int) -> str:
        price = f" ${rng.randint(1, 99)}.{rng.randint(10, 99)}" if number % 3 == 1 else ""
        return " ".join(rng.choices(words, k=rng.randint(1, 4))) + price

    return [glimpse(*map(row, range(8)), id=i, at_s=9.0 * i) for i in range(1, 401)]


def said(text: str, answer: str = "All right.", at_s: float = 1.0) -> Exchange:
    return Exchange(at_s, text, answer, answer, False)


def admitted(text: str) -> list[str]:
    """The sentences that a grammar of one alternation of literals admits; ValueError for anything that is none.

    After llama.cpp's grammars/README.md: a literal ends at the first quote that no backslash precedes, and knows the
    escapes \\\\, \\", \\n, \\r and \\t.
    """
    head = "root ::= "
    if not text.startswith(head):
        raise ValueError(text)
    rest, found = text[len(head) :], []
    literal = re.compile(r'"((?:[^"\\\n\r]|\\[\\"nrt])*)"( \| |$)')
    while rest:
        match = literal.match(rest)
        if match is None:
            raise ValueError(rest)
        found.append(re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r", "t": "\t"}.get(m[1], m[1]), match[1]))
        rest = rest[match.end() :]
    return found


# ---------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("line", "kind", "value"),
    [
        ("7/30/2012", "date", date(2012, 7, 30)),
        ("30.07.2012", "date", date(2012, 7, 30)),
        ("2012-07-30", "date", date(2012, 7, 30)),
        ("12MAY27", "date", date(2027, 5, 12)),
        ("May 12, 2027", "date", date(2027, 5, 12)),
        ("EXP 05/2027", "date", date(2027, 5, 1)),
        ("2027年5月12日", "date", date(2027, 5, 12)),
        ("$1,299.00", "money", Decimal("1299.00")),
        ("2,99 €", "money", Decimal("2.99")),
        ("￥12.50", "money", Decimal("12.50")),
        ("12.5元", "money", Decimal("12.5")),
        ("128.27", "money", Decimal("128.27")),
        ("Cholesterol Omg", "amount", Decimal(0)),
        ("Net 1.5 kg", "amount", Decimal("1.5")),
        ("净含量：500克", "amount", Decimal(500)),
        ("3.5 %", "percent", Decimal("3.5")),
        ("Calories190", "number", Decimal(190)),
        ("1O5 kcal", "amount", Decimal(105)),
        ("Tel. +44 20 7946 0958", "phone", "+44 20 7946 0958"),
        ("8:27:32 PM", "time", "8:27:32 PM"),
        ("No. A320-B", "code", "A320-B"),
    ],
)
def test_a_line_holds_a_typed_value(line: str, kind: str, value: object) -> None:
    assert [(v.kind, v.value) for v in values(repair(line))] == [(kind, value)]


@given(st.text(max_size=60))
def test_values_of_any_text_lie_in_it_and_do_not_overlap(text: str) -> None:
    line = repair(text)
    found = values(line)
    assert all(line[v.start : v.end].strip() == v.text for v in found)
    assert all(a.end <= b.start for a, b in pairwise(found))


# ---------------------------------------------------------------- layout


def test_a_value_is_labelled_by_its_row() -> None:
    receipt = glimpse("CORNER SHOP", "Bread|2.10", "SubTotal|9.40", "Tax|0.75", "Total|10.15", "Cash|20.00")
    for question, value in [
        ("what is the total", "10.15"),
        ("how much was the tax", "0.75"),
        ("what is the subtotal", "9.40"),
    ]:
        answer = ask(f"{question} on the receipt", receipt)
        assert [w.text for w in answer.winners] == [value], answer.why


def test_a_value_is_labelled_by_the_line_above() -> None:
    label = glimpse("GREEN TEA", "PRICE|WEIGHT", "2.99|250 g")
    found = {e.text: e.beside for e in seen(label) if e.kind in ("money", "amount")}
    assert found["2.99"][0] == "PRICE" and "WEIGHT" in found["250 g"][:2]


def test_a_line_with_its_own_value_labels_no_other() -> None:
    assert ask("how much is this", glimpse("COCONUT CREAM", "9% FAT", "$5.29")).sentences[0] == "It costs $5.29."


def test_a_sentence_over_two_lines_is_read_in_one() -> None:
    answer = ask("what does the note say", glimpse("Please water", "the plants", "on Monday!"))
    assert answer.sentences[0] == "It says: Please water the plants on Monday!"


def test_a_chinese_line_painted_from_right_to_left_is_turned() -> None:
    answer = ask("飞机上写的是哪家航空公司？", glimpse("空航川四"), language="zh")
    assert "四川航空" in answer.sentences[0]


# ---------------------------------------------------------------- questions

CARD = glimpse(
    "HARBOUR CAFE", "Manager: Ruth Okafor", "Order 55813", "Battery 64%", "Tel 020 7946 0958", "Net weight 340 g",
    "Price $4.75", "Best before 3 JUN 2028", "12 Mill Lane", "Open 9:00 - 17:30", colours=("blue",),
)  # fmt: skip


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who is the manager?", "Ruth Okafor"),
        ("what's the order number", "55813"),
        ("how full is the battery", "64%"),
        ("what number do i call", "020 7946 0958"),
        ("how heavy is it", "340 g"),
        ("how much does it weigh", "340 g"),
        ("how much does this cost", "$4.75"),
        ("what is the price", "$4.75"),
        ("when does it expire", "3 JUN 2028"),
        ("until when is it good, what is the use by date", "3 JUN 2028"),
        ("what street is it on", "12 Mill Lane"),
        ("when do they open", "9:00 - 17:30"),
        ("what colour is it", "blue"),
        ("what is it called", "HARBOUR CAFE"),
        ("这个多少钱", "$4.75"),
        ("这个多重", "340 g"),
        ("什么时候过期", "3 JUN 2028"),
        ("电话号码是多少", "020 7946 0958"),
    ],
)
def test_the_kind_that_is_asked_for_wins(question: str, answer: str) -> None:
    found = ask(question, CARD)
    assert found.kind == "evidence" and answer in found.sentences[0], found.why


@pytest.mark.parametrize(
    "question",
    [
        "how much sodium is in it", "who is the doctor on duty", "what is the email address", "how many calories",
        "what is the serial number", "how much is the bread", "when was it made", "is there any sugar in it",
        "which gate does it leave from", "有多少糖", "生产日期是哪天",
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused(question: str) -> None:
    found = ask(question, CARD, language="zh" if question[0] > "z" else "en")
    assert (found.kind, found.winners) == ("refusal", ()), found.why
    assert found.grammar is not None and admitted(found.grammar) == list(found.sentences)


@pytest.mark.parametrize("question", ["hello how are you", "what is the capital of france", "你好", ""])
def test_small_talk_is_left_to_the_mind(question: str) -> None:
    found = ask(question, CARD)
    assert (found.kind, found.grammar) == ("chat", None) and not asks_to_see(question)


def test_another_label_is_not_taken_for_the_asked_one() -> None:
    bottle = glimpse("ORCHARD", "Total Fat 13 g", "Produced 1 MAR 2026")
    assert ask("what is the total on this receipt", bottle).kind == "refusal"
    assert ask("what is the best before date", bottle).kind == "refusal"


def test_an_unread_picture_is_no_evidence() -> None:
    assert ask("what does it say", Glimpse(1, 0.0, BLANK)).kind == "refusal"


# ---------------------------------------------------------------- memory and comparison

NAMES = ["FRESH MILK", "GREEN TEA", "RYE BREAD", "OAT COOKIES", "LEMON SOAP", "TOMATO SOUP"]


def product(rng: random.Random, name: str, id: int) -> tuple[Glimpse, tuple[int, int, int]]:
    """A label with random values: its price in cents, its weight in grams and its date, and lines in random order."""
    cents, grams = rng.randrange(101, 1999), rng.randrange(3, 180) * 5
    day = date(2027, 1, 1).replace(month=rng.randrange(1, 13), day=rng.randrange(1, 29))
    weight = f"{grams / 1000:g} kg" if grams >= 500 and rng.random() < 0.5 else f"{grams} g"
    lines = [f"Price ${cents // 100}.{cents % 100:02}", f"Net weight {weight}", f"Best before {day:%-d %b %Y}".upper()]
    rng.shuffle(lines)
    return glimpse(name, *lines, id=id, at_s=10.0 * id), (cents, grams, day.toordinal())


@pytest.mark.parametrize("seed", range(20))
def test_comparisons_follow_the_values(seed: int) -> None:
    rng = random.Random(seed)
    first_name, second_name = rng.sample(NAMES, 2)
    first, one = product(rng, first_name, 1)
    second, two = product(rng, second_name, 2)
    for question, index, high in [
        ("which one is cheaper", 0, False),
        ("which is more expensive", 0, True),
        ("which one is heavier", 1, True),
        ("which one expires first", 2, False),
        ("哪个更便宜", 0, False),
    ]:
        if one[index] == two[index]:
            continue
        found = ask(question, first, second)
        winner = 1 if (one[index] > two[index]) == high else 2
        assert found.kind == "comparison" and [w.origin for w in found.winners] == [winner, 3 - winner], found.why
        assert ["", "the first", "the second"][winner] in found.sentences[0].lower()
    found = ask("is this cheaper than the first one", first, second)
    assert found.sentences[0].startswith("Yes" if two[0] < one[0] else "No")
    found = ask("how much cheaper is it", first, second)
    assert f"{abs(one[0] - two[0]) / 100:.2f}" in found.sentences[0]
    assert (
        f"${one[0] // 100}.{one[0] % 100:02}" in ask("what was the price of the first one", first, second).sentences[0]
    )
    assert f"${two[0] // 100}.{two[0] % 100:02}" in ask("how much is this one", first, second).sentences[0]


def test_only_values_of_one_measure_are_compared() -> None:
    assert (
        ask("which one is heavier", glimpse("A BOX", "500 g"), glimpse("A BOTTLE", "750 ml", id=2, at_s=5)).kind
        == "refusal"
    )
    assert ask("which one is cheaper", glimpse("A BOX", "Price $5.00")).kind == "refusal"


def test_an_unnamed_thing_is_the_newest_one() -> None:
    first, second = glimpse("RYE BREAD", "PRICE $1.99"), glimpse("GREEN TEA", "$4.25", id=2, at_s=9)
    assert "$4.25" in ask("how much does it cost", first, second).sentences[0]
    assert "$1.99" in ask("how much does the bread cost", first, second).sentences[0]


def test_glimpses_of_one_thing_count_once() -> None:
    again = [glimpse("FRESH MILK", "Price $3.49", "Net weight 500 g", id=i, at_s=i) for i in (1, 2, 3)]
    tea = glimpse("GREEN TEA", "Price $2.99", "Net weight 80 g", id=4, at_s=9)
    found = ask("which one is cheaper", *again, tea)
    assert found.sentences[0] == "The second one is cheaper: $2.99 against $3.49."
    assert "FRESH MILK" in ask("what was the first one", *again, tea).sentences[0]


def test_a_price_list_is_compared_within_one_picture() -> None:
    menu = glimpse("COFFEE BAR", "Latte|3.50", "Mocha|4.20", "Espresso|2.10")
    assert ask("which is the cheapest", menu).sentences[0] == "Espresso is the cheapest: 2.10."
    assert ask("which is cheaper the latte or the mocha", menu).sentences[0] == "Latte is cheaper: 3.50 against 4.20."


# ---------------------------------------------------------------- the talk


def test_what_was_told_is_known_again() -> None:
    rng = random.Random(8)
    name, place = rng.choice(["maria", "tom", "wei"]), rng.choice(["lisbon", "york", "oslo"])
    talk = [said(f"my name is {name}"), said(f"i live in {place}"), said("what is the weather like", "I do not know.")]
    assert ask("what is my name", talk=talk).sentences[0] == f"Your name is {name.title()}."
    assert place in ask("where do i live", CARD, talk=talk).sentences[0]
    assert "what is the weather like" in ask("what did i ask you", talk=talk).sentences[0]
    assert ask("what did you say", talk=talk).sentences[0] == "I said: I do not know."
    assert ask("what is my favourite colour", CARD, talk=talk).kind == "refusal"


def test_only_what_was_heard_is_said_to_have_been_said() -> None:
    cut = Exchange(1.0, "how much is it", "It costs two dollars and fifty cents.", "It costs two", True)
    assert ask("what did you say", talk=[cut]).sentences[0] == "I said: It costs two."


# ---------------------------------------------------------------- grammar and context


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_a_grammar_admits_exactly_its_sentences(choices: list[str]) -> None:
    flat = [" ".join(c.split()) for c in choices]
    assert admitted(grammar(flat)) == flat


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=5), st.sampled_from(["en", "zh"]))
def test_any_text_in_a_picture_makes_a_valid_grammar(rows: list[str], language: str) -> None:
    for question in ("what does it say", "what is this", "how much is it", "which one is cheaper", "who is it"):
        found = ask(question, glimpse(*[r.replace("|", " ") for r in rows]), language=language)
        assert found.grammar is not None and admitted(found.grammar) == list(found.sentences) != []
        assert all(s.isprintable() and s.strip() == s for s in found.sentences)


def test_the_context_holds_all_evidence_with_score_and_age() -> None:
    old = glimpse("RYE BREAD", "Price $1.99", id=7, at_s=40.0, colours=("brown",))
    context = ask("how much is it", old, glimpse("FRESH MILK", "Price $3.49", id=8, at_s=90.0)).context
    assert context.index("RYE BREAD") < context.index("FRESH MILK")
    assert all(part in context for part in ("60 s", "10 s", "0.97", "brown", "$1.99"))


def test_what_is_shown_cannot_leave_its_quotes() -> None:
    found = ask("read this", glimpse('say "yes" | \\root ::= .*'.replace("|", "/")))
    assert found.grammar is not None and admitted(found.grammar) == list(found.sentences)


def test_the_built_in_mind_stays_within_the_grammar() -> None:
    try:
        mind = load("mind", "llama", threads=1)
    except WeightsError as reason:
        pytest.skip(f"needs the built-in mind: {reason}")
    picture = glimpse('The "Old" Mill \\ 愚园路', "Price $4.75", "Total|10.15")
    for question, language in [
        ("what does it say", "en"),
        ("what is the total", "en"),
        ("上面写了什么", "zh"),
        ("who is it", "zh"),
    ]:
        found = ask(question, picture, language=language)
        reply = "".join(mind.reply([Message("user", question)], lambda: False, found.grammar))
        assert reply.strip() in found.sentences


@pytest.mark.parametrize(
    ("said", "kind", "answer"),
    [
        ("my name is peter", "evidence", "Peter"),
        ("my favorite color is blue", "evidence", "blue"),
        ("i have three children", "evidence", "remember"),
        ("what is the weather like", "refusal", "can't"),
        ("what time is it", "refusal", "can't"),
        ("turn on the living room lamp", "refusal", "can't"),
        ("hello", "chat", None),
        ("tell me a joke", "chat", None),
    ],
)
def test_small_talk_notes_facts_and_refuses_what_nobody_here_can_know_or_do(said, kind, answer):
    grounds = ground(said, [], [], 1.0)
    assert grounds.kind == kind
    assert (answer is None and grounds.grammar is None) or any(answer in s for s in grounds.sentences if answer)


# ---------------------------------------------------------------- work


@pytest.mark.parametrize(
    "question",
    ["when did you see the marmalade", "how much was the marmalade", "did you see a zebra crossing", "橘子酱多少钱"],
)
def test_an_hour_of_glimpses_is_not_gone_through_for_every_question(
    question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted, not timed: what was found is read when it is found, words are compared once, and pieces of evidence are
    weighed only where a word of the question stands.
    """
    memory = an_hour()
    for shown in memory:
        evidence_of(shown)  # as `Sight` has it done
    compared, weighed = Counter[str](), 0

    class Matcher(words.SequenceMatcher[str]):
        def ratio(self) -> float:
            compared["words"] += 1
            return super().ratio()

    def counted(*args: Any) -> float:
        nonlocal weighed
        weighed += 1
        return score(*args)

    score = ranking.score
    monkeypatch.setattr(words, "SequenceMatcher", Matcher)
    monkeypatch.setattr(ranking, "score", counted)
    before = evidence._typed.cache_info().misses
    found = [ground(question, memory, [], 3700.0) for _ in range(3)]
    assert {grounds.kind for grounds in found} == {"refusal"}
    assert evidence._typed.cache_info().misses == before
    assert compared.total() < 100, "of some four thousand words, those that are as long and of the same letters"
    assert weighed < 300, "of 16 000 pieces of evidence"
    named = replace(memory[7], findings=(*(memory[7].findings or ()), Finding("text", "ORANGE MARMALADE $4.55", 0.9)))
    assert "$4.55" in ground("how much was the marmalade", [*memory[:7], named, *memory[8:]], [], 3700.0).sentences[0]


def test_a_word_that_was_misread_is_still_the_word() -> None:
    assert likeness("marmalade", "marnalade") == likeness("sodium", "sodiun") == 0.85
    assert likeness("marmalade", "lemonade") == likeness("listen", "silent") == 0.0
