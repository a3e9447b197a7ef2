"""The word lists and patterns of `words.toml`, `questions.toml` and `objects.toml`, read once when first needed.

Knows what is in the files and nothing of what they are for.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Kinds = dict[str, float]
"""kind of evidence -> how well it would answer, 0 to 1"""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a question that fits `pattern` asks for."""

    pattern: re.Pattern[str]
    wording: str
    kinds: Kinds


@dataclass(frozen=True, slots=True)
class Comparative:
    """What a question that fits `pattern` compares: of which measure ("": any), and whether the larger value is it."""

    pattern: re.Pattern[str]
    word: str
    high: bool
    measure: str
    kinds: Kinds


@dataclass(frozen=True, slots=True)
class Called:
    """What people call a thing that a detector names: in English (one, several), in Chinese with its measure word, and
    the kinds of things it belongs to.
    """

    one: str
    many: str
    chinese: str
    measure: str
    kinds: frozenset[str]


@cache
def _file(name: str) -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text(encoding="utf-8"))


def _joined(table: dict[str, Any]) -> re.Pattern[str]:
    return re.compile("|".join([*table.get("en", ()), *table.get("zh", ())]))


@cache
def words(name: str) -> frozenset[str]:
    """A list of words. KeyError if there is none of that name."""
    return frozenset(_file("words")["words"][name].split())


@cache
def colours() -> dict[str, tuple[str, ...]]:
    """The names of colours that findings use, in their order, and what people call them."""
    return {name: tuple(called.split()) for name, called in _file("words")["colours"].items()}


@cache
def concepts() -> dict[str, str]:
    """Every known word and the concept it stands for."""
    return {word: name for name, row in _file("words")["concepts"].items() for word in row.split()}


@cache
def phrases() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Phrases that are one word, and that word."""
    return tuple((re.compile(pattern), word) for pattern, word in _file("words")["phrases"].items())


@cache
def pattern(name: str) -> re.Pattern[str]:
    """A pattern over lower-case text. KeyError if there is none of that name."""
    return _joined(_file("questions")["pattern"][name])


@cache
def rules() -> tuple[Rule, ...]:
    """How questions are read, most telling first."""
    return tuple(Rule(_joined(r), r["wording"], r["kinds"]) for r in _file("questions")["rule"])


@cache
def comparatives() -> tuple[Comparative, ...]:
    """How comparisons are read, most telling first."""
    return tuple(
        Comparative(_joined(c), c["word"], c["high"], c["measure"], c["kinds"])
        for c in _file("questions")["comparative"]
    )


# ---------------------------------------------------------------- things


@cache
def called() -> dict[str, Called]:
    """Every thing of the table by a detector's name for it, and what people call it."""
    return {
        name: Called(
            name, row.get("many", f"{name}s"), row["zh"].split()[0], row.get("one", "个"), frozenset(row["is"].split())
        )
        for name, row in _file("objects")["objects"].items()
    }


@cache
def mentions() -> dict[str, str]:
    """Every word or phrase for a thing, and that thing's name."""
    found: dict[str, str] = {}
    for name, row in _file("objects")["objects"].items():
        for word in (name, row.get("many", f"{name}s"), *row["en"].split(), *row["zh"].split()):
            found.setdefault(word, name)
    return found


@cache
def kinds() -> dict[str, str]:
    """Every word for a kind of things, and that kind; `thing` is any."""
    return {word: kind for kind, row in _file("objects")["kinds"].items() for word in row.split()}


@cache
def grounds() -> frozenset[str]:
    """Things that other things stand on."""
    return frozenset(_file("objects")["ground"]["things"])


@cache
def compounds() -> frozenset[str]:
    """What a Chinese word goes on with that then names another thing: 号 after 手机."""
    return frozenset(_file("objects")["ground"]["compounds"])


@cache
def object_pattern(name: str) -> re.Pattern[str]:
    """A pattern of `objects.toml`. KeyError if there is none of that name."""
    return _joined(_file("objects")["pattern"][name])
