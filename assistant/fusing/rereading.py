"""Looking again at a part of a picture: cutting it out at full resolution, and putting what is read there back. Pure.

Knows no engine and no question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from assistant.events import Box, Finding, Glimpse, Image
from assistant.fusing.coattention import around
from assistant.grounding.words import is_chinese

EDGE = 0.015
"""what is so near to an edge of a part, as a share of its longer side, may be cut by it"""
SHOWN_PX = 768
"""a part that is shown to a mind is enlarged to about this many pixels"""


def cut(image: Image, box: Box) -> Image:
    """The part of a picture, at its full resolution."""
    left, top, right, bottom = (round(edge) for edge in box)
    return np.ascontiguousarray(image[max(0, top) : bottom, max(0, left) : right])


def enlarged(part: Image, pixels: int = SHOWN_PX) -> Image:
    """A part, a whole number of times as large, so that its longer side comes near `pixels`."""
    times = max(1, round(pixels / max(1, *part.shape[:2])))
    return part.repeat(times, axis=0).repeat(times, axis=1) if times > 1 else part


def merged(glimpse: Glimpse, again: Sequence[Finding], crop: Box) -> Glimpse:
    """The glimpse with what a second look at a part of it found; boxes of `again` are pixels of the part.

    Of two readings of one line the surer stands; what was one line before, and is read as several words now, is one. A
    line that the edge of the part cuts through was read better before.
    """
    left, top = crop[0], crop[1]
    whole = (f for f in again if f.kind in ("text", "code") and not _is_cut(f, crop, glimpse.size))
    fresh = [replace(f, box=(f.box[0] + left, f.box[1] + top, f.box[2] + left, f.box[3] + top)) for f in whole if f.box]
    fresh = _in_lines(fresh, [f.box for f in glimpse.findings or () if f.kind == "text" and f.box])
    kept: list[Finding] = []
    for old in glimpse.findings or ():
        rivals = [f for f in fresh if old.kind == f.kind and old.box and f.box and _covers(f.box, old.box)]
        if any(f.score < old.score and _covers(old.box, f.box) for f in rivals if f.box and old.box):
            fresh = [f for f in fresh if f not in rivals]  # the first look was surer
            kept.append(old)
        elif not rivals:
            kept.append(old)
    return replace(glimpse, findings=(*kept, *fresh))


def _in_lines(findings: Sequence[Finding], lines: Sequence[Box]) -> list[Finding]:
    """The findings, of text those put together that are parts of one of the lines."""
    found = list(findings)
    for line in lines:
        axis = int(line[3] - line[1] > line[2] - line[0])  # some run from top to bottom
        boxed = [(f.box[axis], f.box, f) for f in found if f.kind == "text" and f.box and _covers(line, f.box)]
        if len(boxed) > 1:
            parts = [f for _, _, f in sorted(boxed, key=lambda part: part[0])]
            text = ("" if is_chinese("".join(f.text for f in parts)) else " ").join(f.text for f in parts)
            whole = Finding("text", text, min(f.score for f in parts), around([box for _, box, _ in boxed]))
            found = [*(f for f in found if f not in parts), whole]
    return found


def _is_cut(finding: Finding, crop: Box, size: tuple[int, int] | None) -> bool:
    """Whether a finding reaches to an edge of the part that is none of the picture's; boxes as for `merged`."""
    if finding.box is None:
        return False
    near = EDGE * max(crop[2] - crop[0], crop[3] - crop[1])
    ends = (crop[2] - crop[0] - finding.box[2], crop[3] - crop[1] - finding.box[3])
    inner = (crop[0] > 0, crop[1] > 0, size is None or crop[2] < size[1], size is None or crop[3] < size[0])
    gaps = (finding.box[0], finding.box[1], *ends)
    return any(gap <= near and within for gap, within in zip(gaps, inner, strict=True))


def _covers(one: Box, other: Box) -> bool:
    """Whether half of the other box or more lies in the one."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    area = (other[2] - other[0]) * (other[3] - other[1])
    return wide > 0 and high > 0 and wide * high >= 0.5 * area
