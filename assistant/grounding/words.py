"""Words as they are compared: stems, synonyms in both languages, and likeness that survives misread letters.

A term is what a word stands for: a concept of the table, else the word's stem; Chinese without a concept becomes pairs
of characters. Knows no question and no picture.
"""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from functools import lru_cache

from assistant.grounding import lexicon

MISREAD = 0.82
"""words that are so much alike, 0 to 1, are one, and a letter of it was misread"""
_CJK = "\u3400-\u4dbf\u4e00-\u9fff"
_CHINESE = re.compile(f"[{_CJK}]")
_TOKEN = re.compile(rf"[a-z]+(?:'[a-z]+)?|\d+|[{_CJK}]+")


def plain(text: str) -> str:
    """Lower case, one kind of width and of quote, single spaces: how texts are compared."""
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("`", "'").casefold()
    return " ".join(text.split())


def is_chinese(text: str) -> bool:
    """Whether any Chinese character is in it."""
    return _CHINESE.search(text) is not None


def stem(word: str) -> str:
    """An English word without its commonest endings; enough for matching, not a linguist's stem."""
    word = word.removesuffix("'s").removesuffix("'")
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)] + instead
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def concept(word: str) -> str | None:
    """The concept of the table a plain word stands for, None where it has none."""
    return lexicon.concepts().get(word)


@lru_cache(maxsize=65_536)
def term(word: str) -> str:
    """What a plain word stands for."""
    return concept(word) or stem(word)


def tokens(text: str) -> list[str]:
    """The plain words of a text in order; Chinese is cut at known words, the rest into pairs of characters."""
    return list(_tokens(text))


@lru_cache(maxsize=16_384)
def word_set(text: str) -> frozenset[str]:
    """The plain words of a text; the same text is cut once."""
    return frozenset(_tokens(text))


@lru_cache(maxsize=16_384)
def _tokens(text: str) -> tuple[str, ...]:
    text = plain(text)
    for pattern, word in lexicon.phrases():
        text = pattern.sub(word, text)
    found: list[str] = []
    for token in _TOKEN.findall(text):
        found += _cut_chinese(token) if is_chinese(token) else [token]
    return tuple(found)


def _cut_chinese(run: str) -> list[str]:
    known = lexicon.concepts()
    found: list[str] = []
    loose = ""
    at = 0
    while at < len(run):
        word = next((run[at : at + n] for n in (6, 5, 4, 3, 2, 1) if run[at : at + n] in known), "")
        if word:
            found += [*_pairs(loose), word]
            loose, at = "", at + len(word)
        else:
            loose, at = loose + run[at], at + 1
    return found + _pairs(loose)


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] if len(run) > 1 else [run] if run else []


def terms(text: str) -> frozenset[str]:
    """What the words of a text stand for."""
    return frozenset(term(token) for token in tokens(text))


@lru_cache(maxsize=65_536)
def likeness(asked: str, read: str) -> float:
    """How well a read word fits an asked one, 0 to 1; both plain words.

    1: they stand for the same. Below: misread letters, words glued together, a word cut by the picture's edge. A read
    word that is known as something else never fits: 'subtotal' is not a misread 'total'.
    """
    if term(asked) == term(read):
        return 1.0
    if concept(read) or min(len(asked), len(read)) < 4 or is_chinese(asked + read):
        return 0.0
    if asked in read and len(asked) >= 4:
        return 0.8
    if read in asked and len(read) >= 0.6 * len(asked):
        return 0.6
    return 0.85 if _is_misread(asked, read) else 0.0


def _is_misread(asked: str, read: str) -> bool:
    """Whether two words are one but for a letter or two. Of most, their lengths and letters tell that they are not."""
    least = MISREAD / 2 * (len(asked) + len(read))
    if min(len(asked), len(read)) < least or len(asked) - len(_letters(asked) - _letters(read)) < least:
        return False
    return SequenceMatcher(None, asked, read, autojunk=False).ratio() >= MISREAD


@lru_cache(maxsize=16_384)
def _letters(word: str) -> frozenset[str]:
    return frozenset(word)


@lru_cache(maxsize=65_536)
def best_likeness(asked: str, among: frozenset[str]) -> float:
    """The likeness of the best fitting of several plain words."""
    return max((likeness(asked, word) for word in among), default=0.0)
