"""Co-attention: words and patches of a picture choose each other. Pure.

With Q (w, d) the words' features, V (p, d) the patches' and C = Q V^T their affinity, both directions are softmaxes of
the same matrix (Lu et al., Hierarchical question-image co-attention, 2016; Xiong et al., Dynamic coattention networks,
2017):

    A_v = softmax over patches of C / tau,    A_q = softmax over words of C / tau
    visible_w = how well the best patch fits w,    attention_p = sum over w of visible_w A_v[w, p] A_q[w, p]

A word that fits nothing in view says nothing; a patch that no word means gets nothing. Cosines are taken from each
word's median first: some words are near to every picture. Without an
encoder the patches are the regions that the eyes found, and C is the likeness of words and of kinds; with one they are
cuts of the picture as well, and their features must lie in the text space (an encoder's `embed_regions`): raw patch
tokens of CLIP and SigLIP do not. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from assistant.events import Box, Finding, Glimpse, Matrix
from assistant.fusing import likeness
from assistant.fusing.attention import TEMPERATURE
from assistant.grounding import evidence_of
from assistant.grounding.layout import same_row
from assistant.grounding.questions import Question

WORDS_TEMPERATURE = 0.12
"""of the likeness of words and regions"""
STANDS_OUT = 0.5
"""a patch that has so much of the best one's attention belongs to what is meant"""
KIND = 0.8
"""what it is worth that a region holds the kind of thing that is asked for, beside that it is named"""
BESIDE = 0.75
"""what it is worth that a region's label is named and not itself"""
MARGIN = 0.2
"""of its longer side that a crop is wider than what is meant: what labels it stands beside it"""
ROW_GAP = 10.0
"""heights of a line that the next one may be away on its row and still belongs to it: a label and its price"""
LEAST_SHARE = 0.15
"""of each side of the picture that a crop has at least"""
MOST_SHARE = 0.6
"""of the picture's area; a crop that has more is no crop"""
GRIDS = (2, 3)
"""Cuts of a picture for an encoder: halves and thirds, half overlapping."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A part of a picture: where, in pixels, and what was found there (None: a cut of the picture)."""

    box: Box
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class CoAttended:
    """What words and patches make of each other: the attention of each patch and how visible each word is, 0 to 1.

    `agreement` is the best attention before it was made to add up to 1: what frames are compared by.
    """

    patches: tuple[Patch, ...]
    attention: tuple[float, ...]
    words: tuple[str, ...]
    visible: tuple[float, ...]
    agreement: float


# ---------------------------------------------------------------- the matrix


def coattend(
    affinity: Matrix, words: Sequence[str], patches: Sequence[Patch], temperature: float, *, absolute: bool
) -> CoAttended:
    """Words and patches choose each other. `affinity`: (words, patches), any range that `temperature` suits.

    absolute: an affinity says by itself how well a word fits, 0 to 1; otherwise only how it stands out from the word's
    others does, as with cosines, which are high for one word everywhere and low for another.
    """
    if not affinity.size:
        return CoAttended(tuple(patches), (0.0,) * len(patches), tuple(words), (0.0,) * len(words), 0.0)
    scaled = affinity.astype(np.float64) / temperature
    if not absolute:
        scaled = scaled - np.median(scaled, axis=1, keepdims=True)
    over_patches, over_words = _softmax(scaled, 1), _softmax(scaled, 0)
    best = scaled.max(axis=1)
    visible = np.clip(best * temperature, 0, 1) if absolute else 1 - np.exp(-best / 2)
    mutual = (visible[:, None] * over_patches * over_words).sum(axis=0)
    total = float(mutual.sum())
    shares = mutual / total if total > 0 else mutual
    return CoAttended(
        tuple(patches),
        tuple(round(float(a), 4) for a in shares),
        tuple(words),
        tuple(round(float(v), 4) for v in visible),
        float(mutual.max()),
    )


