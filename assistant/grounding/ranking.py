"""Evidence against a question: how well each piece answers it, and which things were shown one after the other.

The score of a piece is a product: fit of its kind, coverage of the question's content words by what stands beside it,
how sure the reading is, how recent it is, how prominent. Knows neither engines nor wording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.events import Glimpse
from assistant.grounding import lexicon, naming
from assistant.grounding.evidence import Evidence, words_of
from assistant.grounding.questions import LABELS, SUMS, Question
from assistant.grounding.words import best_likeness, concept, plain, tokens, word_set

LEAST = 0.5
"""A piece below it answers nothing: better to say that it cannot be seen."""
STRONG = 0.3
"""A content word of this weight says which thing or which value is meant."""
NAMED = 0.6
"""likeness of a word to one of the question's from which on it names what is asked for"""
RIVAL = 1.25
"""A piece that is worth so many times less than the best may be said instead, for its language."""
SIDE = 1.1
"""What it is worth that a piece lies on the side of the picture that is asked for."""
NEUTRAL = 0.25
"""How much a piece has to its credit before any word of the question is looked for."""
VAGUE = 0.4
"""of how long ago something was said to be, that it may be off"""
SECOND_LABEL = 0.6
SAME_PICTURE = {True: 0.75, False: 0.4}
"""What a word is worth that stands elsewhere in the picture: of what belongs to the whole thing (its price), or not."""
LABELLED_OTHERWISE = 0.4
"""How much less such a word is worth for a value that has a label of its own."""
OF_THE_WHOLE = frozenset(
    """price weight date time percent lines colour title phone email web code company order word role name
    describe""".split()
)
RIVALS = (LABELS, SUMS - {"price"}, frozenset({"arrive", "depart"}))
"""Of each set one label excludes the others."""
FOODS = frozenset("fat sugar salt sodium carbohydrate protein fibre calories cholesterol alcohol".split())
"""A label with one of them is about that, and about no sum of money."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A piece of evidence with its score against a question, 0 to 1."""

    evidence: Evidence
    score: float


@dataclass(frozen=True, slots=True)
class Shown:
    """One thing that was shown: its evidence, the newest reading first, the words in it, when it was in view, in
    seconds of the audio clock, and in which glimpses.
    """

    evidence: tuple[Evidence, ...]
    words: frozenset[str]
    began_s: float = 0.0
    ended_s: float = 0.0
    glimpses: tuple[int, ...] = ()


def shown(sight: Sequence[tuple[Glimpse, tuple[Evidence, ...]]]) -> tuple[Shown, ...]:
    """The things shown, oldest first, from the glimpses in order of time and their evidence.

    Glimpses that follow each other and agree on their values, or where there are none on their words, are of one thing;
    a glimpse with nothing in it but colours is of none.
    """
    things: list[Shown] = []
    for glimpse, reading in sight:
        words = words_of(glimpse)
        if not words:
            continue
        new = Shown(reading, words, glimpse.at_s, glimpse.ended_s, (glimpse.id,))
        if things and _same_thing(things[-1], new):
            before = things.pop()
            evidence = (*reading, *_unlike(before.evidence, reading))
            ids = (*before.glimpses, glimpse.id)
            things.append(Shown(evidence, before.words | words, before.began_s, glimpse.ended_s, ids))
        else:
            things.append(new)
    return tuple(things)


def _same_thing(one: Shown, other: Shown) -> bool:
    """Labels of one make share most words and differ in their values: values decide, then what they are called."""
    values, others = _values(one), _values(other)
    if not values or not others:
        return _overlap(one.words, other.words) >= 0.6
    named, called = word_set(title(one)), word_set(title(other))
    agreement = _overlap(values, others)
    return agreement >= (0.4 if _overlap(named, called) >= 0.5 else 0.7)


def _values(thing: Shown) -> frozenset[str]:
    kinds = ("date", "time", "money", "amount", "percent", "number", "phone", "code", "email", "web")
    return frozenset(plain(e.text) for e in thing.evidence if e.kind in kinds)


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    """How much of the smaller set is in the other, 0 to 1."""
    return len(one & other) / max(1, min(len(one), len(other)))


