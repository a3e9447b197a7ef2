"""From words and glimpses to what enters the mind's context; pure.

*early*: the picture itself becomes image tokens of the model (needs a mind that sees). *late*: each sense decides
first, and its findings enter as text with score and age (any mind; small ones get them narrowed to what answers, see
`grounding`). `auto` takes early where the mind sees and late where it does not. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.events import Exchange, Glimpse, Image
from assistant.grounding import Grounds, ground


@dataclass(frozen=True, slots=True)
class Fusion:
    """What sight adds to a turn. `mode` is early, late or none; `why` is one plain line for the log."""

    mode: str
    why: str
    glimpses: tuple[int, ...] = ()
    images: tuple[Image, ...] = ()
    context: str = ""
    grounds: Grounds | None = None

    @property
    def grammar(self) -> str | None:
        """What a mind that must not answer freely is held to; None where nothing binds it."""
        return self.grounds.grammar if self.grounds is not None else None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the grammar admits, empty where nothing binds the mind."""
        return self.grounds.sentences if self.grounds is not None else ()


def choose_mode(mode: str, mind_sees: bool) -> tuple[str, str]:
    """The mode that is used for the one that was asked for, and why."""
    if mode == "auto":
        return ("early", "the mind sees pictures") if mind_sees else ("late", "the mind takes text only")
    if mode == "early" and not mind_sees:
        return "late", "early was asked for, but the mind takes text only"
    return mode, "asked for"


def fuse(
    question: str,
    current: Glimpse | None,
    glimpses: Sequence[Glimpse],
    exchanges: Sequence[Exchange],
    *,
    mode: str,
    mind_sees: bool,
    mind_free: bool,
    now_s: float,
    language: str,
) -> Fusion:
    """Bring sight and words together for one turn.

    `current` is what was in view when the words ended, read if it could be; `glimpses` is the memory, oldest first. A
    mind that is not `mind_free` gets a grammar that admits only what code found to answer the question.
    """
    known = [g for g in glimpses if current is None or g.id < current.id]
    known += [current] if current is not None else []
    chosen, why = choose_mode(mode, mind_sees)
    if chosen == "early":
        if current is None:
            return Fusion("none", "there is no picture")
        return Fusion("early", why, (current.id,), (current.image,))
    grounds = ground(question, known, exchanges, now_s, language)
    used = tuple(g.id for g in known if g.findings is not None)
    if grounds.kind == "chat":
        return Fusion("none", f"{why}; {grounds.why}", grounds=None if mind_free else grounds)
    if mind_free:
        return Fusion("late", f"{why}; {grounds.why}", used, (), grounds.context)
    # the grammar holds what answers: in the prompt it would cost a small mind half a second before the first word
    return Fusion("late", f"{why}; {grounds.why}", used, grounds=grounds)
