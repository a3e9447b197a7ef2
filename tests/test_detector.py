"""Detectors: two small real ones on photographs, random ones of the DETR family for their plumbing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from PIL import Image

from assistant.backends import load
from assistant.backends.detector import (
    Candidates,
    OnnxDetector,
    TransformersDetector,
    findings,
    read_labels,
    suppressed,
)
from assistant.errors import EngineError, WeightsError
from assistant.events import Box, Finding

THINGS = {
    "yolox_nano_416.onnx": {
        "dog_bicycle": {"dog", "bicycle"},
        "giraffe_zebra": {"giraffe", "zebra"},
        "person_horse_dog": {"person", "horse", "dog"},
        "scissors": {"scissors"},
        "skateboard": {"person", "skateboard"},
        "airplane": {"airplane"},
        "coffee_cup": {"cup", "dining table"},
    },
    "fastestdet_352.onnx": {
        "dog_bicycle": {"dog", "bicycle"},
        "giraffe_zebra": {"giraffe", "zebra"},
        "scissors": {"scissors"},
        "airplane": {"airplane"},
        "cat_face": {"cat"},
    },
}


@pytest.fixture(scope="module", params=THINGS)
def weights(request: pytest.FixtureRequest, shared: Path) -> Path:
    return shared / "weights/detector" / request.param


@pytest.fixture(scope="module")
def onnx(weights: Path) -> OnnxDetector:
    return load("detector", "onnx", model=str(weights))


def photograph(shared: Path, name: str) -> np.ndarray:
    return np.asarray(Image.open(shared / f"data/images/{name}.jpg").convert("RGB"))


def named(found: tuple[Finding, ...]) -> set[str]:
    return {f.text for f in found if f.kind == "object"}


def shared_part(one: Box, other: Box) -> float:
    """Intersection over union."""
    left, top, right, bottom = (*map(max, one[:2], other[:2]), *map(min, one[2:], other[2:]))
    inside = max(0.0, right - left) * max(0.0, bottom - top)
    sizes = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return inside / (sum(sizes) - inside)


# ---------------------------------------------------------------- real weights


def test_things_in_photographs_are_named(onnx: OnnxDetector, weights: Path, shared: Path) -> None:
    for name, things in THINGS[weights.name].items():
        found = onnx.look(photograph(shared, name))
        assert things <= named(found), name
        scores = [f.score for f in found if f.kind == "object"]
        assert all(0 < f.score <= 1 for f in found) and scores == sorted(scores, reverse=True)


def test_colours_are_those_of_the_things(shared: Path) -> None:
    onnx = OnnxDetector(str(shared / "weights/detector/yolox_nano_416.onnx"))
    for name, thing, colour in [
        ("latte_cake", "cup", "yellow"),
        ("dog_bicycle", "car", "white"),
        ("cat_face", "cat", "brown"),
    ]:
        found = onnx.look(photograph(shared, name))
        box = next(f.box for f in found if f.text == thing)
        colours = [f for f in found if f.kind == "colour" and f.box == box]
        assert colours and colours[0].text == colour, name


def test_what_moves_in_the_picture_moves_in_the_findings(onnx: OnnxDetector, shared: Path) -> None:
    picture = photograph(shared, "dog_bicycle")
    dog = next(f for f in onnx.look(picture) if f.text == "dog")
    mirrored = next(f for f in onnx.look(picture[:, ::-1]) if f.text == "dog")
    assert dog.box is not None and mirrored.box is not None
    width = picture.shape[1]
    assert (
        shared_part(dog.box, (width - mirrored.box[2], mirrored.box[1], width - mirrored.box[0], mirrored.box[3])) > 0.7
    )


@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_boxes_are_in_pixels_of_the_picture_at_any_size(onnx: OnnxDetector, shared: Path, scale: float) -> None:
    picture = Image.fromarray(photograph(shared, "giraffe_zebra"))
    size = (round(picture.width * scale), round(picture.height * scale))
    before = next(f for f in onnx.look(np.asarray(picture)) if f.text == "giraffe")
    after = next(f for f in onnx.look(np.asarray(picture.resize(size))) if f.text == "giraffe")
    assert before.box is not None and after.box is not None
    left, top, right, bottom = before.box
    assert shared_part((left * scale, top * scale, right * scale, bottom * scale), after.box) > 0.8


def test_a_wide_picture_is_seen_whole(shared: Path) -> None:
    onnx = OnnxDetector(str(shared / "weights/detector/yolox_nano_416.onnx"))
    dog = photograph(shared, "dog_deck")
    wide = np.concatenate([np.full((dog.shape[0], 600, 3), 150, np.uint8), dog], 1)
    found = [f for f in onnx.look(wide) if f.text == "dog"]
    assert found and found[0].box is not None and found[0].box[0] > 800


def test_red_comes_first(onnx: OnnxDetector, shared: Path) -> None:
    names = [n for n in THINGS["fastestdet_352.onnx"] if n != "dog_bicycle"]
    straight = [onnx.look(photograph(shared, n)) for n in names]
    turned = [onnx.look(photograph(shared, n)[:, :, ::-1]) for n in names]
    assert sum(f[0].score for f in straight if f) > sum(f[0].score for f in turned if f)


def test_nothing_is_found_in_nothing(onnx: OnnxDetector) -> None:
    assert onnx.look(np.full((480, 640, 3), 200, np.uint8)) == ()
    assert onnx.look(np.zeros((1, 1, 3), np.uint8)) == ()


def test_less_sure_things_are_dropped(weights: Path, shared: Path) -> None:
    picture = photograph(shared, "latte_cake")
    counts = [len(OnnxDetector(str(weights), least_score=least).look(picture)) for least in (0.1, 0.65, 0.99)]
    assert counts[0] > counts[1] > counts[2] == 0


def test_what_is_no_picture_is_refused(onnx: OnnxDetector) -> None:
    with pytest.raises(EngineError, match="wanted a picture"):
        onnx.look(np.zeros((10, 10), np.uint8))


def test_labels_are_the_file_s(shared: Path, tmp_path: Path) -> None:
    coco = read_labels("", 80)
    assert (coco[0], coco[16], coco[79], len(set(coco))) == ("person", "dog", "toothbrush", 80)
    own = tmp_path / "names.txt"
    own.write_text("\n".join(f"{name} of mine" for name in coco))
    weights = shared / "weights/detector/yolox_nano_416.onnx"
    found = OnnxDetector(str(weights), labels=str(own)).look(photograph(shared, "owl"))
    assert named(found) == {"bird of mine"}
    own.write_text("cat\ndog")
    with pytest.raises(WeightsError, match=r"names for 80 classes.*has 2; set detector\.onnx\.labels"):
        OnnxDetector(str(weights), labels=str(own))
    with pytest.raises(WeightsError, match="correct labels"):
        OnnxDetector(str(weights), labels=str(tmp_path / "missing.txt"))


def test_weights_that_are_none_are_told(shared: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"found no file ''; set detector\.onnx\.model"):
        OnnxDetector()
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(WeightsError, match="wanted an ONNX model"):
        OnnxDetector(str(tmp_path / "broken.onnx"))
    with pytest.raises(WeightsError, match=r"wanted a YOLOX .* or a FastestDet"):
        OnnxDetector(str(shared / "weights/vad/silero_vad.onnx"))


# ---------------------------------------------------------------- suppression


def test_of_boxes_of_one_thing_the_surest_stays() -> None:
    of = {  # box, score, class, whether it stays
        "surest": ((1, 0, 11, 10), 0.9, 1, True),
        "the same, less sure": ((0, 0, 10, 10), 0.5, 1, False),
        "the same by another name": ((1, 0, 11, 10.5), 0.8, 2, False),
        "another thing over it": ((0, 0, 10, 20), 0.7, 2, True),
        "another of its class, elsewhere": ((50, 50, 60, 60), 0.4, 1, True),
    }
    boxes, scores, classes, stay = zip(*of.values(), strict=True)
    found = Candidates(np.array(boxes, np.float32), np.array(scores, np.float32), np.array(classes))
    kept = suppressed(found, 0.5).scores.tolist()
    assert sorted(kept) == pytest.approx(sorted(s for s, stays in zip(scores, stay, strict=True) if stays))
    none = Candidates(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.intp))
    assert len(suppressed(none, 0.5).scores) == 0


def test_boxes_end_at_the_picture_s_edge_and_unnamed_classes_are_dropped() -> None:
    boxes = np.array([[-5, -5, 30, 30], [90, 10, 120, 20], [200, 200, 210, 210], [1, 1, 9, 9]], np.float32)
    found = Candidates(boxes, np.array([0.5, 0.9, 0.9, 0.9], np.float32), np.array([0, 0, 0, 1]))
    assert findings(found, ("cup", ""), (40, 100)) == (
        Finding("object", "cup", 0.9, (90.0, 10.0, 100.0, 20.0)),
        Finding("object", "cup", 0.5, (0.0, 0.0, 30.0, 30.0)),
    )


# ---------------------------------------------------------------- the DETR family, random weights


@pytest.fixture(scope="module", params=["d_fine", "rf_detr"])
def detr(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_detector(tmp_path_factory.mktemp("detr"), request.param)


def test_a_transformer_finds_what_its_queries_say(detr: Path) -> None:
    import torch

    detector: TransformersDetector = load("detector", "transformers", model=str(detr), least_score=0.0)
    picture = np.random.default_rng(0).integers(0, 256, (48, 96, 3), dtype=np.uint8)
    found = detector.look(picture)
    assert detector.look(picture) == found and named(found) <= {"cup", "dog"}
    with torch.inference_mode():
        output = detector._model(pixel_values=torch.from_numpy(detector._pixels([picture])))
    best, cls = output.logits[0].sigmoid().max(1)
    wanted = [round(float(b), 3) for b, c in zip(best, cls, strict=True)]
    assert named(found) and all(f.score in wanted for f in found if f.kind == "object")
    assert all(f.box and 0 <= f.box[0] < f.box[2] <= 96 and 0 <= f.box[1] < f.box[3] <= 48 for f in found)
    assert detector.look(255 - picture) != found


def test_pictures_are_prepared_as_the_library_does(detr: Path) -> None:
    from transformers import RTDetrImageProcessorPil

    picture = np.random.default_rng(1).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    settings = json.loads((detr / "preprocessor_config.json").read_text())
    library = RTDetrImageProcessorPil(size=settings["size"], do_normalize=settings["do_normalize"])
    expected = np.asarray(library(Image.fromarray(picture), return_tensors="np")["pixel_values"])
    assert TransformersDetector(str(detr))._pixels([picture]) == pytest.approx(expected, abs=0.02)


def test_transformers_that_are_none_are_told(detr: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no model is named; set detector\.transformers\.model"):
        TransformersDetector("")
    with pytest.raises(WeightsError, match=r"wanted the detector 'nobody/nothing'.*run once without --offline"):
        TransformersDetector("nobody/nothing", offline=True)
    mind = tiny_models.random_seeing_mind(tmp_path / "mind", "smolvlm")
    with pytest.raises(WeightsError, match="a model of the family smolvlm"):
        TransformersDetector(str(mind))
    cut = tmp_path / "cut"
    shutil.copytree(detr, cut)
    (cut / "model.safetensors").write_bytes((detr / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(WeightsError, match="wanted the detector"):
        TransformersDetector(str(cut))
