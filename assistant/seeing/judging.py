"""What a frame is worth: whether it shows another view, how sharp and how bright it is. Pure, and cheap at any size.

Every judgement looks at a grid of sampled pixels, so that a 4K frame costs no more than a small one: together about a
millisecond. Knows nothing of time and of memory.
"""

from __future__ import annotations

from functools import lru_cache
from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from assistant.events import Image

Thumbnail = NDArray[np.float32]

THUMBNAIL = 32
"""pixels a side of the picture that frames are compared by"""
CHANGED_LEVEL = 20.0
"""difference of two thumbnail cells (0 to 255) that counts: camera noise stays under 15, as does a lamp far away"""
CHANGED_CELLS = 12
"""cells (of 1024) that must differ: a line of another text does, a flicker does not"""
ROWS = 64
"""pairs of rows that sharpness is measured on"""
BLANK_CONTRAST = 6.0
"""standard deviation of a thumbnail (0 to 255) below which there is nothing to see, unless it is sharp: small print"""
BLANK_SHARPNESS = 2.5
NOISE_BLOCKS = 8
"""columns that each band of rows is cut into, to find where there is nothing but noise"""
NOISE_PERCENT = 25
"""so many of a hundred parts of a picture show nothing finer than noise"""
NOISE_MOST = 8.0
"""standard deviation that noise has at most: where everything is finer than that, it is detail"""
NOISE_EDGE = 4.0
"""a gradient counts by what it has over so many standard deviations of the noise: of noise alone nothing is left"""


def thumbnail(image: Image) -> Thumbnail:
    """The picture in grey, (32, 32), by mean over a grid of sampled pixels."""
    rows, columns = _grid(image.shape[0], image.shape[1])
    sampled = image[rows[:, None], columns].astype(np.float32)
    grey = (sampled[..., 0] + sampled[..., 1] + sampled[..., 2]) / 3
    return grey.reshape(THUMBNAIL, 4, THUMBNAIL, 4).mean(axis=3).mean(axis=1)


@lru_cache(maxsize=8)
def _grid(height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    cells = 4 * THUMBNAIL
    return np.linspace(0, height - 1, cells, dtype=np.intp), np.linspace(0, width - 1, cells, dtype=np.intp)


def differing(before: Thumbnail, now: Thumbnail) -> int:
    """How many of the 1024 cells differ by more than a camera's noise."""
    return int((np.abs(before - now) > CHANGED_LEVEL).sum())


def changed(before: Image | None, now: Image) -> bool:
    """Whether two pictures show another view; True where there was none before."""
    if before is None or before.shape != now.shape:
        return True
    if before is now:
        return False
    return differing(thumbnail(before), thumbnail(now)) >= CHANGED_CELLS


def sharpness(image: Image) -> float:
    """Mean absolute gradient of the green channel in levels per pixel, down and across; 0 for a covered lens.

    What the camera's noise makes of it is taken off: pixels are averaged in pairs, and every gradient is shrunk by what
    noise may reach (soft thresholding: Donoho, De-noising by soft-thresholding, 1995).
    """
    height, width = image.shape[:2]
    if height < 4 or width < 4:
        return 0.0
    rows: NDArray[np.intp] = np.unique(np.linspace(0, height - 4, ROWS, dtype=np.intp))
    sampled = image[rows[:, None] + np.arange(4), : width // 2 * 2, 1].astype(np.float32)
    quads = sampled.reshape(len(rows), 2, 2, width // 2, 2)
    sums, differences = quads[..., 0] + quads[..., 1], quads[..., 0] - quads[..., 1]
    pairs = (sums[:, :, 0] + sums[:, :, 1]) / 4
    edge = NOISE_EDGE * _noise((differences[:, :, 0] - differences[:, :, 1]) / 2) / sqrt(2)
    return sum(float(np.maximum(0, np.abs(np.diff(pairs, axis=axis)) - edge).mean()) for axis in (1, 2))


def _noise(diagonal: NDArray[np.floating]) -> float:
    """The standard deviation of a camera's noise, in levels: that of diagonal differences, (bands, 2, quads), where the
    picture is plainest (Immerkær, Fast noise variance estimation, 1996, takes them all).
    """
    bands, _, quads = diagonal.shape
    blocks = min(NOISE_BLOCKS, quads)
    parts = np.abs(diagonal[:, :, : quads // blocks * blocks]).reshape(bands, 2, blocks, -1).mean(axis=(1, 3))
    return min(NOISE_MOST, float(np.percentile(parts, NOISE_PERCENT)) * sqrt(pi / 2))


def brightness(small: Thumbnail) -> float:
    """Mean of a thumbnail, 0 (black) to 1 (white)."""
    return round(float(small.mean()) / 255, 4)


def blank(small: Thumbnail, sharp: float) -> bool:
    """Whether there is nothing to see: a covered lens, a black frame, a bare wall."""
    return float(small.std()) < BLANK_CONTRAST and sharp < BLANK_SHARPNESS
