"""The demo's talk over pictures redrawn from other seeds: other goods, words, numbers, colours and order."""

from collections.abc import Iterator

import pytest

from assistant.backends.ocr import Ocr
from assistant.demo.draw import Scene, draw
from assistant.demo.talk import Line
from assistant.events import Exchange, Glimpse
from assistant.grounding import Grounds, ground

SEEDS = range(100, 112)
TURN_S = 6.0


@pytest.fixture(scope="module")
def eyes() -> Ocr:
    return Ocr(threads=1)


def hold(scene: Scene, eyes: Ocr) -> Iterator[tuple[Line, Grounds]]:
    """The talk about a scene: each thing is shown when it is first spoken of, and every answer is heard in full."""
    glimpses: list[Glimpse] = []
    exchanges: list[Exchange] = []
    for turn, line in enumerate(scene.lines):
        now_s = (turn + 1) * TURN_S
        for i in range(len(glimpses), line.thing + 1):
            image = scene.pictures[i]
            glimpses.append(Glimpse(i + 1, now_s - 2.5, image, eyes.look(image)))
        grounds = ground(line.text, glimpses, exchanges, now_s)
        answer = grounds.sentences[0] if grounds.sentences else "I see."
        exchanges.append(Exchange(now_s, line.text, answer, answer, False))
        yield line, grounds


@pytest.mark.parametrize("seed", SEEDS)
def test_the_answers_follow_the_pictures(seed, eyes):
    for line, grounds in hold(draw(seed), eyes):
        if line.kind == "tell":
            continue
        assert (grounds.kind == "refusal") == (line.kind == "refuse"), (line, grounds.why)
        answer = grounds.sentences[0].lower()
        assert all(expected.lower() in answer for expected in line.expected), (line, answer)


def test_the_seeds_differ_in_all_that_can_be_asked():
    scenes = [draw(seed) for seed in SEEDS]
    things = [thing for scene in scenes for thing in scene.things]
    for fact in ("name", "shape", "colour", "price", "amount", "percent", "best_before"):
        assert len({getattr(thing, fact) for thing in things}) >= 4, fact
    assert len({tuple(line.kind for line in scene.lines) for scene in scenes}) >= 3
    assert len({line.text for scene in scenes for line in scene.lines}) >= 18
