"""What is said in the demo, from the things that are shown: in which words, and what a right answer contains.

The words are such that the built-in recogniser hears them from the voice that speaks them. Knows neither sound nor
picture, and not who answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from assistant.demo.things import Thing


@dataclass(frozen=True, slots=True)
class Line:
    """Something the user says while thing number `thing` (0 is the first) is shown; kind and expected: DemoQuestion."""

    text: str
    expected: tuple[str, ...]
    kind: str
    thing: int


READ: dict[str, tuple[str, ...]] = {
    "price": ("how much does this cost", "how much does it cost", "what is the price"),
    "best_before": ("when does it expire", "what is the best before date"),
    "percent": ("what is the percentage",),
    "colour": ("what color is it",),
    "name": ("what is this", "what is the name of this"),
}
"""fact of a thing -> how it is asked for"""
COMPARE: tuple[tuple[str, str, bool], ...] = (
    ("which one is cheaper", "cost", False),
    ("which one is more expensive", "cost", True),
    ("which one is heavier", "size", True),
    ("which one is lighter", "size", False),
    ("which one expires first", "expires", False),
)
"""the question, the value that decides, and whether the larger one does"""
PRINTED = {"cost": "price", "size": "amount", "expires": "best_before"}
TOLD: tuple[tuple[str, str, str], ...] = (
    *(
        (f"my name is {name}", "what is my name", name)
        for name in "peter laura martin robert david alice thomas".split()
    ),
    *((f"i have {n} children", "how many children do i have", f"{n} children") for n in "two three four".split()),
)
"""what the user tells, how it is asked for later, and what the answer contains"""
EARLIER: dict[str, str] = {
    "price": "what did the first one cost",
    "colour": "what color was the first one",
}
UNANSWERABLE = (
    "what is the phone number",
    "what is the password",
    "what is the email address",
    "what is the serial number",
)


def write_talk(random: Random, things: tuple[Thing, Thing]) -> tuple[Line, ...]:
    """Seven lines: a label is read, something is told, another label is read, both are compared, what was shown and
    what was told before is asked for, and something that nobody can know.
    """
    told, asked, remembered = random.choice(TOLD)
    facts = random.sample(sorted(READ), 2)
    earlier = random.choice(sorted(EARLIER.keys() - facts[:1]) or sorted(EARLIER))
    first = [_read(random, things, 0, facts[0]), Line(told, (), "tell", 0)]
    second = [_read(random, things, 1, facts[1]), _compare(random, things)]
    rest = [
        Line(EARLIER[earlier], (getattr(things[0], earlier),), "recall", 1),
        Line(asked, (remembered,), "recall", 1),
        Line(random.choice(UNANSWERABLE), (), "refuse", 1),
    ]
    random.shuffle(rest)
    return (*first, *second, *rest)


def _read(random: Random, things: tuple[Thing, Thing], which: int, fact: str) -> Line:
    return Line(random.choice(READ[fact]), (getattr(things[which], fact),), "read", which)


def _compare(random: Random, things: tuple[Thing, Thing]) -> Line:
    weighed = all(thing.unit == "g" for thing in things)
    question, value, larger = random.choice([c for c in COMPARE if c[1] != "size" or weighed])
    decide: Callable[..., Any] = max if larger else min
    which = decide((0, 1), key=lambda i: getattr(things[i], value))
    printed = getattr(things[which], PRINTED[value])
    return Line(question, (f"the {('first', 'second')[which]} one", printed), "compare", 1)
