"""`assistant eval seeing`: what it reports of pictures, videos, captions and scenes that are made here."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import scenes
from PIL import Image

from assistant.backends import load
from assistant.backends.scripted import ScriptedDetector, ScriptedEncoder, ScriptedEyes, ScriptedMind
from assistant.errors import SourceError
from assistant.fusing import MODES
from assistant.sessions.answering import modes
from assistant.sessions.corpora import Scene
from assistant.sessions.seeing import evaluate_seeing, timed
from assistant.sessions.tabling import seeing_tables, table
from assistant.sessions.viewing import Senses, watched

LABEL = ScriptedEyes(["FRESH MILK", "Price $3.49"])
SENSES = Senses(LABEL, ScriptedDetector(["cup", "cup", "dog"]))


def folder(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    Image.new("RGB", (640, 480), "white").save(tmp_path / "a.png")
    (tmp_path / "qa.jsonl").write_text("\n".join(json.dumps({"image": "a.png", **row}) for row in rows), "utf-8")
    return tmp_path


PRICE = {"question": "how much does it cost", "answers": ["3.49"], "kind": "read"}
CUPS = {"question": "how many cups are there", "answers": ["two"], "kind": "count"}
COLOUR = {"question": "杯子是什么颜色的", "answers": ["蓝"], "kind": "colour"}


def clip(file: Path, *shades: tuple[int, int, int], seconds: float = 2.0) -> Path:
    """A video that shows a square of each shade for so long."""
    film = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 120))
    for i, shade in enumerate(shades):
        frame = np.full((120, 160, 3), 200, np.uint8)
        frame[20:100, 20 + 20 * i : 90 + 20 * i] = shade[::-1]
        for _ in range(round(10 * seconds)):
            film.write(frame)
    film.release()
    return file


def test_answers_and_evidence_are_judged_apart(tmp_path: Path) -> None:
    path = folder(tmp_path, PRICE, CUPS, COLOUR, COLOUR)
    wordless = evaluate_seeing(path, SENSES)["modes"]["late"]
    assert (wordless["accuracy"], wordless["context_recall"], wordless["n"]) == (0.5, 0.5, 4)
    assert wordless["by_kind"]["read"] == {"accuracy": 1.0, "context_recall": 1.0, "n": 1}
    wanders = evaluate_seeing(path, SENSES, ScriptedMind(["I am sorry for your loss."]))["modes"]["late"]
    assert (wanders["accuracy"], wanders["context_recall"]) == (0.0, 0.5)
    assert wanders["by_kind"]["count"] == {"accuracy": 0.0, "context_recall": 1.0, "n": 1}


def test_every_way_of_fusing_that_a_mind_takes_is_measured(tmp_path: Path) -> None:
    path = folder(tmp_path, PRICE)
    blind, sees = ScriptedMind(["{seen}"]), ScriptedMind(["a price"], sees=True)
    assert modes(None) == modes(blind) == (*(m for m in MODES if m != "early"), "auto")
    assert modes(sees) == (*MODES, "auto")
    report = evaluate_seeing(path, SENSES, sees)
    assert set(report["modes"]) == {*MODES, "auto"}
    assert report["modes"]["early"]["context_recall"] is None
    assert {len(m.images) for heard in sees.heard for m in heard if m.role == "user"} >= {0, 1}


def test_the_view_that_is_asked_about_is_sent_by_the_ways_that_remember(tmp_path: Path) -> None:
    """Real eyes over six groceries that are shown one after the other; questions about now and about what was."""
    scenes.write_memory(tmp_path, 1)
    report = evaluate_seeing(tmp_path, Senses(load("eyes", "ocr", threads=1)))
    views = report["views"]
    assert views["n"] == 9
    assert views["attention"]["hold"] == views["late"]["hold"] == 1.0
    assert views["early"]["hold"] < 0.7 and views["co-attention"]["hold"] < 0.7, "they look at what is in view"
    assert views["early"]["sent"] <= 4 and views["co-attention"]["sent"] == 1 < views["attention"]["sent"] <= 4
    assert report["modes"]["auto"]["accuracy"] >= 0.85
    assert "| attention | 100.0 % |" in seeing_tables(report)


def test_languages_and_failures_are_told_with_their_evidence(tmp_path: Path) -> None:
    report = evaluate_seeing(folder(tmp_path, PRICE, COLOUR), SENSES)
    late = report["modes"]["late"]
    assert late["by_language"]["zh"]["accuracy"] == 0 and late["by_language"]["en"]["accuracy"] == 1
    (failure,) = report["failures"]
    assert (failure["question"], failure["accepted"], failure["kind"]) == (COLOUR["question"], ["蓝"], "colour")
    assert "FRESH MILK" in failure["evidence"] and set(failure["modes"]) == set(report["modes"])


def test_what_a_picture_cannot_answer_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path, PRICE, {**PRICE, "image": "b.png", "question": "who is the cashier", "answers": ["eric"]})
    Image.new("RGB", (640, 480), "black").save(tmp_path / "b.png")
    report = evaluate_seeing(path, SENSES)
    assert (report["unanswerable"], report["refused_unanswerable"]) == (1, 1.0)
    assert (report["ocr_recall"], report["false_refusals"]) == (0.5, 0.5)


def test_vqa_has_its_own_measure(tmp_path: Path) -> None:
    picture = tmp_path / "COCO_val_000000000001.jpg"
    Image.new("RGB", (64, 48), "white").save(picture)
    asked = {"image_id": 1, "question": "How many cups are there?", "question_id": 5}
    answers = [{"answer": a} for a in ["2"] * 9 + ["3"]]
    row = {"question_id": 5, "image_id": 1, "answers": answers, "multiple_choice_answer": "2", "answer_type": "number"}
    (tmp_path / "v2_OpenEnded_mscoco_val_questions.json").write_text(
        json.dumps({"data_subtype": "val", "questions": [asked]})
    )
    (tmp_path / "v2_mscoco_val_annotations.json").write_text(json.dumps({"annotations": [row]}))
    report = evaluate_seeing(tmp_path, SENSES, ScriptedMind(["Two."]))
    assert report["modes"]["late"]["vqa"] == 1.0 and report["modes"]["late"]["accuracy"] == 0.0
    assert "| late: VQA |" in seeing_tables(report)


def test_captions_are_held_against_references(tmp_path: Path) -> None:
    images = [{"id": i, "file_name": f"{i}.png"} for i in (1, 2)]
    texts = {1: "a dog and two cups", 2: "a boat on a lake"}
    rows = [{"image_id": i, "caption": text} for i, text in texts.items()]
    (tmp_path / "captions_val.json").write_text(json.dumps({"images": images, "annotations": rows}))
    for i in (1, 2):
        Image.new("RGB", (64, 48), "white").save(tmp_path / f"{i}.png")
    right = evaluate_seeing(tmp_path, SENSES, ScriptedMind([*texts.values()]))["captions"]
    assert right == {"cider_d": 10.0, "bleu_4": 1.0, "n": 2}
    swapped = evaluate_seeing(tmp_path, SENSES, ScriptedMind([*reversed(texts.values())]))["captions"]
    assert swapped["cider_d"] < 1
    assert evaluate_seeing(tmp_path, SENSES)["captions"]["n"] == 2


# ---------------------------------------------------------------- videos


def test_a_video_is_seen_up_to_when_it_is_asked_about(tmp_path: Path) -> None:
    file = clip(tmp_path / "two.avi", (220, 30, 30), (30, 30, 220))
    before, now_s = watched(file, 1.0)
    assert len(before) == 1 and now_s == 1.0
    after, end_s = watched(file)
    assert len(after) == 2 and 3.5 <= end_s <= 5.5
    assert after[0].at_s < 0.5 and 1.7 < after[1].at_s < 2.6
    picture, _ = watched(Path(folder(tmp_path, PRICE)) / "a.png")
    assert len(picture) == 1


@pytest.mark.parametrize(("this_at_s", "inside"), [(1.0, 1.0), (3.0, 0.0)])
def test_this_is_looked_for_when_it_was_said(tmp_path: Path, this_at_s: float, inside: float) -> None:
    clip(tmp_path / "two.avi", (220, 30, 30), (30, 30, 220))
    row = {"clip": "two.avi", "said": "what colour is this", "this_at_s": this_at_s, "from_s": 0, "to_s": 2}
    (tmp_path / "scenes.jsonl").write_text(json.dumps(row))
    report = evaluate_seeing(tmp_path, Senses(ScriptedEyes(), encoder=ScriptedEncoder()))
    assert report["frame_choice"] == {"inside": inside, "n": 1}
    assert len(report["failures"]) == 1 - inside and report["modes"] == {}


@pytest.mark.parametrize("said", ["what colour is this", "how much is this one again", "这是什么", "这个多少钱"])
def test_the_pointing_word_is_said_at_its_time(said: str) -> None:
    words = timed(Scene(Path(), said, 4.0, 3.0, 5.0))
    middles = {w.text: (w.began_s + w.ended_s) / 2 for w in words.words}
    assert next(m for text, m in middles.items() if "this" in text or "这" in text) == pytest.approx(4.0)


# ---------------------------------------------------------------- what is shown


def test_the_report_is_a_table_with_all_rates_and_failures(tmp_path: Path) -> None:
    text = seeing_tables(evaluate_seeing(folder(tmp_path, PRICE, COLOUR), SENSES))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert rows[0].startswith("| questions | n | late: right | late: in context | attention: right")
    assert any(row.startswith("| all | 2 | 50.0 % | 50.0 % |") for row in rows)
    assert {row.count("|") for row in rows[: rows.index(next(r for r in rows if r.startswith("| measure")))]} == {
        rows[0].count("|")
    }
    assert "1 failures:" in text and COLOUR["question"] in text.splitlines()[-1]


def test_a_bar_in_a_cell_ends_no_cell() -> None:
    assert table(["a"], [["x | y"]]).splitlines()[-1] == "| x \\| y |"


def test_a_picture_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "qa.jsonl").write_text('{"image": "a.jpg", "question": "what is it", "answers": ["x"]}')
    with pytest.raises(SourceError, match=r"a\.jpg"):
        evaluate_seeing(tmp_path, SENSES)
