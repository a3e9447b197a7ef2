"""Corpora in the formats of their makers: small ones made up here, as their documentation describes them."""

import json
from pathlib import Path

import pytest
from PIL import Image

from assistant.errors import SourceError
from assistant.sessions.corpora import Asked, Scene, kind_of, read_corpus, spread


def picture(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), "red").save(file)
    return file


def lines(file: Path, *rows: object) -> Path:
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), "utf-8")
    return file


def vqa(folder: Path) -> None:
    """As https://visualqa.org/vqa_v1_challenge.html has them; of the second question the picture is missing."""
    split = "val2014"
    questions = [
        {"image_id": 42, "question": "How many cats are there?", "question_id": 42000},
        {"image_id": 43, "question": "What is this?", "question_id": 43000},
    ]
    answers = [
        {"answer": a, "answer_confidence": "yes", "answer_id": i} for i, a in enumerate(["2"] * 8 + ["3", "two"], 1)
    ]
    rows = [
        {"question_id": q["question_id"], "image_id": q["image_id"], "question_type": "how many", "answers": answers,
         "multiple_choice_answer": "2", "answer_type": "number"}
        for q in questions
    ]  # fmt: skip
    head = {"info": {}, "license": {}, "data_type": "mscoco", "data_subtype": split}
    lines(
        folder / f"v2_OpenEnded_mscoco_{split}_questions.json",
        {**head, "task_type": "Open-Ended", "questions": questions},
    )
    lines(folder / f"v2_mscoco_{split}_annotations.json", {**head, "annotations": rows})
    picture(folder / split / f"COCO_{split}_000000000042.jpg")


def coco(folder: Path) -> None:
    images = [{"id": 7, "file_name": "000000000007.jpg", "width": 8, "height": 8}, {"id": 8, "file_name": "8.jpg"}]
    captions = [(7, "A dog runs."), (7, "A dog.\n"), (8, "Nobody sees this.")]
    rows = [{"id": i, "image_id": image, "caption": c} for i, (image, c) in enumerate(captions)]
    lines(folder / "captions_val2017.json", {"info": {}, "images": images, "licenses": [], "annotations": rows})
    picture(folder / "val2017/000000000007.jpg")


def flickr(folder: Path) -> None:
    rows = ["1000.jpg#0\tTwo men talk .", "1000.jpg#1\tMen on a bench .", "1001.jpg#0\tA missing one ."]
    (folder / "results_20130124.token").write_text("\n".join(rows))
    picture(folder / "flickr30k-images/1000.jpg")


def genome(folder: Path) -> None:
    qas = [{"a_objects": [], "question": "What color is the clock?", "image_id": 1, "qa_id": 9, "answer": "Green."}]
    lines(folder / "question_answers.json", [{"id": 1, "qas": qas}, {"id": 2, "qas": qas}])
    picture(folder / "VG_100K/1.jpg")


def test_vqa_is_read_with_what_ten_people_answered(tmp_path: Path) -> None:
    vqa(tmp_path)
    corpus = read_corpus(tmp_path)
    (asked,) = corpus.questions
    assert asked.file.name == "COCO_val2014_000000000042.jpg" and asked.file.is_file()
    assert (asked.question, asked.kind, asked.answers) == ("How many cats are there?", "count", ("2",))
    assert len(asked.people) == 10 and corpus.left_out == 1


def test_coco_captions_are_gathered_by_picture(tmp_path: Path) -> None:
    coco(tmp_path)
    corpus = read_corpus(tmp_path)
    assert [(c.file.name, c.references) for c in corpus.captions] == [("000000000007.jpg", ("A dog runs.", "A dog."))]
    assert corpus.left_out == 1


