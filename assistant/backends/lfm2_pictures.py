"""LFM2-VL's pictures without torchvision, which the library's own preparation of them needs.

A picture becomes one tile of patches, its sides multiples of 32 px and its tokens within the model's bounds. Larger
pictures, which the library cuts into tiles, are shrunk to one instead. Source of the rules: the library's
`Lfm2VlImageProcessor`, whose settings are read from the model's folder.
"""

from __future__ import annotations

import math
from typing import Any


class Lfm2Pictures:
    """The `image_processor` of an `Lfm2VlProcessor`."""

    use_thumbnail = False
    model_input_names = ("pixel_values", "pixel_attention_mask", "spatial_shapes")

    def __init__(self, settings: dict[str, Any]) -> None:
        self.tile_size: int = settings.get("tile_size", 512)
        self.downsample_factor: int = settings.get("downsample_factor", 2)
        self.encoder_patch_size: int = settings.get("encoder_patch_size", 16)
        self.bounds = settings.get("min_image_tokens", 64), settings.get("max_image_tokens", 256)
        self._mean, self._std = settings.get("image_mean", [0.5] * 3), settings.get("image_std", [0.5] * 3)

    def fetch_images(self, images: Any) -> Any:
        """What the processor calls before it prepares: here pictures are never addresses."""
        return images

    def __call__(self, images: Any, **settings: Any) -> dict[str, Any]:
        """Patches [pictures, most patches, patch area x 3], which of them are real, and rows and columns of each."""
        import torch

        flat = [picture for row in images for picture in (row if isinstance(row, (list, tuple)) else [row])]
        most = self.bounds[1] * self.downsample_factor**2
        values = torch.zeros(len(flat), most, 3 * self.encoder_patch_size**2)
        real = torch.zeros(len(flat), most, dtype=torch.int32)
        sizes = [self.size_of(*picture.size) for picture in flat]
        shapes = [[height // self.encoder_patch_size, width // self.encoder_patch_size] for width, height in sizes]
        for at, (picture, size, (rows, columns)) in enumerate(zip(flat, sizes, shapes, strict=True)):
            values[at, : rows * columns] = self._patches(picture.convert("RGB").resize(size, 2), rows, columns)
            real[at, : rows * columns] = 1
        return {
            "pixel_values": values,
            "pixel_attention_mask": real,
            "spatial_shapes": torch.tensor(shapes),
            "image_rows": [1] * len(flat),
            "image_cols": [1] * len(flat),
            "image_sizes": [[height, width] for width, height in sizes],
        }

    def size_of(self, width: int, height: int) -> tuple[int, int]:
        """Width and height in pixels that a picture is brought to; its proportions stay as nearly as that allows."""
        step = self.encoder_patch_size * self.downsample_factor
        fewest, most = (tokens * step * step for tokens in self.bounds)
        area = width * height
        fitted = [max(step, round(px / step) * step) for px in (width, height)]
        if math.prod(fitted) > most:
            fitted = [max(step, math.floor(px * math.sqrt(most / area) / step) * step) for px in (width, height)]
        elif math.prod(fitted) < fewest:
            fitted = [math.ceil(px * math.sqrt(fewest / area) / step) * step for px in (width, height)]
        return fitted[0], fitted[1]

    def _patches(self, picture: Any, rows: int, columns: int) -> Any:
        import numpy as np
        import torch

        side = self.encoder_patch_size
        pixels = (np.asarray(picture, np.float32) / 255 - np.float32(self._mean)) / np.float32(self._std)
        cut = pixels.reshape(rows, side, columns, side, 3).transpose(0, 2, 1, 3, 4)
        return torch.from_numpy(cut.reshape(rows * columns, -1).copy())
