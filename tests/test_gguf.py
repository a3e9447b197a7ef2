"""GGUF headers: what a file says of itself, and that no damage ends in anything but one line."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import tiny_models
from hypothesis import given
from hypothesis import strategies as st

from assistant.backends.gguf import PROJECTOR, read_header
from assistant.errors import WeightsError


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_gguf(tmp_path_factory.mktemp("gguf") / "model.gguf", width=32, layers=1)


def test_a_header_says_what_the_file_is_for_and_how_large(model: Path, tmp_path: Path) -> None:
    header = read_header(model)
    assert header.architecture == "llama"
    assert header.keys["llama.embedding_length"] == 32
    assert header.keys["general.name"] == "random"
    words = 256 + 1 + len(tiny_models.GGUF_CONTROL)
    assert "tokenizer.ggml.tokens" not in header.keys and header.lists["tokenizer.ggml.tokens"] == words
    assert header.tensors["blk.0.ffn_down.weight"] == (64, 32), "the innermost first"
    assert header.parameters == 2 * words * 32 + 32 + 2 * 32 + 2 * 32 * 32 + 2 * 16 * 32 + 3 * 64 * 32
    assert read_header(tiny_models.random_mmproj(tmp_path / "mmproj.gguf")).architecture == PROJECTOR


def test_what_stands_behind_the_last_weight_does_no_harm(model: Path, tmp_path: Path) -> None:
    longer = tmp_path / "longer.gguf"
    longer.write_bytes(model.read_bytes() + b"\0" * 100)
    assert read_header(longer) == read_header(model)


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_off_anywhere_is_told(model: Path, tmp_path_factory: pytest.TempPathFactory, share: float):
    data = model.read_bytes()
    path = tmp_path_factory.getbasetemp() / "cut.gguf"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(WeightsError, match=r"wanted a (whole )?GGUF file.*; fetch it anew"):
        read_header(path)


@given(at=st.integers(0, 9000), value=st.binary(min_size=1, max_size=12))
def test_a_damaged_header_is_read_or_refused(
    model: Path, tmp_path_factory: pytest.TempPathFactory, at: int, value: bytes
) -> None:
    data = bytearray(model.read_bytes())
    data[at : at + len(value)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.gguf"
    path.write_bytes(data)
    try:
        assert read_header(path).parameters >= 0
    except WeightsError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("at", "kind", "number"), [(8, "Q", 1 << 60), (16, "Q", 1 << 60), (24, "Q", 1 << 62), (4, "I", 9)]
)
def test_numbers_without_sense_are_refused_at_once(
    model: Path, tmp_path: Path, at: int, kind: str, number: int
) -> None:
    data = bytearray(model.read_bytes())
    struct.pack_into(f"<{kind}", data, at, number)
    path = tmp_path / "absurd.gguf"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"got (a damaged header|version 9, which nobody knows,) in"):
        read_header(path)


def test_a_folder_is_none(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="wanted a GGUF file"):
        read_header(tmp_path)
