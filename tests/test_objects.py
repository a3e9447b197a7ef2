"""Answers from what a detector found: names, numbers, places, and whether there is one; in English and Chinese."""

import random
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assistant import packaged
from assistant.backends.detector import OnnxDetector, read_labels
from assistant.events import Box, Finding, Glimpse
from assistant.grounding import Grounds, ground, lexicon, naming
from assistant.prompting import prompt

BLANK = np.zeros((480, 640, 3), np.uint8)


def glimpse(*things: tuple[str, Box] | str, texts: tuple[str, ...] = (), score: float = 0.9, id: int = 1) -> Glimpse:
    """A view of things; those without a box stand side by side from left to right."""
    step = 600 / max(1, len(things))
    placed = [
        (t, (i * step + 5, 100.0, i * step + 0.6 * step, 300.0)) if isinstance(t, str) else t
        for i, t in enumerate(things)
    ]
    found = [Finding("object", name, score, box) for name, box in placed]
    found += [Finding("text", t, 0.97, (20, 20 + 40 * i, 20 + 12 * len(t), 44 + 40 * i)) for i, t in enumerate(texts)]
    return Glimpse(id, float(id), BLANK, tuple(found))


def ask(question: str, *glimpses: Glimpse) -> Grounds:
    return ground(question, glimpses, [], 100.0, "zh" if question[0] > "z" else "en")


TABLE: tuple[str, Box] = ("dining table", (0, 200, 640, 480))
KITCHEN = glimpse(
    TABLE, ("bottle", (60, 80, 120, 260)), ("bottle", (300, 80, 360, 260)), ("cup", (500, 150, 580, 260)),
    ("cat", (10, 10, 50, 50)),
)  # fmt: skip
FARM = glimpse(
    ("horse", (400, 100, 600, 400)), ("dog", (20, 300, 120, 400)), ("dog", (150, 300, 260, 400)),
    ("person", (300, 80, 380, 400)), ("car", (120, 250, 300, 330)), ("bicycle", (500, 20, 620, 90)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("how many bottles are there", "I see two bottles."),
        ("how many bottles are on the table", "I see two bottles."),
        ("how many cups do you see", "I see one cup."),
        ("how many mugs are there on the left", "I see one cup."),
        ("how many dogs are there", "I see no dogs, but a cat."),
        ("what animal is this", "I see a cat."),
        ("what is on the table", "I see two bottles and a cup."),
        ("is there a bottle", "Yes, I see two bottles."),
        ("do you see any people", "No, I see no people."),
        ("are there any knives on the picture", "No, I see no knives."),
        ("is this a cat", "Yes, I see a cat."),
        ("where is the cup", "I see a cup on the right."),
        ("where are the bottles", "I see a bottle on the left and a bottle in the middle."),
        ("有几个瓶子", "我看到两个瓶子。"),
        ("桌子上有几个杯子", "我看到一个杯子。"),
        ("桌子上有什么", "我看到两个瓶子和一个杯子。"),
        ("这是什么动物", "我看到一只猫。"),
        ("有没有狗", "没有，我没看到狗，只看到一只猫。"),
        ("图里有猫吗", "有，我看到一只猫。"),
        ("杯子在哪里", "我看到一个杯子在右边。"),
    ],
)
def test_things_on_a_table_are_told(question: str, answer: str) -> None:
    found = ask(question, KITCHEN)
    assert found.sentences and found.sentences[0] == answer, found.why


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("how many animals are there", "I see three animals: a horse and two dogs."),
        ("what are the animals", "I see a horse and two dogs."),
        ("which animal is on the right", "I see a horse."),
        ("what vehicle is behind the dog", "I see a car."),
        ("is there a truck", "No, I see no trucks, but a car and a bicycle."),
        ("is there anybody", "Yes, I see a person."),
        ("how many people are there", "I see one person."),
        ("有几只动物", "我看到三个动物：一匹马和两只狗。"),
        ("有多少人", "我看到一个人。"),
    ],
)
def test_things_are_told_by_their_kind_and_by_what_they_stand_with(question: str, answer: str) -> None:
    found = ask(question, FARM)
    assert found.sentences and found.sentences[0] == answer, found.why


