"""The four ways to fuse: what words pick out of memory and out of a picture, and what a mind is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from assistant.backends import load
from assistant.backends.pictures import read_picture
from assistant.backends.scripted import PLANTED, ScriptedEncoder
from assistant.events import Box, Finding, Glimpse, Image
from assistant.fusing import MODES, choose_mode, cut, focus, fuse, likeness, merged, patches
from assistant.fusing.attention import Query, attend, softmax
from assistant.fusing.coattention import Patch, coattend, crop, cuts, of_regions, of_vectors
from assistant.fusing.late import context, disagreements, overlap
from assistant.grounding.questions import read

ENCODER = ScriptedEncoder()


@pytest.fixture(scope="module")
def eyes() -> Any:
    return load("eyes", "ocr", threads=1)


def scene(*blobs: tuple[str, Box], size: tuple[int, int] = (480, 640)) -> Image:
    """A grey picture with blobs of planted shades."""
    image = np.full((*size, 3), 120, np.uint8)
    for shade, (left, top, right, bottom) in blobs:
        image[int(top) : int(bottom), int(left) : int(right)] = PLANTED[shade]
    return image


def seen(id: int, *texts: str, at_s: float = 0.0, image: Image | None = None, objects: Sequence[str] = ()) -> Glimpse:
    image = scene() if image is None else image
    found = [
        Finding("text", t, 0.97, (40.0, 40.0 + 60 * i, 40.0 + 16 * len(t), 80.0 + 60 * i)) for i, t in enumerate(texts)
    ]
    found += [Finding("object", o, 0.9, (300.0 + 50 * i, 200.0, 340.0 + 50 * i, 300.0)) for i, o in enumerate(objects)]
    return Glimpse(id, at_s, image, tuple(found), 5.0, until_s=at_s + 3, features=ENCODER.embed_image(image))


# ---------------------------------------------------------------- the policy


@pytest.mark.parametrize(
    ("question", "sees", "mode"),
    [
        ("what is this", True, "early"),
        ("what is happening", True, "early"),
        ("what did i show you before", True, "attention"),
        ("what color was the first one", True, "attention"),
        ("did you see a dog", True, "attention"),
        ("read this", True, "co-attention"),
        ("what does the small print say", True, "co-attention"),
        ("上面写了什么", True, "co-attention"),
        ("刚才那个多少钱", True, "attention"),
        ("what does it say", False, "late"),
        ("what did i show you before", False, "late"),
    ],
)
def test_the_question_chooses_the_way(question: str, sees: bool, mode: str) -> None:
    chosen, why = choose_mode("auto", sees, question)
    assert chosen == mode and why


def test_what_is_asked_for_is_used_where_it_can_be() -> None:
    assert [choose_mode(mode, True)[0] for mode in MODES] == list(MODES)
    assert choose_mode("early", False)[0] == "late"


# ---------------------------------------------------------------- attention


@pytest.mark.parametrize("shade", sorted(PLANTED))
def test_words_pick_the_picture_that_shows_what_they_mean(shade: str) -> None:
    """A planted signal: nothing was read, only the vectors tell."""
    memory = [
        replace(seen(i, at_s=10.0 * i, image=scene((name, (200, 100, 420, 380)))), findings=())
        for i, name in enumerate(sorted(PLANTED), 1)
    ]
    question = f"did i show you anything {shade}"
    query = Query(read(question), None, ENCODER.embed_text(question))
    first, *rest = attend(query, memory, 60.0)
    assert memory[sorted(PLANTED).index(shade)] is first.glimpse
    assert first.weight > 0.9 and sum(a.weight for a in (first, *rest)) == pytest.approx(1.0)


def test_without_an_encoder_what_was_read_and_named_tells() -> None:
    memory = [
        replace(g, features=None)
        for g in (seen(1, "OAT MILK", "$2.09"), seen(2, "APPLE JUICE", at_s=10), seen(3, objects=["bottle"], at_s=20))
    ]
    for question, id in (("when did you see the milk", 1), ("what did the juice say", 2), ("did you see a bottle", 3)):
        assert attend(Query(read(question)), memory, 30.0)[0].glimpse.id == id


def test_of_pictures_of_one_thing_one_is_enough() -> None:
    memory = [seen(i, "OAT MILK", "BEST BEFORE MAY 2027", at_s=float(i)) for i in range(1, 6)]
    memory.append(seen(6, "APPLE JUICE", at_s=6.0))
    taken = attend(Query(read("compare the milk and the juice")), memory, 10.0, most=2)
    assert {a.glimpse.text.split("\n")[0] for a in taken} == {"OAT MILK", "APPLE JUICE"}


@pytest.mark.parametrize("question", ["how many bottles are there now", "how many bottles are there", "现在有几个瓶子"])
def test_a_question_about_now_is_answered_from_the_newest_view_however_well_others_fit(question: str) -> None:
    """Six views with three bottles, and one in which a hand has taken one: dim, and with no more words for it."""
    memory = [seen(i, f"SHELF {i}", at_s=3.0 * i, objects=["bottle"] * 3) for i in range(1, 7)]
    memory.append(replace(seen(7, at_s=21.0, objects=["bottle"] * 2), sharpness=0.5))
    looked = focus(question, memory[-2], memory, mode="attention", now_s=25.0, most=3)
    assert len(looked.attended) == 3 and memory[-1] in [a.glimpse for a in looked.attended]
    language = "zh" if "瓶" in question else "en"
    fusion = fuse(
        question, memory[-1], memory, (), mode="attention", mind_sees=False, mind_free=False, now_s=25.0,
        language=language, focused=looked,
    )  # fmt: skip
    assert ("two bottles" if language == "en" else "两个瓶子") in fusion.sentences[0]


def test_a_question_about_what_was_owes_nothing_to_the_newest_view() -> None:
    memory = [seen(i, f"SHELF {i}", at_s=3.0 * i, objects=["bottle"] * 3) for i in range(1, 7)]
    memory.append(replace(seen(7, at_s=21.0, objects=["cup"]), sharpness=0.5))
    for question in ("did you see a bottle", "how many bottles were there before the cup"):
        looked = focus(question, memory[-1], memory, mode="attention", now_s=25.0, most=3)
        assert memory[-1] not in [a.glimpse for a in looked.attended], question


def test_what_a_word_points_at_belongs_and_not_what_came_after_it() -> None:
    memory = [seen(i, f"LABEL {i} $4.0{i}", at_s=5.0 * i) for i in range(1, 7)]
    looked = focus("how much is this", memory[2], memory, mode="attention", now_s=40.0, at_s=16.0, most=2)
    assert memory[2] is looked.first


@given(st.lists(st.floats(-500, 500), min_size=1, max_size=20))
def test_shares_of_attention_add_up(scores: list[float]) -> None:
    shares = softmax(scores)
    assert sum(shares) == pytest.approx(1.0) and all(s >= 0 for s in shares)
    assert shares[scores.index(max(scores))] == max(shares)


# ---------------------------------------------------------------- co-attention


@pytest.mark.parametrize("place", [(30, 30, 150, 140), (450, 40, 600, 150), (40, 330, 200, 460), (440, 320, 620, 460)])
def test_words_and_patches_find_the_part_that_is_meant(place: Box) -> None:
    """A planted signal: a red thing somewhere, a blue one elsewhere, and a word that means neither."""
    middle = (270.0, 200.0, 370.0, 280.0)
    image = scene(("red", place), ("blue", middle))
    glimpse = Glimpse(1, 0.0, image, ())
    words = ["red", "elephant"]
    boxes = [patch.box for patch in patches(glimpse, 480, 640)]
    found = of_vectors(
        words, np.array([ENCODER.embed_text(w) for w in words]), patches(glimpse, 480, 640),
        ENCODER.embed_regions(image, boxes),
    )  # fmt: skip
    assert found.visible[0] > 0.8 and found.visible[0] > found.visible[1]
    box = crop(found, 480, 640)
    assert box is not None
    left, top, right, bottom = box
    assert left <= (place[0] + place[2]) / 2 <= right and top <= (place[1] + place[3]) / 2 <= bottom
    assert (right - left) * (bottom - top) < 0.6 * 480 * 640


def test_without_an_encoder_the_regions_that_were_found_are_the_patches() -> None:
    label = seen(1, "OAT MILK", "Sodium 20mg", "Sugar 4g", "Best before 12.05.2027")
    for question, line in (("how much sodium is in it", 1), ("how much sugar is in it", 2), ("when does it expire", 3)):
        found = of_regions(read(question), label)
        assert found.attention.index(max(found.attention)) == line, question
    only = of_regions(read("how much sodium is in it"), label)
    assert dict(zip(only.words, only.visible, strict=True))["sodium"] > 0.8


@settings(deadline=None)
@given(st.data())
def test_attention_is_a_share_and_the_crop_lies_in_the_picture(data: st.DataObject) -> None:
    words, count = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9))
    affinity = data.draw(arrays(np.float32, (words, count), elements=st.floats(-1, 1, width=32)))
    height, width = data.draw(st.integers(16, 3000)), data.draw(st.integers(16, 3000))
    corner = st.floats(0, 1)
    found = [sorted([data.draw(corner), data.draw(corner)]) + sorted([data.draw(corner), data.draw(corner)]) for _ in range(count)]  # fmt: skip  # noqa: E501
    boxes = [Patch((x0 * width, y0 * height, x1 * width, y1 * height)) for x0, x1, y0, y1 in found]
    out = coattend(affinity, [str(i) for i in range(words)], boxes, 0.1, absolute=data.draw(st.booleans()))
    assert all(0 <= v <= 1 for v in (*out.visible, *out.attention))
    assert sum(out.attention) == pytest.approx(1.0, abs=0.01) or not any(out.attention)
    box = crop(out, height, width)
    if box is not None:
        assert 0 <= box[0] < box[2] <= width and 0 <= box[1] < box[3] <= height
        assert cut(np.zeros((height, width, 3), np.uint8), box).size


def test_cuts_cover_the_picture() -> None:
    covered = np.zeros((90, 120), bool)
    for patch in cuts(90, 120):
        left, top, right, bottom = (round(e) for e in patch.box)
        covered[top:bottom, left:right] = True
    assert covered.all()


# ---------------------------------------------------------------- looking again


def test_a_second_look_corrects_what_the_first_misread() -> None:
    image = scene()
    first = Glimpse(1, 0.0, image, (Finding("text", "60.6$", 0.6, (300.0, 200.0, 380.0, 230.0)), Finding("colour", "red", 0.5)))  # fmt: skip  # noqa: E501
    crop_box = (250.0, 150.0, 450.0, 280.0)
    surer = merged(first, [Finding("text", "$9.09", 0.98, (52.0, 51.0, 131.0, 79.0))], crop_box)
    assert surer.text == "$9.09" and surer.findings is not None and len(surer.findings) == 2
    assert surer.findings[-1].box == (302.0, 201.0, 381.0, 229.0)
    less_sure = merged(first, [Finding("text", "8O.8", 0.3, (52.0, 51.0, 131.0, 79.0))], crop_box)
    assert less_sure.text == "60.6$"
    halved = Finding("text", "0.6$", 0.99, (0.0, 50.0, 131.0, 80.0))
    cut_through = merged(first, [halved], (320.0, 150.0, 520.0, 280.0))
    assert cut_through.text == "60.6$"


def test_a_line_that_a_second_look_reads_word_by_word_is_one_line() -> None:
    """As the plaque's: the first look read 'Octavia Hill', the second one 'Octavia' and, less surely, 'Hill'."""
    name = Finding("text", "Octavia Hill", 0.9, (160.0, 70.0, 300.0, 100.0))
    first = Glimpse(1, 0.0, scene(), (name, Finding("text", "Army Cadets", 0.9, (160.0, 120.0, 300.0, 150.0))))
    crop_box = (130.0, 40.0, 330.0, 180.0)
    words = [
        Finding("text", "Hill", 0.88, (115.0, 28.0, 168.0, 58.0)),
        Finding("text", "Octavia", 1.0, (31.0, 29.0, 112.0, 59.0)),
    ]
    assert sorted(merged(first, words, crop_box).text.split("\n")) == ["Army Cadets", "Octavia Hill"]
    surer = [replace(word, score=0.99, text=text) for word, text in zip(words, ("Hall", "Octavia"), strict=True)]
    assert sorted(merged(first, surer, crop_box).text.split("\n")) == ["Army Cadets", "Octavia Hall"]
    tall = Finding("text", "出口请走", 0.6, (20.0, 20.0, 50.0, 220.0))
    signs = [
        Finding("text", "请走", 0.9, (10.0, 110.0, 38.0, 198.0)),
        Finding("text", "出囗", 0.9, (11.0, 10.0, 39.0, 95.0)),
    ]
    assert merged(Glimpse(1, 0.0, scene(), (tall,)), signs, (10.0, 10.0, 120.0, 300.0)).text == "出囗请走"


