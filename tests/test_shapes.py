"""Random weights of the real shapes: the real engines load them, and they are as large as the published models."""

from pathlib import Path

import numpy as np
import pytest

from assistant.backends.coqui import Coqui
from assistant.backends.whisper import Whisper
from assistant.errors import ConfigError
from assistant.sessions.shapes import WHISPERS, random_checkpoint, random_vits

MILLIONS = {"tiny": 39, "base": 74, "small": 244, "medium": 769, "large-v3": 1550, "turbo": 809}
"""parameters, as the README of openai-whisper has them"""


@pytest.mark.parametrize("name", WHISPERS)
def test_shapes_are_as_large_as_the_published_models(name: str) -> None:
    import torch
    from whisper.model import AudioEncoder, TextDecoder

    bands, width, heads, hears, says, tokens = WHISPERS[name]
    with torch.device("meta"):  # numbers of parameters without the parameters
        halves = AudioEncoder(bands, 1500, width, heads, hears), TextDecoder(tokens, 448, width, heads, says)
    assert abs(sum(p.numel() for half in halves for p in half.parameters()) / 1e6 / MILLIONS[name] - 1) < 0.05


def test_a_random_whisper_is_taken_for_a_real_one(tmp_path: Path) -> None:
    engine = Whisper(str(random_checkpoint("tiny", tmp_path / "tiny.pt")))
    assert engine.languages == ("en", "zh")
    with pytest.raises(ConfigError, match="got 'tinny'; did you mean 'tiny'"):
        random_checkpoint("tinny", tmp_path / "tinny.pt")


def test_a_random_vits_is_taken_for_a_real_one(tmp_path: Path) -> None:
    voice = Coqui(str(random_vits(tmp_path)), seed=0)
    speech = voice.synthesise("yes it is", "en", lambda: False)
    assert 0.2 < len(speech.pcm) / speech.rate_hz < 3 and np.isfinite(speech.pcm).all()
    assert sum(p.numel() for p in voice._speaks._model.parameters()) > 25e6  # type: ignore[union-attr]
