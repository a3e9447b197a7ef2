"""Tiny models with random weights of every kind whose real shapes are known: the engines take them for real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assistant.backends import Message, load
from assistant.sessions.engines import Case, Row, measure_case
from assistant.sessions.shapes import minds, sight, voices
from assistant.sessions.work import REPLY_TOKENS, shown

WIDTH = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
TEXT: dict[str, Any] = {**WIDTH, "num_key_value_heads": 1, "vocab_size": 400, "head_dim": 16}
QWEN = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 2, 2]}
MINDS: dict[str, dict[str, Any]] = {
    "text": {"model_type": "llama", **TEXT, "tie_word_embeddings": True},
    "smolvlm": {
        "model_type": "smolvlm",
        "text_config": {"model_type": "llama", **TEXT},
        "vision_config": {**WIDTH, "image_size": 512, "patch_size": 64},
        "scale_factor": 1,
    },
    "lfm2_vl": {
        "model_type": "lfm2_vl",
        "text_config": {"model_type": "lfm2", **WIDTH, "num_key_value_heads": 1, "vocab_size": 400}
        | {"num_hidden_layers": 3, "full_attn_idxs": [1], "block_multiple_of": 8},
        "vision_config": {"model_type": "siglip2_vision_model", **WIDTH, "patch_size": 16, "num_patches": 256}
        | {"vision_use_head": False},
        "projector_hidden_size": 32,
    },
    "qwen3_vl": {
        "model_type": "qwen3_vl",
        "text_config": {**TEXT, "rope_parameters": QWEN},
        "vision_config": {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "out_hidden_size": 32, "num_heads": 2}
        | {"deepstack_visual_indexes": [0], "patch_size": 16, "num_position_embeddings": 64},
    },
}
"""as small as they go, with the pictures of the real ones"""
ENCODERS: dict[str, dict[str, Any]] = {
    "siglip": {
        "model_type": "siglip",
        "text_config": {**WIDTH, "vocab_size": 400, "projection_size": 32},
        "vision_config": {**WIDTH, "image_size": 32, "patch_size": 8},
    },
    "clip": {
        "model_type": "clip",
        "text_config": {**WIDTH, "vocab_size": 400, "projection_dim": 24, "eos_token_id": 1},
        "vision_config": {**WIDTH, "image_size": 32, "patch_size": 8, "projection_dim": 24},
        "projection_dim": 24,
    },
}
HGNET: dict[str, Any] = {
    "model_type": "hgnet_v2",
    "embedding_size": 8,
    "hidden_sizes": [8, 16, 16, 16],
    "stem_channels": [3, 8, 8],
    "stage_in_channels": [8, 8, 16, 16],
    "stage_mid_channels": [8] * 4,
    "stage_out_channels": [8, 16, 16, 16],
    "stage_num_blocks": [1] * 4,
    "stage_downsample": [False, True, True, True],
    "stage_light_block": [False] * 4,
    "stage_kernel_size": [3] * 4,
    "stage_numb_of_layers": [1] * 4,
    "out_indices": [2, 3, 4],
}
DETECTORS: dict[str, dict[str, Any]] = {
    "d_fine": {
        "model_type": "d_fine",
        "backbone_config": HGNET,
        "encoder_in_channels": [16] * 3,
        "encoder_hidden_dim": 16,
        "encoder_ffn_dim": 16,
        "encoder_attention_heads": 2,
        "d_model": 16,
        "decoder_in_channels": [16] * 3,
        "decoder_ffn_dim": 16,
        "decoder_layers": 2,
        "decoder_attention_heads": 2,
        "decoder_n_points": [4] * 3,
        "num_queries": 10,
        "num_labels": 3,
    },
    "rf_detr": {
        "model_type": "rf_detr",
        "backbone_config": {
            "model_type": "rf_detr_dinov2",
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 8,
            "num_windows": 2,
            "out_features": ["stage1", "stage2"],
        },
        "d_model": 16,
        "decoder_layers": 2,
        "decoder_self_attention_heads": 2,
        "decoder_cross_attention_heads": 2,
        "decoder_ffn_dim": 16,
        "num_queries": 10,
        "num_labels": 3,
    },
}


@pytest.fixture(scope="module", params=MINDS)
def mind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return minds.random_mind(request.param, tmp_path_factory.mktemp("mind") / request.param, MINDS)


def test_a_random_mind_says_every_token_as_a_piece_and_never_ends(mind: Path) -> None:
    engine = load("mind", "transformers", model=str(mind), max_tokens=48, dtype="float32")
    prompts = [Message("user", "Count from one to thirty, in words."), Message("user", "Which way?")]
    if engine.sees:
        prompts.append(Message("user", "What is this?", (shown(0),)))
    for prompt in prompts:
        pieces = list(engine.reply([prompt], lambda: False))
        assert len(pieces) == 48 and all(pieces)


def test_a_mind_that_sees_is_measured_with_a_picture_too(mind: Path) -> None:
    options = {"model": str(mind), "max_tokens": REPLY_TOKENS, "dtype": "float32"}
    rows = measure_case(Case("mind", "transformers", "tiny", options, "random"))
    assert [row.model for row in rows] == (["tiny"] if mind.name == "text" else ["tiny", "tiny, a picture"])
    assert {row.unit for row in rows} == {"tokens/s"}
    assert all(_measured(row) for row in rows)


def test_the_picture_that_a_mind_is_measured_with_is_another_each_time() -> None:
    pictures = [shown(turn) for turn in range(4)]
    assert len({picture.tobytes() for picture in pictures}) == 4


@pytest.mark.parametrize("name", ENCODERS)
def test_a_random_encoder_is_measured(name: str, tmp_path: Path) -> None:
    folder = sight.random_encoder(name, tmp_path / name, ENCODERS)
    (row,) = measure_case(Case("encoder", name, "tiny", {"model": str(folder)}, "random"))
    assert row.unit == "pictures/s" and _measured(row)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_random_detector_is_measured(name: str, tmp_path: Path) -> None:
    folder = sight.random_detector(name, tmp_path / name, DETECTORS, 64)
    (row,) = measure_case(Case("detector", "transformers", "tiny", {"model": str(folder)}, "random"))
    assert row.unit == "pictures/s" and _measured(row)


def test_a_random_vits_has_the_speakers_that_are_wanted(tmp_path: Path) -> None:
    small = {"hidden_channels": 16, "hidden_channels_ffn_text_encoder": 16, "num_layers_text_encoder": 1}
    small |= {"num_layers_posterior_encoder": 1, "num_layers_flow": 1, "upsample_initial_channel_decoder": 32}
    folder = voices.random_vits(tmp_path / "voice", 3, **small)
    voice = load("voice", "coqui", model=str(folder), speaker="speaker 2")
    assert voice.synthesise("Hello there.", "en", lambda: False).pcm.any()


def test_a_random_xtts_says_so_many_codes_and_then_ends(tmp_path: Path) -> None:
    codes = 20
    small = {"gpt_layers": 1, "gpt_n_model_channels": 64, "gpt_n_heads": 2, "decoder_input_dim": 64}
    folder = voices.random_xtts(tmp_path / "voice", gpt_max_audio_tokens=codes + 3, **small)
    voice = load("voice", "coqui", model=str(folder), accept_licence=True)
    speech = voice.synthesise("The red cup stands on the table.", "en", lambda: False)
    assert len(speech.pcm) / speech.rate_hz == pytest.approx(codes * 1024 / 22_050, rel=0.1)


def _measured(row: Row) -> bool:
    return bool(row.first_ms and row.first_ms > 0 and row.rate and row.rate > 0 and row.load_s)
