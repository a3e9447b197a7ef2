"""Which glimpses are kept: all of the last seconds, key frames of the minutes and hours before. Pure.

A glimpse is a view with the time it was there. What holds still is one glimpse however long it does; of what never
holds still the sharpest picture of every two seconds is kept. Knows nothing of cameras and senses.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from assistant.events import Frame, Glimpse
from assistant.seeing.judging import blank, brightness, changed, sharpness, thumbnail

DENSE_S = 10.0
"""every view of the last seconds is kept: words that name one come late"""
PASSING_S = 1.0
"""an older view that was there for less, and that nobody read, was only passing by"""
KEY_S = 2.0
"""of older views that passed by the sharpest is kept, one for so many seconds, and none that shows nothing"""
SHARPER = 1.2
"""a picture that is so many times as sharp stands for the view instead: the first one still moved"""
FAINT = 0.1
"""how sharp a view is at least in which there is something to see, however blurred"""
KEPT = 400
"""glimpses kept in all, with what was found in them; an hour of showing things is about as many"""
RECALL_S = 0.3
"""a frame counts for words that ended up to this long before it: cameras and polls are late"""


def keep(
    glimpses: Sequence[Glimpse], frame: Frame, why: str = "changed", now_s: float | None = None, free_id: int = 1
) -> tuple[list[Glimpse], Glimpse]:
    """The memory with the frame in it if it shows another view, and the glimpse that now stands for the view.

    `now_s`: when the view was last there, by default the frame's own time. `free_id`: the lowest id that was never
    used; what was forgotten leaves its id behind.
    """
    now_s = frame.at_s if now_s is None else now_s
    newest = glimpses[-1] if glimpses else None
    if newest is not None and not changed(newest.image, frame.image):
        there = _sharper(replace(newest, until_s=max(newest.until_s, now_s)), frame)
        return [*glimpses[:-1], there], there
    small, sharp = thumbnail(frame.image), sharpness(frame.image)
    fresh = Glimpse(
        id=max(free_id, newest.id + 1 if newest else 1),
        at_s=frame.at_s,
        image=frame.image,
        sharpness=0.0 if blank(small, sharp) else max(sharp, FAINT),
        why=why,
        until_s=now_s,
        light=brightness(small),
    )
    return [*glimpses, fresh], fresh


def _sharper(there: Glimpse, frame: Frame) -> Glimpse:
    """The view with the frame's picture, if that is clearly sharper and nobody has looked into the view's own yet."""
    if there.findings is not None or frame.image is there.image:
        return there
    sharp = sharpness(frame.image)
    return replace(there, image=frame.image, sharpness=sharp) if sharp > SHARPER * there.sharpness > 0 else there


def thin(glimpses: Sequence[Glimpse], now_s: float, used: Collection[int] = ()) -> list[Glimpse]:
    """The memory without what only passed by more than DENSE_S ago, and no more than KEPT glimpses of it.

    `used`: ids that something still refers to; they stay. The newest stays in any case. Doing it again changes nothing.
    """
    stays = {g.id for g in _without_passing(glimpses, now_s, used)}
    kept: list[Glimpse] = []
    parted = False
    for glimpse in glimpses:
        if glimpse.id not in stays:
            parted = True  # what stood between two views is gone: they may be one now
            continue
        before = kept[-1] if kept else None
        if parted and before is not None and before.id not in used and _same_view(before, glimpse):
            kept[-1] = replace(glimpse, at_s=before.at_s, findings=glimpse.findings or before.findings)
        else:
            kept.append(glimpse)
        parted = False
    while len(kept) > KEPT:
        del kept[_least(kept, now_s, used)]
    return kept


def recall(glimpses: Sequence[Glimpse], at_s: float) -> Glimpse | None:
    """What was in view when words ended at `at_s`: the newest glimpse of that moment, None where there is none."""
    seen = [g for g in glimpses if g.at_s <= at_s + RECALL_S]
    return seen[-1] if seen else None


def _without_passing(glimpses: Sequence[Glimpse], now_s: float, used: Collection[int]) -> list[Glimpse]:
    key: dict[int, Glimpse] = {}
    for glimpse in glimpses:
        if _passed(glimpse, now_s, used):
            of = int(glimpse.at_s // KEY_S)
            if glimpse.sharpness > (key[of].sharpness if of in key else 0.0):
                key[of] = glimpse
    chosen = {g.id for g in key.values()}
    return [g for g in glimpses if not _passed(g, now_s, used) or g.id in chosen or g is glimpses[-1]]


def _passed(glimpse: Glimpse, now_s: float, used: Collection[int]) -> bool:
    recent = glimpse.ended_s > now_s - DENSE_S
    return not recent and glimpse.ended_s - glimpse.at_s < PASSING_S and not glimpse.findings and glimpse.id not in used


def _same_view(one: Glimpse, other: Glimpse) -> bool:
    """Whether two glimpses show one view, where both pictures are at hand to tell."""
    return one.image is not None and other.image is not None and not changed(one.image, other.image)


def _least(glimpses: Sequence[Glimpse], now_s: float, used: Collection[int]) -> int:
    """The index of what is missed least: long ago, not referred to, near its neighbour for its age, and with nothing
    found in it. So views stand the further apart the older they are, and evenly.
    """

    def worth(i: int) -> tuple[bool, bool, float]:
        glimpse = glimpses[i]
        age_s, gap_s = now_s - glimpse.ended_s, glimpse.ended_s - glimpses[i - 1].ended_s
        found = 4.0 if glimpse.findings else 1.0
        return age_s <= DENSE_S, glimpse.id in used, found * gap_s / max(1.0, age_s)

    return min(range(1, len(glimpses) - 1), key=worth)
