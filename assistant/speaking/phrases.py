"""Cutting a reply into phrases while it is being generated.

The first phrase is short, so that the first sound comes soon; later ones are sentences. Whether to cut is decided from
the text up to a character and nothing else, so phrases do not depend on how the stream was chopped. Knows nothing of
how a phrase is pronounced.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from assistant.speaking.thinking import SpokenOnly

LONGEST = 200
"""characters of a phrase at most; a Chinese character counts as three, as it takes about as long to say"""
WORD_UNITS, HAN_UNITS = 5, 2
CLAUSE_UNITS = (3 * WORD_UNITS, 10 * WORD_UNITS, 20 * WORD_UNITS)
"""how much the first, the second and every later phrase must hold before it may end at a comma"""
FIRST_UNITS = 12 * WORD_UNITS
"""a first phrase ends after this much, whatever comes"""
LINK_UNITS = 4 * WORD_UNITS
"""or before `and`, `because` and the like, once it holds this much"""

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff]")
_CLOSERS = "\"')]}”’»」』）》*_`~"
_OPENERS = "\"'([{“‘«「『（《*_`~#>"
_QUOTES = {"“": "”", "「": "」", "『": "』", "《": "》"}
_HAN_ENDS = "。！？"
_HAN_CLAUSES = "，；：、"
_DASHES = ("-", "–", "—", "--")
_NEVER_LAST = frozenset(
    "mr mrs ms dr prof st mt no nos vs e.g i.e fig approx ca cf incl wt tel gen sen rep capt sgt hon rev".split()
)
_SOMETIMES_LAST = frozenset(
    "etc a.m p.m inc ltd co corp jr sr ave blvd min max oz lb lbs ft tsp tbsp dept est exp vol pp p "
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue wed thu fri sat sun".split()
)
_INITIAL = re.compile(r"(?!I$)[A-Z]$")
_INITIALS = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]$")
_LINKS = frozenset("and but or because that which who so when if while with where although".split())


class Span(NamedTuple):
    """A stretch of a reply, in characters: `reply[begin:end]`."""

    begin: int
    end: int


class Phrases:
    """Phrases of a streamed reply. The spans of all `feed`s and of `finish` tile the reply."""

    def __init__(self) -> None:
        self.text = ""
        """the reply so far"""
        self._count = 0
        self._restart(0)

    def feed(self, piece: str) -> list[Span]:
        """The next piece of the reply; returns the phrases that are complete by now."""
        self.text += piece
        spans: list[Span] = []
        while self._at < len(self.text):
            if (end := self._step(self._at)) is not None:
                spans.append(self._cut(end))
            else:
                self._at += 1
        return spans

    def finish(self) -> list[Span]:
        """The reply is over; returns what is left of it."""
        return [self._cut(len(self.text))] if self._begin < len(self.text) else []

    def _cut(self, end: int) -> Span:
        span = Span(self._begin, end)
        self._count += 1
        self._restart(end)
        return span

    def _restart(self, at: int) -> None:
        self._begin = self._at = at
        self._words = self._han = 0
        self._token = at
        """where the run of non-space characters that is being read began"""
        self._clause = self._space = at
        """the last clause end and the last space before a word"""
        self._waiting: int | None = None
        """a cut that stands if the next word begins a sentence"""
        self._closer = ""
        """what ends the Chinese quotation that is open"""

    @property
    def _units(self) -> int:
        return WORD_UNITS * self._words + HAN_UNITS * self._han

    def _step(self, i: int) -> int | None:
        """Read one character; where to cut, or None. A cut lies after `_begin` and not after `i + 1`."""
        c = self.text[i]
        if self._waiting is not None and not c.isspace():
            end, self._waiting = self._waiting, None
            if not c.islower():
                return end
        if c.isspace():
            cut = self._after_token(i)
            self._token = i + 1
        elif _HAN.match(c) or c in _HAN_ENDS or c in _HAN_CLAUSES or c in _QUOTES or c == self._closer:
            cut = self._chinese(i)
        else:
            cut = None
        if cut is None and i + 1 - self._begin + 2 * self._han >= LONGEST:
            cut = self._too_long(i)
        return cut

    def _after_token(self, i: int) -> int | None:
        """Where to cut at the white space at `i`, given the word before it."""
        token = self.text[self._token : i]
        body = token.rstrip(_CLOSERS)
        if any(ch.isalnum() and not _HAN.match(ch) for ch in token):
            self._words += 1
        if not self._units or self._closer or self._in_link():
            return None
        if self.text[i] == "\n":
            return i
        match self._ends_sentence(body, closed=body != token):
            case True:
                return i
            case None:
                self._waiting = i
                return None
            case False:
                pass
        after_number = self.text[self._begin : self._token].rstrip()[-1:].isdigit()
        if body.endswith((",", ";", ":", "—", "–")) or (body in _DASHES and not after_number):
            self._clause = i
            if self._units >= CLAUSE_UNITS[min(self._count, 2)]:
                return i
        cut = self._first(token, i) if self._count == 0 else None
        self._space = i
        return cut

    def _ends_sentence(self, body: str, *, closed: bool) -> bool | None:
        """Whether a word ends a sentence; None: if the next one begins one."""
        if not body.endswith((".", "!", "?", "…")):
            return False
        if body.endswith(("..", "…")):
            return None
        if body.endswith("."):
            word = body[:-1].lstrip(_OPENERS)
            if word.isdigit() and not self.text[self.text.rfind("\n", 0, self._token) + 1 : self._token].strip():
                return False  # the number of a list item
            if word.lower() in _NEVER_LAST or _INITIAL.match(word):
                return False
            if word.lower() in _SOMETIMES_LAST or _INITIALS.match(word):
                return None
        return None if closed else True

    def _first(self, token: str, i: int) -> int | None:
        """Where to cut a first phrase that has no punctuation yet: before a linking word, or after so many words."""
        if token.lower() in _LINKS and self._units >= LINK_UNITS + WORD_UNITS and self._space > self._begin:
            return self._space
        number = token[-1:].isdigit() or token[-1:] in "$€£¥"
        return i if self._units >= FIRST_UNITS and not number else None

    def _chinese(self, i: int) -> int | None:
        """Where to cut at a Chinese character, sentence end, clause end or quotation mark."""
        c = self.text[i]
        if any(ch.isalnum() for ch in self.text[self._token : i]):
            self._words += 1
        self._token = i + 1
        if _HAN.match(c):
            cut = None
            if self._count == 0 and self._units >= FIRST_UNITS and _HAN.match(self.text[i - 1]) and not self._closer:
                cut = i
            self._han += 1
            return cut
        if c in _QUOTES and not self._closer:
            self._closer = _QUOTES[c]
            return None
        if c == self._closer:
            self._closer = ""
            return i + 1 if self.text[i - 1] in _HAN_ENDS and self._units else None
        if self._closer or not self._units or self._in_link():
            return None
        if c in _HAN_ENDS:
            return i + 1
        if c in _HAN_CLAUSES:
            self._clause = i + 1
            return i + 1 if self._units >= CLAUSE_UNITS[min(self._count, 2)] else None
        return None

    def _in_link(self) -> bool:
        """Whether a Markdown link `[text](address)` is open."""
        since = self.text.rfind("[", self._begin, self._at)
        if since < 0:
            return False
        rest = self.text[since : self._at]
        return "]" not in rest or ("](" in rest and ")" not in rest[rest.index("](") :])

    def _too_long(self, i: int) -> int:
        """Where to cut a phrase that has become too long: after a clause, else after a word, else here."""
        if self._clause - self._begin >= LONGEST // 5:
            return self._clause
        return self._space if self._space > self._begin else i + 1


class ReplyText:
    """A reply while it is being generated: `generated` is its text without thinking, phrases are spans of it."""

    def __init__(self, *, starts_thinking: bool = False) -> None:
        self._spoken = SpokenOnly(starts_thinking=starts_thinking)
        self._phrases = Phrases()

    @property
    def generated(self) -> str:
        """The reply so far, without thinking."""
        return self._phrases.text

    def feed(self, piece: str) -> list[Span]:
        """The next piece of the stream; returns the phrases that are complete by now."""
        return self._phrases.feed(self._spoken.feed(piece))

    def finish(self) -> list[Span]:
        """The stream is over; returns the rest."""
        return self._phrases.feed(self._spoken.finish()) + self._phrases.finish()
