"""Where lines stand to one another: rows, and what labels a value because it stands left of, above or below it.

Boxes are in pixels, left, top, right, bottom. Knows neither values nor questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.events import Box


@dataclass(frozen=True, slots=True)
class Line:
    """One read line: its text repaired, its score 0 to 1, its box (None where the eyes gave none), its height as a
    share of the tallest line's, 0 to 1, and whether it holds a measured value: then its words name that and no other
    line's.
    """

    text: str
    score: float
    box: Box | None
    size: float = 1.0
    measured: bool = False

    @property
    def is_label(self) -> bool:
        """Has words rather than numbers only."""
        return sum(c.isalpha() for c in self.text) >= 1


def same_row(one: Box, other: Box) -> bool:
    """Whether two boxes stand beside each other on a row."""
    overlap = min(one[3], other[3]) - max(one[1], other[1])
    heights = one[3] - one[1], other[3] - other[1]
    return overlap > 0.5 * min(heights) and max(heights) < 2.2 * min(heights)


def rows(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines from top to bottom, those of a row from left to right; lines without a box keep their place, alone."""
    found: list[list[Line]] = []
    for line in sorted(lines, key=_middle):
        last = found[-1][-1] if found else None
        if last is not None and last.box and line.box and _level(found[-1], line):
            found[-1].append(line)
        else:
            found.append([line])
    return [sorted(row, key=lambda line: line.box[0] if line.box else 0.0) for row in found]


def _middle(line: Line) -> float:
    return (line.box[1] + line.box[3]) / 2 if line.box else 0.0


def _level(row: Sequence[Line], line: Line) -> bool:
    assert line.box is not None
    box = line.box
    beside = all(other.box is None or _gap(other.box, box, 0) >= -0.35 * (box[3] - box[1]) for other in row)
    return beside and any(other.box is not None and same_row(other.box, box) for other in row)


def _gap(one: Box, other: Box, axis: int) -> float:
    """The free space between two boxes along an axis (0 across, 1 down); negative where they overlap."""
    return max(one[axis], other[axis]) - min(one[axis + 2], other[axis + 2])


def labels(line: Line, lines: Sequence[Line]) -> tuple[str, ...]:
    """What stands beside a line that holds a bare value, best first: left on its row, above it, else below or right."""
    if line.box is None:
        return ()
    box = line.box
    height = box[3] - box[1]
    others = [other for other in lines if other is not line and other.box is not None]
    left = [o for o in others if o.box and same_row(o.box, box) and o.box[2] <= box[0] + 0.3 * height]
    left.sort(key=lambda o: -(o.box[2] if o.box else 0))
    if left and left[0].is_label:
        return (left[0].text,)
    found = [_nearest(box, others, above=True), next((o for o in left if o.is_label), None)]
    if not any(found):
        found = [_nearest(box, others, above=False)]
    if not any(found):
        right = [o for o in others if o.box and same_row(o.box, box) and o.box[0] >= box[2] - 0.3 * height]
        found = [min((o for o in right if o.is_label), key=lambda o: o.box[0] if o.box else 0, default=None)]
    return tuple(o.text for o in found if o is not None)


def _nearest(box: Box, lines: Sequence[Line], *, above: bool) -> Line | None:
    """The nearest label above or below that overlaps across, at most two line heights away."""
    height = box[3] - box[1]
    found: list[tuple[float, Line]] = []
    for line in lines:
        if (
            line.box is None
            or line.measured
            or not line.is_label
            or _gap(line.box, box, 0) > 0
            or same_row(line.box, box)
        ):
            continue
        away = box[1] - line.box[3] if above else line.box[1] - box[3]
        tall = max(height, line.box[3] - line.box[1])
        if -0.5 * height <= away <= 2 * tall and (_middle(line) < (box[1] + box[3]) / 2) == above:
            found.append((away, line))
    return min(found, key=lambda f: f[0], default=(0.0, None))[1]