def _unlike(earlier: Sequence[Evidence], newer: Sequence[Evidence]) -> tuple[Evidence, ...]:
    known = {(e.kind, e.value, e.beside[:1]) for e in newer}
    return tuple(
        e for e in earlier if (e.kind, e.value, e.beside[:1]) not in known and e.kind not in ("block", "colour")
    )


def at_moment(
    question: Question, things: Sequence[Shown], now_s: float = 0.0, in_view: bool = True
) -> tuple[tuple[Shown, float], ...]:
    """The things a question is about with their recency, 0 to 1; empty where it is about one that was not shown.

    now_s: seconds of the audio clock, for 'five minutes ago'. in_view: the newest thing is still there.
    """
    if not things:
        return ()
    if question.ago_s is not None:
        return _ago(things, now_s - question.ago_s, question.ago_s)
    if question.relation:
        return _beside_anchor(question, things)
    if question.moment == "now":
        return ((things[-1], 1.0),)
    if question.moment in ("first", "second", "third"):
        index = ("first", "second", "third").index(question.moment)
        return ((things[index], 1.0),) if index < len(things) else ()
    if question.moment == "previous":
        return ((things[-2], 1.0),) if len(things) > 1 else ()
    if question.moment == "earlier":
        things = things[:-1] if in_view else things
    return tuple((thing, max(0.6, 1.0 - 0.12 * back)) for back, thing in enumerate(reversed(things)))


def _ago(things: Sequence[Shown], at_s: float, ago_s: float) -> tuple[tuple[Shown, float], ...]:
    """What was in view then or near then, nearest first: people are vague about how long ago something was."""

    def away_s(thing: Shown) -> float:
        return max(thing.began_s - at_s, at_s - thing.ended_s, 0.0)

    near = sorted((t for t in things if away_s(t) <= VAGUE * ago_s + 2.0), key=away_s)
    return tuple((thing, max(0.6, 1.0 - 0.12 * place)) for place, thing in enumerate(near))


def _beside_anchor(question: Question, things: Sequence[Shown]) -> tuple[tuple[Shown, float], ...]:
    """What was shown before or after the newest thing that the question names: 'before the bottle'."""
    words = [word for word in tokens(question.anchor) if word not in lexicon.words("stop")]
    names = frozenset[str]().union(*(m.names for m in naming.mentioned(question.anchor)))
    for index in reversed(range(len(things))):
        named = any(e.kind == "object" and e.text in names for e in things[index].evidence)
        fitting = sum(best_likeness(word, things[index].words) >= 0.6 for word in words)
        if named or 2 * fitting >= max(1, len(words)):
            at = index + (-1 if question.relation == "before" else 1)
            return ((things[at], 1.0),) if 0 <= at < len(things) else ()
    return ()


def rank(question: Question, evidence: Sequence[Evidence], words: frozenset[str], recency: float = 1.0) -> list[Ranked]:
    """Evidence of fitting kinds with its score, best first; `words` are all those of the same picture or talk."""
    found = [Ranked(e, score(question, e, words) * recency) for e in evidence if question.kinds.get(e.kind, 0.0) > 0]
    return sorted(found, key=lambda r: -r.score)


def score(question: Question, evidence: Evidence, words: frozenset[str]) -> float:
    """How well a piece answers, 0 to 1, its age left out."""
    fit = question.kinds.get(evidence.kind, 0.0)
    loose = question.wording in ("open", "count") and evidence.kind not in _TEXTS and evidence.kind != "count"
    if (loose or evidence.kind in _NAMED_ONLY) and not _is_named(question, evidence):
        return 0.0
    sure = 0.7 + 0.3 * evidence.score
    prominent = 0.88 + 0.12 * evidence.size
    return fit * (0.2 + 0.8 * coverage(question, evidence, words)) * sure * prominent


