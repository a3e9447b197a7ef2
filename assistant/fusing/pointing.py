"""Words that point: which of what was said means something in view, and when it was said. Pure.

'this', 'that', 'here' and their like in English and Chinese, with the middle of the word's time. Where a 'that' joins
sentences and a 'this' names a day, nothing is pointed at. Knows no picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.events import Word, Words
from assistant.grounding import lexicon
from assistant.grounding.words import is_chinese, plain


@dataclass(frozen=True, slots=True)
class Pointing:
    """A word that points, and the middle of when it was said, in seconds of the audio clock."""

    word: str
    at_s: float


def pointings(words: Words) -> tuple[Pointing, ...]:
    """The words that point at something in view, in order; none where an engine gives no times."""
    said = [(plain(word.text).strip(" .,!?;:。，！？"), word) for word in words.words]
    texts = [text for text, _ in said]
    return tuple(
        Pointing(text, _middle(word))
        for i, (text, word) in enumerate(said)
        if (_points_chinese(text) if is_chinese(text) else _points(texts, i))
    )


def _middle(word: Word) -> float:
    return (word.began_s + word.ended_s) / 2


def _points(texts: Sequence[str], at: int) -> bool:
    word = texts[at].removesuffix("'s")
    before, after = texts[at - 1] if at else "", texts[at + 1] if at + 1 < len(texts) else ""
    if word in lexicon.words("near"):
        return after not in lexicon.words("days")
    if word not in lexicon.words("far"):
        return False
    joins = before in lexicon.words("joins") and after not in ("", *lexicon.words("far_after"))
    return not joins and (not after or after in lexicon.words("far_after") or before in lexicon.words("far_before"))


def _points_chinese(text: str) -> bool:
    """A token may be a word, a sign or a phrase, as the recogniser cuts."""
    return any(word in text for word in lexicon.words("near_zh")) and not any(
        word in text for word in lexicon.words("days_zh")
    )
