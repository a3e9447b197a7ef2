"""Scripted scenes of showing and telling: things are held up one after the other, and one is called 'this'.

Made from photographs: each is pasted over a background, slides in and out with the blur of a moving hand, trembles
while it is held, and the camera adds noise. Words have times, as a recogniser gives them.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from assistant.backends.pictures import read_picture
from assistant.demo.draw import draw
from assistant.demo.things import Thing
from assistant.events import Frame, Image, Word, Words

WIDTH, HEIGHT = 320, 240
SLIDE_S = 0.4
"""how long a thing takes into view and out of it"""
SAID = (
    ("what does", "this", "say"),
    ("what is", "this", ""),
    ("can you read", "this", "for me please"),
    ("how much is", "this", "one"),
    ("and what about", "that", "one"),
    ("tell me what it says", "here", "on the side if you can"),
    ("is", "this", "the one that i was looking for yesterday"),
    ("", "这", "是什么东西"),
    ("帮我念一下", "这个", "上面写了什么"),
    ("", "这个", "多少钱"),
)
"""what is said before the word that points, that word, and what is said after it"""


@dataclass(frozen=True)
class Shown:
    """A thing that is held up: its picture, and from when until when it is held still, in seconds."""

    picture: Image
    from_s: float
    to_s: float


@dataclass(frozen=True)
class Scene:
    """Things that are shown, what is said, and which of them is meant."""

    name: str
    background: Image
    things: tuple[Shown, ...]
    words: Words
    this_at_s: float
    meant: int
    fps: float
    scale: int
    tremble: float

    @property
    def ended_s(self) -> float:
        return self.words.words[-1].ended_s

    @property
    def seconds(self) -> float:
        return max(self.ended_s + 0.6, self.things[-1].to_s + SLIDE_S)

    def row(self) -> dict[str, object]:
        """As `scenes.jsonl` has it."""
        thing = self.things[self.meant]
        return {
            "clip": f"{self.name}.avi", "said": self.words.text, "this_at_s": round(self.this_at_s, 2),
            "from_s": round(thing.from_s, 2), "to_s": round(thing.to_s, 2),
        }  # fmt: skip


def make(seed: int, pictures: Sequence[Image]) -> Scene:
    """A scene by its number."""
    random = Random(seed)
    background, *things = random.sample(list(pictures), 4)
    count = random.choice((2, 3))
    shown: list[Shown] = []
    at_s = random.uniform(0.8, 2.0)
    for picture in things[:count]:
        held_s = random.uniform(1.2, 3.5)
        shown.append(Shown(picture, at_s + SLIDE_S, at_s + SLIDE_S + held_s))
        at_s += 2 * SLIDE_S + held_s + random.choice((0.0, 0.0, 0.5, 1.5))
    meant = random.randrange(count)
    this_at_s = random.uniform(shown[meant].from_s + 0.15, shown[meant].to_s - 0.15)
    words = _words(random.choice(SAID), this_at_s, random.uniform(0.2, 0.3))
    return Scene(
        f"scene{seed:02d}", background, tuple(shown), words, this_at_s, meant,
        fps=random.choice((30.0, 15.0, 10.0, 5.0)), scale=random.choice((1, 1, 2, 3)), tremble=random.uniform(0.3, 2.0),
    )  # fmt: skip


def _words(said: tuple[str, str, str], this_at_s: float, step_s: float) -> Words:
    """Words one after the other, the one that points around `this_at_s`."""
    before, word, after = said
    chinese = not word.isascii()
    first = [*before] if chinese else before.split()
    last = [*after] if chinese else after.split()
    texts = [*first, word, *last]
    began_s = this_at_s - step_s * (len(first) + 0.5)
    words = tuple(Word(text, began_s + i * step_s, began_s + (i + 1) * step_s) for i, text in enumerate(texts))
    return Words(("" if chinese else " ").join(texts), words, "zh" if chinese else "en")


class SceneCamera:
    """What a camera sees of a scene, at its frame rate."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._noise = np.random.default_rng(scene.this_at_s.as_integer_ratio()[0] % 2**32)
        self._background = fitted(scene.background, WIDTH, HEIGHT) // 2
        self._things = [fitted(t.picture, 150, 150) for t in scene.things]
        self._frame: Frame | None = None

    def frame(self, at_s: float) -> Frame | None:
        at_s = int(at_s * self.scene.fps + 1e-6) / self.scene.fps
        if self._frame is None or self._frame.at_s != at_s:
            self._frame = Frame(at_s, self._render(at_s))
        return self._frame

    def close(self) -> None:
        pass

    def _render(self, at_s: float) -> Image:
        view = self._background.astype(np.float32)
        for shown, picture in zip(self.scene.things, self._things, strict=True):
            moving = not shown.from_s <= at_s <= shown.to_s
            exposures = [where(shown, at_s + e, self.scene.tremble) for e in ((-0.02, 0.0, 0.02) if moving else (0.0,))]
            places = [p for p in exposures if p is not None]
            if places:
                blurred = sum(self._pasted(view, picture, place) for place in places) / len(places)
                view = np.asarray(blurred, np.float32)
        view += self._noise.normal(0, 4, view.shape).astype(np.float32)
        image = np.clip(view, 0, 255).astype(np.uint8)
        return image.repeat(self.scene.scale, 0).repeat(self.scene.scale, 1) if self.scene.scale > 1 else image

    @staticmethod
    def _pasted(view: np.ndarray, picture: Image, place: tuple[int, int]) -> np.ndarray:
        left, top = place
        whole = view.copy()
        high, wide = picture.shape[:2]
        top_in, left_in = max(0, top), max(0, left)
        bottom, right = min(HEIGHT, top + high), min(WIDTH, left + wide)
        if bottom > top_in and right > left_in:
            whole[top_in:bottom, left_in:right] = picture[top_in - top : bottom - top, left_in - left : right - left]
        return whole


