"""LocalAgreement-2: a sound is recognised again and again while it grows; what two hypotheses in a row say of it stays,
the rest is tentative.

For engines that only take whole recordings. The buffer, the sound that is recognised each time, loses its beginning
once that is settled, so that a turn of any length costs the same per hypothesis. Pure: knows no engine, no clock and no
sound. Source: Macháček, Dabre and Bojar, Turning Whisper into Real-Time Transcription System, IJCNLP-AACL 2023. Unlike
theirs the buffer keeps a stable word as its anchor, so that a cut through the middle of a word leaves no scraps, and
once all was said the last hypothesis has the last word on what the buffer still holds: it had heard the most.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from assistant.events import Word, Words

LONG_S = 12.0
"""a buffer that is longer loses its beginning where that is stable"""
MOST_S = 15.0
"""no hypothesis is about more sound; what two do not agree on by then is settled by one"""
KEEP_S = 3.0
"""so much sound stays in a buffer that is cut: an engine needs context"""
EDGE_S = 1.0
"""the end of a full buffer is not believed: a word may be cut in two there"""
SCRAPS = 3
"""the anchor is looked for among so many words"""
_MARKS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Piece:
    """A word, and what the text has between it and the word before it."""

    gap: str
    word: Word


@dataclass(frozen=True, slots=True)
class Agreement:
    """What is known of a segment; times count from the segment's first sample.

    `stable` words stay while the sound grows, the last `inside` of them lie in the buffer, which begins at `began_s`;
    `rest` is tentative, and stands behind them. `newest` is the last hypothesis about the buffer.
    """

    stable: tuple[Piece, ...] = ()
    inside: int = 0
    rest: tuple[Piece, ...] = ()
    newest: tuple[Piece, ...] = ()
    began_s: float = 0.0
    language: str = ""

    @property
    def words(self) -> Words:
        """All that is known while the sound grows, stable and tentative."""
        return _words((*self.stable, *self.rest), self.language)

    @property
    def settled(self) -> Words:
        """What was said before the buffer."""
        return _words(self.stable[: len(self.stable) - self.inside], self.language)

    @property
    def final(self) -> Words:
        """What was said, once the newest hypothesis is about all that was left."""
        before = self.stable[: len(self.stable) - self.inside]
        newest = _from_anchor(self, self.newest) if before else self.newest
        if not newest:
            return self.words
        return _words((*before, *_follow(before, newest, self.language)), self.language)


def agree(known: Agreement, heard: Words) -> Agreement:
    """Add a hypothesis about the buffer, its times counted from the buffer's first sample."""
    newest = tuple(pieces(heard.shifted(known.began_s)))
    new = _behind(known, newest, heard.language)
    same = [a.word.text == b.word.text for a, b in zip(known.rest, new, strict=False)]
    count = same.index(False) if False in same else len(same)
    return replace(
        known,
        stable=(*known.stable, *new[:count]),
        inside=known.inside + count,
        rest=new[count:],
        newest=newest,
        language=heard.language,
    )


def cut(known: Agreement, ended_s: float) -> Agreement:
    """Take the beginning off a buffer that ends at `ended_s` and is long, where it is stable; then comes `agree`.

    It begins with a stable word at least 3 s before its end: the last one that begins a sentence of the newer
    half, else the last one.
    """
    if ended_s - known.began_s <= LONG_S:
        return known
    first = len(known.stable) - known.inside
    early = [i for i in range(first + 1, len(known.stable)) if known.stable[i].word.began_s <= ended_s - KEEP_S]
    half_s = ended_s - LONG_S / 2
    begins = [i for i in early if _ends_sentence(known.stable[i - 1]) and known.stable[i].word.began_s >= half_s]
    return _begin_at(known, (begins or early)[-1]) if early else known


