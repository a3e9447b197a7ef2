"""GGUF files of random weights: llama.cpp takes them for real ones, and they are as large as the published models."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from assistant.backends import Message, Mind, load
from assistant.backends.gguf import read_header
from assistant.backends.llama import Llama
from assistant.backends.transformers import Transformers
from assistant.errors import ConfigError
from assistant.events import Image
from assistant.models import catalogue, known
from assistant.sessions import gguf_files, gguf_torch
from assistant.sessions.gguf_shapes import GGUFS, Gguf, Mix, Reader, Sight, chosen_types, reader_tensors, sight_tensors
from assistant.sessions.random_engines import SHAPES, Shape, measure_random

BILLIONS = {
    "smolvlm2-500m-gguf": 0.507,
    "lfm2.5-vl-450m-gguf": 0.45,
    "qwen3-vl-4b-gguf": 4.44,
    "qwen3-vl-8b-gguf": 8.77,
}
"""parameters, as the models' pages on https://huggingface.co have them"""
TINY = {
    "llama": Gguf(
        Reader("llama", 512, 256, 256, 3, 4, 2, 64, tied=False), Sight("idefics3", 64, 128, 2, 2, 2, 0, 16, patch=8),
        "Q8_0", "Q8_0",
    ),
    "lfm2": Gguf(
        Reader("lfm2", 512, 256, 256, 3, 4, 2, 64, tied=True, attends=(1,)), Sight("lfm2", 64, 128, 2, 2, 2, 96, 16),
        "Q8_0", "Q8_0",
    ),
    "qwen3vl": Gguf(
        Reader("qwen3vl", 512, 256, 256, 4, 2, 1, 128, tied=True),
        Sight("qwen3vl_merger", 64, 128, 3, 2, 2, 256, 16, deep=(0, 2)),
        "Q4_K_M", "F16",
    ),
}  # fmt: skip
"""of each kind of the catalogue, the least that llama.cpp takes"""
PICTURE: Image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def never() -> bool:
    return False


def say(mind: Mind, *images: Image) -> list[str]:
    return list(mind.reply([Message("user", "Is it red?", images)], never))


def files(shape: Gguf) -> list[tuple[str, dict[str, tuple[int, ...]], Mix]]:
    """Name, tensors and quantisation of the two files of a shape."""
    sight = sight_tensors(shape.sight, shape.reader.width)
    return [("model.gguf", reader_tensors(shape.reader), shape.mix), ("mmproj.gguf", sight, shape.sight_mix)]


@pytest.mark.parametrize("kind", TINY)
def test_llama_cpp_takes_them_for_real_ones(kind: str, tmp_path: Path) -> None:
    folder = gguf_files.write_random(TINY[kind], tmp_path)
    options = {"model": str(folder / "model.gguf"), "mmproj": str(folder / "mmproj.gguf")}
    with closing(load("mind", "llama", **options, threads=1, max_tokens=12, context_tokens=4096)) as mind:
        assert mind.sees
        for images in ((), (PICTURE,)):
            pieces = say(mind, *images)
            assert len(pieces) == 12 and all(piece.startswith("w") for piece in pieces), "a token was hidden"


@pytest.mark.parametrize("kind", TINY)
def test_the_same_call_makes_the_same_files(kind: str, tmp_path: Path) -> None:
    once, again = (gguf_files.write_random(TINY[kind], tmp_path / name) for name in ("once", "again"))
    for name in ("model.gguf", "mmproj.gguf"):
        assert (once / name).read_bytes() == (again / name).read_bytes()


@pytest.mark.parametrize("kind", TINY)
def test_a_file_has_what_its_shape_says(kind: str, tmp_path: Path) -> None:
    folder = gguf_files.write_random(TINY[kind], tmp_path)
    for name, tensors, mix in files(TINY[kind]):
        header = read_header(folder / name)
        assert header.tensors == {tensor: sizes[::-1] for tensor, sizes in tensors.items()}
        assert header.keys["general.name"] == "random weights"
        found = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(folder / name).tensors}
        assert found == chosen_types(tensors, mix)


@pytest.mark.parametrize("kind", gguf_files.BLOCKS)
def test_blocks_of_bits_are_weights_around_nought(kind: str) -> None:
    spread = np.array([[0.02]] * 40 + [[0.002]] * 40, np.float32)
    rows = gguf_files.random_blocks(np.random.default_rng(0), kind, 1024, spread)
    weights = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[kind])
    assert weights.shape == (80, 1024)
    for part, wanted in ((weights[:40], 0.02), (weights[40:], 0.002)):
        assert abs(part.std() / wanted - 1) < 0.03 and abs(part.mean()) < 0.05 * wanted


