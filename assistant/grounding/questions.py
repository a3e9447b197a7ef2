"""Reading a question: which kinds of evidence would answer it, which words must fit, and about when it asks.

English and Chinese, by patterns and word lists; recognised speech comes without capitals and often without marks. Knows
no evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from assistant.grounding import lexicon, moments
from assistant.grounding.lexicon import Kinds
from assistant.grounding.words import concept, is_chinese, plain, stem, tokens


@dataclass(frozen=True, slots=True)
class Asked:
    """A word the evidence must fit: plain, with its weight, 0 to 1."""

    word: str
    weight: float


@dataclass(frozen=True, slots=True)
class Comparing:
    """A comparison: of which kinds of values, of which measures (empty: any), whether the high or the low one wins, the
    word to answer with, and whether it asks which, whether (yes or no) or by how much.
    """

    kinds: Kinds
    measures: frozenset[str]
    high: bool
    word: str
    form: str
    superlative: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A question as read.

    wording: which sentence frames answer it. kinds: evidence kind -> how well it would answer, 0 to 1. asked: its
    content words. moment: now, first, second, third, previous (the one before), earlier (the newest that is not in
    view) or any. ago_s: how long ago it says that it was. relation: before or after, where it names what came after or
    before: `anchor`. talk: said, asked or heard where it asks about the talk, else empty. order: for
    questions about the talk, first or last. pointing: it points at what is seen. chat: neither sight nor talk answers
    it. colours, places: of the thing that is asked about. carrier: what it says that there was something on, where it
    asks for all of that: 'what did the receipt say'; it may be in view or have been.
    """

    text: str
    wording: str
    kinds: Kinds
    asked: tuple[Asked, ...]
    moment: str = "any"
    talk: str = ""
    order: str = "last"
    pointing: bool = False
    chat: bool = False
    comparing: Comparing | None = None
    colours: frozenset[str] = frozenset()
    places: tuple[tuple[int, int], ...] = ()
    ago_s: float | None = None
    relation: str = ""
    anchor: str = ""
    carrier: str = ""

    @property
    def past(self) -> bool:
        """It asks about what was, and not about what is in view."""
        return self.ago_s is not None or bool(self.relation) or self.moment not in ("now", "any")


SUMS = frozenset("total subtotal tax tip discount deposit change price".split())
SUM_KINDS: Kinds = {"money": 1.0, "number": 0.6, "amount": 0.45, "percent": 0.5}
"""What answers a question about a sum of money that does not say that it is money: 'what is the total'."""
LABELS = frozenset({"bestbefore", "made"})
"""What a date may be labelled with, and often is not."""
PLACES = {
    "left": (0, -1), "right": (0, 1), "top": (1, -1), "upper": (1, -1), "bottom": (1, 1), "lower": (1, 1),
    "左": (0, -1), "右": (0, 1), "side": (0, 0),
}  # fmt: skip
"""Where in the picture: the axis (0 across, 1 down) and the direction."""
FACTS: Kinds = {"fact": 1.0, "sentence": 0.85}
"""What answers a question about what the user told."""
MEASURES = {"": frozenset[str](), "size": frozenset({"mass", "volume", "length", "pieces", "data"})}
"""Measures that a comparison takes, where it takes other than the one of its name."""
MOMENTS = ("first", "second", "third", "previous", "earlier")
SIGHTINGS = frozenset({"sighting", "whereabouts", "when_seen"})
"""Wordings that ask for a thing itself: there a 'bottle' is no place where something is written."""
MEMORIES = SIGHTINGS | {"light", "contrast", "gaze"}
"""Wordings of what only somebody who has been watching can answer."""
_EXPIRES = {"older": "expires first", "newer": "expires later"}


def read(text: str) -> Question:
    """Read a question. Never fails: what fits nothing is chat."""
    words = plain(text).strip(" .?!。？！,，")
    ago_s, words = moments.ago(words)
    relation, anchor, words = moments.relation(words)
    wording, kinds = _kinds(words)
    if relation and wording in ("", "open"):
        wording, kinds = "describe", {"describe": 1.0}  # 'what was before the bottle'
    talk, order = _talk(words) if wording not in MEMORIES else ("", "last")
    if talk == "heard":
        wording, kinds = _kinds(lexicon.pattern("heard").sub(" ", words))
    comparing = _comparing(words)
    asks = lexicon.pattern("asks").search(words) and (wording or comparing or talk)
    content = _asked(words, comparing, personal=bool(talk), whole=wording in SIGHTINGS)
    moment = _moment(words, talk)
    whole = wording in ("lines", "describe") and not talk and not any(a.weight >= 1 for a in content)
    coloured = frozenset(name for name, called in lexicon.colours().items() if _mentions(words, called))
    return Question(
        text=text,
        wording=wording,
        kinds=FACTS if talk == "said" else kinds,
        asked=content,
        moment=moment,
        talk=talk,
        order=order,
        pointing=bool(lexicon.pattern("pointing").search(words)),
        chat=not asks
        or (bool(lexicon.pattern("chat").search(words)) and not talk and comparing is None and wording not in MEMORIES),
        comparing=comparing,
        colours=frozenset() if wording == "colour" else coloured,
        places=tuple(at for word, at in PLACES.items() if any(at) and _mentions(words, [word])),
        ago_s=ago_s,
        relation=relation,
        anchor=anchor,
        carrier=_carrier(words, wording) if whole and moment in ("any", "earlier") and not relation else "",
    )


