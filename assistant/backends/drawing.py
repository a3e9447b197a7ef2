"""Draws what was looked at: the boxes of what was found, what answered, the part that was looked at again, and a heat
map of the attention.

Knows pictures and findings, and no question.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.errors import OutputError
from assistant.events import Box, Finding, Image

COLOURS = {
    "text": (30, 110, 220), "code": (140, 60, 190), "object": (20, 150, 70), "colour": (150, 150, 150),
    "answer": (230, 60, 30), "crop": (250, 200, 0),
}  # fmt: skip
"""of boxes, by what they are around; red, green and blue, 0 to 255"""
FONTS = ("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "msyh.ttc", "PingFang.ttc", "Arial Unicode.ttf")
"""fonts with Chinese signs, where the machine has one; else Pillow's own, which has none"""
HEAT = 0.55
"""how much of a pixel is heat where the attention is highest"""


def draw(
    image: Image,
    findings: Sequence[Finding],
    *,
    answers: Sequence[Box] = (),
    crop: Box | None = None,
    heat: Sequence[tuple[Box, float]] = (),
    caption: str = "",
) -> Image:
    """The picture, uint8 (height, width, 3), with all of it drawn in, and a caption below.

    heat: boxes with their share of the attention, any scale. Boxes are in pixels of the picture.
    """
    from PIL import Image as Pillow
    from PIL import ImageDraw

    picture = Pillow.fromarray(_heated(image, heat))
    pen = ImageDraw.Draw(picture)
    size = max(12, min(image.shape[:2]) // 40)
    font = _font(size)
    for finding in findings:
        if finding.box is not None:
            colour = COLOURS.get(finding.kind, COLOURS["text"])
            _frame(pen, finding.box, colour, max(1, size // 8))
            label = f"{finding.text} {finding.score:.2f}"
            pen.text((finding.box[0], max(0, finding.box[1] - size - 2)), label, fill=colour, font=font)
    for box in answers:
        _frame(pen, box, COLOURS["answer"], max(2, size // 4))
    if crop is not None:
        _frame(pen, crop, COLOURS["crop"], max(3, size // 3))
    return np.asarray(_captioned(picture, caption, font, size), np.uint8)


def save(image: Image, path: Path) -> None:
    """Write a picture; the ending of its name says how. Raises OutputError."""
    from PIL import Image as Pillow

    try:
        Pillow.fromarray(image).save(path)
    except OSError as error:
        raise OutputError(f"wanted to write {path}, got '{error.strerror or error}'; choose another file") from error
    except ValueError as error:
        raise OutputError(f"wanted a picture's name (png, jpg, webp), got {path}; add .png") from error


def _heated(image: Image, heat: Sequence[tuple[Box, float]]) -> Image:
    """Red over what has the attention; what has none is left as it is."""
    most = max((share for _, share in heat), default=0.0)
    if most <= 0:
        return image
    strength = np.zeros(image.shape[:2], np.float32)
    for (left, top, right, bottom), share in heat:
        part = strength[max(0, round(top)) : round(bottom), max(0, round(left)) : round(right)]
        np.maximum(part, share / most, out=part)
    mixed = image + (HEAT * strength)[..., None] * (np.array([255, 40, 0], np.float32) - image)
    return mixed.clip(0, 255).astype(np.uint8)


def _frame(pen: Any, box: Box, colour: tuple[int, int, int], width: int) -> None:
    left, top, right, bottom = box
    pen.rectangle((left, top, max(left, right), max(top, bottom)), outline=colour, width=width)


def _captioned(picture: Any, caption: str, font: Any, size: int) -> Any:
    from PIL import Image as Pillow
    from PIL import ImageDraw

    if not caption:
        return picture
    lines = _wrapped(caption, max(20, int(picture.width / (0.55 * size))))
    whole = Pillow.new("RGB", (picture.width, picture.height + (size + 6) * len(lines) + 8), "white")
    whole.paste(picture, (0, 0))
    pen = ImageDraw.Draw(whole)
    for i, line in enumerate(lines):
        pen.text((6, picture.height + 4 + i * (size + 6)), line, fill=(20, 20, 20), font=font)
    return whole


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap

    return [line for part in text.splitlines() for line in textwrap.wrap(part, width) or [""]]


def _font(size: int) -> Any:
    from PIL import ImageFont

    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
