"""When a question is about: 'five minutes ago', 'before the bottle', and their like in Chinese. Pure.

What is understood is taken out of the words, so that no later reading takes the 'minutes' for what is asked. Times are
seconds. Knows no evidence.
"""

from __future__ import annotations

import re

from assistant.grounding import lexicon
from assistant.grounding.words import tokens

_SECONDS = {
    "second": 1.0,
    "sec": 1.0,
    "minute": 60.0,
    "min": 60.0,
    "hour": 3600.0,
    "秒": 1.0,
    "分": 60.0,
    "小时": 3600.0,
}
_SMALL = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split()
_NUMBERS = {
    **{word: float(i) for i, word in enumerate(_SMALL, 1)},
    "a": 1.0,
    "an": 1.0,
    "half": 0.5,
    "couple": 2.0,
    "few": 3.0,
    "several": 4.0,
    "twenty": 20.0,
    "thirty": 30.0,
    "forty": 40.0,
    "fifty": 50.0,
    "sixty": 60.0,
    "seventy": 70.0,
    "eighty": 80.0,
    "ninety": 90.0,
    **{sign: float(i) for i, sign in enumerate("一二三四五六七八九十", 1)},
    "两": 2.0,
    "半": 0.5,
    "几": 3.0,
    "十五": 15.0,
    "二十": 20.0,
    "三十": 30.0,
}
"""A few is three, and several are four."""
_AGO = re.compile(
    r"\b(?:about |around |some |like )?(?:(?P<half>half) an? |an? (?P<of>couple|few) (?:of )?|(?P<number>\d+|[a-z]+) )"
    r"(?P<unit>second|sec|minute|min|hour)s? (?:ago|earlier|back|before(?= *$))"
)
_AGO_ZH = re.compile(
    r"(?:大约|大概)?(?P<number>\d+|[一二两三四五六七八九十半几]+)个?(?P<unit>秒|分|小时)钟?(?:之前|以前|前)"
)
_BESIDE = re.compile(
    r"\b(?P<relation>before|after) (?:(?:i|you) (?:showed|held|saw)(?: you| me| up)? )?(?:the|that|my|a|an) "
    r"(?P<anchor>\w+(?: \w+){0,2}?)(?= (?:costs?|weigh\w*|says?|expires?|was|is|looks?)\b|$)"
)
_BESIDE_ZH = re.compile(r"(?:在|比)?(?P<anchor>[^在比，。？]{1,12}?)(?P<relation>之前|以前|之后|以后)")


def ago(text: str) -> tuple[float | None, str]:
    """How many seconds ago a plain text says that it was (None: it does not), and the text without that."""
    for pattern in (_AGO, _AGO_ZH):
        for found in pattern.finditer(text):
            parts = found.groupdict()
            number = _number(parts.get("half") or parts.get("of") or parts["number"])
            if number is not None:
                return number * _SECONDS[parts["unit"]], _without(text, found)
    return None, text


def relation(text: str) -> tuple[str, str, str]:
    """Whether a plain text asks for what came before or after something, its name, and the text without that."""
    found = _BESIDE.search(text)
    if found is None or _is_a_moment(found["anchor"]):
        found = _BESIDE_ZH.search(text)
    if found is None:
        return "", "", text
    anchor = " ".join(lexicon.pattern("anchor_filler").sub(" ", found["anchor"]).split())
    if not any(word not in lexicon.words("stop") for word in tokens(anchor)):
        return "", "", text
    return ("before" if found["relation"] in ("before", "之前", "以前") else "after"), anchor, _without(text, found)


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    return float(text) if text.isdecimal() else _NUMBERS.get(text)


def _is_a_moment(anchor: str) -> bool:
    """'The first one', 'the last thing' are no names."""
    return lexicon.pattern("ordinal_only").search(anchor) is not None


def _without(text: str, found: re.Match[str]) -> str:
    return " ".join((text[: found.start()] + " " + text[found.end() :]).split())
