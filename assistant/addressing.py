"""Is the assistant meant? A wake phrase in front, a phrase that sends it to sleep, one that wakes it; pure.

Phrases are compared letter by letter, so that case, punctuation, spaces and a recogniser's slips do not count: a name
of nine letters may differ in two. To sleep and awake it goes by a sentence that says nothing else. Knows no loudspeaker
and no clock: who calls says when words were said and when an answer ended.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from assistant.events import Word, Words
from assistant.prompting import prompt

NAME_SLIPS = 4
"""one wrong letter in so many is forgiven in a wake phrase: "assistance" and "assistants" are the assistant"""
SENTENCE_SLIPS = 6
"""and in a phrase that is a whole sentence"""
OPENERS = 2
"""so many small words may stand before a wake phrase"""

_HAN = "\u3400-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_HAN}]|(?:[^\W_{_HAN}]|['’](?=\w))+")
_BEFORE_NAME = frozenset("hey hi hello ok okay oh um uh er so well the a and 嗨 嘿 喂 哎 那 请".split())
_POLITE = frozenset(
    "hey hi ok okay oh um uh so well please now know then just and you can could will would thanks thank "
    "请 你 您 吧 了 啊 呀 呢 那 就 好 现 在 可 以 快 先".split()
)


@dataclass(frozen=True, slots=True)
class AddressRules:
    """The phrases, in any language. No `wake`: all that is said is meant for the assistant. No `wake_up`: it never goes
    to sleep, as it could not be woken.
    """

    wake: tuple[str, ...] = ()
    sleep: tuple[str, ...] = ()
    wake_up: tuple[str, ...] = ()
    follow_up_s: float = 10.0
    """after an answer no wake phrase is needed for so long"""


@dataclass(frozen=True, slots=True)
class Attention:
    """Whether it listens. A wake phrase opens the floor until the answer is over and `follow_up_s` longer."""

    asleep: bool = False
    open_until_s: float = -math.inf


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer these words: the wake phrase is not in them any more."""

    words: Words


@dataclass(frozen=True, slots=True)
class Ignore:
    """Somebody else was meant."""

    why: str


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Say one short sentence, that of `prompts/PROMPT.*.md`: address.yes, address.asleep or address.awake."""

    prompt: str


Verdict = Answer | Ignore | Acknowledge


def addressed(attention: Attention, words: Words, at_s: float, rules: AddressRules) -> tuple[Attention, Verdict]:
    """What is to be done about words that were begun at `at_s`, and the attention from then on.

    Where it says `Answer` or `Acknowledge`, the floor stays open until `answered` is told of the end of that.
    """
    name = _name_length(words.text, rules.wake)
    rest = _without(words, name)
    listening = replace(attention, asleep=False, open_until_s=math.inf)
    if attention.asleep:
        if _is_sentence(rest.text, rules.wake_up):
            return listening, Acknowledge("address.awake")
        return attention, Ignore("asleep")
    if rules.wake and not name and at_s > attention.open_until_s:
        return attention, Ignore("no wake phrase")
    if rules.wake_up and _is_sentence(rest.text, rules.sleep):
        return Attention(asleep=True), Acknowledge("address.asleep")
    if name and not _tokens(rest.text):
        return listening, Acknowledge("address.yes")
    return listening, Answer(rest)


def answered(attention: Attention, at_s: float, rules: AddressRules) -> Attention:
    """The attention after an answer (or an acknowledgement) was over at `at_s`, said to its end or not."""
    if attention.open_until_s == -math.inf:
        return attention
    return replace(attention, open_until_s=at_s + rules.follow_up_s)


def acknowledgement(verdict: Acknowledge, language: str, rules: AddressRules) -> str:
    """The sentence to say, in a language; {wake_up} in it is the phrase that wakes it up again."""
    known = [p for p in rules.wake_up if bool(re.search(f"[{_HAN}]", p)) == (language == "zh")] or [*rules.wake_up, ""]
    return prompt(verdict.prompt, language).replace("{wake_up}", known[0])


def _is_sentence(text: str, phrases: Sequence[str]) -> bool:
    """Whether a text says one of the phrases and nothing else but courtesies."""
    said = _bare(text)
    bare = [_bare(phrase) for phrase in phrases]
    return any(_slips(said, phrase) <= len(phrase) // SENTENCE_SLIPS for phrase in bare if phrase)


def _bare(text: str) -> str:
    """The letters of a text without courtesies at its ends."""
    tokens = [token.casefold() for token, _ in _tokens(text)]
    while tokens and tokens[0] in _POLITE:
        tokens.pop(0)
    while tokens and tokens[-1] in _POLITE:
        tokens.pop()
    return "".join(tokens)


def _name_length(text: str, phrases: Sequence[str]) -> int:
    """How many letters of a text are the wake phrase it begins with, small words before it included; 0 without one.

    Of all that would do, what is most like a phrase, and of those the shortest.
    """
    tokens = [token for token, _ in _tokens(text)]
    found: list[tuple[int, int]] = []
    for phrase in phrases:
        names = [token for token, _ in _tokens(phrase)]
        name = "".join(names).casefold()
        for skipped in range(OPENERS + 1):
            if not name or not all(token.casefold() in _BEFORE_NAME for token in tokens[:skipped]):
                break
            for end in range(skipped + 1, skipped + len(names) + 2):  # of one word two may be made: "assist ant"
                slips = _slips("".join(tokens[skipped:end]).casefold(), name)
                if slips <= len(name) // NAME_SLIPS:
                    found.append((slips, sum(map(len, tokens[:end]))))
    return min(found)[1] if found else 0


def _without(words: Words, letters: int) -> Words:
    """The words without so many letters at their beginning, and what stands between those and the next."""
    if not letters:
        return words
    kept: list[Word] = []
    left = letters
    for word in words.words:
        text = _cut(word.text, left)
        left -= sum(len(token) for token, _ in _tokens(word.text))
        if text:
            kept.append(replace(word, text=text))
            left = 0
    return replace(words, text=_cut(words.text, letters), words=tuple(kept))


def _cut(text: str, letters: int) -> str:
    """A text from its first token on that lies behind so many letters."""
    if letters <= 0:
        return text
    for token, begin in _tokens(text):
        if letters <= 0:
            return text[begin:]
        letters -= len(token)
    return ""


def _tokens(text: str) -> list[tuple[str, int]]:
    """English words and Chinese characters, with where they begin."""
    return [(found.group(), found.start()) for found in _TOKEN.finditer(text)]


def _slips(one: str, other: str) -> int:
    """How many letters must be changed, added or left out to make one of the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]
