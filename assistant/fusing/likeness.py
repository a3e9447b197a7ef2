"""How well words fit what the eyes found, without an encoder: names, misread letters, and kinds of evidence. Pure.

Texts are held against each other by their words (stems, synonyms of both languages, likeness that survives misread
letters) and by their character trigrams; a question also fits by kind: 'how much' fits whatever holds a price. All
values are 0 to 1. Knows neither time nor encoders.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

from assistant.events import Finding, Glimpse
from assistant.grounding import evidence_of
from assistant.grounding.questions import Question
from assistant.grounding.ranking import LEAST
from assistant.grounding.words import best_likeness, plain, term, terms, word_set

UNSEEN = 0.7
"""how well a picture fits that nobody has looked into: it may hold what is asked for"""
UNFIT = 0.35
"""how well one fits in which nothing answers"""
OBJECT_WORDS = 0.85
"""what an object's name is worth against a word, where only letters agree"""


@dataclass(frozen=True, slots=True)
class Text:
    """A text as it is compared: its words, and how often it has each character trigram."""

    words: frozenset[str]
    terms: frozenset[str]
    trigrams: tuple[tuple[str, int], ...]


@lru_cache(maxsize=4096)
def as_text(text: str) -> Text:
    """A text made ready for comparing."""
    bare = f" {plain(text)} "
    return Text(word_set(text), terms(text), tuple(Counter(bare[i : i + 3] for i in range(len(bare) - 2)).items()))


def trigram_cosine(one: Text, other: Text) -> float:
    """The cosine of two texts' trigram counts (Damashek, Gauging similarity with n-grams, Science 1995)."""
    counts = dict(other.trigrams)
    dot = sum(n * counts.get(gram, 0) for gram, n in one.trigrams)
    lengths = sqrt(sum(n * n for _, n in one.trigrams) * sum(n * n for _, n in other.trigrams))
    return dot / lengths if lengths else 0.0


def word_fits(word: str, text: Text) -> float:
    """How well a plain word of a question fits a text: as a word of it, else by its letters."""
    return max(best_likeness(word, text.words), OBJECT_WORDS * trigram_cosine(as_text(word), text))


def named(asked: Question, glimpse: Glimpse) -> float:
    """How much of what a question names is in a glimpse: the best of its content words, by weight; 0 without any."""
    words = _words(glimpse.findings or ())
    return max((a.weight * best_likeness(a.word, words) for a in asked.asked if a.weight > 0), default=0.0)


def fits(asked: Question, glimpse: Glimpse) -> float:
    """How well a glimpse can answer a question by what it holds; UNSEEN where nobody has looked into it."""
    if glimpse.findings is None:
        return UNSEEN
    kinds = {e.kind for e in evidence_of(glimpse)}
    kinds |= {"describe"} if glimpse.findings else set[str]()
    by_kind = max((asked.kinds.get(kind, 0.0) for kind in kinds), default=0.0)
    return UNFIT + (1 - UNFIT) * max(by_kind if by_kind >= LEAST else 0.0, named(asked, glimpse))


def alike(one: Glimpse, other: Glimpse) -> float:
    """How much two glimpses show the same: by their vectors where both have one, else by the words found in them."""
    if one.features is not None and other.features is not None:
        return max(0.0, float(one.features @ other.features))
    found, others = _terms(one.findings or ()), _terms(other.findings or ())
    return len(found & others) / max(1, len(found | others))


@lru_cache(maxsize=1024)
def _words(findings: tuple[Finding, ...]) -> frozenset[str]:
    return frozenset[str]().union(*(word_set(f.text) for f in findings if f.kind != "colour"))


@lru_cache(maxsize=1024)
def _terms(findings: tuple[Finding, ...]) -> frozenset[str]:
    return frozenset(map(term, _words(findings)))


def finding_text(finding: Finding) -> Text:
    """A finding as it is compared."""
    return as_text(finding.text)