@pytest.mark.parametrize(
    ("file", "question", "whole"),
    [
        ("blue_plaque", "whose name is on the blue plaque", ["Octavia Hill"]),
        ("receipt_taco", "what is the total", ["Total", "128.27"]),
        ("receipt_taco", "who is the cashier", ["Cashier: Eric H"]),
        ("nutrition_label", "how much sodium is in it", ["Sodium"]),
        ("gallery_sign", "what does the sign say", []),
    ],
)
def test_a_crop_of_a_photograph_cuts_no_line_that_it_is_about(
    file: str, question: str, whole: Sequence[str], shared: Path, eyes: Any
) -> None:
    image = read_picture(shared / "data" / "images" / f"{file}.jpg")
    glimpse = Glimpse(1, 0.0, image, eyes.look(image), 5.0, until_s=1.0)
    looked = focus(question, glimpse, [glimpse], mode="co-attention", now_s=2.0)
    found = looked.coattended
    assert found is not None and glimpse.findings is not None
    texts = [f for f in glimpse.findings if f.kind == "text" and f.box]
    inside = [f.text for f in texts if f.box and (looked.crop is None or overlap_share(f.box, looked.crop) == 1.0)]
    assert all(any(text in line for line in inside) for text in whole), inside
    if looked.crop is not None:
        first = found.patches[found.attention.index(max(found.attention))].finding
        assert first is not None and first.text in inside
        again = merged(glimpse, eyes.look(cut(image, looked.crop)), looked.crop)
        assert all(any(text in line for line in again.text.split("\n")) for text in whole), again.text


