"""What a frame is worth: whether it shows another view, how sharp and how bright it is. Pure, and cheap at any size.

Every judgement looks at a grid of sampled pixels, so that a 4K frame costs no more than a small one: together about a
millisecond. Knows nothing of time and of memory.
"""

from __future__ import annotations

from functools import lru_cache

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
BLANK_SHARPNESS = 1.5


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

    Pixels are averaged in pairs first: a dark camera's noise is no detail.
    """
    height, width = image.shape[:2]
    if height < 4 or width < 4:
        return 0.0
    rows: NDArray[np.intp] = np.unique(np.linspace(0, height - 4, ROWS, dtype=np.intp))
    bands = image[rows[:, None] + np.arange(4), :, 1].astype(np.float32).reshape(len(rows), 2, 2, width).mean(axis=2)
    pairs = bands[:, :, : width // 2 * 2].reshape(len(rows), 2, width // 2, 2).mean(axis=3)
    return float(np.abs(np.diff(pairs, axis=1)).mean() + np.abs(np.diff(pairs, axis=2)).mean())


def brightness(small: Thumbnail) -> float:
    """Mean of a thumbnail, 0 (black) to 1 (white)."""
    return round(float(small.mean()) / 255, 4)


def blank(small: Thumbnail, sharp: float) -> bool:
    """Whether there is nothing to see: a covered lens, a black frame, a bare wall."""
    return float(small.std()) < BLANK_CONTRAST and sharp < BLANK_SHARPNESS
