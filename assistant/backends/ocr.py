"""The built-in eyes: text by RapidOCR, QR and bar codes and main colours by OpenCV; nothing to download.

The recognition models (PP-OCRv6, Chinese and English) lie in RapidOCR's own wheel. Names no objects: it can say what is
written and which colours are there, not what a thing is. Imports its libraries when it is constructed, not before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.errors import EngineError
from assistant.events import Box, Finding, Image

SMALLEST_SIDE = 16
"""pixels; below it there is nothing to read"""
OVERVIEW_SIDE = 160
"""pixels; colours are looked for in a picture shrunk to this"""
MAIN_COLOUR_SHARE = 0.12
OBJECT_COLOUR_SHARE = 0.25
RIM_SHARE = 0.02
"""A shade that the rim has less of is none of the background."""
INNER = 0.6
"""the part of a box, from its middle, that is taken for the thing in it"""
OBJECT_SHARE = (0.03, 0.65)
"""how much of the picture something that stands out from its background may fill"""


class Ocr:
    """Eyes that read. One instance belongs to one thread.

    threads: of onnxruntime, None for all cores. detail: the shorter side is brought to this many pixels before text is
    looked for (larger reads smaller print, cost grows with its square). longest: larger pictures are shrunk to it; 1280
    found as much print in a picture of 1920 as its full size did, in half the time.
    least_score: 0 to 1, lines below it are dropped. Raises EngineError where the libraries are missing or broken.
    """

    def __init__(
        self, *, threads: int | None = None, detail: int = 736, longest: int = 1280, least_score: float = 0.5
    ) -> None:
        try:
            import cv2
            from rapidocr import RapidOCR
        except ImportError as error:
            raise EngineError(f"wanted rapidocr and OpenCV, got '{error}'; pip install rapidocr") from error
        workers = -1 if threads is None else threads
        self._reader = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.max_side_len": longest,
                "Global.text_score": least_score,
                "Det.limit_side_len": detail,
                "EngineConfig.onnxruntime.intra_op_num_threads": workers,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1 if threads else -1,
            }
        )
        self._square_codes = cv2.QRCodeDetector()
        self._bar_codes = cv2.barcode.BarcodeDetector()

    def look(self, image: Image) -> tuple[Finding, ...]:
        """Lines of text in reading order, then codes, then colours; boxes in pixels of `image`.

        image: uint8 (height, width, 3), red first, any size. Colours of the whole picture have no box; those of a
        thing that stands out from its background have its box, and their share is of the thing. Raises EngineError for
        anything that is not such a picture.
        """
        check_picture(image)
        image = np.ascontiguousarray(image)
        if min(image.shape[:2]) < SMALLEST_SIDE:
            return tuple(colours(image))
        lines = self._text(image)
        return (*lines, *self._codes(image), *colours(image, [line.box for line in lines if line.box]))

    def _text(self, image: Image) -> list[Finding]:
        read: Any = self._reader(np.ascontiguousarray(image[:, :, ::-1]))
        if not getattr(read, "txts", None):
            return []
        lines = zip(read.boxes, read.txts, read.scores, strict=True)
        found = [Finding("text", " ".join(t.split()), round(float(s), 3), _around(b)) for b, t, s in lines]
        return [f for f in found if not _is_noise(f, image.shape[0] * image.shape[1])]

    def _codes(self, image: Image) -> list[Finding]:
        import cv2

        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        found: list[Finding] = []
        try:
            for detector in (self._square_codes, self._bar_codes):
                ok, texts, corners, *_ = detector.detectAndDecodeMulti(grey)
                if ok:
                    found += [Finding("code", t, 1.0, _around(c)) for t, c in zip(texts, corners, strict=False) if t]
        except cv2.error:  # its decoder trips over some textures that only look like a code: no code was read
            return found
        return list(dict.fromkeys(found))


def check_picture(image: Image) -> None:
    """Raise EngineError for what is no picture of uint8 and shape (height, width, 3)."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise EngineError(
            f"wanted a picture of uint8 and shape (height, width, 3), got {image.dtype} {image.shape}; convert it"
        )


def _around(corners: Any) -> Box:
    points = np.asarray(corners, np.float32).reshape(-1, 2)
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return float(left), float(top), float(right), float(bottom)


def _is_noise(line: Finding, pixels: int) -> bool:
    """Rings, stripes and petals are read as one or two sure letters, real print hardly ever fills the picture alone."""
    letters = len(line.text.replace(" ", ""))
    assert line.box is not None
    left, top, right, bottom = line.box
    huge = (right - left) * (bottom - top) > 0.5 * pixels
    if letters == 1:
        return line.score < 0.9 or huge
    return letters <= 3 and (line.score < 0.75 or huge)


# ---------------------------------------------------------------- colours

COLOURS = ("black", "grey", "white", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "beige")


