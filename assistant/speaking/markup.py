"""Text without its Markdown, every character of which still knows where it came from.

Works on single marks, not on a parsed document: a phrase may hold half of a bold stretch, a link or a list. Knows
nothing of languages.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Traced:
    """Text made from a source: character `i` came from `at[i]` of it; `at` never falls."""

    text: str
    at: tuple[int, ...]

    def sub(self, pattern: re.Pattern[str], new: str | Callable[[re.Match[str]], str] = "") -> Traced:
        """Replace what matches: by its group `keep` where it has one that took part, else by `new`."""
        text: list[str] = []
        at: list[int] = []
        end = 0
        for match in pattern.finditer(self.text):
            text.append(self.text[end : match.start()])
            at.extend(self.at[end : match.start()])
            if "keep" in pattern.groupindex and match["keep"] is not None:
                text.append(match["keep"])
                at.extend(self.at[match.start("keep") : match.end("keep")])
            elif match.end() > match.start():
                made = new if isinstance(new, str) else new(match)
                text.append(made)
                at.extend([self.at[match.start()]] * len(made))
            end = match.end()
        return Traced("".join(text) + self.text[end:], (*at, *self.at[end:]))


FRACTIONS = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
_SMALL = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_LINES = re.MULTILINE
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^[ \t]*(?:```|~~~).*$", _LINES), ""),  # a fence, with the name of the language
    (re.compile(r"<br\s*/?>", re.IGNORECASE), "\n"),
    (re.compile(r"<!--.*?-->|</?[A-Za-z][A-Za-z0-9-]*(?:\s[^<>\n]{0,200})?/?>"), ""),
    (re.compile(r"<(?P<keep>(?:https?://|mailto:|[\w.+-]+@)[^<>\s]+)>"), ""),
    (re.compile(r"!?\[(?P<keep>[^\[\]]*)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?:\s+\"[^\"]*\")?\)"), ""),
    (re.compile(r"!?\[(?P<keep>[^\[\]]*)\]\[[^\[\]]*\]"), ""),
    (re.compile(r"\]\([^()\s]*\)?"), ""),  # the second half of a link
    (re.compile(r"\[\^?\d{1,3}\]"), ""),  # a footnote
    (re.compile(r"^[ \t]*\|?(?=[^\n]*-)(?=[^\n]*\|)[ \t:|-]+$", _LINES), ""),  # under a table's head
    (re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", _LINES), ""),  # a rule
    (re.compile(r"[ \t]*\n[ \t]*(?=[a-z])"), " "),  # a line that goes on in the next
    (re.compile(r"(?<=[^\s.!?:;,。！？：；，、…])[ \t]*\n"), ".\n"),
    (re.compile(r"^[ \t]+", _LINES), ""),
    (re.compile(r"(?:(?<=^\d)|(?<=^\d\d))[.)](?=[ \t]+\S)", _LINES), ","),  # the number of a list item
    (re.compile(r"^[ \t]*\|[ \t]*|[ \t]*\|[ \t]*$", _LINES), ""),
    (re.compile(r"[ \t]*\|+[ \t]*"), ", "),
    (re.compile(r"^[ \t]*(?:>[ \t]?)+", _LINES), ""),
    (re.compile(r"^[ \t]*#{1,6}[ \t]+|[ \t]+#{1,6}[ \t]*$", _LINES), ""),
    (re.compile(r"^[ \t]*(?:[-*+•‣◦▪–—·][ \t]+)(?:\[[ xX]\][ \t]+)?", _LINES), ""),
    (re.compile(r"\\(?P<keep>[\\`*_{}\[\]#+.!~|>-])"), ""),
    (re.compile(r"\\[()\[\]]|\$\$"), ""),
    (re.compile(r"`+"), ""),
    (re.compile(r"(?<![\w*])\*+(?=\S)|(?<=\S)\*+(?!\w)|\*{2,}|(?<=[^\W\d])\*(?=\w)|(?<=\w)\*(?=[^\W\d])"), ""),
    (re.compile(r"(?<![^\W_])_+(?=[^\W_])|(?<=[^\s_])_+(?![^\W_])|~~"), ""),
)
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6});")


def without_markup(text: str) -> Traced:
    """Text without Markdown, HTML tags and entities; a line that ends without punctuation gets a full stop.

    Code is kept as its words, a link as its text, a table as its cells. Wide and otherwise decorated ASCII characters
    become plain ones.
    """
    simple = [_plain(c) for c in text]
    traced = Traced("".join(simple), tuple(at for at, made in enumerate(simple) for _ in made))
    for pattern, new in _RULES:
        traced = traced.sub(pattern, new)
    return traced.sub(_ENTITY, lambda match: html.unescape(match[0]).replace("\xa0", " "))


def _plain(c: str) -> str:
    """A character in its simplest form: wide, bold or circled ones are ASCII in disguise."""
    if c == "〇":
        return "零"
    if c.isascii() or c in "，！？；：（）～￥":
        return c
    if c.isspace() or c in _SMALL or c in FRACTIONS:
        return c
    if c.isdigit():
        return str(unicodedata.digit(c))
    simple = unicodedata.normalize("NFKC", c)
    if c.isnumeric() and not c.isalpha():  # a Roman numeral, a ten in a circle
        return simple if simple.isalnum() and simple != c else " "
    return simple if len(simple) == 1 and simple.isascii() and simple != " " else c