def overlap_share(box: Box, crop_box: Box) -> float:
    """How much of a box lies in a crop, to the rounding of a pixel."""
    wide = min(box[2], crop_box[2] + 1) - max(box[0], crop_box[0] - 1)
    high = min(box[3], crop_box[3] + 1) - max(box[1], crop_box[1] - 1)
    return wide * high / ((box[2] - box[0]) * (box[3] - box[1])) if wide > 0 and high > 0 else 0.0


def test_co_attention_reads_the_part_that_is_asked_about_again() -> None:
    label = seen(1, "OAT MILK", "Sodium 2Omg", "Sugar 4g")
    looked: list[tuple[int, ...]] = []

    def again(part: Image) -> Sequence[Finding]:
        looked.append(part.shape)
        return [Finding("text", "Sodium 29mg", 0.99, (60.0, 40.0, 200.0, 80.0))]

    fusion = fuse(
        "how much sodium is in it", label, [label], (), mode="co-attention", mind_sees=False, mind_free=False,
        now_s=5.0, language="en", look_again=again,
    )  # fmt: skip
    assert len(looked) == 1 and looked[0][0] < 480 and looked[0][1] < 640
    assert fusion.mode == "co-attention" and fusion.crops and fusion.glimpses == (1,)


@pytest.mark.parametrize("mode", MODES)
def test_a_mind_that_sees_gets_pictures_by_every_way_but_late(mode: str) -> None:
    memory = [seen(1, "OAT MILK", at_s=0.0), seen(2, "APPLE JUICE", "$3.49", at_s=10.0)]
    fusion = fuse(
        "what does it say", memory[-1], memory, (), mode=mode, mind_sees=True, mind_free=True, now_s=14.0, language="en"
    )
    assert fusion.mode == mode
    assert bool(fusion.images) == (mode != "late")
    assert mode == "early" or "APPLE JUICE" in fusion.context
    if mode == "co-attention":
        whole, part = fusion.images
        assert whole is memory[-1].image and max(part.shape) >= 400


