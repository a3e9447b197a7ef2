"""Encoders with tiny weights: random ones for shapes and geometry, one that was taught colours for what is claimed.

Whether parts of a picture lie in the space of texts cannot be told from random weights. So a tiny CLIP is taught on
whole pictures of one colour and the colour's name; its parts are then asked for in pictures of several.
"""

from pathlib import Path

import numpy as np
import pytest
import tiny_models

from assistant.backends import load
from assistant.backends.encoder import SMALLEST, Clip, Siglip, covered, cropped
from assistant.errors import EngineError, WeightsError
from assistant.events import Box, Image

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 50, 220), "white": (240, 240, 240)}
WHOLE: Box = (0, 0, 96, 64)
LEFT: Box = (0, 0, 48, 64)


def noise(seed: int, height: int = 64, width: int = 96) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=["siglip", "clip"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    made = tmp_path_factory.mktemp("encoder")
    return request.param, tiny_models.random_encoder(made, request.param, words=("a", "red", "cup"))


@pytest.fixture(scope="module")
def encoder(folder: tuple[str, Path]) -> Siglip | Clip:
    return load("encoder", folder[0], model=str(folder[1]))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return Clip(str(tiny_models.random_encoder(tmp_path_factory.mktemp("clip"), "clip", layers=1)))


# ---------------------------------------------------------------- shapes


def test_all_vectors_are_of_one_space_and_of_length_one(encoder: Siglip | Clip) -> None:
    rows = encoder.embed_regions(noise(1), [LEFT, WHOLE, (10, 10, 20, 30)])
    vectors = [encoder.embed_image(noise(0)), encoder.embed_text("a red cup"), *rows]
    assert {(v.shape, v.dtype.name) for v in vectors} == {(vectors[0].shape, "float32")}
    assert [float(np.linalg.norm(v)) for v in vectors] == pytest.approx([1.0] * len(vectors), abs=1e-5)
    assert encoder.embed_regions(noise(1), []).shape == (0, len(vectors[0]))


def test_the_same_is_embedded_alike_and_other_things_are_not(encoder: Siglip | Clip) -> None:
    assert (encoder.embed_image(noise(0)) == encoder.embed_image(noise(0))).all()
    assert np.abs(encoder.embed_image(noise(0)) - encoder.embed_image(noise(1))).max() > 1e-3
    assert np.abs(encoder.embed_text("red") - encoder.embed_text("cup")).max() > 1e-3


def test_regions_do_not_depend_on_each_other(encoder: Siglip | Clip) -> None:
    boxes = [LEFT, (48.0, 0.0, 96.0, 64.0), WHOLE, *[(float(i), 0.0, i + 30.0, 30.0) for i in range(9)]]
    together = encoder.embed_regions(noise(2), boxes)
    alone = np.concatenate([encoder.embed_regions(noise(2), [box]) for box in boxes])
    assert together == pytest.approx(alone, abs=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_a_crop_is_embedded_as_a_picture_of_its_own(folder: tuple[str, Path]) -> None:
    how = {"regions": "crops"} if folder[0] == "clip" else {}
    encoder = load("encoder", folder[0], model=str(folder[1]), **how)
    picture = noise(3)
    found = encoder.embed_regions(picture, [(16, 8, 80, 56), WHOLE])
    assert found[0] == pytest.approx(encoder.embed_image(picture[8:56, 16:80]), abs=1e-5)
    assert found[1] == pytest.approx(encoder.embed_image(picture), abs=1e-5)


def test_a_long_text_is_cut(encoder: Siglip | Clip) -> None:
    assert encoder.embed_text("red " * 200).shape == encoder.embed_text("").shape


def test_what_is_no_picture_is_refused(encoder: Siglip | Clip) -> None:
    for ask in (encoder.embed_image, lambda image: encoder.embed_regions(image, [LEFT])):
        with pytest.raises(EngineError, match="wanted a picture"):
            ask(np.zeros((10, 10), np.uint8))


# ---------------------------------------------------------------- geometry


@pytest.mark.parametrize(
    ("box", "shape"),
    [
        ((10, 20, 50, 60), (40, 40)),
        ((-20, -20, 1000, 1000), (64, 96)),
        ((90, 60, 95, 63), (SMALLEST, SMALLEST)),
        ((30.4, 30.4, 30.4, 30.4), (SMALLEST, SMALLEST)),
        ((200, 200, 300, 300), (SMALLEST, SMALLEST)),
    ],
)
def test_crops_are_cut_at_the_edges_and_never_empty(box: Box, shape: tuple[int, int]) -> None:
    assert cropped(noise(0), box).shape == (*shape, 3)
    assert cropped(noise(0, 5, 7), box).shape[:2] == (5, 7) or box[0] >= 0


def test_a_box_covers_cells_by_its_share() -> None:
    assert covered(np.array([0.0, 0.0, 2.0, 1.0]), 2, 2) == pytest.approx(np.array([[0.5, 0.5], [0, 0]]))
    assert covered(np.array([0.5, 0.0, 2.0, 2.0]), 2, 2) == pytest.approx(np.array([[1, 2], [1, 2]]) / 6)
    for box in ([1.2, 1.2, 1.2, 1.2], [7.0, 7.0, 9.0, 9.0]):
        assert covered(np.array(box), 2, 2) == pytest.approx(np.array([[0, 0], [0, 1]]))


# ---------------------------------------------------------------- the value path


def test_a_region_s_values_see_nothing_outside_of_it(clip: Clip) -> None:
    """With one layer the value path mixes no patches: what happens elsewhere leaves a region as it was."""
    picture = noise(4, 64, 64)
    other = picture.copy()
    other[:, 32:] = noise(5, 64, 32)
    left: Box = (0, 0, 16, 64)  # away from the border: resizing blurs over it
    before, after = (clip.embed_regions(p, [left, (48, 0, 64, 64)]) for p in (picture, other))
    assert before[0] == pytest.approx(after[0], abs=1e-5)
    assert np.abs(before[1] - after[1]).max() > 1e-2


def test_where_all_tokens_are_the_same_values_are_what_attention_gives(clip: Clip) -> None:
    """The mean of equal values is the value: then each region is the whole picture's embedding, exactly."""
    import torch

    vision = clip._model.vision_model
    with torch.no_grad():
        vision.embeddings.patch_embedding.weight.zero_()
        vision.embeddings.class_embedding.zero_()
        vision.embeddings.position_embedding.weight.copy_(torch.randn(1, 32).expand(17, -1))
    picture = noise(6)
    whole = clip.embed_image(picture)
    assert clip.embed_regions(picture, [LEFT, WHOLE]) == pytest.approx(np.stack([whole, whole]), abs=1e-5)


# ---------------------------------------------------------------- planted signals


def painted(rng: np.random.Generator, *names: str) -> Image:
    """Fields of colour side by side, with noise, 64 pixels high and wide."""
    fields = [np.broadcast_to(np.array(COLOURS[name]), (64, 64 // len(names), 3)) for name in names]
    return np.clip(np.concatenate(fields, 1) + rng.normal(0, 20, (64, 64, 3)), 0, 255).astype(np.uint8)


def taught(encoder: Clip, steps: int = 120) -> None:
    """Teach colours by name, on whole pictures of one colour, with CLIP's own loss."""
    import torch

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = encoder._model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    tokens = encoder._tokenizer(list(COLOURS), return_tensors="pt")
    for _ in range(steps):
        pictures = torch.from_numpy(encoder._pixels([painted(rng, name) for name in COLOURS]))
        loss = model(tokens["input_ids"], pictures, tokens["attention_mask"], return_loss=True).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()


@pytest.mark.parametrize("regions", ["values", "crops"])
def test_the_part_that_a_word_means_is_found(tmp_path: Path, regions: str) -> None:
    folder = tiny_models.random_encoder(tmp_path, "clip", words=tuple(COLOURS))
    encoder: Clip = load("encoder", "clip", model=str(folder), regions=regions)
    taught(encoder)
    rng = np.random.default_rng(9)
    right, asked = 0, 0
    for _ in range(10):
        left, other = rng.permutation(list(COLOURS))[:2]
        picture = painted(rng, left, other)
        parts = encoder.embed_regions(picture, [(0, 0, 32, 64), (32, 0, 64, 64)])
        texts = np.stack([encoder.embed_text(name) for name in (left, other)])
        affinity = parts @ texts.T
        right += int(affinity[0, 0] > affinity[1, 0]) + int(affinity[1, 1] > affinity[0, 1])
        asked += 2
    assert right >= 0.9 * asked


# ---------------------------------------------------------------- weights


def test_weights_that_are_none_are_told(folder: tuple[str, Path], tmp_path: Path) -> None:
    family, made = folder
    other = {"siglip": "clip", "clip": "siglip"}[family]
    with pytest.raises(WeightsError, match=f"a model of the family {family}, and not {other}"):
        load("encoder", other, model=str(made))
    with pytest.raises(WeightsError, match=r"wanted the encoder 'nobody/nothing'.*run once without --offline"):
        load("encoder", family, model="nobody/nothing", offline=True)
    with pytest.raises(WeightsError, match=rf"no model is named; set encoder\.{family}\.model"):
        load("encoder", family, model="")
    with pytest.raises(WeightsError, match="name a folder with a model"):
        load("encoder", family, model=str(tmp_path))
