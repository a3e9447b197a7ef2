"""Answers about pictures as the real eyes read them: labels drawn at random, and photographs with questions."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from assistant.backends import load
from assistant.backends.ocr import Ocr
from assistant.errors import SourceError
from assistant.events import Glimpse
from assistant.grounding import Grounds, ground
from assistant.sessions.scoring import contains
from assistant.sessions.seeing import evaluate_seeing
from assistant.sessions.viewing import Senses

NAMES = ["FRESH MILK", "GREEN TEA", "RYE BREAD", "OAT COOKIES", "LEMON SOAP", "TOMATO SOUP"]
BLANK = np.zeros((480, 640, 3), np.uint8)


def ask(question: str, *glimpses: Glimpse) -> Grounds:
    return ground(question, glimpses, [], 100.0, "en")


@pytest.fixture(scope="module")
def ocr() -> Ocr:
    return load("eyes", "ocr", threads=1)


def drawn(rng: random.Random, name: str, rows: Sequence[str]) -> np.ndarray:
    """A label with its name on top and rows below, in random colours, sizes and places."""
    paper = tuple(rng.randrange(190, 256) for _ in range(3))
    picture = Image.new("RGB", (640, 480), paper)
    draw = ImageDraw.Draw(picture)
    left, top = rng.randrange(20, 120), rng.randrange(15, 60)
    ink = tuple(rng.randrange(0, 70) for _ in range(3))
    draw.text((left, top), name, ink, ImageFont.load_default(rng.randrange(44, 60)))
    size = rng.randrange(22, 34)
    for number, row in enumerate(rows):
        draw.text((left, top + 90 + number * 2 * size), row, ink, ImageFont.load_default(size))
    return np.asarray(picture)


@pytest.mark.parametrize("seed", range(6))
def test_answers_follow_what_is_drawn(ocr: Ocr, seed: int) -> None:
    rng = random.Random(100 + seed)
    shown: list[Glimpse] = []
    prices: list[int] = []
    for id, name in enumerate(rng.sample(NAMES, 2), 1):
        cents, grams, percent = rng.randrange(101, 1999), rng.randrange(50, 950), rng.randrange(2, 98)
        rows = [f"Price: ${cents // 100}.{cents % 100:02}", f"Net weight {grams} g", f"Recycled {percent}%"]
        rng.shuffle(rows)
        shown.append(Glimpse(id, 10.0 * id, BLANK, ocr.look(drawn(rng, name, rows))))
        prices.append(cents)
        for question, answer in [
            ("how much does it cost", f"${cents // 100}.{cents % 100:02}"),
            ("how heavy is it", f"{grams} g"),
            ("what percentage is recycled", f"{percent}%"),
            ("what is it called", name),
        ]:
            assert contains(ask(question, *shown).sentences[0], [answer]), (question, shown[-1].findings)
        for question in ("what is the phone number", "when does it expire", "how much sugar is in it"):
            assert ask(question, *shown).kind == "refusal"
    cheaper = "the first" if prices[0] < prices[1] else "the second"
    assert cheaper in ask("which one is cheaper", *shown).sentences[0].lower()


def test_photographs_are_answered_about(ocr: Ocr, shared: Path, tmp_path: Path) -> None:
    images = shared / "data/images"
    rows = [r for r in map(json.loads, (images / "qa.jsonl").read_text("utf-8").splitlines()) if r["kind"] == "read"]
    (tmp_path / "qa.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    for name in {row["image"] for row in rows}:
        (tmp_path / name).symlink_to(images / name)
    report = evaluate_seeing(tmp_path, Senses(ocr))
    read = report["modes"]["auto"]
    assert read["accuracy"] >= 0.85 and read["context_recall"] >= 0.95
    assert report["false_refusals"] <= 0.1 and report["refused_unanswerable"] >= 0.8


def test_a_picture_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "qa.jsonl").write_text('{"image": "a.jpg", "question": "what is it", "answers": ["x"]}')
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"a\.jpg"):
        evaluate_seeing(tmp_path)
