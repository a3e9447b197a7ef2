"""Visual memory: what counts as another view, what is kept, and which view words belong to."""

import asyncio
import time
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant import pacing
from assistant.backends import Eyes
from assistant.backends.pictures import read_picture
from assistant.backends.scripted import ScriptedMind
from assistant.events import Conversation, Finding, Frame, Glimpse
from assistant.fusing import focus
from assistant.pacing import Clock
from assistant.seeing import (
    DENSE_S,
    KEPT,
    RECALL_S,
    Captioner,
    Sight,
    blank,
    changed,
    keep,
    recall,
    sharpness,
    thin,
    thumbnail,
)
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
    assert sharpness(barred(128)) > 5
    assert sharpness(picture(3, (1, 1, 3))) == 0.0


@pytest.mark.parametrize("level", [0, 3, 12, 128, 255])
@pytest.mark.parametrize("amount", [2, 4, 8])
@pytest.mark.parametrize("shape", [(240, 320, 3), (480, 640, 3)])
def test_noise_alone_is_blank_and_takes_nothing_from_what_is_there(level, amount, shape):
    covered = noisy(picture(level, shape), amount)
    assert sharpness(covered) < 0.05
    _, glimpse = keep([], Frame(0.0, covered))
    assert glimpse.sharpness == 0.0
    sent = cv2.imencode(".jpg", covered, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    packed = np.asarray(cv2.imdecode(sent, cv2.IMREAD_COLOR), np.uint8)
    assert blank(thumbnail(packed), sharpness(packed)), "as a webcam sends it"
    written = covered.copy()
    written[20:40:4, 20:80] = (covered[20:40:4, 20:80].astype(int) + 128) % 256
    assert sharpness(written) > sharpness(covered) + 0.05


@pytest.mark.parametrize("name", ["sticky_note", "receipt_taco", "scissors", "gallery_sign", "handwritten_note"])
def test_noise_does_not_hide_which_of_two_views_is_sharp(name, shared):
    clear = read_picture(shared / "data" / "images" / f"{name}.jpg")
    moving = np.asarray(cv2.blur(clear, (15, 1)), np.uint8)
    assert sharpness(clear) > 1.2 * sharpness(moving) > 0
    assert sharpness(noisy(clear, 4)) > 1.2 * sharpness(noisy(moving, 4))


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


def test_a_full_memory_keeps_the_last_seconds_whole_and_thins_the_oldest_evenly():
    step_s, glimpses = 1.5, []
    for i in range(4 * KEPT):
        at_s = i * step_s
        glimpses.append(Glimpse(i + 1, at_s, None, None, 5.0, until_s=at_s + 1.2))
        glimpses = thin(glimpses, glimpses[-1].ended_s)
    now_s = glimpses[-1].ended_s
    assert len(glimpses) == KEPT and glimpses[0].id == 1
    assert [g.id for g in glimpses if g.ended_s >= now_s - DENSE_S] == [*range(4 * KEPT - 6, 4 * KEPT + 1)]
    assert all(b.at_s - a.at_s == step_s for a, b in pairwise(glimpses[-60:])), "nor anything of the minute before"
    gaps_s = [b.at_s - a.at_s for a, b in pairwise(glimpses)]
    assert all(gap <= 2.1 * before for before, gap in pairwise(reversed(gaps_s))), "no hole between neighbours"
    old = gaps_s[: KEPT // 4]
    assert max(old) <= 2.1 * min(old), "evenly"
    assert np.mean(old) > 3 * step_s


def test_what_the_talk_refers_to_outlives_the_rest_but_never_the_last_seconds():
    glimpses = [Glimpse(i, 1.5 * i, None, None, 5.0, until_s=1.5 * i + 1.2) for i in range(1, KEPT + 50)]
    now_s = glimpses[-1].ended_s
    few = range(1, 40, 3)
    assert {*few} <= {g.id for g in thin(glimpses, now_s, few)}
    kept = thin(glimpses, now_s, range(1, KEPT + 30))
    assert len(kept) == KEPT
    assert [g.id for g in kept[-7:]] == [*range(KEPT + 43, KEPT + 50)]


def test_a_covered_lens_is_never_read_nor_looked_at_instead_of_a_view():
    async def main():
        dark = noisy(picture(6), 6)
        scene = Watched(
            [(0.0, barred(90)), (3.0, dark), (9.0, barred(200)), (12.0, dark), (12.5, barred(60)), (30.0, barred(140))]
        )
        clock, conversation = Clock(), Conversation()
        clock.start()
        eyes: Worker[Eyes] = await Worker.start("eyes", lambda: scene)
        sight = Sight(scene, eyes, conversation, clock, Lines())
        watching = asyncio.create_task(sight.watch(0.25))
        await clock.until(40.0)
        watching.cancel()
        return scene.read, conversation.glimpses

    read, glimpses = pacing.run(main(), fast=True)
    assert read == [90, 200, 60, 140]
    assert [g.text.removeprefix("level ") for g in glimpses] == ["90", "", "200", "60", "140"], "6 s are remembered"
    assert glimpses[1].findings is None and glimpses[1].sharpness == 0.0 and glimpses[1].light < 0.05
    for mode in ("attention", "early"):
        looked = focus("what did i show you", glimpses[-1], glimpses, mode=mode, now_s=40.0)
        assert glimpses[1].id not in [a.glimpse.id for a in looked.attended]


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
