"""Attention: the utterance picks frames out of memory. Pure.

Each glimpse has a score that is a sum of logarithms, a product of experts (Hinton 2002): how like the words it is, how
near it is in time to the word that points, how sharp and how still it is, and whether it holds the kind of thing that
is asked for:

    s_i = sim_i / tau + log near_i + log sharp_i + log still_i + log fit_i,    w = softmax(s)

with sim the cosine of an encoder's vectors and tau 0.01, the inverse of the scale that CLIP learns (Radford et al.
2021), or without an encoder the likeness of the words found. Frames are then taken one by one by maximal marginal
relevance, w_i minus what it repeats of those taken (Carbonell and Goldstein, SIGIR 1998), so that three pictures of one
thing do not crowd out another. Knows no engine and no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from assistant.events import Glimpse, Vector
from assistant.fusing import likeness
from assistant.grounding.questions import MEMORIES, Question

TEMPERATURE = 0.01
"""of cosines of an encoder's vectors"""
WORDS_TEMPERATURE = 0.25
"""of the likeness of words"""
NEAR_S = 0.5
"""how far a view may be in time from the word that points at it, as a standard deviation: hands and words are within
half a second of each other (Levelt, Richardson and La Heij 1985)"""
STILL_S = 0.5
"""a view that is there for so long is held still"""
PASSING = 0.6
"""how much a view is worth that is there for a moment only"""
BLANK = 0.02
"""how much one is worth in which there is nothing to see"""
MEANT = 12.0
"""the logarithm of how much more a view is worth that was there when the question says"""
RECENT_S = 120.0
"""where no word points, a view loses half of its weight in so long"""
LONG_AGO = 0.05
"""what is left of it after hours, for a question about what was: a name that fits still finds it"""
AMONG = 32
"""the best so many are held against each other; what fits less is no other view of anything that was asked for"""
RELEVANCE = 0.6
"""lambda of maximal marginal relevance"""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for: the question as read, when it pointed (None: it did not), an encoder's vector of it, and the
    glimpses of the thing that it says when it was shown ('the first one').

    present: the glimpses that belong to it whatever the words pick, as it is about what is there now.
    """

    asked: Question
    at_s: float | None = None
    vector: Vector | None = None
    meant: frozenset[int] = frozenset()
    present: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Attended:
    """A glimpse with its share of the attention, 0 to 1."""

    glimpse: Glimpse
    weight: float


def attend(query: Query, glimpses: Sequence[Glimpse], now_s: float, most: int = 4) -> tuple[Attended, ...]:
    """At most `most` glimpses that fit the words, best first; their weights are those among all of them.

    Those that are `present` are among them, last where the words would not have picked them.
    """
    sharpest = max((g.sharpness for g in glimpses), default=0.0)
    scores = [score(query, glimpse, now_s, sharpest) for glimpse in glimpses]
    weights = softmax(scores)
    every = sorted(zip(weights, glimpses, strict=True), key=lambda pair: -pair[0])
    left = [Attended(g, w) for n, (w, g) in enumerate(every) if n < AMONG or g.id in query.present]
    taken: list[Attended] = []
    while left and len(taken) < most:
        best = max(left, key=lambda a: _marginal(a, taken))
        left.remove(best)
        taken.append(best)
    owed = [a for a in left if a.glimpse.id in query.present][:most]
    return (*taken[: most - len(owed)], *owed)


def score(query: Query, glimpse: Glimpse, now_s: float, sharpest: float) -> float:
    """The logarithm of how well a glimpse fits, up to a constant."""
    if query.vector is not None and glimpse.features is not None:
        alike = float(query.vector @ glimpse.features) / TEMPERATURE
    else:
        alike = likeness.named(query.asked, glimpse) / WORDS_TEMPERATURE
    return (
        alike
        + (MEANT if glimpse.id in query.meant else 0.0)
        + log(nearness(query, glimpse, now_s))
        + log(clearness(glimpse, sharpest))
        + log(likeness.fits(query.asked, glimpse))
    )


def nearness(query: Query, glimpse: Glimpse, now_s: float) -> float:
    """How near a view is to the moment that was pointed at, 0 to 1; without one, how recent it is."""
    if query.at_s is None:
        least = LONG_AGO if query.asked.past or query.asked.wording in MEMORIES else 1e-6
        return 0.5 ** (max(0.0, now_s - glimpse.ended_s) / RECENT_S) + least
    away_s = max(glimpse.at_s - query.at_s, query.at_s - glimpse.ended_s, 0.0)
    return exp(-0.5 * (away_s / NEAR_S) ** 2) + 1e-12


def clearness(glimpse: Glimpse, sharpest: float) -> float:
    """How sharp a view is beside the sharpest, and how still it is held, 0 to 1."""
    if glimpse.sharpness <= 0 and sharpest > 0:
        return BLANK
    sharp = (glimpse.sharpness / sharpest) ** 0.5 if sharpest > 0 else 1.0
    still = PASSING + (1 - PASSING) * min(1.0, (glimpse.ended_s - glimpse.at_s) / STILL_S)
    return max(BLANK, sharp * still)


def softmax(scores: Sequence[float]) -> list[float]:
    """Shares that add up to 1; none for no scores."""
    top = max(scores, default=0.0)
    shares = [exp(s - top) for s in scores]
    return [share / sum(shares) for share in shares]


def _marginal(one: Attended, taken: Sequence[Attended]) -> float:
    repeats = max((likeness.alike(one.glimpse, other.glimpse) for other in taken), default=0.0)
    return RELEVANCE * one.weight - (1 - RELEVANCE) * repeats
