"""What things are called: the names of a detector in what people say, and in sentences.

A table (`objects.toml`) has the words; what it does not have is called as the detector calls it. Knows no picture.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.grounding import lexicon, wording
from assistant.grounding.words import is_chinese, plain

LONGEST = 3
"""words that the name of a thing has at most"""
_WORD = re.compile(r"[a-z']+")


@dataclass(frozen=True, slots=True)
class Mention:
    """A thing, or a kind of things, that a text mentions: at which character, as which word, and the names of all that
    it may be. called: what it is called in an answer.
    """

    at: int
    word: str
    called: str
    names: frozenset[str]
    is_kind: bool


def mentioned(text: str) -> list[Mention]:
    """The things and kinds of things in a text, in order; of words that overlap the longest: no dog in a hot dog."""
    text = plain(text)
    return _in_chinese(text) if is_chinese(text) else _in_english(text)


def _in_english(text: str) -> list[Mention]:
    words = list(_WORD.finditer(text))
    found: list[Mention] = []
    at = 0
    while at < len(words):
        for length in range(LONGEST, 0, -1):
            phrase = " ".join(w[0].removesuffix("'s") for w in words[at : at + length])
            if len(words) - at >= length and (mention := _mention(phrase, words[at].start())):
                after = words[at + length][0] if at + length < len(words) else ""
                if not _is_part(mention, after):
                    found.append(mention)
                at += length - 1
                break
        at += 1
    return found


def _is_part(mention: Mention, after: str) -> bool:
    """Whether an English word only says of which sort the next thing is: no phone in a phone number."""
    several = (
        mention.word in (lexicon.called()[mention.called].many, f"{mention.called}s") if not mention.is_kind else True
    )
    return not several and bool(after) and after not in lexicon.words("stop")


def _in_chinese(text: str) -> list[Mention]:
    known = {w for w in (*lexicon.mentions(), *lexicon.kinds(), *lexicon.concepts()) if is_chinese(w)}
    longest = max(map(len, known))
    found: list[Mention] = []
    at = 0
    while at < len(text):
        word = next((text[at : at + n] for n in range(longest, 0, -1) if text[at : at + n] in known), "")
        after = text[at + len(word) : at + len(word) + 1]
        if word and after not in lexicon.compounds() and (mention := _mention(word, at)):
            found.append(mention)
        at += max(1, len(word))
    return found


def _mention(word: str, at: int) -> Mention | None:
    if (name := lexicon.mentions().get(word)) is not None:
        return Mention(at, word, name, frozenset({name}), is_kind=False)
    if (kind := lexicon.kinds().get(word)) is not None:
        return Mention(at, word, kind, names_of(kind), is_kind=True)
    return None


def names_of(kind: str) -> frozenset[str]:
    """The names of all things of a kind; empty for `thing`, which is any."""
    return frozenset(name for name, thing in lexicon.called().items() if kind in thing.kinds)


# ---------------------------------------------------------------- in sentences


def called(name: str, language: str) -> str:
    """What a thing is called in a language, without a number."""
    thing = lexicon.called().get(name)
    return thing.chinese if thing is not None and language == "zh" else name


def counted(name: str, count: int, language: str, *, exact: bool = False) -> str:
    """So many of a thing, or of a kind: 'a dog', 'two dogs', 'dogs' for none; `exact` says 'one dog'. In Chinese with
    its measure word.
    """
    thing = lexicon.called().get(name)
    if language == "zh":
        called, measure = (thing.chinese, thing.measure) if thing else (_kind_in_chinese(name), "个")
        return f"{number(count, language)}{measure}{called}" if count else called
    many = thing.many if thing else name if name.endswith("s") else f"{name}s"
    if count == 1:
        one = name if many != f"pairs of {name}" else f"pair of {name}"
        first = number(1, language) if exact else "an" if one[0] in "aeiou" else "a"
        return one if one == many and not exact and one.endswith("s") else f"{first} {one}"
    return f"{number(count, language)} {many}" if count else many.removeprefix("pairs of ")


def _kind_in_chinese(name: str) -> str:
    return next((word for word, kind in lexicon.kinds().items() if kind == name and is_chinese(word)), name)


def number(count: int, language: str) -> str:
    """A small number as a word, a larger one in digits."""
    words = wording.frames("grounds.numbers", language)
    return words[count - 1] if 0 < count <= len(words) else str(count)


def summed(names: Sequence[str], language: str) -> str:
    """Things in one breath, each with how many there are, in the order of their first: 'two dogs and a cat'."""
    counts = {name: names.count(name) for name in names}
    return wording.listed([counted(name, count, language) for name, count in counts.items()], language)