def within_reach(question: Question, thing: Shown, recency: float) -> bool:
    """Whether anything of a thing could answer, told by its words alone: of hours that were watched, most cannot."""
    wanted = NEUTRAL + sum(a.weight for a in question.asked)
    got = NEUTRAL + sum(a.weight * best_likeness(a.word, thing.words) for a in question.asked)
    most = max(question.kinds.values(), default=0.0) * (0.2 + 0.8 * got / wanted)
    return RIVAL * SIDE * most * recency >= LEAST


_NAMED_ONLY = frozenset({"field", "line", "fact"})
"""They answer only what names them: any text has a label, and any line has words."""


def _is_named(question: Question, evidence: Evidence) -> bool:
    near = " ".join(evidence.beside[:1] if evidence.kind in ("field", "fact") else (evidence.line, *evidence.beside))
    words = word_set(near)
    return any(best_likeness(a.word, words) >= NAMED for a in question.asked)


def coverage(question: Question, evidence: Evidence, words: frozenset[str]) -> float:
    """How much of what was asked stands beside a piece, 0 to 1."""
    near = [word_set(label) for label in evidence.beside]
    own = word_set(evidence.line)
    if evidence.kind in _TEXTS:
        near.insert(0, own)
    wide = SAME_PICTURE[question.wording in OF_THE_WHOLE]
    if near and evidence.kind not in _TEXTS and _of_another_name(question, near[0]):
        wide *= LABELLED_OTHERWISE
    got = wanted = NEUTRAL
    for asked in question.asked:
        first = best_likeness(asked.word, near[0]) if near else 0.0
        second = max((best_likeness(asked.word, label) for label in near[1:]), default=0.0)
        best = max(
            first,
            SECOND_LABEL * second,
            SECOND_LABEL * best_likeness(asked.word, own),
            wide * best_likeness(asked.word, words),
        )
        got += asked.weight * best
        wanted += asked.weight
    return got / wanted * _told_apart(question, near[:1])


def _of_another_name(question: Question, label: frozenset[str]) -> bool:
    """Whether a label names something that was not asked for, and not just the kind of value."""
    asked = {concept(a.word) for a in question.asked}
    named = {c for c in map(concept, label) if c}
    return bool(named - lexicon.words("generic")) and not named & asked


_TEXTS = frozenset("line title name role place company order block sentence word".split())


def _told_apart(question: Question, label: Sequence[frozenset[str]]) -> float:
    """Below 1 where the label names something else: 'Total Fat' is no total, a packing date no best-before date."""
    if not label:
        return 1.0
    asked = {concept(a.word) for a in question.asked}
    named = {c for c in map(concept, label[0]) if c}
    for rivals in RIVALS:
        if asked & rivals and named & rivals and not asked & named & rivals:
            return 0.4
    if asked & SUMS and any(c in FOODS for c in named) and not named & FOODS & asked:
        return 0.4
    return 1.0


def sided(question: Question, ranked: Sequence[Ranked]) -> list[Ranked]:
    """The ranking with pieces favoured that lie on the asked side of the others."""
    boxes = [r.evidence.box for r in ranked if r.evidence.box]
    if not question.places or len(boxes) < 2:
        return list(ranked)
    found: list[Ranked] = []
    for item in ranked:
        factor = 1.0
        for axis, direction in question.places:
            if item.evidence.box:
                middles = [b[axis] + b[axis + 2] for b in boxes]
                here, mean = item.evidence.box[axis] + item.evidence.box[axis + 2], sum(middles) / len(middles)
                factor *= SIDE if (here - mean) * direction > 0 else 0.8
        found.append(Ranked(item.evidence, item.score * factor))
    return sorted(found, key=lambda r: -r.score)


def title(thing: Shown) -> str:
    """What a thing calls itself: its largest line that is no value; empty where it has none."""
    titles = [e for e in thing.evidence if e.kind == "title" and not any(c.isdigit() for c in e.text)]
    best = max(titles, key=lambda e: e.size, default=None)
    return best.text if best and len(best.text) <= 40 else ""


def mentioned(text: str, name: str) -> bool:
    """Whether all words of a name occur in a text."""
    return bool(name) and all(word in plain(text) for word in tokens(name))
