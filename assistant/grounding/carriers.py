"""Which of the things that were shown is the receipt, the plaque or the note that a question about what was names.

What carries a text seldom says what it is, so it is told by what it holds: a receipt has a sum, a plaque no price.
Knows neither engines nor wording.
"""

from __future__ import annotations

from collections.abc import Sequence

from assistant.grounding import lexicon
from assistant.grounding.questions import SUMS
from assistant.grounding.ranking import Shown, title
from assistant.grounding.words import concept, word_set

PRICED = 0.5
"""how well what has a price may be a note or a sign"""


def carrying(carrier: str, things: Sequence[Shown]) -> Shown | None:
    """The thing that a carrier's word means: the best fitting, the first of those that fit as well; None: none does.

    things: the nearest to the moment that is meant first.
    """
    fits = [(_fit(carrier, thing), -at) for at, thing in enumerate(things)]
    best, at = max(fits, default=(0.0, 0))
    return things[-at] if best > 0 else None


def _fit(carrier: str, thing: Shown) -> float:
    """How well a thing may be what is called so: 0, that it is not, to 2, that it says so."""
    if not any(e.kind == "block" for e in thing.evidence):
        return 0.0
    named = carrier in word_set(title(thing)) or any(e.kind == "object" and e.text == carrier for e in thing.evidence)
    if named:
        return 2.0
    priced = any(e.kind in ("money", "amount") for e in thing.evidence)
    summed = priced and any(concept(word) in SUMS - {"price"} for word in thing.words)
    if carrier in lexicon.words("summed"):
        return float(summed)
    if summed or (priced and carrier in lexicon.words("unpriced")):
        return 0.0
    return PRICED if priced and carrier in lexicon.words("prose") else 1.0
