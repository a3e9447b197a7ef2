"""One look: from what was said and what was seen to what a reply rests on, within the time a reply may wait.

`look` finds the view that the words are about, has the senses look into it before anything else, lets the words choose
among memory, has a part of the picture looked at again where that is what is asked for, and brings it all together
(`fusing`). What does not concern the picture waits for nothing. Knows the seams, and no engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from assistant.errors import EngineError
from assistant.events import Gaze, Glimpse, Matrix, Words
from assistant.fusing import (
    Aim,
    Attended,
    Focus,
    Fusion,
    aims,
    better,
    choose_mode,
    cut,
    focus,
    fuse,
    merged,
    patches,
    pointings,
    wants_reading,
)
from assistant.grounding import Grounds, asks_about_now, asks_to_see, forgetting, unread
from assistant.grounding.questions import read

if TYPE_CHECKING:
    from assistant.talk import Draft, Talk

T = TypeVar("T")

INSTEAD_S = 2.0
"""a view that was looked into already stands for one that could not be in time, if it is so near"""


@dataclass(eq=False, slots=True)
class Looked:
    """What a draft has looked at, a view for every word that points; empty until it has."""

    words: Words | None = None
    aims: tuple[Aim, ...] = ()


def outdated(looked: Looked, glimpses: Sequence[Glimpse], ended_s: float) -> bool:
    """Whether a draft looked at another view than it would now that the turn is over (the voice ended at `ended_s`).

    A draft that has not come to looking yet, or that did not need to, is not.
    """
    if looked.words is None:
        return False
    return any(map(better, aims(looked.words, glimpses, ended_s), looked.aims))


async def look(talk: Talk, draft: Draft, words: Words) -> Fusion:
    """What sight adds to this turn."""
    forgotten = await _forget(talk, draft, words)
    fusion = forgotten or await _look(talk, draft, words)
    context = fusion.context or (fusion.grounds.context if fusion.grounds is not None else "")
    draft.log.emit(
        "fusion",
        mode=fusion.mode,
        why=fusion.why,
        glimpses=list(fusion.glimpses),
        crops=[list(box) for box in fusion.crops],
        notes=context,
    )
    return fusion


async def _look(talk: Talk, draft: Draft, words: Words) -> Fusion:
    rules, mind, sight = talk.rules, talk.models.mind.model, talk.sight
    mode, why = choose_mode(rules.fusion, mind.sees, words.text)
    asks = asks_to_see(words.text)
    if rules.fusion == "auto" and mind.sees and not asks:
        mode, why = "early", "the mind sees pictures"  # what is in view was prefilled while somebody spoke
    focused: Focus | None = None
    views: list[Glimpse] = []
    in_time = True
    if asks or mode == "early":
        if asks and asks_about_now(words.text):  # what was forgotten and is still there is seen anew
            ended_s = draft.marks.voice_ended_s
            talk.sight.look_again(talk.clock.now_s(), min([ended_s, *(p.at_s for p in pointings(words))]))
        aimed = aims(words, talk.conversation.glimpses, draft.marks.voice_ended_s)
        draft.looked.words, draft.looked.aims = words, aimed
        until_s = talk.clock.now_s() + rules.see_wait_s
        views = [*{a.glimpse.id: a.glimpse for a in reversed(aimed) if a.glimpse is not None}.values()][::-1]
        if wants_reading(mode, mind.sees):
            views, in_time = await _read(talk, draft, views, until_s)
        focused = await _focus(talk, draft, words, views, (mode, why), until_s)
        sight.gaze = _gaze(aimed[-1], focused) or sight.gaze
    fusion = fuse(
        words.text,
        views[-1] if views else None,
        [sight.newest(g) for g in talk.conversation.glimpses],
        talk.conversation.exchanges,
        mode=rules.fusion,
        mind_sees=mind.sees,
        mind_free=mind.free,
        now_s=talk.clock.now_s(),
        language=words.language,
        focused=focused,
        gaze=sight.gaze,
        room=rules.budget_tokens // 2,
        count=mind.count,
    )
    if not in_time and fusion.grounds is not None and fusion.grounds.kind == "refusal":
        grounds = unread(words.language)
        return replace(fusion, why=f"{fusion.why}; the picture was not read in time", grounds=grounds)
    return fusion


async def _read(talk: Talk, draft: Draft, views: Sequence[Glimpse], until_s: float) -> tuple[list[Glimpse], bool]:
    """What the words point at, looked into, and whether all of it was in time; for the last that was not, another."""
    sight = talk.sight
    known = [*await asyncio.gather(*(_within(talk, draft, sight.read(v), until_s, sight.newest(v)) for v in views))]
    in_time = all(view.findings is not None for view in known)
    if known and known[-1].findings is None:
        known[-1] = _instead(talk, known[-1])
    return known, in_time


def _gaze(aimed: Aim, focused: Focus) -> Gaze | None:
    """What was looked at and why, where that was one view."""
    first = focused.first
    if aimed.gaze is None or first is None or focused.mode == "late":
        return aimed.gaze
    if focused.crop is not None:
        return Gaze(first.id, aimed.gaze.at_s, "part")
    if focused.mode == "attention" and first.id != aimed.gaze.glimpse:
        return Gaze(first.id, first.ended_s, "fits")
    return aimed.gaze


async def _focus(
    talk: Talk, draft: Draft, words: Words, views: Sequence[Glimpse], way: tuple[str, str], until_s: float
) -> Focus:
    """Where the question looks, with the part that is meant looked at again, and the pictures that a mind gets.

    views: what the words are about, in the order they point at it. way: the mode and why.
    """
    sight, mind = talk.sight, talk.models.mind.model
    mode, why = way
    current = views[-1] if views else None
    pointing = pointings(words)
    vectors: dict[str, Any] = {}
    if mode == "attention":
        vectors["vector"] = await _vector(talk, draft, words.text, until_s)
    if mode == "co-attention" and current is not None:
        current = replace(current, image=await sight.picture(current))
        vectors = await _vectors(talk, draft, words, current, until_s)
    focused = focus(
        words.text,
        current,
        talk.conversation.glimpses,
        mode=mode,
        why=why,
        now_s=talk.clock.now_s(),
        at_s=pointing[-1].at_s if pointing else None,
        pointed=[v.id for v in views] if len(views) > 1 else (),
        most=talk.rules.frames,
        **vectors,
    )
    if mind.sees:
        loaded = [
            Attended(replace(a.glimpse, image=await sight.picture(a.glimpse)), a.weight) for a in focused.attended
        ]
        focused = replace(focused, attended=tuple(loaded))
    first = focused.first
    if focused.crop is not None and first is not None and first.image is not None:
        again = await _within(talk, draft, sight.reread(cut(first.image, focused.crop)), until_s, None)
        if again is not None:
            seen = Attended(merged(first, again, focused.crop), focused.attended[0].weight)
            focused = replace(focused, attended=(seen, *focused.attended[1:]))
    return focused


async def _vector(talk: Talk, draft: Draft, text: str, until_s: float) -> Any:
    encoder = talk.sight.encoder
    if encoder is None:
        return None
    return await _within(talk, draft, encoder.call(encoder.model.embed_text, text, cost="text"), until_s, None)


async def _vectors(talk: Talk, draft: Draft, words: Words, current: Glimpse, until_s: float) -> dict[str, Any]:
    """The words and the patches of a view as an encoder's vectors; nothing where there is none, or no time."""
    encoder, image = talk.sight.encoder, current.image
    names = [a.word for a in read(words.text).asked if a.weight > 0]
    if encoder is None or image is None or not names:
        return {}

    def embed() -> tuple[Matrix, Matrix]:
        boxes = [patch.box for patch in patches(current, *image.shape[:2])]
        told = np.array([encoder.model.embed_text(name) for name in names], np.float32)
        return told, encoder.model.embed_regions(image, boxes)

    found = await _within(talk, draft, encoder.call(embed, cost="regions"), until_s, None)
    return {} if found is None else {"words": names, "vectors": found[0], "features": found[1]}