def test_what_is_held_is_what_is_with_a_person_and_nobody_is_named() -> None:
    held = glimpse(("person", (100, 50, 400, 480)), ("banana", (300, 200, 360, 260)), ("tv", (560, 20, 640, 90)))
    assert ask("what is the man holding", held).sentences[0] == "I see a banana."
    assert ask("他手里拿的是什么", held).sentences[0] == "我看到一根香蕉。"
    assert ask("who is this", held).kind == "refusal"


@pytest.mark.parametrize("count", range(1, 14))
def test_any_number_of_things_is_counted(count: int) -> None:
    view = glimpse(*["apple"] * count)
    english, chinese = ask("how many apples are there", view), ask("有几个苹果", view)
    words = prompt("grounds.numbers").splitlines()
    assert f"{words[count - 1] if count <= len(words) else count} apple" in english.sentences[0]
    assert english.sentences[0].endswith("apple." if count == 1 else "apples.")
    assert chinese.sentences[0].endswith("个苹果。") and len(english.winners) == count


def test_a_thing_has_its_own_colour() -> None:
    cup, car = (60.0, 80.0, 120.0, 260.0), (300.0, 80.0, 500.0, 260.0)
    found = [Finding("colour", "grey", 0.7), Finding("object", "cup", 0.9, cup), Finding("object", "car", 0.9, car)]
    found += [
        Finding("colour", "yellow", 0.6, cup),
        Finding("colour", "red", 0.5, car),
        Finding("colour", "black", 0.4, car),
    ]
    view = Glimpse(1, 0.0, BLANK, tuple(found))
    assert ask("what color is the cup", view).sentences[0] == "It looks yellow."
    assert ask("杯子是什么颜色的", view).sentences[0] == "看起来是黄色的。"
    assert ask("what color is the car", view).sentences[0] == "It looks red and black."
    assert ask("what color is the wall", view).sentences[0] == "It looks grey."


COLOURS = (Finding("colour", "grey", 0.6), Finding("colour", "white", 0.3))
MIDDLE, CORNER = (200.0, 120.0, 440.0, 360.0), (0.0, 0.0, 240.0, 200.0)


@pytest.mark.parametrize(
    ("question", "findings", "answer"),
    [
        ("what color is the dog", COLOURS, "which thing"),
        ("what colour is the cup", COLOURS, "which thing"),
        ("狗是什么颜色的", COLOURS, "哪个东西"),
        ("杯子是什么颜色的", COLOURS, "哪个东西"),
        ("what color is the dog", (*COLOURS, Finding("colour", "red", 0.8, CORNER)), "which thing"),
        ("what color is the dog", (*COLOURS, Finding("colour", "red", 0.8, MIDDLE)), "red"),
        ("狗是什么颜色的", (*COLOURS, Finding("colour", "red", 0.8, MIDDLE)), "红"),
        ("what color are its eyes", (*COLOURS, Finding("colour", "red", 0.8, MIDDLE)), "which thing"),
        ("what color is the dog's collar", (*COLOURS, Finding("colour", "red", 0.8, MIDDLE)), "which thing"),
        ("它的眼睛是什么颜色", (*COLOURS, Finding("colour", "red", 0.8, MIDDLE)), "哪个东西"),
        ("what colour is the milk", (*COLOURS, Finding("text", "OAT MILK", 0.9, (9.0, 9.0, 99.0, 30.0))), "grey"),
        ("what colour is it", COLOURS, "grey"),
        ("what's the color of this", COLOURS, "grey"),
        ("这是什么颜色", COLOURS, "灰"),
        ("what colour is the background", COLOURS, "grey"),
        ("what colour is the dog", (), "can't see"),
    ],
)
def test_the_colour_of_a_thing_is_told_only_where_it_is_plain_which_thing_that_is(
    question: str, findings: tuple[Finding, ...], answer: str
) -> None:
    """Without a detector."""
    grounds = ask(question, Glimpse(1, 0.0, BLANK, findings))
    assert answer in grounds.sentences[0]
    assert (grounds.kind == "refusal") == (answer in ("which thing", "哪个东西", "can't see"))


def test_a_table_that_nobody_saw_still_bears_what_stands_on_it() -> None:
    assert ask("how many bottles are on the table", glimpse("bottle", "bottle")).sentences[0] == "I see two bottles."
    assert ask("how many bottles are behind the dog", glimpse("bottle", "bottle")).kind == "refusal"


