"""From words and glimpses to what enters the mind's context; pure.

Four ways, each a module or a few lines here: *early*, the newest pictures become image tokens of the model (it needs a
mind that sees); *late*, each sense decides first and its findings enter as text (`late`); *attention*, the words pick
pictures out of memory (`attention`); *co-attention*, words and patches pick each other, and with them the part of one
picture that is looked at again (`coattention`). `choose_mode` is the policy. Every way starts from the view that the
words are about (`aiming`). Knows no engine: whoever looks again at a part is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from assistant.events import Box, Exchange, Finding, Gaze, Glimpse, Image, Matrix, Vector
from assistant.fusing import coattention, late
from assistant.fusing.aiming import Aim, aim, aims, better
from assistant.fusing.attention import Attended, Query, attend
from assistant.fusing.coattention import CoAttended, Patch
from assistant.fusing.pointing import Pointing, pointings
from assistant.fusing.rereading import cut, enlarged, merged
from assistant.grounding import Grounds, ground, meant
from assistant.grounding.questions import MEMORIES, Question, read

__all__ = [
    "MODES",
    "Aim",
    "Attended",
    "CoAttended",
    "Focus",
    "Fusion",
    "Pointing",
    "aim",
    "aims",
    "better",
    "choose_mode",
    "cut",
    "focus",
    "fuse",
    "merged",
    "patches",
    "pointings",
    "wants_reading",
]

MODES = ("early", "late", "attention", "co-attention")
READS = frozenset(
    """lines percent date time weight price amount phone email web code place company role name title order word
    value""".split()
)
"""Wordings of questions about what is written."""
SPACED_S = 1.0
"""early fusion takes a picture a second: four at that pace beat every published memory for what is there now"""


@dataclass(frozen=True, slots=True)
class Focus:
    """Where a question looks: the glimpses with their weights, best first; for co-attention what words and patches made
    of each other, and the part of the first glimpse that is meant (None: all of it). `pointed`: the glimpses that the
    words point at one after the other, by their ids; empty where that is one, or none.
    """

    mode: str
    why: str
    attended: tuple[Attended, ...] = ()
    coattended: CoAttended | None = None
    crop: Box | None = None
    pointed: tuple[int, ...] = ()

    @property
    def first(self) -> Glimpse | None:
        """The glimpse that fits best."""
        return self.attended[0].glimpse if self.attended else None


@dataclass(frozen=True, slots=True)
class Fusion:
    """What sight adds to a turn. `mode` is one of MODES or none; `why` is one plain line for the log."""

    mode: str
    why: str
    glimpses: tuple[int, ...] = ()
    images: tuple[Image, ...] = ()
    context: str = ""
    grounds: Grounds | None = None
    focus: Focus | None = None

    @property
    def grammar(self) -> str | None:
        """What a mind that must not answer freely is held to; None where nothing binds it."""
        return self.grounds.grammar if self.grounds is not None else None

    @property
    def sentences(self) -> tuple[str, ...]:
        """What the grammar admits, empty where nothing binds the mind."""
        return self.grounds.sentences if self.grounds is not None else ()

    @property
    def crops(self) -> tuple[Box, ...]:
        """The parts that were looked at again."""
        return (self.focus.crop,) if self.focus is not None and self.focus.crop is not None else ()


# ---------------------------------------------------------------- the policy


def choose_mode(mode: str, mind_sees: bool, question: str = "") -> tuple[str, str]:
    """The mode that is used for the one that was asked for, and why."""
    if mode == "early" and not mind_sees:
        return "late", "early was asked for, but the mind takes text only"
    if mode != "auto":
        return mode, "asked for"
    if not mind_sees:
        return "late", "the mind takes text only"
    asked = read(question)
    if asked.past or asked.carrier or asked.wording in MEMORIES:
        return "attention", "it asks about what was"
    if asked.wording in READS:
        return "co-attention", "it asks about what is written"
    return "early", "the mind sees pictures"


def wants_reading(mode: str, mind_sees: bool) -> bool:
    """Whether the senses' findings are needed: always but where the mind looks for itself."""
    return mode != "early" or not mind_sees


# ---------------------------------------------------------------- where to look