# ---------------------------------------------------------------- late


def test_what_contradicts_itself_is_marked() -> None:
    price = Finding("text", "$9.09", 0.7, (10.0, 10.0, 90.0, 40.0))
    turned = Finding("text", "60.6$", 0.65, (12.0, 10.0, 92.0, 41.0))
    dog, cat = (
        Finding("object", "dog", 0.6, (0.0, 0.0, 50.0, 50.0)),
        Finding("object", "cat", 0.4, (2.0, 0.0, 50.0, 52.0)),
    )
    bottles = [Finding("object", "bottle", 0.9, (x, 0.0, x + 20, 60.0)) for x in (100.0, 130.0)]
    caption = Finding("caption", "three bottles on a table", 0.5)
    assert disagreements([price, turned]) == ((price, turned),)
    assert disagreements([cat, dog]) == ((dog, cat),)
    assert [(a.text, b) for a, b in disagreements([*bottles, caption])] == [("2 bottle", caption)]
    assert disagreements([price, dog, *bottles, Finding("caption", "two bottles", 0.5)]) == ()
    told = context([Glimpse(1, 0.0, scene(), (price, turned))], 3.0, "en")
    assert "disagree" in told and "$9.09" in told and "60.6$" in told and "0.65" in told


def test_the_context_never_overflows_and_the_newest_is_told_in_full() -> None:
    memory = [seen(i, f"THING NUMBER {i}", "with many words " * 6, at_s=10.0 * i) for i in range(1, 200)]
    for room in (20, 60, 200, 1000):
        told = context(memory, 2000.0, "en", room=room, count=lambda t: len(t.split()))
        assert len(told.split()) <= room
        assert "NUMBER 199" in told
    assert "NUMBER 198" in told and "NUMBER 160" in told


