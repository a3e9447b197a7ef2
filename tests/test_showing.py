"""Show and tell: 'this' picks what was there when it was said, whatever is held up after it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scenes
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.events import Glimpse, Word, Words
from assistant.fusing import Aim, aim, better, pointings
from assistant.seeing import keep, thin, thumbnail

COUNT = 40
LOOK_S = 0.25


def watched(scene: scenes.Scene, until_s: float) -> list[Glimpse]:
    camera, glimpses = scenes.SceneCamera(scene), []
    for at_s in np.arange(0.0, until_s, LOOK_S):
        frame = camera.frame(float(at_s))
        assert frame is not None
        glimpses, _ = keep(glimpses, frame, now_s=float(at_s))
        glimpses = thin(glimpses, float(at_s))
    return glimpses


def shows(glimpse: Glimpse, scene: scenes.Scene) -> int:
    """Which of the things (the number behind them: none) is in a glimpse, by its picture."""
    camera = scenes.SceneCamera(replace(scene, scale=1))
    views = [camera._render((t.from_s + t.to_s) / 2) for t in scene.things] + [camera._render(0.0)]
    assert glimpse.image is not None
    small = thumbnail(glimpse.image)
    return int(np.argmin([np.abs(small - thumbnail(view)).mean() for view in views]))


def test_this_picks_the_thing_that_was_held_up_when_it_was_said(shared: Path) -> None:
    """No sense has looked at anything: time, sharpness and stillness alone decide."""
    by_word, by_silence = 0, 0
    for scene in scenes.scenes(shared, COUNT):
        glimpses = watched(scene, scene.ended_s + 0.3)
        thing = scene.things[scene.meant]
        aimed = aim(scene.words, glimpses, scene.ended_s)
        assert aimed.glimpse is not None and aimed.gaze is not None and aimed.gaze.reason == "pointed"
        inside = thing.from_s <= aimed.gaze.at_s <= thing.to_s
        by_word += inside and shows(aimed.glimpse, scene) == scene.meant
        by_silence += shows(glimpses[-1], scene) == scene.meant
    assert by_word >= 0.95 * COUNT
    assert by_silence <= 0.7 * COUNT  # what everybody else takes; or the scenes prove nothing


# ---------------------------------------------------------------- words that point


@pytest.mark.parametrize(
    ("said", "points"),
    [
        ("what does this say", ["this"]),
        ("is this cheaper than that", ["this", "that"]),
        ("what is it called here", ["here"]),
        ("what about that one", ["that"]),
        ("i think that you are wrong", []),
        ("what is the weather this morning", []),
        ("so that it fits", []),
        ("hello there", ["there"]),
        ("how much are those", ["those"]),
        ("这 是 什么", ["这"]),
        ("这个 多少钱", ["这个"]),
        ("那时 很 冷", []),
        ("你 好", []),
    ],
)
def test_some_words_point_and_some_only_look_like_it(said: str, points: list[str]) -> None:
    parts = said.split()
    words = tuple(Word(part, 0.3 * i, 0.3 * (i + 1)) for i, part in enumerate(parts))
    found = pointings(Words(said, words))
    assert [p.word for p in found] == points
    for p in found:
        assert p.at_s == pytest.approx(0.3 * parts.index(p.word) + 0.15)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 5), st.floats(0, 9)), min_size=1, max_size=12), st.floats(0, 60)
)
def test_there_is_always_a_view_to_look_at_and_a_reason(views: list[tuple[float, float, float]], at_s: float) -> None:
    glimpses = [
        Glimpse(i, from_s, None, None, sharp, until_s=from_s + lasted_s)
        for i, (from_s, lasted_s, sharp) in enumerate(sorted(views))
    ]
    word = Word("this", at_s - 0.1, at_s + 0.1)
    for words in (Words("what is this", (word,)), Words("what does it say")):
        aimed = aim(words, glimpses, at_s)
        assert aimed.glimpse in glimpses and aimed.gaze is not None
        assert aimed.glimpse.at_s <= aimed.gaze.at_s <= aimed.glimpse.ended_s
        there = [g for g in glimpses if g.at_s <= at_s <= g.ended_s and g.sharpness > 0]
        if there and len({g.sharpness for g in glimpses}) == 1:
            assert aimed.glimpse.at_s - 2 <= at_s <= aimed.glimpse.ended_s + 2
        assert not better(aimed, aimed)
    assert aim(Words("what is this", (word,)), [], at_s) == Aim(None, None)