@pytest.mark.parametrize("barred", [False, True])
def test_flickr_captions_are_gathered_by_picture(tmp_path: Path, barred: bool) -> None:
    flickr(tmp_path)
    if barred:
        (tmp_path / "results_20130124.token").unlink()
        rows = ["image_name| comment_number| comment", "1000.jpg| 0| Two men talk .", "1000.jpg| 1| Men on a bench ."]
        (tmp_path / "results.csv").write_text("\n".join(rows))
    (found,) = read_corpus(tmp_path).captions
    assert (found.file.name, found.references) == ("1000.jpg", ("Two men talk .", "Men on a bench ."))


def test_visual_genome_is_read_by_the_number_of_the_picture(tmp_path: Path) -> None:
    genome(tmp_path)
    corpus = read_corpus(tmp_path)
    (asked,) = corpus.questions
    assert (asked.file.name, asked.answers, asked.kind) == ("1.jpg", ("Green",), "colour") and corpus.left_out == 1


def test_our_own_lines_are_read(tmp_path: Path) -> None:
    lines(
        tmp_path / "qa.jsonl",
        {"image": "a.jpg", "question": "这是什么？", "answers": ["狗"]},
        {
            "video": "b.mp4",
            "at_s": 3,
            "question": "How many are there?",
            "answers": ["2"],
            "kind": "other",
            "lang": "en",
        },
    )
    lines(tmp_path / "scenes.jsonl", {"clip": "c.avi", "said": "what is this", "this_at_s": 2, "from_s": 1, "to_s": 4})
    corpus = read_corpus(tmp_path)
    assert corpus.questions == (
        Asked(tmp_path / "a.jpg", "这是什么？", ("狗",), "zh", "name"),
        Asked(tmp_path / "b.mp4", "How many are there?", ("2",), "en", "other", 3.0),
    )
    assert corpus.scenes == (Scene(tmp_path / "c.avi", "what is this", 2.0, 1.0, 4.0),)


def test_a_folder_may_hold_several_and_no_more_than_asked_for_is_taken(tmp_path: Path) -> None:
    for make in (vqa, coco, flickr, genome):
        make(tmp_path)
    corpus = read_corpus(tmp_path)
    assert (len(corpus.questions), len(corpus.captions)) == (2, 2)
    fewer = read_corpus(tmp_path, most=1)
    assert (len(fewer.questions), len(fewer.captions)) == (1, 1)
    assert spread(range(10), 3) == (0, 3, 6) and spread([1, 2], 5) == (1, 2)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("qa.jsonl", '{"image": "a.jpg"}'),
        ("qa.jsonl", '{"image": "a.jpg", "question": "what", "answers": "dog"}'),
        ("qa.jsonl", "[1]"),
        ("qa.jsonl", '{"image": 1'),
        ("scenes.jsonl", '{"clip": "a.avi", "said": "this", "this_at_s": "soon", "from_s": 1, "to_s": 2}'),
        ("captions_val.json", '{"images": [{"id": 1}]}'),
        ("captions_val.json", "{"),
        ("question_answers.json", '{"id": 1}'),
        ("results.token", "no picture here"),
        ("v2_OpenEnded_x_questions.json", '{"questions": []}'),
    ],
)
def test_what_is_not_as_it_should_be_is_told_with_its_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match="wanted") as told:
        read_corpus(tmp_path)
    assert name in str(told.value) and ";" in str(told.value)


def test_a_folder_with_nothing_to_ask_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"found none; name a folder with qa\.jsonl"):
        read_corpus(tmp_path)
    coco(tmp_path)
    (tmp_path / "val2017/000000000007.jpg").unlink()
    with pytest.raises(SourceError, match="none is there"):
        read_corpus(tmp_path)


@pytest.mark.parametrize(
    ("question", "kind"),
    [("What color is it?", "colour"), ("How many dogs?", "count"), ("What is this?", "name"), ("Read this.", "read"),
     ("Is it raining?", "other"), ("这是什么颜色？", "colour")],
)  # fmt: skip
def test_a_question_without_a_kind_is_given_one(question: str, kind: str) -> None:
    assert kind_of(question) == kind
