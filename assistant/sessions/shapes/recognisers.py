"""Whispers of the real shapes with random weights, as `openai-whisper` keeps its checkpoints.

Source of the shapes: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022, table 1, and
the model cards of https://github.com/openai/whisper: large-v3 has 128 bands and a token more, turbo is a large-v3 with
four layers that speak.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from assistant.errors import ConfigError, nearest

WHISPERS = {
    "tiny": (80, 384, 6, 4, 4, 51_865),
    "base": (80, 512, 8, 6, 6, 51_865),
    "small": (80, 768, 12, 12, 12, 51_865),
    "medium": (80, 1024, 16, 24, 24, 51_865),
    "large-v3": (128, 1280, 20, 32, 32, 51_866),
    "turbo": (128, 1280, 20, 32, 4, 51_866),
}
"""name -> bands, width, heads, layers of the encoder and of the decoder, tokens"""


def whisper_dimensions(name: str) -> Any:
    """The dimensions of a key of WHISPERS, as the library has them. Raises ConfigError for another name."""
    from whisper.model import ModelDimensions

    if name not in WHISPERS:
        hint = nearest(name, WHISPERS, f"choose one of {', '.join(WHISPERS)}")
        raise ConfigError(f"wanted the shape of a Whisper, got '{name}'; {hint}")
    bands, width, heads, hears, says, tokens = WHISPERS[name]
    return ModelDimensions(bands, 1500, width, heads, hears, tokens, 448, width, heads, says)


def random_checkpoint(name: str, file: Path) -> Path:
    """A checkpoint (`.pt`) of the shape of `name`, a key of WHISPERS. Raises ConfigError for another name."""
    import torch
    from whisper.model import Whisper

    torch.manual_seed(0)
    model = Whisper(whisper_dimensions(name))
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.02)  # left as found memory by Whisper
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"dims": asdict(model.dims), "model_state_dict": model.state_dict()}, file)
    return file