async def _within(talk: Talk, draft: Draft, job: Awaitable[T], until_s: float, otherwise: T) -> T:
    """What a sense finds, or `otherwise` where it fails or is not done at `until_s`; the log says so."""
    try:
        return await asyncio.wait_for(job, max(0.001, until_s - talk.clock.now_s()))
    except TimeoutError:
        draft.log.emit("trouble", where="eyes", message="the picture was not read in time", kept_going=True)
    except EngineError as error:
        draft.log.emit("trouble", where="eyes", message=str(error), kept_going=True)
    return otherwise


def _instead(talk: Talk, wanted: Glimpse) -> Glimpse:
    """The nearest view that was looked into, for one that could not be in time; else the wanted one."""
    near = [
        g
        for g in talk.conversation.glimpses
        if g.findings and g.at_s - INSTEAD_S <= wanted.ended_s and wanted.at_s - INSTEAD_S <= g.ended_s
    ]
    return min(near, key=lambda g: abs(g.ended_s - wanted.ended_s), default=wanted)


async def _forget(talk: Talk, draft: Draft, words: Words) -> Fusion | None:
    """Where that is what was said: delete the last exchange and what it was about, or all, once the turn is over."""
    scope, sentence = forgetting(words.text, words.language)
    if not scope:
        return None
    await draft.gate.wait()
    forget(talk, everything=scope == "all")
    grounds = Grounds("evidence", (), (sentence,), f"forget: {scope}", "", None)
    return Fusion("none", f"forget: {scope}", grounds=grounds)


def forget(talk: Talk, *, everything: bool) -> None:
    """Delete from the talk and from sight, on disk too: all of it, or the last exchange with the glimpses that it used
    and what was shown since. What is in view is not taken up again until it changes, or somebody asks about it.
    """
    exchanges = talk.conversation.exchanges
    last = exchanges[-1] if exchanges and not everything else None
    since_s = 0.0 if everything else exchanges[-2].at_s if len(exchanges) > 1 else 0.0
    ids = set(last.seen) if last is not None else set[int]()
    talk.sight.shun()
    talk.sight.forget(lambda g: everything or g.id in ids or g.ended_s >= since_s)
    talk.conversation.exchanges = [] if everything else exchanges[:-1]