def test_a_doubt_is_told() -> None:
    assert ask("what animal is this", glimpse("bear", score=0.35)).sentences[0] == "I think I see a bear."
    assert ask("这是什么动物", glimpse("bear", score=0.35)).sentences[0] == "我好像看到一只熊。"


@pytest.mark.parametrize(
    "question",
    ["how many caps are there", "is there a lighter", "what color is the cup", "is there a red bottle",
     "how many spoons of sugar are in it", "what drink is in the cup", "有几顶帽子", "有没有打火机"],
)  # fmt: skip
def test_what_a_detector_does_not_know_is_not_made_up(question: str) -> None:
    assert ask(question, KITCHEN).kind == "refusal", ask(question, KITCHEN).sentences


def test_nothing_is_missing_where_nobody_has_looked() -> None:
    assert ask("is there a dog", glimpse(texts=("FRESH MILK",))).kind == "refusal"


def test_what_is_written_answers_what_things_do_not() -> None:
    label = glimpse("bottle", texts=("ORANGE JUICE", "Calories 45"))
    assert "45" in ask("how many calories does it have", label).sentences[0]
    assert "ORANGE JUICE" in ask("what does the bottle say", label).sentences[0]
    assert "bottle" in ask("what is this", label).sentences[0]


def test_only_the_picture_that_is_asked_about_is_counted() -> None:
    before, now = glimpse("dog", "dog", id=1), glimpse("cat", "cup", texts=("FRESH MILK",), id=2)
    assert ask("how many dogs are there", before, now).sentences[0].startswith("I see no dogs")
    assert ask("how many dogs were on the first one", before, now).sentences[0].startswith("I see two dogs,")


def test_every_thing_has_a_name_in_both_languages() -> None:
    table = lexicon.called()
    assert set(table) == set(read_labels("", 80))
    kinds = tomllib.loads(packaged("grounding/objects.toml").read_text("utf-8"))["kinds"]
    for name, thing in table.items():
        assert thing.chinese and thing.kinds <= set(kinds)
        for asked in (f"how many {thing.many} are there", f"is there a {name}"):
            assert [m.names for m in naming.mentioned(asked)] == [{name}], asked
        assert ask(f"how many {thing.many} are there", glimpse(name, name)).sentences[0] == f"I see two {thing.many}."
        chinese = ask(f"图里有没有{thing.chinese}", glimpse(name)).sentences[0]
        assert chinese == f"有，我看到一{thing.measure}{thing.chinese}。"


def test_a_longer_name_holds_no_shorter_one() -> None:
    assert [m.names for m in naming.mentioned("how many hot dogs and dogs")] == [{"hot dog"}, {"dog"}]
    assert [m.names for m in naming.mentioned("牛奶和自行车")] == [{"bicycle"}]


@pytest.mark.parametrize(
    "question",
    ["is there a phone number", "how much is the apple juice", "where is the bus stop", "有没有手机号", "有苹果汁吗"],
)
def test_a_thing_that_only_names_a_sort_is_not_meant(question: str) -> None:
    assert naming.mentioned(question) == []
    assert ask(question, glimpse("cell phone", "apple", "bus")).kind == "refusal"


def test_photographs_are_counted_and_named(shared: Path) -> None:
    detector = OnnxDetector(str(shared / "weights/detector/yolox_nano_416.onnx"))
    rng = random.Random(4)
    for name, question, answer in [
        ("person_horse_dog", "how many animals are there", "two"),
        ("giraffe_zebra", "which two animals do you see", "a giraffe and a zebra"),
        ("dog_bicycle", "what vehicle is behind the dog", "a bicycle"),
        ("cat_face", "这是什么动物", "猫"),
        ("coffee_cup", "what is on the table", "a cup"),
        ("skateboard", "is there a skateboard", "Yes"),
    ]:
        picture = Image.open(shared / f"data/images/{name}.jpg").convert("RGB")
        size = (round(picture.width * (scale := rng.uniform(0.8, 1.6))), round(picture.height * scale))
        view = Glimpse(1, 0.0, np.asarray(picture.resize(size)), detector.look(np.asarray(picture.resize(size))))
        assert answer in ask(question, view).sentences[0], (name, ask(question, view))