@given(*[st.tuples(st.floats(0, 90), st.floats(0, 90), st.floats(1, 50), st.floats(1, 50))] * 2)
def test_overlap_is_a_share_and_the_same_both_ways(one: Box, other: Box) -> None:
    a, b = ((x, y, x + w, y + h) for x, y, w, h in (one, other))
    assert 0 <= overlap(a, b) <= 1 and overlap(a, b) == pytest.approx(overlap(b, a))
    assert overlap(a, a) == pytest.approx(1.0)


# ---------------------------------------------------------------- all ways


@pytest.mark.parametrize("mode", [*MODES, "auto"])
@pytest.mark.parametrize("sees", [True, False])
def test_every_way_can_do_without_a_picture(mode: str, sees: bool) -> None:
    for question in ("what does it say", "hello", "what did i show you first", "这是什么"):
        fusion = fuse(question, None, [], (), mode=mode, mind_sees=sees, mind_free=False, now_s=1.0, language="en")
        assert not fusion.images and fusion.why


def test_the_focus_of_attention_over_what_was_leaves_out_what_came_after() -> None:
    memory = [seen(i, name, at_s=10.0 * i) for i, name in enumerate(("OAT MILK", "APPLE JUICE", "PLUM JAM"), 1)]
    found = focus("what did the milk cost", memory[1], memory, mode="attention", now_s=40.0)
    assert found.first is memory[0]


def test_attention_holds_few_of_an_hour_of_views_against_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed."""
    memory = [replace(seen(i, f"SHELF {i}", f"ROW {i % 7}", at_s=9.0 * i), features=None) for i in range(400)]
    memory[77] = replace(seen(77, "PLUM MARMALADE", at_s=693.0), features=None)
    compared = 0

    def counted(one: Glimpse, other: Glimpse) -> float:
        nonlocal compared
        compared += 1
        return alike(one, other)

    alike = likeness.alike
    monkeypatch.setattr(likeness, "alike", counted)
    taken = attend(Query(read("when did you see the marmalade")), memory, 3700.0)
    assert taken[0].glimpse is memory[77] and len(taken) == 4
    assert compared < 250