def counted(name: str) -> tuple[int, int]:
    """Parameters and bytes of the two files of a shape."""
    parameters = size = 0
    for _, tensors, mix in files(GGUFS[name]):
        types = chosen_types(tensors, mix)
        for tensor, sizes in tensors.items():
            block, length = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[types[tensor]]]
            assert sizes[-1] % block == 0 or len(sizes) > 2, f"{tensor} is not made of whole blocks"
            parameters += prod(sizes)
            size += prod(sizes) // block * length
    return parameters, size


@pytest.mark.parametrize("name", GGUFS)
def test_shapes_are_as_large_as_the_published_files(name: str) -> None:
    parameters, size = counted(name)
    assert abs(parameters / 1e9 / BILLIONS[name] - 1) < 0.005
    assert abs(size / known(name).size_bytes - 1) < 0.005, "the types of the tensors are others"


def test_the_mix_of_q4_k_m() -> None:
    """Six bits for what says the tokens, and for half of the tensors that suffer most."""
    types = chosen_types(reader_tensors(GGUFS["qwen3-vl-8b-gguf"].reader), "Q4_K_M")
    assert (types["output.weight"], types["token_embd.weight"]) == ("Q6_K", "Q4_K")
    assert chosen_types(reader_tensors(GGUFS["qwen3-vl-4b-gguf"].reader), "Q4_K_M")["token_embd.weight"] == "Q6_K"
    more = [i for i in range(36) if types[f"blk.{i}.ffn_down.weight"] == "Q6_K"]
    assert more == [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 31, 32, 33, 34, 35]
    assert types["blk.1.attn_v.weight"] == "Q6_K" and types["blk.1.attn_k.weight"] == "Q4_K"


def test_unknown_names_are_told_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="got 'qwen3-vl-4b'; did you mean 'qwen3-vl-4b-gguf'"):
        gguf_files.random_gguf("qwen3-vl-4b", tmp_path)


def hub_llama(folder: Path) -> Path:
    """A tiny Llama as the hub has them, loud enough that its words do not hang on the last digit."""
    import tiny_models
    import torch
    import transformers

    torch.manual_seed(0)
    tokenizer = tiny_models.byte_tokenizer([])
    tokenizer.chat_template = gguf_files.TEMPLATE
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.3, bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0}, rms_norm_eps=1e-5,
    )  # fmt: skip
    model: Any = transformers.LlamaForCausalLM(config)
    unsaid = [
        i for letter, i in tokenizer.get_vocab().items() if len(letter) != 1 or letter not in tiny_models.SPEAKABLE
    ]
    model.get_output_embeddings().weight.data[unsaid] = 0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("mix", ["F32", "F16"])
def test_converted_weights_say_the_same_in_both_engines(mix: Mix, tmp_path: Path) -> None:
    hub = hub_llama(tmp_path / "hub")
    folder = gguf_torch.convert(hub, tmp_path, (mix,))
    with closing(Llama(str(folder / f"{mix.lower()}.gguf"), threads=1, max_tokens=12)) as cpp:
        said = "".join(say(cpp))
    assert "".join(say(Transformers(str(hub), dtype="float32", max_tokens=12))) == said
    assert len(set(said)) > 3


def test_a_shape_is_measured_on_its_files_and_on_the_other_ones_of_the_same_model() -> None:
    """Tiny ones under a name of the catalogue, each in processes of its own."""
    name, options = "smolvlm2-500m-gguf", {"model": "model.gguf", "max_tokens": 32, "threads": 1}
    make = partial(gguf_files.write_random, TINY["llama"])
    blind = Shape(make, {"blind": options}, engine="llama")
    shape = Shape(make, {"seeing": {**options, "mmproj": "mmproj.gguf"}}, engine="llama", also=(blind,))
    rows = list(measure_random([name], known_shapes={name: shape}))
    assert [(row.engine, row.model, row.weights, row.error) for row in rows] == [
        ("llama", f"{name}, seeing", "random", ""),
        ("llama", f"{name}, seeing, a picture", "random", ""),
        ("llama", f"{name}, blind", "random", ""),
    ]
    assert all(row.unit == "tokens/s" and row.rate and row.rate > 0 for row in rows)


def test_all_gguf_models_of_the_catalogue_that_see_have_a_shape() -> None:
    wanted = {name for name, weights in catalogue().items() if weights.engine == "llama" and "mmproj" in weights.paths}
    assert wanted == set(GGUFS) <= set(SHAPES)
