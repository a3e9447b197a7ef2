"""A projector that lacks something or is another model's is told before llama.cpp dies of it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_gguf_shapes import PICTURE, TINY

from assistant.backends import Message
from assistant.backends.gguf import Header, read_header
from assistant.backends.llama import Llama
from assistant.backends.projector import check_projector
from assistant.errors import WeightsError
from assistant.sessions import gguf_files

MAY_LACK = ("mm.input_norm.weight", "mm.input_norm.bias")
"""of LFM2's kind: its norm can be left out"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model and its projector of each kind of the catalogue, random."""
    return {kind: gguf_files.write_random(shape, tmp_path_factory.mktemp(kind)) for kind, shape in TINY.items()}


@pytest.fixture(params=TINY)
def headers(request: pytest.FixtureRequest, folders: dict[str, Path]) -> tuple[Header, Header, Path]:
    folder = folders[request.param]
    return read_header(folder / "mmproj.gguf"), read_header(folder / "model.gguf"), folder / "mmproj.gguf"


def test_a_models_own_projector_is_taken(headers: tuple[Header, Header, Path]) -> None:
    check_projector(*headers)


def test_every_tensor_that_is_missing_is_told_by_its_name(headers: tuple[Header, Header, Path]) -> None:
    projector, model, path = headers
    for name in projector.tensors.keys() - set(MAY_LACK):
        tensors = {other: sizes for other, sizes in projector.tensors.items() if other != name}
        with pytest.raises(WeightsError) as told:
            check_projector(replace(projector, tensors=tensors), model, path)
        said = str(told.value)
        assert f"{name}" in said or "v.deepstack" in said or "attn_q" in said
        assert f"got none in '{path}'; take the model's own" in said or "layers of v.deepstack" in said


def test_a_tensor_of_another_size_is_told(headers: tuple[Header, Header, Path]) -> None:
    projector, model, path = headers
    for name in ("v.blk.1.ffn_up.weight", "v.blk.0.ln1.weight", "v.position_embd.weight", "v.patch_embd.weight"):
        sizes = tuple(2 * size for size in projector.tensors[name])
        with pytest.raises(WeightsError, match=r"take the model's own, or fetch it anew"):
            check_projector(replace(projector, tensors={**projector.tensors, name: sizes}), model, path)


@pytest.mark.parametrize(
    ("keys", "lists", "message"),
    [
        (
            {},
            {"clip.vision.image_mean": 2},
            "wanted a projector with three numbers in clip.vision.image_mean, got 2 in",
        ),
        (
            {},
            {"clip.vision.image_std": 0},
            "wanted a projector with three numbers in clip.vision.image_std, got none in",
        ),
        ({"clip.vision.attention.head_count": 0}, {}, "blocks whose heads share their width, got 2 of 64 with 0 heads"),
        ({"clip.vision.attention.head_count": 3}, {}, "blocks whose heads share their width, got 2 of 64 with 3 heads"),
        ({"clip.vision.block_count": 0}, {}, "blocks whose heads share their width, got 0 of 64"),
        ({"clip.vision.block_count": 1 << 31}, {}, "a tensor v.blk.2.ln1.weight, got none"),
        ({"clip.vision.embedding_length": 32}, {}, "32 as size 4 of v.patch_embd.weight, got 8 x 8 x 3 x 64"),
        ({"clip.vision.projector.scale_factor": 4}, {}, "1024 as size 1 of mm.model.fc.weight, got 256 x 256"),
    ],
)
def test_numbers_that_do_not_fit_are_told(
    keys: dict[str, Any], lists: dict[str, int], message: str, folders: dict[str, Path]
) -> None:
    path = folders["llama"] / "mmproj.gguf"
    projector, model = read_header(path), read_header(path.with_name("model.gguf"))
    changed = replace(projector, keys={**projector.keys, **keys}, lists={**projector.lists, **lists})
    with pytest.raises(WeightsError) as told:
        check_projector(changed, model, path)
    assert message in str(told.value)


def test_another_models_projector_is_told_by_its_width(headers: tuple[Header, Header, Path]) -> None:
    projector, model, path = headers
    wider = replace(model, keys={**model.keys, f"{model.architecture}.embedding_length": 320})
    with pytest.raises(
        WeightsError, match=r"wanted a projector with 320 as size 2 of mm\.\S+\.weight, got \d+ x 256 in"
    ):
        check_projector(projector, wider, path)


def test_layers_that_the_model_does_not_take_are_told(folders: dict[str, Path]) -> None:
    path = folders["qwen3vl"] / "mmproj.gguf"
    model = read_header(path.with_name("model.gguf"))
    other = replace(model, keys={**model.keys, "qwen3vl.n_deepstack_layers": 3})
    with pytest.raises(
        WeightsError, match=r"wanted a projector with 3 layers of v\.deepstack for this model, got 2 in"
    ):
        check_projector(read_header(path), other, path)


def test_a_kind_that_is_not_known_is_left_to_the_engine(folders: dict[str, Path]) -> None:
    path = folders["llama"] / "mmproj.gguf"
    projector = read_header(path)
    other = replace(projector, keys={**projector.keys, "clip.projector_type": "another"}, tensors={})
    check_projector(other, read_header(path.with_name("model.gguf")), path)


@pytest.mark.parametrize("name", [b"v.blk.1.ln1.weight", b"v.position_embd.weight", b"v.blk.0.attn_q.weight"])
def test_the_engine_is_not_started_with_a_projector_that_would_end_it(
    name: bytes, folders: dict[str, Path], tmp_path: Path
) -> None:
    data = (folders["llama"] / "mmproj.gguf").read_bytes()
    path = tmp_path / "mmproj.gguf"
    path.write_bytes(data.replace(name, name.replace(b"v.", b"x.", 1)))
    with pytest.raises(WeightsError, match=rf"wanted a projector with a tensor {name.decode()}, got none"):
        Llama(str(folders["llama"] / "model.gguf"), str(path), threads=1)


def test_a_picture_is_left_between_its_parts(folders: dict[str, Path]) -> None:
    """SmolVLM's kind is cut into parts; of one that is under way no more than the part is finished."""
    folder, asked = folders["llama"], list[bool]()

    def stop() -> bool:
        asked.append(True)
        return len(asked) > 5

    model, mmproj = str(folder / "model.gguf"), str(folder / "mmproj.gguf")
    with closing(Llama(model, mmproj, threads=1, max_tokens=12, context_tokens=4096)) as mind:
        messages = [Message("user", "Is it red?", (PICTURE,))]
        assert list(mind.reply(messages, stop)) == []
        _, whole = mind.read_tokens
        assert 5 < len(asked) < 12 and whole > 0
        assert len(list(mind.reply(messages, lambda: False))) == 12
