"""Makers of tiny models with RANDOM weights, in the file formats of the real ones: plumbing, never sense.

Each writes into a folder and is seeded, so that the same call makes the same model.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path


def random_whisper(file: Path, *, multilingual: bool = True, layers: int = 2, heads: int = 2) -> Path:
    """A Whisper checkpoint (`.pt`); the vocabulary keeps its size, for the tokenizer that comes with the package."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    torch.manual_seed(0)
    width = 16 * heads
    vocabulary = 51_865 if multilingual else 51_864
    model = Whisper(ModelDimensions(80, 1500, width, heads, layers, vocabulary, 448, width, heads, layers))
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.02)  # left as found memory by Whisper
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"dims": asdict(model.dims), "model_state_dict": model.state_dict()}, file)
    return file
