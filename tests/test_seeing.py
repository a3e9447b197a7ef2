"""Visual memory: what counts as another view, what is kept, and which view words belong to."""

import asyncio
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant import pacing
from assistant.backends import Eyes
from assistant.backends.scripted import ScriptedMind
from assistant.events import Conversation, Finding, Frame, Glimpse
from assistant.pacing import Clock
from assistant.seeing import DENSE_S, KEPT, RECALL_S, Captioner, Sight, changed, keep, recall, sharpness, thin
from assistant.workers import Worker

RNG = np.random.default_rng(0)


def picture(level, shape=(120, 160, 3)):
    return np.full(shape, level, dtype=np.uint8)


def barred(level, shape=(120, 160, 3)):
    """A picture of one level with black bars: something to see."""
    image = picture(level, shape)
    image[:, ::8] = 0
    return image


def noisy(image, amount):
    return np.clip(image.astype(int) + RNG.normal(0, amount, image.shape), 0, 255).astype(np.uint8)


def test_camera_noise_is_the_same_view_and_a_moved_object_is_another():
    scene = np.kron(RNG.integers(0, 255, (12, 16, 3)), np.ones((10, 10, 1))).astype(np.uint8)
    assert not changed(scene, noisy(scene, 12))
    assert changed(scene, np.roll(scene, 60, axis=1))
    assert changed(None, scene)
    assert changed(scene, picture(0, (60, 80, 3)))


def test_a_covered_lens_is_not_sharp():
    assert sharpness(picture(3)) == 0.0
    assert sharpness(noisy(picture(128), 40)) > 5
    assert sharpness(picture(3, (1, 1, 3))) == 0.0


@settings(deadline=None)
@given(st.lists(st.sampled_from([0, 60, 120, 180, 240]), max_size=80))
def test_memory_is_bounded_and_never_holds_the_same_view_twice_in_a_row(levels):
    glimpses: list[Glimpse] = []
    for i, level in enumerate(levels):
        glimpses, current = keep(glimpses, Frame(float(i), picture(level)))
        assert current.image is not None and current.image[0, 0, 0] == level
    assert len(glimpses) <= KEPT
    assert all(b.image is not None and changed(a.image, b.image) for a, b in pairwise(glimpses))
    assert [g.id for g in glimpses] == sorted({g.id for g in glimpses})


@given(st.lists(st.floats(0, 100), min_size=1, max_size=10), st.floats(0, 100))
def test_words_belong_to_the_view_of_their_moment(times, at_s):
    glimpses = [Glimpse(i, t, picture(0)) for i, t in enumerate(sorted(times))]
    seen = recall(glimpses, at_s)
    if seen is None:
        assert min(times) > at_s + RECALL_S
    else:
        assert seen.at_s <= at_s + RECALL_S
        assert not [g for g in glimpses if seen.at_s < g.at_s <= at_s + RECALL_S]


class Watched:
    """A camera of pictures, and eyes that count what they read."""

    def __init__(self, shown):
        self.shown, self.read = shown, []

    def frame(self, at_s):
        fitting = [(t, image) for t, image in self.shown if t <= at_s]
        return Frame(at_s, fitting[-1][1]) if fitting else None

    def look(self, image):
        self.read.append(int(image[0, 1, 0]))
        return (Finding("text", f"level {image[0, 1, 0]}", 1.0),)

    def close(self):
        pass


class Lines(list):
    def emit(self, type, **fields):
        self.append((type, fields))


def test_of_what_never_holds_still_the_sharpest_of_every_two_seconds_is_kept():
    glimpses: list[Glimpse] = []
    for i in range(4 * 60):
        image = noisy(barred(60 + 40 * (i % 4)), 2)
        image[:, : 2 * (i % 30)] = 30
        glimpses, _ = keep(glimpses, Frame(i / 4, image), now_s=i / 4)
        glimpses = thin(glimpses, i / 4)
    old = [g for g in glimpses if g.ended_s < 60 - DENSE_S - 2]
    recent = [g for g in glimpses if g.ended_s >= 60 - DENSE_S]
    assert 20 <= len(old) <= 26 and len(recent) >= 35
    assert all(b.at_s - a.at_s < 4.1 for a, b in pairwise(old))
    assert thin(glimpses, 60.0) == thin(thin(glimpses, 60.0), 60.0)


def test_frames_of_any_size_cost_little_to_judge():
    for shape in ((480, 640, 3), (2160, 3840, 3), (3840, 2160, 3)):
        image = RNG.integers(0, 255, shape, dtype=np.uint8)
        before = image.copy()
        keep([], Frame(0.0, image))
        began = time.process_time()
        for i in range(10):
            keep([Glimpse(1, 0.0, before)], Frame(float(i), image))
        assert (time.process_time() - began) / 10 < 0.05, shape


def test_a_mind_that_sees_describes_what_holds_still_and_gives_way():
    async def main(talking_from_s):
        scene = Watched([(0.0, barred(90))])
        clock, conversation = Clock(), Conversation()
        clock.start()
        eyes: Worker[Eyes] = await Worker.start("eyes", lambda: scene)
        mind = await Worker.start(
            "mind", lambda: ScriptedMind(["A fence in the fog."], sees=True), {"mind.caption.next": 0.5}
        )
        captioner = Captioner(mind, "en", lambda: clock.now_s() >= talking_from_s)
        sight = Sight(scene, eyes, conversation, clock, Lines(), captioner=captioner)
        watching = asyncio.create_task(sight.watch(0.25))
        await clock.until(20.0)
        watching.cancel()
        return [g.caption for g in conversation.glimpses], [g.text for g in conversation.glimpses], mind.model.heard

    captions, texts, heard = pacing.run(main(99.0), fast=True)
    assert captions == ["A fence in the fog."] and texts == ["level 90"] and len(heard) == 1
    captions, _, heard = pacing.run(main(4.0), fast=True)
    assert captions == [""] and len(heard) <= 1


def test_what_holds_still_is_read_once_in_the_background_and_what_is_asked_for_at_once():
    async def main():
        scene = Watched([(0.0, barred(90)), (3.0, barred(200))])
        clock, log, conversation = Clock(), Lines(), Conversation()
        clock.start()
        eyes: Worker[Eyes] = await Worker.start("eyes", lambda: scene, {"eyes.look": 0.4})
        sight = Sight(scene, eyes, conversation, clock, log)
        watching = asyncio.create_task(sight.watch(0.5))
        await clock.until(2.9)
        assert scene.read == [90]
        await clock.until(3.05)
        glimpse = sight.look(clock.now_s())
        assert glimpse is not None and glimpse.findings is None
        known = await sight.read(glimpse)
        assert known.text == "level 200" and clock.now_s() == pytest.approx(3.45)
        await clock.until(10)
        watching.cancel()
        assert scene.read == [90, 200]
        assert [g.text for g in conversation.glimpses] == ["level 90", "level 200"]
        assert [fields["id"] for type, fields in log if type == "glimpse"] == [1, 2]

    pacing.run(main(), fast=True)
