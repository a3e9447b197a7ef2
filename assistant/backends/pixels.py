"""Pictures as networks want them: of one size, in one range. Knows no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.events import Image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Stretched:
    """Pictures stretched to `height` and `width` in pixels, 0 to 1, then (x - mean) / std per colour.

    Stretched, and neither cropped nor padded: what stands at the edge of a wide picture counts too. `filter` is one of
    Pillow's (2 bilinear, 3 bicubic).
    """

    height: int
    width: int
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    filter: int = 2

    def __call__(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Pictures (height, width, 3), red first, of any sizes, as (n, 3, height, width)."""
        from PIL import Image as Pillow

        size, how = (self.width, self.height), Pillow.Resampling(self.filter)
        small = [np.asarray(Pillow.fromarray(image).resize(size, how)) for image in images]
        scaled = (np.stack(small) / 255 - np.array(self.mean)) / np.array(self.std)
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)


def stretched(settings: Mapping[str, Any], side: int | None, *, normal: bool) -> Stretched:
    """What a `preprocessor_config.json` asks for. `side` in pixels where it names no height and width, `normal`:
    whether pictures are normalised where it does not say. Raises ValueError where no size is known.
    """
    size = settings.get("size")
    size = size if isinstance(size, Mapping) else {}
    height, width = size.get("height", side), size.get("width", side)
    if not isinstance(height, int) or not isinstance(width, int):
        raise ValueError(f"pictures of no fixed size: {dict(settings)}")
    how = settings.get("resample", 2)
    if not settings.get("do_normalize", normal):
        return Stretched(height, width, filter=how)
    mean, std = settings.get("image_mean", IMAGENET_MEAN), settings.get("image_std", IMAGENET_STD)
    return Stretched(height, width, tuple(mean), tuple(std), how)