def focus(
    question: str,
    current: Glimpse | None,
    glimpses: Sequence[Glimpse],
    *,
    mode: str,
    why: str = "",
    now_s: float,
    at_s: float | None = None,
    pointed: Sequence[int] = (),
    vector: Vector | None = None,
    words: Sequence[str] = (),
    vectors: Matrix | None = None,
    features: Matrix | None = None,
    size: tuple[int, int] | None = None,
    most: int = 4,
) -> Focus:
    """Where the question looks, for one of MODES.

    current: the view the words are about. glimpses: the memory, oldest first. at_s: when the words pointed. pointed:
    the ids of what they pointed at, in their order, where that is more than one: then nothing else counts. vector: an
    encoder's of the question; words, vectors, features: the words with their vectors (w, d), and those of the regions
    and cuts of `current` (p, d), for co-attention. size: height and width of `current`, where its picture is not at
    hand.
    """
    asked = read(question)
    among = _pointed_at(current, glimpses, pointed) if pointed else list(glimpses)
    match mode:
        case "early":
            shown = among[::-1][:most] if pointed else _spaced(asked, current, among, most)
            found = Focus(mode, why, _evenly(shown))
        case "attention":
            among = _known(current, among) if asked.past or current is None else among
            present = _present(asked, current, among, at_s)
            query = Query(asked, None if asked.past else at_s, vector, meant(asked, among, now_s), present)
            found = Focus(mode, why, attend(query, [g for g in among if _usable(g)], now_s, most))
        case "co-attention":
            found = _coattended(asked, current, why, words, vectors, features, size)
            others = [g for g in reversed(among) if current is None or g.id != current.id] if pointed else []
            found = replace(found, attended=(*found.attended, *_evenly(others)))
        case _:
            known = [g for g in _known(current, among) if g.findings is not None]
            found = Focus(mode, why, _evenly(known[::-1]))
    return replace(found, pointed=tuple(pointed))


def _evenly(glimpses: Sequence[Glimpse]) -> tuple[Attended, ...]:
    return tuple(Attended(glimpse, 1.0) for glimpse in glimpses)


def _pointed_at(current: Glimpse | None, glimpses: Sequence[Glimpse], pointed: Sequence[int]) -> list[Glimpse]:
    """What the words point at one after the other, oldest first, `current` in the version that is known."""
    found = [g for g in glimpses if g.id in pointed]
    return [current if current is not None and g.id == current.id else g for g in found]


def patches(glimpse: Glimpse, height: int, width: int) -> tuple[Patch, ...]:
    """The patches of a picture that an encoder is asked about: what the eyes found, and cuts."""
    return (*coattention.regions(glimpse), *coattention.cuts(height, width))


def _coattended(
    asked: Question,
    current: Glimpse | None,
    why: str,
    words: Sequence[str],
    vectors: Matrix | None,
    features: Matrix | None,
    size: tuple[int, int] | None,
) -> Focus:
    if current is None:
        return Focus("co-attention", why)
    size = current.image.shape[:2] if current.image is not None else size
    if vectors is not None and features is not None and size is not None:
        found = coattention.of_vectors(words, vectors, patches(current, *size), features)
    else:
        found = coattention.of_regions(asked, current)
    crop = coattention.crop(found, *size) if size is not None else None
    return Focus("co-attention", why, (Attended(current, 1.0),), found, crop)


def _known(current: Glimpse | None, glimpses: Sequence[Glimpse]) -> list[Glimpse]:
    """The memory up to what the words are about, with the version of that which is known."""
    known = [g for g in glimpses if current is None or (g.id != current.id and g.at_s <= current.at_s)]
    return known + ([current] if current is not None else [])


def _present(
    asked: Question, current: Glimpse | None, glimpses: Sequence[Glimpse], at_s: float | None
) -> frozenset[int]:
    """What is in view when a question asks about now: the view that it points at, else the newest; none for one that
    asks about what was.
    """
    if asked.past or asked.wording in MEMORIES or asked.talk:
        return frozenset()
    newest = current if current is not None and at_s is not None else next(reversed(glimpses), None)
    return frozenset({newest.id} if newest is not None else ())


def _usable(glimpse: Glimpse) -> bool:
    return glimpse.sharpness > 0 or bool(glimpse.findings)


def _spaced(asked: Question, current: Glimpse | None, glimpses: Sequence[Glimpse], most: int) -> list[Glimpse]:
    """What the words are about, and before it, where they do not point, a view a second of the last seconds."""
    if current is None:
        return []
    taken = [current]
    if asked.moment == "now":
        return taken
    for glimpse in reversed(_known(current, glimpses)[:-1]):
        recent = current.at_s - glimpse.ended_s <= SPACED_S * most
        if len(taken) < most and recent and taken[-1].at_s - glimpse.at_s >= SPACED_S and glimpse.image is not None:
            taken.append(glimpse)
    return taken


