"""The built-in eyes on pictures drawn here and, where they are, on real ones."""

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from assistant.backends import load
from assistant.backends.ocr import COLOURS, Ocr, colours, colours_within
from assistant.errors import EngineError

PAINTS = {
    "red": (200, 20, 25),
    "green": (25, 140, 40),
    "blue": (25, 60, 190),
    "yellow": (245, 215, 30),
    "orange": (245, 130, 20),
    "purple": (120, 30, 140),
    "pink": (250, 150, 190),
    "brown": (105, 60, 25),
    "black": (15, 15, 15),
    "white": (250, 250, 250),
}


@pytest.fixture(scope="module")
def ocr() -> Ocr:
    return load("eyes", "ocr", threads=1)


def page(*lines: str, size: tuple[int, int] = (640, 480), letters: int = 36) -> np.ndarray:
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for row, line in enumerate(lines):
        draw.text((30, 30 + row * letters * 2), line, "black", ImageFont.load_default(letters))
    return np.asarray(picture)


def test_lines_are_read_where_they_stand(ocr: Ocr) -> None:
    rng = random.Random(5)
    lines = [f"Order {rng.randrange(10000, 99999)}", f"Total {rng.randrange(10, 99)}.{rng.randrange(10, 99)}"]
    found = [f for f in ocr.look(page(*lines)) if f.kind == "text"]
    assert [f.text for f in found] == lines
    for row, finding in enumerate(found):
        assert finding.box is not None
        left, top, right, bottom = finding.box
        assert 15 < left < 45 and abs((top + bottom) / 2 - (30 + row * 72 + 20)) < 15 and right < 640
        assert 0.8 < finding.score <= 1


@pytest.mark.parametrize("size", [(2560, 1920), (320, 240)])
def test_any_size_is_read_and_boxes_are_in_its_pixels(ocr: Ocr, size: tuple[int, int]) -> None:
    scale = size[0] / 640
    found = [f for f in ocr.look(page("GATE 27", size=size, letters=round(36 * scale))) if f.kind == "text"]
    assert [f.text for f in found] == ["GATE 27"]
    assert found[0].box is not None and 25 < found[0].box[2] < size[0]


def test_small_print_on_a_large_picture_is_legible(ocr: Ocr) -> None:
    found = ocr.look(page("Best before 12 MAY 2027", size=(1920, 1440), letters=26))
    assert "Best before 12 MAY 2027" in [f.text for f in found]


def test_a_blank_picture_has_a_colour_and_no_text(ocr: Ocr) -> None:
    assert [(f.kind, f.text) for f in ocr.look(np.full((480, 640, 3), 255, np.uint8))] == [("colour", "white")]


def test_noise_is_not_read(ocr: Ocr) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    assert not [f for f in ocr.look(noise) if f.kind != "colour"]


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 700, 3), (15, 15, 3)])
def test_a_tiny_picture_is_no_trouble(ocr: Ocr, shape: tuple[int, int, int]) -> None:
    assert {f.kind for f in ocr.look(np.zeros(shape, np.uint8))} == {"colour"}


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((0, 10, 3), np.uint8),
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 3)),
        np.zeros((10, 10, 4), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(ocr: Ocr, picture: np.ndarray) -> None:
    with pytest.raises(EngineError, match="wanted a picture"):
        ocr.look(picture)


def test_a_qr_code_is_read(ocr: Ocr) -> None:
    import cv2

    text = "https://example.org/item/42"
    code = cv2.resize(cv2.QRCodeEncoder.create().encode(text), None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
    picture = np.full((480, 640, 3), 255, np.uint8)
    picture[40 : 40 + code.shape[0], 60 : 60 + code.shape[1]] = code[:, :, None]
    codes = [f for f in ocr.look(picture) if f.kind == "code"]
    assert [f.text for f in codes] == [text]
    assert codes[0].box is not None and abs(codes[0].box[0] - 60) < 45


@pytest.mark.parametrize("name", PAINTS)
def test_the_colour_of_a_thing_is_told_from_its_background(name: str) -> None:
    ground = "grey" if name in ("black", "white") else "white"
    picture = Image.new("RGB", (640, 480), (128, 128, 128) if ground == "grey" else (252, 252, 252))
    ImageDraw.Draw(picture).ellipse((220, 140, 420, 340), PAINTS[name])
    found = colours(np.asarray(picture))
    assert found[0].text == ground and found[0].box is None
    things = [f for f in found if f.box is not None]
    assert things and things[0].text == name and things[0].score > 0.8
    assert things[0].box == pytest.approx((220, 140, 420, 340), abs=12)


@pytest.mark.parametrize("wall", [(222, 220, 214), (188, 194, 200)])
def test_the_paper_of_a_label_is_not_the_colour_of_the_thing(wall: tuple[int, int, int]) -> None:
    picture = Image.new("RGB", (640, 480), wall)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((150, 40, 490, 460), PAINTS["orange"])
    draw.rectangle((170, 110, 470, 400), "white")
    texts = [(200.0, 130.0 + 50 * i, 440.0, 160.0 + 50 * i) for i in range(5)]
    things = [f for f in colours(np.asarray(picture), texts) if f.box]
    assert things and things[0].text == "orange"


def test_the_colour_of_a_boxed_thing_is_that_of_its_inside() -> None:
    picture = Image.new("RGB", (640, 480), "white")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((100, 100, 200, 300), PAINTS["green"])
    draw.ellipse((400, 100, 500, 300), PAINTS["red"])
    image = np.asarray(picture)
    for box, colour in [((100, 100, 200, 300), "green"), ((400, 100, 500, 300), "red"), ((0, 0, 0.5, 0.5), "white")]:
        assert [(f.text, f.box) for f in colours_within(image, box)] == [(colour, box)]


def test_colours_are_shares_of_known_names() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    found = [f for f in colours(picture) if f.box is None]
    assert {f.text for f in found} <= set(COLOURS)
    assert all(0 < f.score <= 1 for f in found) and sum(f.score for f in found) <= 1.01


def test_real_signs_are_read(ocr: Ocr, shared: Path) -> None:
    picture = np.asarray(Image.open(shared / "data/images/road_sign_zh.jpg").convert("RGB"))
    assert "愚园路" in [f.text for f in ocr.look(picture)]


def test_looking_says_nothing(ocr: Ocr, capfd: pytest.CaptureFixture[str]) -> None:
    ocr.look(np.full((100, 100, 3), 200, np.uint8))
    assert capfd.readouterr() == ("", "")