def overflow(known: Agreement, ended_s: float) -> Agreement:
    """Settle a buffer that is full, and ends at `ended_s` although the sound does not; most of it goes."""
    sure = [piece for piece in known.rest if piece.word.ended_s <= ended_s - EDGE_S]
    known = replace(known, stable=(*known.stable, *sure), inside=known.inside + len(sure), rest=())
    first = len(known.stable) - known.inside
    late = [i for i in range(first, len(known.stable)) if known.stable[i].word.began_s >= ended_s - 2 * KEEP_S]
    if late:
        return _begin_at(known, late[-1])
    return replace(known, inside=0, newest=(), began_s=ended_s - EDGE_S)


def _begin_at(known: Agreement, at: int) -> Agreement:
    """The same, with a buffer that begins with a stable word."""
    return replace(known, inside=len(known.stable) - at, newest=(), began_s=known.stable[at].word.began_s)


def _behind(known: Agreement, newest: Sequence[Piece], language: str) -> tuple[Piece, ...]:
    """The words of a hypothesis that come after the stable ones."""
    stable = known.stable[len(known.stable) - known.inside :]
    found = _from_anchor(known, newest)
    if len(found) >= len(stable) and all(_alike(a, b) for a, b in zip(stable, found, strict=False)):
        new = found[len(stable) :]
    else:  # the engine thinks better of it: for now only what was said later counts
        ended_s = known.stable[-1].word.ended_s
        new = [piece for piece in newest if (piece.word.began_s + piece.word.ended_s) / 2 > ended_s]
    return _follow(known.stable, new, language)


def _follow(before: Sequence[Piece], new: Sequence[Piece], language: str) -> tuple[Piece, ...]:
    """The words as they stand behind others: apart from them, and with times that rise."""
    ended_s = before[-1].word.ended_s if before else 0.0
    following = list[Piece]()
    for i, piece in enumerate(new):
        began_s = max(piece.word.began_s, ended_s)
        ended_s = max(piece.word.ended_s, began_s)
        apart = " " if i == 0 and before and not piece.gap and language != "zh" else ""
        following.append(Piece(piece.gap or apart, replace(piece.word, began_s=began_s, ended_s=ended_s)))
    return tuple(following)


def _from_anchor(known: Agreement, newest: Sequence[Piece]) -> Sequence[Piece]:
    """A hypothesis from the first stable word of the buffer on: a cut may have left scraps before it. None if it is
    not there, all if there is no such word.
    """
    if known.inside == 0:
        return newest
    anchor = known.stable[len(known.stable) - known.inside]
    at = next((i for i, piece in enumerate(newest[:SCRAPS]) if _alike(piece, anchor)), None)
    return newest[at:] if at is not None else ()


def _alike(one: Piece, other: Piece) -> bool:
    """The same word, whatever its punctuation and capitals: those change as a sentence goes on."""
    return _plain(one) == _plain(other)


def _plain(piece: Piece) -> str:
    return _MARKS.sub("", piece.word.text).casefold() or piece.word.text


def _ends_sentence(piece: Piece) -> bool:
    return piece.word.text.endswith((".", "?", "!", "。", "？", "！"))


# ---------------------------------------------------------------- words and their text


def pieces(heard: Words) -> list[Piece]:
    """The words with what the text has in front of each; a text without words is one word of no length."""
    if not heard.words:
        return [Piece("", Word(heard.text.strip(), 0.0, 0.0))] if heard.text.strip() else []
    found, at = list[Piece](), 0
    for word in heard.words:
        begin = heard.text.find(word.text, at)
        gap = heard.text[at:begin] if begin >= 0 else " "
        found.append(Piece(gap if found else "", word))
        at = begin + len(word.text) if begin >= 0 else at
    return found


def text(of: Sequence[Piece]) -> str:
    """The text that the pieces make."""
    return "".join(piece.gap + piece.word.text for piece in of).strip()


def _words(of: Sequence[Piece], language: str) -> Words:
    return Words(text(of), tuple(piece.word for piece in of), language or "en")
