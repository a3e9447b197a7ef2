"""Draws the demo's pictures: groceries with a label, as a camera on a table might see them, at random from a seed.

`python -m assistant.demo.draw [FOLDER]` makes the pictures of the package again. Knows no eyes and no voice.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from assistant.demo import ASSETS, SEED, write
from assistant.demo.talk import Line, write_talk
from assistant.demo.things import COLOURS, Thing, invent

if TYPE_CHECKING:
    from assistant.events import Image

WIDTH, HEIGHT = 640, 480
WALLS = ((206, 204, 198), (222, 220, 214), (188, 194, 200))
TABLE = (150, 146, 140)
PAPER = (250, 249, 244)
INK = (28, 28, 32)
SMOOTH = 2
"""drawn this many times larger and shrunk: soft edges"""
LINE_SIZE = 27
"""pixels; of a printed line, the title is larger"""


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """What is shown, one picture for each thing, and what is said about it."""

    things: tuple[Thing, Thing]
    pictures: tuple[Image, Image]
    lines: tuple[Line, ...]


def draw(seed: int) -> Scene:
    """The scene of a seed: pictures uint8 (480, 640, 3), red first, the facts on them, and the talk about them."""
    random = Random(seed)
    things = invent(random)
    lines = write_talk(random, things)
    return Scene(things, (_picture(random, things[0]), _picture(random, things[1])), lines)


def _picture(random: Random, thing: Thing) -> Image:
    import numpy as np
    from PIL import Image as Pillow
    from PIL import ImageDraw

    picture = Pillow.new("RGB", (WIDTH * SMOOTH, HEIGHT * SMOOTH), random.choice(WALLS))
    pen: Any = _Pen(ImageDraw.Draw(picture))
    table_y = random.randint(370, 400)
    pen.box(0, table_y, WIDTH, HEIGHT, TABLE)
    middle = random.randint(290, 350)
    left, top, right, bottom = middle - 165, random.randint(44, 52), middle + 165, random.randint(426, 434)
    _SHAPES[thing.shape](pen, (left, top, right, bottom), COLOURS[thing.colour])
    _print_label(random, pen, thing, (left + 22, top + 72, right - 22, bottom - 36))
    return np.asarray(picture.resize((WIDTH, HEIGHT), Pillow.Resampling.BOX), dtype=np.uint8)


class _Pen:
    """Draws in pixels of the finished picture."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw

    def box(self, left: float, top: float, right: float, bottom: float, colour: Any, radius: float = 0) -> None:
        corners = [SMOOTH * at for at in (left, top, right - 1 / SMOOTH, bottom - 1 / SMOOTH)]
        self._draw.rounded_rectangle(corners, SMOOTH * radius, colour)

    def outline(self, points: list[tuple[float, float]], colour: Any) -> None:
        self._draw.polygon([(SMOOTH * x, SMOOTH * y) for x, y in points], colour)

    def oval(self, left: float, top: float, right: float, bottom: float, colour: Any) -> None:
        self._draw.ellipse([SMOOTH * at for at in (left, top, right, bottom)], colour)

    def write(self, x: float, y: float, text: str, size: int, width: float, bold: int = 0) -> None:
        """One line in the middle of `x`, its upper edge at `y`, made smaller until it is no wider than `width`."""
        from PIL import ImageFont

        font: Any = ImageFont.load_default(SMOOTH * size)
        while font.getlength(text) > SMOOTH * width:
            size -= 1
            font = ImageFont.load_default(SMOOTH * size)
        self._draw.text((SMOOTH * x, SMOOTH * y), text, INK, font, "ma", stroke_width=bold)


def _shade(colour: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    red, green, blue = (min(255, round(share * part)) for part in colour)
    return red, green, blue


Box = tuple[float, float, float, float]


def _carton(pen: _Pen, box: Box, colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = box
    pen.outline(
        [(left, top + 60), (left + 40, top + 14), (right - 40, top + 14), (right, top + 60)], _shade(colour, 0.9)
    )
    pen.box(left + 40, top, right - 40, top + 16, _shade(colour, 0.8))
    pen.box(left, top + 58, right, bottom, colour)


def _jar(pen: _Pen, box: Box, colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = box
    pen.box(left + 30, top, right - 30, top + 46, _shade(colour, 0.75), 8)
    pen.box(left, top + 42, right, bottom, colour, 34)


def _tin(pen: _Pen, box: Box, colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = box
    pen.oval(left, bottom - 36, right, bottom, _shade(colour, 0.9))
    pen.box(left, top + 22, right, bottom - 18, colour)
    pen.oval(left, top, right, top + 44, _shade(colour, 0.8))


def _bag(pen: _Pen, box: Box, colour: tuple[int, int, int]) -> None:
    left, top, right, bottom = box
    pen.outline(
        [(left + 18, top), (right - 18, top), (right, top + 70), (right, bottom), (left, bottom), (left, top + 70)],
        colour,
    )
    pen.box(left + 18, top + 22, right - 18, top + 32, _shade(colour, 0.8))


_SHAPES = {"carton": _carton, "jar": _jar, "tin": _tin, "bag": _bag}


def _print_label(random: Random, pen: _Pen, thing: Thing, box: Box) -> None:
    """The name, below it the facts in any order, and the price; the date below its caption or beside it."""
    left, top, right, bottom = box
    kind = "NET WEIGHT" if thing.unit == "g" else "VOLUME"
    date = [f"BEST BEFORE {thing.best_before}"] if random.random() < 0.5 else ["BEST BEFORE", thing.best_before]
    facts = [[f"{kind} {thing.amount}"], [f"{thing.percent} {thing.of}"], date]
    random.shuffle(facts)
    facts.append([f"PRICE {thing.price}" if thing.style.captioned else thing.price])
    lines = [line for fact in facts for line in fact]
    pen.box(left, top, right, bottom, PAPER, 6)
    middle, width = (left + right) / 2, right - left - 20
    pen.write(middle, top + 12, thing.name, 44, width, bold=2)
    step = (bottom - top - 76) / len(lines)
    for i, line in enumerate(lines):
        pen.write(middle, top + 70 + i * step, line, LINE_SIZE, width)


def main(folder: Path = ASSETS) -> None:
    """Write the pictures of the package. Raises OutputError."""
    from PIL import Image as Pillow

    folder.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(draw(SEED).pictures, 1):
        whole = io.BytesIO()
        Pillow.fromarray(picture).save(whole, "PNG", optimize=True)
        write(folder / f"picture{i}.png", whole.getvalue())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