def _softmax(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    shares = np.exp(values - values.max(axis=axis, keepdims=True))
    return shares / shares.sum(axis=axis, keepdims=True)


# ---------------------------------------------------------------- without an encoder


def regions(glimpse: Glimpse) -> tuple[Patch, ...]:
    """What the eyes found in a glimpse and where, the largest colour's box among it."""
    return tuple(Patch(f.box, f) for f in glimpse.findings or () if f.box is not None)


def of_regions(asked: Question, glimpse: Glimpse) -> CoAttended:
    """Co-attention of a question's content words, and of its kind as one word more, with the regions of a glimpse."""
    patches = regions(glimpse)
    kinds, labels = _kinds_and_labels(asked, glimpse)
    words = [a.word for a in asked.asked if a.weight > 0]
    rows: list[list[float]] = []
    for word in words:
        rows.append(
            [
                max(
                    likeness.word_fits(word, likeness.finding_text(patch.finding)) if patch.finding else 0.0,
                    BESIDE * max((likeness.word_fits(word, t) for t in labels.get(patch.box, ())), default=0.0),
                )
                for patch in patches
            ]
        )
    rows.append([KIND * kinds.get(patch.box, 0.0) for patch in patches])
    names = [*words, f"({asked.wording or 'anything'})"]
    affinity = np.array(rows, np.float32).reshape(len(names), len(patches))
    return coattend(affinity, names, patches, WORDS_TEMPERATURE, absolute=True)


def _kinds_and_labels(asked: Question, glimpse: Glimpse) -> tuple[dict[Box, float], dict[Box, list[likeness.Text]]]:
    """For each box how well the best of its evidence fits the kind of question, and what its values are labelled."""
    kinds: dict[Box, float] = {}
    labels: dict[Box, list[likeness.Text]] = {}
    readable = {"block", "paragraph", "describe"} & asked.kinds.keys()
    for evidence in evidence_of(glimpse):
        if evidence.box is None:
            continue
        fit = asked.kinds.get(evidence.kind, 0.0)
        if readable and evidence.kind in ("line", "object"):
            fit = 1.0
        kinds[evidence.box] = max(kinds.get(evidence.box, 0.0), fit * evidence.score)
        labels.setdefault(evidence.box, []).extend(likeness.as_text(label) for label in evidence.beside[:1])
    return kinds, labels


# ---------------------------------------------------------------- with one


def cuts(height: int, width: int) -> tuple[Patch, ...]:
    """Overlapping cuts of a picture for an encoder: a grid of halves and one of thirds, each moved by half a step."""
    found: list[Patch] = []
    for parts in GRIDS:
        high, wide = height / parts, width / parts
        steps = [i / 2 for i in range(2 * parts - 1)]
        found += [
            Patch((left * wide, top * high, (left + 1) * wide, (top + 1) * high)) for top, left in product(steps, steps)
        ]
    return tuple(found)


def of_vectors(words: Sequence[str], vectors: Matrix, patches: Sequence[Patch], features: Matrix) -> CoAttended:
    """Co-attention of words with patches by an encoder's vectors: (words, d) and (patches, d), of length 1."""
    return coattend(vectors @ features.T, words, patches, TEMPERATURE, absolute=False)


# ---------------------------------------------------------------- the crop


def crop(attended: CoAttended, height: int, width: int) -> Box | None:
    """The part of a picture that is meant: what stands out, with room around; None where that is all of it.

    Lines of text are in it whole, with what stands beside them on their row. height, width: of the picture, pixels. The
    box lies in the picture, and is at most three times as long as wide.
    """
    best = max(attended.attention, default=0.0)
    if best <= 0:
        return None
    strongest = attended.patches[attended.attention.index(best)].box
    near = max(strongest[2] - strongest[0], strongest[3] - strongest[1])
    boxes = [
        patch.box
        for patch, share in zip(attended.patches, attended.attention, strict=True)
        if share >= STANDS_OUT * best and _gap(patch.box, strongest) <= near
    ]
    lines = [p.box for p in attended.patches if p.finding is not None and p.finding.kind == "text"]
    left, top, right, bottom = around(_with_rows(boxes, lines))
    margin = MARGIN * max(right - left, bottom - top)
    wide = max(right - left + 2 * margin, LEAST_SHARE * width, (bottom - top + 2 * margin) / 3)
    high = max(bottom - top + 2 * margin, LEAST_SHARE * height, (right - left + 2 * margin) / 3)
    box = (*_inside((left + right) / 2, wide, width), *_inside((top + bottom) / 2, high, height))
    left, right, top, bottom = box
    if (right - left) * (bottom - top) > MOST_SHARE * width * height:
        return None
    return round(left), round(top), round(right), round(bottom)


def _with_rows(boxes: Sequence[Box], lines: Sequence[Box]) -> list[Box]:
    """The boxes with the lines of text that they cut through, and with those that go on beside one of these."""
    found = list(boxes)
    left = [line for line in lines if line not in found]
    while joins := [line for line in left if any(_goes_on(box, line) for box in found)]:
        found += joins
        left = [line for line in left if line not in joins]
    return found


def _goes_on(box: Box, line: Box) -> bool:
    """Whether a line stands on the row of a box, not far from it, or half in a box that is larger."""
    if same_row(box, line):
        return _gap(box, line) <= ROW_GAP * (line[3] - line[1])
    wide, high = (min(box[i + 2], line[i + 2]) - max(box[i], line[i]) for i in (0, 1))
    return wide > 0 and high > 0 and 2 * wide * high >= (line[2] - line[0]) * (line[3] - line[1])


def around(boxes: Sequence[Box]) -> Box:
    """The least box that has all of some, which are not none."""
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    return left, top, max(b[2] for b in boxes), max(b[3] for b in boxes)


def _inside(middle: float, length: float, size: int) -> tuple[float, float]:
    length = min(length, size)
    begin = min(max(0.0, middle - length / 2), size - length)
    return begin, begin + length


def _gap(one: Box, other: Box) -> float:
    across = max(one[0], other[0]) - min(one[2], other[2])
    down = max(one[1], other[1]) - min(one[3], other[3])
    return max(across, down, 0.0)