def colours(image: Image, texts: Sequence[Box] = ()) -> list[Finding]:
    """The main colours of a picture, largest first, then those of the thing that stands out, if one does.

    image: uint8 (height, width, 3), red first. texts: where it is written on; the paper of a label is not the colour of
    the thing that bears it, if that shows another. The score is the share, 0 to 1.
    """
    import cv2

    height, width = image.shape[:2]
    scale = min(1.0, OVERVIEW_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    lab = np.asarray(cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    names = colour_names(lab)
    found = [Finding("colour", name, share) for name, share in _shares(names, MAIN_COLOUR_SHARE)]
    thing = standing_out(lab)
    if thing is not None:
        rows, columns = np.nonzero(thing)
        right, bottom = float(columns.max() + 1) / scale, float(rows.max() + 1) / scale
        box = (float(columns.min()) / scale, float(rows.min()) / scale, min(width, right), min(height, bottom))
        own = _without_paper(names, thing, [[edge * scale for edge in text] for text in texts])
        found += [Finding("colour", name, share, box) for name, share in _shares(own, OBJECT_COLOUR_SHARE)]
    return found


def colours_within(image: Image, box: Box) -> list[Finding]:
    """The main colours of a thing whose box is known, largest first, at most two, with that box.

    Only the inner ellipse counts: the corners of a box are mostly background. The score is the share of it, 0 to 1.
    """
    import cv2

    left, top, right, bottom = (int(edge) for edge in box)
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    scale = min(1.0, OVERVIEW_SIDE / max(part.shape[:2]))
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    names = colour_names(np.asarray(cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32))
    down, across = (2 * (np.arange(n) + 0.5) / n - 1 for n in names.shape)
    inner = names[down[:, None] ** 2 + across[None] ** 2 <= INNER**2]
    found = _shares(inner if inner.size else names, OBJECT_COLOUR_SHARE)
    return [Finding("colour", name, share, box) for name, share in found[:2]]


def _without_paper(
    names: NDArray[np.intp], thing: NDArray[np.bool_], texts: Sequence[Sequence[float]]
) -> NDArray[np.intp]:
    """The colours of a thing's pixels, without that of the paper it is labelled with, where enough else is left."""
    paper = np.zeros(names.shape, bool)
    for left, top, right, bottom in texts:
        paper[max(0, int(top)) : int(bottom) + 1, max(0, int(left)) : int(right) + 1] = True
    own = names[thing]
    written = names[paper & thing]
    if 2 * written.size <= paper.sum():  # the paper is none of the thing already: it has the background's colour
        return own
    rest = own[own != np.bincount(written).argmax()]
    return rest if rest.size >= OBJECT_COLOUR_SHARE * own.size else own


def _shares(names: NDArray[np.intp], least: float) -> list[tuple[str, float]]:
    counts = np.bincount(names.ravel(), minlength=len(COLOURS)) / max(1, names.size)
    return [(COLOURS[i], round(float(counts[i]), 3)) for i in np.argsort(-counts) if counts[i] >= least]


def colour_names(lab: NDArray[np.float32]) -> NDArray[np.intp]:
    """The index in COLOURS of every pixel of a CIELAB picture (lightness 0 to 100).

    Hue angles of the eleven basic colour terms (Berlin and Kay 1969) and beige, read off the sRGB primaries in CIELAB.
    """
    light, chroma = lab[..., 0], np.hypot(lab[..., 1], lab[..., 2])
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    index = {name: i for i, name in enumerate(COLOURS)}
    pale = (chroma < 11) | ((light < 22) & (chroma < 16)) | (light < 8)
    warm = (hue >= 25) & (hue < 95)
    rules = [
        (pale & (light < 28), "black"),
        (pale & (light < 80), "grey"),
        (pale, "white"),
        (warm & (light > 66) & (chroma < 30), "beige"),
        ((hue >= 45) & (hue < 95) & (light < 58) & (chroma < 62), "brown"),
        (warm & (light < 45) & (chroma < 32), "brown"),
        ((hue >= 345) | (hue < 18), "pink"),
        ((hue < 48) & (light > 62) & (chroma < 52), "pink"),
        (hue < 48, "red"),
        (hue < 76, "orange"),
        (hue < 110, "yellow"),
        (hue < 190, "green"),
        (hue < 313, "blue"),
    ]
    dark_red = ((hue >= 345) | (hue < 18)) & (light < 42)
    named = np.select([m for m, _ in rules], [index[n] for _, n in rules], index["purple"])
    return np.where(dark_red & ~pale, index["red"], named)


def standing_out(lab: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """The mask of the largest thing whose colours the rim of the picture does not have; None where there is none."""
    import cv2

    height, width = lab.shape[:2]
    margin = max(1, min(height, width) // 30)
    rim = np.ones((height, width), bool)
    rim[margin:, margin:-margin] = False  # not below: what is held up comes in from there
    bins = (lab / np.array([12.5, 16, 16], np.float32) + np.array([0, 8, 8], np.float32)).astype(int).clip(0, 15)
    seen = np.zeros((16, 16, 16), np.float32)
    np.add.at(seen, tuple(bins[rim].T), 1.0)
    spread = seen.copy()
    for axis in range(3):  # a neighbouring shade is the same background
        spread = np.maximum(spread, np.maximum(np.roll(spread, 1, axis), np.roll(spread, -1, axis)))
    odd = (spread[tuple(np.moveaxis(bins, -1, 0))] < RIM_SHARE * rim.sum()).astype(np.uint8)
    odd = cv2.morphologyEx(odd, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    odd = cv2.morphologyEx(odd, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(odd)
    if count < 2:
        return None
    best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    share = stats[best, cv2.CC_STAT_AREA] / (height * width)
    return labels == best if OBJECT_SHARE[0] <= share <= OBJECT_SHARE[1] else None
