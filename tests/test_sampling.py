"""From logits to text: which token is taken, and characters whose bytes come one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models
from hypothesis import given
from hypothesis import strategies as st

from assistant.backends.sampling import Detokeniser, Sampling
from assistant.errors import ConfigError, EngineError

LOGITS = [[2.0, 5.0, 4.9, 1.0]]


def taken(said: tuple[int, ...] = (), times: int = 60, logits: Any = LOGITS, **how: Any) -> set[int]:
    import torch

    choose = Sampling(**{"seed": 1, **how}).begin("cpu")
    return {choose(torch.tensor(logits), list(said)) for _ in range(times)}


def test_without_temperature_the_likeliest_is_taken() -> None:
    assert taken() == {1}
    assert taken(top_p=0.1, top_k=3) == {1}


def test_the_warmer_the_more_of_them() -> None:
    assert taken(temperature=0.5) == {1, 2}
    assert taken(temperature=3.0, times=200) == {0, 1, 2, 3}


@pytest.mark.parametrize("few", [{"top_k": 2}, {"top_p": 0.6}, {"min_p": 0.9}])
def test_unlikely_tokens_can_be_left_out(few: dict[str, Any]) -> None:
    assert taken(temperature=3.0, times=200, **few) == {1, 2}


def test_what_the_reply_has_already_gets_less_likely() -> None:
    assert taken(said=(1,), repetition_penalty=1.5) == {2}
    assert taken(said=(1, 2), repetition_penalty=3.0) == {0}


def test_a_seed_makes_it_repeatable() -> None:
    import torch

    def row(seed: int | None) -> list[int]:
        choose = Sampling(temperature=2.0, seed=seed).begin("cpu")
        return [choose(torch.tensor(LOGITS), []) for _ in range(40)]

    assert row(3) == row(3)
    assert len({tuple(row(seed)) for seed in (3, 4, None, None)}) == 4


@pytest.mark.parametrize(("name", "value"), [("temperature", -1), ("top_p", 1.5), ("min_p", 2), ("top_k", -1)])
def test_values_out_of_range_are_told_so(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"wanted mind.transformers.{name} from 0 to .*, got {value}"):
        Sampling(**{name: value})  # type: ignore[arg-type]


def test_logits_that_are_no_numbers_are_told_so() -> None:
    with pytest.raises(EngineError, match="numbers that are none"):
        taken(logits=[[float("nan"), 1.0]])


# ---------------------------------------------------------------- text


def pieces(decode: Any, tokens: list[int]) -> list[str]:
    text = Detokeniser(decode)
    return [*(text.feed(token) for token in tokens), text.finish()]


TEXTS = ["Hello there.", " two  spaces ", "你好，世界。", "naïve café", "👩‍👩‍👧 and 🇫🇷", "a\nb\n"]


@pytest.mark.parametrize("text", TEXTS)
def test_characters_come_whole_from_tokens_that_are_bytes(text: str) -> None:
    tokenizer = tiny_models.byte_tokenizer([])
    told = pieces(tokenizer.decode, tokenizer(text).input_ids)
    assert "".join(told) == text
    assert "\ufffd" not in "".join(told[:-1])
    assert told[0] == text[0] or len(text[0].encode()) > 1  # what is certain is not withheld


@pytest.mark.parametrize("text", TEXTS)
def test_characters_come_whole_where_a_decoder_falls_back_on_bytes(shared: Path, text: str) -> None:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(shared / "weights/llm_tiny/hf")
    tokens = tokenizer(text, add_special_tokens=False).input_ids
    told = pieces(tokenizer.decode, tokens)
    assert "".join(told) == tokenizer.decode(tokens)
    assert "\ufffd" not in "".join(told)
    assert len([piece for piece in told if piece]) > 1


@given(st.binary(max_size=40))
def test_any_bytes_become_the_text_that_they_are_together(row: bytes) -> None:
    def decode(tokens: list[int]) -> str:
        return bytes(tokens).decode(errors="replace")

    assert "".join(pieces(decode, list(row))) == decode(list(row))


def test_a_character_that_never_becomes_whole_ends_as_a_mark() -> None:
    def decode(tokens: list[int]) -> str:
        return bytes(tokens).decode(errors="replace")

    assert pieces(decode, list("好".encode()[:2])) == ["", "", "\ufffd"]
