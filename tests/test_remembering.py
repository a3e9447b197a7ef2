"""Questions that only somebody can answer who has been watching, in English and Chinese."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from assistant.events import Finding, Gaze, Glimpse
from assistant.grounding import forgetting, ground
from assistant.grounding.moments import ago, relation
from assistant.grounding.questions import read
from assistant.grounding.wording import ago as told_ago

NOW_S = 200.0
BLANK = np.zeros((480, 640, 3), np.uint8)


def glimpse(
    id: int, from_s: float, to_s: float, *texts: str, objects: Sequence[str] = (), colour: str = "", light: float = 0.5
) -> Glimpse:
    found: list[Finding] = []
    top = 10.0
    for i, text in enumerate(texts):
        high = 48.0 if i == 0 else 24.0
        found.append(Finding("text", text, 0.97, (20.0, top, 20 + 0.5 * high * len(text), top + high)))
        top += 1.6 * high
    found += [Finding("object", o, 0.9, (40.0, 100.0, 140.0, 300.0)) for o in objects]
    found += [Finding("colour", colour, 0.8, (10.0, 10.0, 100.0, 100.0))] if colour else []
    return Glimpse(id, from_s, BLANK, tuple(found), 5.0, until_s=to_s, light=light)


MEMORY = [
    glimpse(1, 5, 20, "OAT MILK", "PRICE $2.09", "NET WEIGHT 500 g", colour="red"),
    glimpse(2, 30, 60, "APPLE JUICE", "PRICE $3.49", "NET WEIGHT 750 g", objects=["cup"], colour="blue"),
    glimpse(3, 70, 100, objects=["bottle"], light=0.4),
    glimpse(4, 100, 140, light=0.02),
    glimpse(5, 140, 200, "PLUM JAM", "PRICE $1.19", "NET WEIGHT 250 g", colour="green"),
]
GAZE = Gaze(5, 195.0, "pointed", "this")


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("what did i show you before the bottle", ["APPLE JUICE", "2 minutes ago"]),
        ("what did i show you after the bottle", ["PLUM JAM"]),
        ("what was before the apple juice", ["OAT MILK", "3 minutes ago"]),
        ("how much did the one before the bottle cost", ["$3.49", "minutes ago"]),
        ("was the light on a minute ago", ["Yes", "bright", "a minute ago"]),
        ("was the light on ninety seconds ago", ["No", "dark"]),
        ("was the light on 105 seconds ago", ["Yes", "bright"]),
        ("was the light on eighty seconds ago", ["No", "dark"]),
        ("was it dark 80 seconds ago", ["Yes", "dark"]),
        ("is the light on", ["Yes", "bright"]),
        ("read me the label from earlier", ["APPLE JUICE", "minutes ago"]),
        ("read me the label from two minutes ago", ["APPLE JUICE", "minutes ago"]),
        ("compare this with the first one", ["OAT MILK", "PLUM JAM", "$2.09", "$1.19", "500 g", "250 g"]),
        ("did i show you a bottle", ["Yes", "a bottle", "2 minutes ago"]),
        ("have you seen my cup", ["Yes", "a cup"]),
        ("did you see a dog", ["not seen"]),
        ("when did i show you the apple juice", ["APPLE JUICE", "2 minutes ago"]),
        ("where did you see the cup", ["a cup", "left", "2 minutes ago"]),
        ("what did i show you two minutes ago", ["bottle", "2 minutes ago"]),
        ("what did i show you an hour ago", ["can't"]),
        ("what did the first one cost", ["$2.09", "3 minutes ago"]),
        ("what color was the first one", ["red", "3 minutes ago"]),
        ("what was the previous one", ["bottle"]),
        ("how much is this", ["$1.19"]),
        ("what are you looking at", ["'this'", "5 seconds ago"]),
        ("what do you see here", ["PLUM JAM"]),
        ("where was the cup", ["a cup", "left", "2 minutes ago"]),
        ("what was the first thing i showed you", ["OAT MILK", "3 minutes ago"]),
        ("what was the last thing i showed you", ["bottle", "2 minutes ago"]),
        ("what have i shown you", ["bottle", "2 minutes ago"]),
        ("what else did i show you", ["bottle", "2 minutes ago"]),
        ("is this the same as the first one", ["OAT MILK", "PLUM JAM"]),
        ("was there a cup earlier", ["Yes", "a cup", "2 minutes ago"]),
        ("was there a dog earlier", ["not seen"]),
    ],
)
def test_what_was_is_told_with_its_time(question: str, says: list[str]) -> None:
    grounds = ground(question, MEMORY, [], NOW_S, "en", GAZE)
    assert grounds.sentences
    for sentence in grounds.sentences[:1]:
        assert all(part.lower() in sentence.lower() for part in says), sentence


PLAQUE = glimpse(1, 5, 20, "Octavia Hill", "1838-1912", "Social reformer lived here")
RECEIPT = glimpse(2, 30, 60, "CORNER SHOP", "Bread 2.10", "Total $10.15", "Cash $20.00")
MILK = glimpse(3, 70, 100, "OAT MILK", "PRICE $2.09")
CAT = glimpse(4, 140, 200, objects=["cat"])


@pytest.mark.parametrize(
    ("question", "shown", "says"),
    [
        ("what was on the plaque", [PLAQUE, RECEIPT, CAT], ["Octavia Hill", "1838", "3 minutes ago"]),
        ("what was on the plaque i showed you", [PLAQUE, RECEIPT, CAT], ["Octavia Hill", "3 minutes ago"]),
        ("what did the plaque say", [PLAQUE, RECEIPT, MILK], ["Octavia Hill", "3 minutes ago"]),
        ("what was written on the blue plaque", [PLAQUE, MILK], ["Octavia Hill", "3 minutes ago"]),
        ("what did the receipt say", [PLAQUE, RECEIPT, MILK, CAT], ["CORNER SHOP", "10.15", "2 minutes ago"]),
        ("what did it say on the receipt", [RECEIPT, MILK], ["CORNER SHOP", "2 minutes ago"]),
        ("what did the note say", [PLAQUE, MILK], ["Octavia Hill"]),
        ("what did the bottle say", [RECEIPT, MILK, CAT], ["OAT MILK", "2 minutes ago"]),
        ("刚才的收据上写了什么", [RECEIPT, MILK, CAT], ["CORNER SHOP", "前"]),
        ("what was on the plaque", [RECEIPT, MILK, CAT], ["not seen"]),
        ("what did the plaque say", [RECEIPT, CAT], ["not seen"]),
        ("what did the receipt say", [PLAQUE, MILK], ["not seen"]),
        ("what did the sign say", [RECEIPT, CAT], ["not seen"]),
        ("刚才的收据上写了什么", [PLAQUE, MILK, CAT], ["没有看到过"]),
    ],
)
def test_what_was_on_a_thing_is_told_of_that_thing_or_of_none(
    question: str, shown: list[Glimpse], says: list[str]
) -> None:
    grounds = ground(question, shown, [], NOW_S, "en" if question.isascii() else "zh")
    assert all(part in grounds.sentences[0] for part in says), grounds.sentences
    assert (grounds.kind == "refusal") == (says[0] in ("not seen", "没有看到过"))


@pytest.mark.parametrize("question", ["what was on the receipt", "what did the receipt say"])
def test_what_was_on_a_thing_is_told_of_what_is_in_view_if_that_is_it(question: str) -> None:
    here = replace(RECEIPT, id=5, at_s=150.0, until_s=NOW_S)
    (first, *_) = ground(question, [PLAQUE, MILK, here], [], NOW_S).sentences
    assert "CORNER SHOP" in first and "ago" not in first


@pytest.mark.parametrize(
    "question",
    [
        "what is on the plaque", "what was in front of the screen", "what was on the book", "what does the plaque say",
        "what did the man say about the note", "what was the total on the receipt", "what did this label say",
    ],
)  # fmt: skip
def test_other_questions_are_not_about_all_that_was_on_a_thing(question: str) -> None:
    assert not read(question).carrier


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("我在瓶子之前给你看了什么", ["杯子", "APPLE JUICE", "2分钟前"]),
        ("苹果汁之前是什么", ["OAT MILK", "3分钟前"]),
        ("一分钟前灯开着吗", ["是的", "亮"]),
        ("现在灯亮着吗", ["是的", "亮"]),
        ("念一下刚才的标签", ["APPLE JUICE", "2分钟前"]),
        ("把这个和第一个比较一下", ["OAT MILK", "PLUM JAM"]),
        ("你看到过瓶子吗", ["看到过", "瓶子"]),
        ("你看到过狗吗", ["没有看到过"]),
        ("你刚才看到瓶子了吗", ["看到过", "瓶子"]),
        ("你现在在看什么", ["this", "5秒前"]),
        ("这个和第一个一样吗", ["OAT MILK", "PLUM JAM"]),
        ("什么时候给你看的苹果汁", ["APPLE JUICE", "2分钟前"]),
        ("第一个多少钱", ["$2.09", "3分钟前"]),
        ("两分钟前我给你看了什么", ["瓶子", "2分钟前"]),
        ("你在看什么", ["this", "5秒前"]),
    ],
)
def test_the_same_in_chinese(question: str, says: list[str]) -> None:
    grounds = ground(question, MEMORY, [], NOW_S, "zh", GAZE)
    assert grounds.sentences and all(part in grounds.sentences[0] for part in says), grounds.sentences


def test_a_label_from_earlier_is_the_newest_thing_with_a_label_that_is_out_of_view() -> None:
    shown = [
        glimpse(1, 0, 20, "OAT MILK", "BEST BEFORE 12.05.2027"),
        *(glimpse(2 + i, 20 + 20 * i, 35 + 20 * i, objects=[name]) for i, name in enumerate(("dog", "cup", "car"))),
        glimpse(5, 80, 100, objects=["chair"]),
        glimpse(6, 110, 140, objects=["cat"]),
    ]
    for question, language in (("read me the label from earlier", "en"), ("念一下刚才的标签", "zh")):
        assert "OAT MILK" in ground(question, shown, [], 150.0, language).sentences[0]


def test_things_that_share_nothing_else_are_told_apart_by_what_they_are() -> None:
    shown = [glimpse(1, 0, 20, "OAT MILK", "PRICE $2.09"), glimpse(2, 30, 60, objects=["dog"])]
    assert ground("compare this with the first one", shown, [], 61.0).sentences[0] == (
        "The first one: OAT MILK. This one: a dog."
    )


@pytest.mark.parametrize(
    ("said", "scope"),
    [
        ("forget that", "that"), ("never mind, forget that", "that"), ("delete that picture please", "that"),
        ("forget what you just saw", "that"), ("forget what i have just shown you", "that"),
        ("forget everything", "all"),
        ("clear your memory", "all"), ("把刚才的忘掉吧", "that"), ("忘记刚才的事", "that"), ("忘记所有的事", "all"),
        ("忘掉一切的记忆", "all"), ("forget that i like tea", ""), ("did you forget that", ""),
        ("i will never forget that", ""), ("别忘了这个", ""),
    ],
)  # fmt: skip
def test_only_who_asks_for_it_is_forgotten(said: str, scope: str) -> None:
    assert forgetting(said)[0] == scope


def test_nothing_is_remembered_of_nothing() -> None:
    for question in ("did you see a dog", "was the light on five minutes ago", "compare this with the first one"):
        assert ground(question, [], [], 10.0).kind == "refusal"
    assert ground("what are you looking at", [], [], NOW_S).kind == "refusal"


def test_before_anything_was_asked_it_looks_at_what_is_in_view() -> None:
    assert ground("what are you looking at", MEMORY, [], NOW_S).sentences == (
        "I looked at what was in view when you had spoken, just now.",
    )


def test_what_is_still_in_view_is_no_thing_from_earlier() -> None:
    away = [*MEMORY, glimpse(6, 200, 205)]
    assert "PLUM JAM" in ground("read me the label from earlier", away, [], 206.0).sentences[0]
    assert "APPLE JUICE" in ground("read me the label from earlier", MEMORY, [], NOW_S).sentences[0]


@pytest.mark.parametrize(
    ("text", "seconds", "rest"),
    [
        ("what was it five minutes ago", 300, "what was it"),
        ("half an hour ago", 1800, ""),
        ("a couple of minutes ago i showed you something", 120, "i showed you something"),
        ("what was it 20 seconds ago", 20, "what was it"),
        ("is it long ago", None, "is it long ago"),
        ("三分钟前是什么", 180, "是什么"),
        ("半个小时前", 1800, ""),
        ("十五秒之前看到了什么", 15, "看到了什么"),
    ],
)
def test_people_say_how_long_ago_it_was(text: str, seconds: float | None, rest: str) -> None:
    assert ago(text) == (seconds, rest)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("what did i show you before the bottle", ("before", "bottle")),
        ("what came after my keys", ("after", "keys")),
        ("what is the best before date", ("", "")),
        ("what was the one before", ("", "")),
        ("what was before the first one", ("", "")),
        ("我在瓶子之前给你看了什么", ("before", "瓶子")),
        ("之前那个是什么", ("", "")),
        ("我之前给你看了什么", ("", "")),
    ],
)
def test_something_is_named_to_say_when(text: str, found: tuple[str, str]) -> None:
    assert relation(text)[:2] == found


def test_ages_are_told_as_people_do() -> None:
    told = [told_ago(s, "en") for s in (0, 3, 7, 24, 58, 95, 600, 3600, 7300)]
    assert told == [
        "just now", "just now", "about 7 seconds ago", "about 20 seconds ago", "about a minute ago",
        "about 2 minutes ago", "about 10 minutes ago", "about an hour ago", "about 2 hours ago",
    ]  # fmt: skip
    assert told_ago(95, "zh") == "大约2分钟前"


def test_an_hour_of_things_is_gone_through_in_no_time() -> None:
    """A turn that does not ask about the picture may lose 50 ms to sight; one that does, hardly more."""
    hour = [
        glimpse(i, 9.0 * i, 9.0 * i + 6, f"PRODUCT {i}", f"PRICE ${i % 90}.{i % 100:02d}", f"NET WEIGHT {100 + i} g")
        for i in range(1, 401)
    ]
    for question, most_ms in (
        ("hello there how are you", 10),
        ("how much is this", 150),
        ("how much was product 17", 1500),
    ):
        ground(question, hour, [], 3700.0)
        began = time.process_time()
        ground(question, hour, [], 3700.0)
        assert 1000 * (time.process_time() - began) < most_ms, question
