"""Comparisons computed over typed values: which, whether, by how much. Knows no wording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from assistant.grounding.evidence import Evidence
from assistant.grounding.questions import SUMS, Comparing, Question
from assistant.grounding.ranking import LEAST, Shown, rank, title
from assistant.grounding.values import base, measure
from assistant.grounding.words import best_likeness, concept, tokens


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: its value, and what it is called: its name as read, its place in the order of showing
    (0 is the first; None within one picture), and whether it is the newest.
    """

    evidence: Evidence
    name: str
    place: int | None
    newest: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """The outcome: the side that is what was asked for ('cheaper'), the other, and whether both are equal. `asked` is
    the side the question is about where it asks whether ('is this …'). `difference` as a spoken value, `among` how many
    sides there were.
    """

    winner: Side
    other: Side
    equal: bool
    asked: Side
    difference: str
    among: int = 2


def compare(question: Question, things: Sequence[Shown], pointed: Sequence[int] = ()) -> Compared | None:
    """Compare what was asked; None where there are no two values of the same measure.

    pointed: ids of the glimpses that the words point at one after the other: 'is this cheaper than that' asks about
    the first.
    """
    comparing = question.comparing
    if comparing is None:
        return None
    sides = _across(question, comparing, things)
    if len(sides) < 2:
        sides = _within(question, comparing, things)
    sides = _same_measure(sides)
    if len(sides) < 2:
        return None
    asked, against = _asked_pair(question, sides, pointed)
    if comparing.form == "which" and (comparing.superlative or question.moment == "any"):
        ordered = sorted(sides, key=_size, reverse=comparing.high)
        winner, other = ordered[0], ordered[1]
    else:
        ordered = sorted((asked, against), key=_size, reverse=comparing.high)
        winner, other = ordered[0], ordered[1]
    return Compared(
        winner, other, _size(winner) == _size(other), asked, difference(winner.evidence, other.evidence), len(sides)
    )


def _across(question: Question, comparing: Comparing, things: Sequence[Shown]) -> list[Side]:
    """The best value of each thing that was shown; of the last two things unless the question takes in all."""
    plain = replace(question, kinds=comparing.kinds, comparing=None, wording="price", asked=_labels(question, things))
    sides: list[Side] = []
    for place, thing in enumerate(things):
        fitting = [e for e in thing.evidence if _fits(e, comparing)]
        best = next(iter(rank(plain, fitting, thing.words)), None)
        if best is not None and best.score >= LEAST:
            sides.append(Side(best.evidence, title(thing), place, place == len(things) - 1))
    named = [s for s in sides if _is_named(question, s.name)]
    if len(named) >= 2:
        return named
    all_of_them = comparing.superlative or question.moment != "any"
    return sides if all_of_them else sides[-2:]


def _labels(question: Question, things: Sequence[Shown]) -> tuple:  # type: ignore[type-arg]
    """The asked words without those that only name one of the things: 'the rice or the flour'."""
    titles = frozenset(word for thing in things for word in tokens(title(thing)))
    return tuple(a for a in question.asked if best_likeness(a.word, titles) < 0.6)


def _within(question: Question, comparing: Comparing, things: Sequence[Shown]) -> list[Side]:
    """The labelled values of the newest thing that has two of them: a price list, two objects in one picture."""
    for thing in reversed(things):
        sides: dict[str, Side] = {}
        for e in thing.evidence:
            label = e.beside[0] if e.beside else ""
            if _fits(e, comparing) and label and not any(concept(w) in SUMS | {"cash", "card"} for w in tokens(label)):
                sides.setdefault(label, Side(e, label, None, False))
        named = [s for s in sides.values() if _is_named(question, s.name)]
        chosen = named if len(named) >= 2 else list(sides.values())
        if len(chosen) >= 2:
            return chosen
    return []


def _is_named(question: Question, name: str) -> bool:
    words = frozenset(tokens(name))
    return any(a.weight >= 1 and best_likeness(a.word, words) >= 0.8 for a in question.asked)


def _fits(evidence: Evidence, comparing: Comparing) -> bool:
    if evidence.sense != "sight" or base(evidence.kind, evidence.value, evidence.unit) is None:
        return False
    if evidence.kind not in comparing.kinds:
        return False
    return not comparing.measures or measure(evidence.kind, evidence.unit) in comparing.measures


def _same_measure(sides: Sequence[Side]) -> list[Side]:
    """Those sides that can be compared with the newest one."""
    if not sides:
        return []
    kind = measure(sides[-1].evidence.kind, sides[-1].evidence.unit)
    sign = sides[-1].evidence.unit if kind == "money" else ""
    return [
        s
        for s in sides
        if measure(s.evidence.kind, s.evidence.unit) == kind and (not sign or s.evidence.unit in ("", sign))
    ]


def _asked_pair(question: Question, sides: Sequence[Side], pointed: Sequence[int]) -> tuple[Side, Side]:
    """The side the question is about, and the one it is held against ('is this cheaper than the first one')."""
    if pointed:
        first, *others = sorted(sides, key=lambda s: [*pointed, s.evidence.origin].index(s.evidence.origin))
        return first, others[0]
    asked = sides[-1]
    places = {"first": 0, "second": 1, "third": 2}
    wanted = places.get(question.moment)
    against = next((s for s in sides if s.place == wanted and s is not asked), None) if wanted is not None else None
    return asked, against or sides[-2]


def _size(side: Side) -> Decimal | int:
    size = base(side.evidence.kind, side.evidence.value, side.evidence.unit)
    return size.toordinal() if isinstance(size, date) else size if size is not None else Decimal(0)


def difference(one: Evidence, other: Evidence) -> str:
    """The difference of two values as text, in the unit of the first; days where they are dates."""
    if isinstance(one.value, date) and isinstance(other.value, date):
        return f"{abs((one.value - other.value).days)} days"
    first, second = base(one.kind, one.value, one.unit), base(other.kind, other.value, other.unit)
    if not isinstance(first, Decimal) or not isinstance(second, Decimal) or not isinstance(one.value, Decimal):
        return ""
    scale = first / one.value if one.value else Decimal(1)
    gap = abs(first - second) / scale
    number = f"{gap:.2f}" if one.kind == "money" else f"{gap.normalize():f}"
    if one.kind == "money":
        return f"{one.unit}{number}" if one.text.lower().startswith(one.unit) else f"{number} {one.unit}"
    return f"{number}{one.unit}" if one.unit == "%" else f"{number} {one.unit}".strip()