def _carrier(text: str, wording: str) -> str:
    """What a question about what was names that carries a text; empty where it names none, or a thing that other things
    may be on.
    """
    found = lexicon.pattern("was_on").search(text)
    if found is None:
        return ""
    if is_chinese(text):
        return next((word for word in sorted(lexicon.words("carried")) if is_chinese(word) and word in text), "")
    word = found["carrier"]
    bears = wording == "describe" and word in lexicon.mentions()
    return word if word in lexicon.words("carried") and not bears else ""


def _mentions(text: str, words: Iterable[str]) -> bool:
    return any(re.search(rf"\b{w}\b", text) if w.isascii() else w in text for w in words)


def _kinds(text: str) -> tuple[str, Kinds]:
    for rule in lexicon.rules():
        if rule.pattern.search(text):
            of_a_sum = rule.wording in ("open", "value") and any(concept(word) in SUMS for word in tokens(text))
            return ("value", SUM_KINDS) if of_a_sum else (rule.wording, rule.kinds)
    return "", {}


def _talk(text: str) -> tuple[str, str]:
    """Whether it asks about the talk: what the user said, asked, or heard; and about its first or its last."""
    order = "first" if lexicon.pattern("first").search(text) else "last"
    if lexicon.pattern("heard").search(text):
        return "heard", order
    if lexicon.pattern("said").search(text):
        return ("asked" if lexicon.pattern("asked").search(text) else "said"), order
    return "", order


def _moment(text: str, talk: str) -> str:
    if talk:
        return "any"
    text = lexicon.pattern("no_moment").sub("", text)
    for moment in MOMENTS:
        if lexicon.pattern(moment).search(text):
            return moment
    return "now" if lexicon.pattern("now").search(text) else "any"


def _comparing(text: str) -> Comparing | None:
    if not lexicon.pattern("compares").search(text) or lexicon.pattern("no_comparison").search(text):
        return None
    for row in lexicon.comparatives():
        loose = not row.measure and not lexicon.pattern("compares_any").search(text)
        if loose or not row.pattern.search(text):
            continue
        expiring = row.measure == "date" and lexicon.pattern("expiring").search(text)
        return Comparing(
            kinds=row.kinds,
            measures=MEASURES.get(row.measure, frozenset({row.measure})),
            high=row.high,
            word=_EXPIRES.get(row.word, row.word) if expiring else row.word,
            form=_form(text),
            superlative=bool(lexicon.pattern("superlative").search(text)),
        )
    return None


def _form(text: str) -> str:
    if lexicon.pattern("difference").search(text):
        return "difference"
    return "whether" if lexicon.pattern("whether").search(text) and " or " not in text else "which"


def _asked(text: str, comparing: Comparing | None, *, personal: bool, whole: bool) -> tuple[Asked, ...]:
    """The content words with their weights: what the thing is called weighs much, what it stands on hardly anything,
    unless it is asked for as a `whole`.
    """
    if comparing is not None:
        for row in lexicon.comparatives():
            text = row.pattern.sub(" ", text)
    if is_chinese(text):
        text = lexicon.pattern("talk_filler" if personal else "filler").sub(" ", text)
    stop = lexicon.words("stop") | (lexicon.words("watching") if whole else frozenset[str]())
    if personal:
        stop = (stop - lexicon.words("talk_keep")) | lexicon.words("talk_stop")
    found: dict[str, Asked] = {}
    for word in tokens(text):
        letter = len(word) == 1 and word.isascii() and not word.isdigit()
        if word not in stop and word not in PLACES and not letter:
            found.setdefault(word, Asked(word, 1.0 if personal or whole else _weight(word, text)))
    return tuple(found.values())


def _weight(word: str, text: str) -> float:
    """How much it matters that a word stands beside the evidence."""
    carriers, generic = lexicon.words("carriers"), lexicon.words("generic")
    if word in carriers or stem(word) in carriers:
        return 0.0
    if word in generic or (concept(word) or stem(word)) in generic:
        return 0.12
    if concept(word) in LABELS:
        return 0.35
    if any(_mentions(word, called) for called in lexicon.colours().values()):
        return 0.0
    pointed_at = re.search(rf"\b(this|that|these|those) (\w+ )?{re.escape(word)}\b", text)
    return 0.15 if pointed_at else 1.0