# ---------------------------------------------------------------- what enters the context


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
    focused: Focus | None = None,
    look_again: Callable[[Image], Sequence[Finding]] | None = None,
    gaze: Gaze | None = None,
    room: int = 400,
    count: late.Count = lambda text: len(text) // 3,
) -> Fusion:
    """Bring sight and words together for one turn.

    `current` is what the words are about, read if it could be; `glimpses` is the memory, oldest first. A mind that is
    not `mind_free` gets a grammar that admits only what code found to answer the question. `focused` is what `focus`
    said, in the mode that it was given, with the part read again already merged into its first glimpse; without it that
    is done here, in the mode that `choose_mode` makes of `mode`, `look_again` looking at the part. `room`: tokens, as
    `count` counts them, for what a free mind is told.
    """
    if focused is None:
        chosen, why = choose_mode(mode, mind_sees, question)
        focused = focus(question, current, glimpses, mode=chosen, why=why, now_s=now_s)
        if focused.crop is not None and look_again is not None:
            focused = looked_again(focused, look_again)
    chosen, why = focused.mode, focused.why
    if chosen == "early":
        return _early(focused)
    if mind_free and chosen != "late" and not focused.attended:
        return Fusion("none", "there is no picture")
    current = focused.first if chosen == "co-attention" else current
    grounds = _grounds(question, current, glimpses, exchanges, focused, now_s, language, gaze)
    if grounds.kind == "chat":
        return Fusion("none", f"{why}; {grounds.why}", grounds=None if mind_free else grounds)
    used = _used(chosen, grounds, focused)
    images = _images(focused) if mind_sees and chosen in ("attention", "co-attention") else ()
    if mind_free:
        told = [a.glimpse for a in focused.attended]
        context = late.context(told, now_s, language, room=room, count=count)
        return Fusion(chosen, f"{why}; {grounds.why}", used, images, context, focus=focused)
    # the grammar holds what answers: in the prompt it would cost a small mind half a second before the first word
    return Fusion(chosen, f"{why}; {grounds.why}", used, images, grounds=grounds, focus=focused)


def looked_again(focused: Focus, look: Callable[[Image], Sequence[Finding]]) -> Focus:
    """The focus with what a second look at its part found."""
    first = focused.first
    if first is None or first.image is None or focused.crop is None:
        return focused
    found = merged(first, look(cut(first.image, focused.crop)), focused.crop)
    return replace(focused, attended=(Attended(found, 1.0), *focused.attended[1:]))


def _early(focused: Focus) -> Fusion:
    shown = [a.glimpse for a in reversed(focused.attended) if a.glimpse.image is not None]
    if not shown:
        return Fusion("none", "there is no picture")
    images = tuple(g.image for g in shown if g.image is not None)
    return Fusion("early", focused.why, tuple(g.id for g in shown), images, focus=focused)


def _grounds(
    question: str,
    current: Glimpse | None,
    glimpses: Sequence[Glimpse],
    exchanges: Sequence[Exchange],
    focused: Focus,
    now_s: float,
    language: str,
    gaze: Gaze | None,
) -> Grounds:
    """Grounds out of what the focus left; where that is nothing, or the order of things counts, out of all."""
    pointed = focused.pointed
    everything = _pointed_at(current, glimpses, pointed) if pointed else _known(current, glimpses)
    asked = read(question)
    narrow = focused.mode in ("attention", "co-attention") and not (asked.past or asked.carrier or asked.comparing)
    if narrow and asked.wording not in MEMORIES and not asked.talk:
        attended = [a.glimpse for a in focused.attended]
        found = ground(question, attended, exchanges, now_s, language, gaze, pointed)
        if found.kind in ("evidence", "chat"):
            return found
    return ground(question, everything, exchanges, now_s, language, gaze, pointed)


def _used(mode: str, grounds: Grounds, focused: Focus) -> tuple[int, ...]:
    """The glimpses a reply rests on: those its evidence is from, else those that were looked at."""
    if mode == "late" and grounds.kind in ("evidence", "comparison"):
        return tuple(sorted({e.origin for e in grounds.winners if e.sense == "sight"}))
    return tuple(sorted(a.glimpse.id for a in focused.attended)) if mode != "late" else ()


def _images(focused: Focus) -> tuple[Image, ...]:
    """The pictures for a mind that sees, oldest first; the part that is meant last, enlarged."""
    by_time = sorted((a.glimpse for a in focused.attended), key=lambda g: g.at_s)
    images = tuple(g.image for g in by_time if g.image is not None)
    first = focused.first
    if focused.crop is not None and first is not None and first.image is not None:
        images += (enlarged(cut(first.image, focused.crop)),)
    return images
