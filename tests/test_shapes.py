"""Random weights of the real shapes: the real engines load them, and they are as large as the published models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.backends.coqui import Coqui
from assistant.backends.whisper import Whisper
from assistant.errors import ConfigError
from assistant.models import known
from assistant.sessions.shapes import minds, recognisers, sight, voices


def _mind(name: str) -> Any:
    model = minds.mind_model(minds.mind_config(name))
    model.tie_weights()
    return model


def _whisper(name: str) -> Any:
    """Both halves; the whole refuses to be made without its numbers."""
    import torch
    from whisper.model import AudioEncoder, TextDecoder

    of = recognisers.whisper_dimensions(name)
    ears = AudioEncoder(of.n_mels, of.n_audio_ctx, of.n_audio_state, of.n_audio_head, of.n_audio_layer)
    mouth = TextDecoder(of.n_vocab, of.n_text_ctx, of.n_text_state, of.n_text_head, of.n_text_layer)
    return torch.nn.ModuleList([ears, mouth])


SIZES: dict[str, tuple[Callable[[], Any], int]] = {
    **{f"whisper-{name}": (partial(_whisper, name), 2) for name in ("tiny", "base", "small")},
    **{f"whisper-{name}": (partial(_whisper, name), 2) for name in ("large-v3", "turbo")},
    "smolvlm2-500m": (partial(_mind, "smolvlm2-500m"), 4),
    **{name: (partial(_mind, name), 2) for name in ("lfm2.5-vl-450m", "qwen3-vl-4b", "qwen3-vl-8b")},
    "xtts-v2": (voices.xtts_model, 4),
    **{name: (partial(sight.detector_model, name), 4) for name in sight.DETECTORS},
    "clip-vit-base-patch32": (partial(sight.encoder_model, "clip-vit-base-patch32"), 4),
}
"""name -> the network, and the bytes that a weight takes in its file"""


@pytest.mark.parametrize("name", SIZES)
def test_a_shape_is_as_large_as_the_file_that_the_catalogue_knows(name: str) -> None:
    import torch

    make, each = SIZES[name]
    with torch.device("meta"):  # it is counted without being made
        model = make()
    assert each * _numbers(model) == pytest.approx(known(name).size_bytes, rel=0.01)


def test_smollm2_has_its_135_millions() -> None:
    """Source: https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct; the catalogue's file is quantised."""
    import torch

    with torch.device("meta"):
        model = _mind("smollm2-135m")
    assert _numbers(model) == pytest.approx(135e6, rel=0.01)


def test_siglip_2_is_as_large_as_its_file() -> None:
    """Its `model.safetensors` has 1,500,800,904 bytes; the catalogue counts its vocabulary, too."""
    import torch

    with torch.device("meta"):
        model = sight.encoder_model("siglip2-base")
    assert 4 * _numbers(model) == pytest.approx(1_500_800_904, rel=1e-3)


def test_vits_is_as_large_as_its_file_and_larger_with_speakers(tmp_path: Path) -> None:
    """With the predictor of durations that the real one has; torch cannot count this one without making it."""
    one = voices.vits_model(use_sdp=True)
    assert 4 * _numbers(one) == pytest.approx(known("coqui-vits-ljspeech").size_bytes, rel=0.01)
    many = voices.vits_model(voices.named_speakers(tmp_path / "speakers.pth", voices.SPEAKERS), use_sdp=True)
    assert many.emb_g.weight.shape == (109, 256) and _numbers(many) > _numbers(one)


def _numbers(model: Any) -> int:
    """How many numbers it is made of; of its buffers none is large but Whisper's positions, which its file has, too."""
    return sum(kept.numel() for kept in (*model.parameters(), *model.buffers()))


def test_whisper_medium_has_its_769_millions() -> None:
    """Source: the README of openai-whisper; the catalogue does not have it."""
    import torch

    with torch.device("meta"):
        model = _whisper("medium")
    assert _numbers(model) == pytest.approx(769e6, rel=0.01)


def test_a_random_whisper_is_taken_for_a_real_one(tmp_path: Path) -> None:
    engine = Whisper(str(recognisers.random_checkpoint("tiny", tmp_path / "tiny.pt")))
    assert engine.languages == ("en", "zh")
    with pytest.raises(ConfigError, match="got 'tinny'; did you mean 'tiny'"):
        recognisers.random_checkpoint("tinny", tmp_path / "tinny.pt")


def test_a_random_vits_is_taken_for_a_real_one(tmp_path: Path) -> None:
    voice = Coqui(str(voices.random_vits(tmp_path)), seed=0)
    speech = voice.synthesise("yes it is", "en", lambda: False)
    assert 0.2 < len(speech.pcm) / speech.rate_hz < 3 and np.isfinite(speech.pcm).all()