def where(shown: Shown, at_s: float, tremble: float) -> tuple[int, int] | None:
    """Left and top of a thing, None while it is out of view: it comes from below and goes there."""
    if not shown.from_s - SLIDE_S <= at_s <= shown.to_s + SLIDE_S:
        return None
    away = max(shown.from_s - at_s, at_s - shown.to_s, 0.0) / SLIDE_S
    left = 85 + tremble * np.sin(7 * at_s) + tremble * np.sin(17 * at_s)
    return round(left), round(45 + (HEIGHT - 45) * away + tremble * np.sin(11 * at_s))


def fitted(picture: Image, width: int, height: int) -> Image:
    """A picture made to fill a size, by sampling."""
    rows = np.linspace(0, picture.shape[0] - 1, height).astype(int)
    columns = np.linspace(0, picture.shape[1] - 1, width).astype(int)
    return picture[rows[:, None], columns]


def scenes(shared: Path, count: int) -> list[Scene]:
    """So many scenes made from the shared photographs."""
    pictures = [fitted(read_picture(path), 320, 320) for path in sorted((shared / "data" / "images").glob("*.jpg"))]
    return [make(seed, pictures) for seed in range(count)]


def _six(number: int) -> list[tuple[Thing, Image]]:
    """Six things of different names with their pictures."""
    found: dict[str, tuple[Thing, Image]] = {}
    for seed in itertools.count(100 * number):
        scene = draw(seed)
        if not any(thing.name in found for thing in scene.things):
            found |= {t.name: (t, picture) for t, picture in zip(scene.things, scene.pictures, strict=True)}
        if len(found) == 6:
            break
    return list(found.values())


def write_memory(folder: Path, count: int, held_s: float = 5.0) -> None:
    """Clips in which six groceries with made-up labels are shown one after the other, with `qa.jsonl` about what is in
    view and what was: questions of which the ways of fusing send other views.
    """
    import cv2

    rows: list[dict[str, object]] = []
    for number in range(count):
        drawn = _six(number)
        things = [thing for thing, _ in drawn]
        name = f"shelf{number:02d}.avi"
        film = cv2.VideoWriter(str(folder / name), cv2.VideoWriter.fourcc(*"MJPG"), 5.0, (640, 480))
        for _, picture in drawn:
            for _ in range(int(5 * held_s)):
                film.write(np.ascontiguousarray(picture[:, :, ::-1]))
        film.release()
        asked = [
            ("how much is it", things[5].price), ("how much is this one now", things[5].price),
            ("how much was the first one", things[0].price), ("how much was the one before", things[4].price),
            (f"what did i show you before the {things[2].name.lower()}", things[1].name),
            ("when does the second one expire", things[1].best_before),
            ("这个多少钱", things[5].price), ("第一个多少钱", things[0].price), ("刚才那个多少钱", things[4].price),
        ]  # fmt: skip
        rows += [{"video": name, "question": q, "answers": [a], "kind": "read"} for q, a in asked]
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / "qa.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write(folder: Path, made: Sequence[Scene]) -> None:
    """The scenes as clips, and `scenes.jsonl` beside them."""
    import cv2

    for scene in made:
        camera = SceneCamera(scene)
        size = (WIDTH * scene.scale, HEIGHT * scene.scale)
        film = cv2.VideoWriter(str(folder / f"{scene.name}.avi"), cv2.VideoWriter.fourcc(*"MJPG"), scene.fps, size)
        for i in range(int(scene.seconds * scene.fps)):
            frame = camera.frame(i / scene.fps)
            assert frame is not None
            film.write(np.ascontiguousarray(frame.image[:, :, ::-1]))
        film.release()
    lines = (json.dumps(scene.row(), ensure_ascii=False) for scene in made)
    (folder / "scenes.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(pictures: Path, folder: Path) -> None:
    """Write what the README's figures were measured on: 40 scenes into `folder`/this, 8 clips into `folder`/memory."""
    for name in ("this", "memory"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write(folder / "this", scenes(pictures, 40))
    write_memory(folder / "memory", 8)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
