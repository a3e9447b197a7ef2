"""Which view the words are about: the one that was there when 'this' was said, or else when they ended. Pure.

Every reply starts from one view, whatever way of fusing follows. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from assistant.events import Gaze, Glimpse, Words
from assistant.fusing import likeness
from assistant.fusing.attention import NEAR_S, Query, clearness, nearness
from assistant.fusing.pointing import pointings
from assistant.grounding.questions import Question, read

WITHIN_S = 4 * NEAR_S
"""a view further from the moment is not what was meant, if there is any other"""
FITTING = 0.5
"""how much less it counts that a view can answer than when it was there, as an exponent"""
BETTER = log(1.3)
"""another view must be so much better for a reply to begin again"""


@dataclass(frozen=True, slots=True)
class Aim:
    """The view the words are about (None: there was none), why, and the logarithm of how well it fits."""

    glimpse: Glimpse | None
    gaze: Gaze | None
    score: float = 0.0


def aim(words: Words, glimpses: Sequence[Glimpse], ended_s: float) -> Aim:
    """The view that the last pointing word was said at, else the view when the words ended (seconds of the audio
    clock).

    Nearness in time counts most; among near views a sharp one that is held still, and that can answer, is better.
    """
    return aims(words, glimpses, ended_s)[-1]


def aims(words: Words, glimpses: Sequence[Glimpse], ended_s: float) -> tuple[Aim, ...]:
    """The views of all pointing words, in their order, as `aim` says: 'compare this with this' has two."""
    asked = read(words.text)
    pointed = [_aimed(asked, glimpses, p.at_s, "pointed", p.word) for p in pointings(words)]
    return tuple(pointed) or (_aimed(asked, glimpses, ended_s, "newest"),)


def _aimed(asked: Question, glimpses: Sequence[Glimpse], at_s: float, reason: str, word: str = "") -> Aim:
    if not glimpses:
        return Aim(None, None)
    query = Query(asked, at_s)
    near = [g for g in glimpses if g.at_s - WITHIN_S <= at_s <= g.ended_s + WITHIN_S]
    near = near or [g for g in glimpses if g.at_s <= at_s][-1:] or list(glimpses[:1])
    sharpest = max(g.sharpness for g in near)
    scored = [(_score(query, asked, g, at_s, sharpest), g.id, g) for g in near]
    score, _, best = max(scored)
    seen_s = min(max(at_s, best.at_s), best.ended_s)
    return Aim(best, Gaze(best.id, seen_s, reason, word), score)


def better(new: Aim, old: Aim) -> bool:
    """Whether what was shown since makes another view clearly the one that is meant."""
    if new.glimpse is None or old.glimpse is None:
        return new.glimpse is not None
    return new.glimpse.id != old.glimpse.id and new.score > old.score + BETTER


def _score(query: Query, asked: Question, glimpse: Glimpse, at_s: float, sharpest: float) -> float:
    near = log(nearness(query, glimpse, at_s))
    return near + log(clearness(glimpse, sharpest)) + FITTING * log(likeness.fits(asked, glimpse))
