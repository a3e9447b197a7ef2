"""Weights of Whisper: by a name of OpenAI's, a checkpoint (`.pt`), or a folder or repository in the hub's format.

Knows files and formats; what is computed with the weights, and in which numbers, is not its business.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assistant.backends import hub
from assistant.errors import WeightsError
from assistant.models import advice

_HUB_NAME = re.compile(r"[\w.-]+/(?!.*\.pt$)[\w.-]+")
_CONFIG = "config.json"
_TENSORS = "model.safetensors"
_RENAMED = (
    ("layers", "blocks"),
    ("self_attn_layer_norm", "attn_ln"),
    ("encoder_attn_layer_norm", "cross_attn_ln"),
    ("final_layer_norm", "mlp_ln"),
    ("self_attn", "attn"),
    ("encoder_attn", "cross_attn"),
    ("q_proj", "query"),
    ("k_proj", "key"),
    ("v_proj", "value"),
    ("out_proj", "out"),
    ("fc1", "mlp.0"),
    ("fc2", "mlp.2"),
    ("encoder.layer_norm", "encoder.ln_post"),
    ("decoder.layer_norm", "decoder.ln"),
    ("embed_tokens", "token_embedding"),
    ("embed_positions.weight", "positional_embedding"),
)
"""the hub's name of a part -> Whisper's own, in the order in which they are to be replaced"""


def load_weights(model: str, folder: str | None, offline: bool) -> Any:
    """A checkpoint as `whisper.model.Whisper`, in fp32 and on the processor, with the alignment heads that it names.

    `model` is a name (`base`), a file (`.pt`), a folder that holds one, a folder as the hub has them (`config.json` and
    `model.safetensors`), or a repository on the hub (`owner/name`); names and files are also looked for in `folder`.
    Raises WeightsError where it is not there and cannot be had, or is damaged.
    """
    import whisper

    if model not in whisper._MODELS:
        place = _place(model, folder)
        if place is None or place.is_dir():
            return hub.have("recogniser", str(place or model), _converted, offline=offline)
        return _checkpoint(place)
    loaded = _checkpoint(_named(model, folder, offline))
    loaded.set_alignment_heads(whisper._ALIGNMENT_HEADS[model])  # loading by path leaves the last layers' heads
    return loaded


def _place(model: str, folder: str | None) -> Path | None:
    """The file or folder that a model is; None for a name on the hub."""
    import whisper

    given = Path(model).expanduser()
    inside = [Path(folder).expanduser() / name for name in (model, f"{model}.pt")] if folder else []
    for place in (given, *inside):
        if place.is_file() or (place / _CONFIG).is_file():
            return place
        if len(found := sorted(place.glob("*.pt"))) == 1:
            return found[0]
    if _HUB_NAME.fullmatch(model) and not given.exists():
        return None
    known = ", ".join(whisper.available_models())
    advice = f"name a .pt file, a folder with one model, one on the hub or one of {known}"
    raise WeightsError(f"wanted a Whisper model, got '{model}'; {advice}")


def _checkpoint(file: Path) -> Any:
    import whisper

    try:
        return whisper.load_model(str(file), device="cpu")
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"wanted a Whisper checkpoint in '{file}', got '{hub.line(error)}'; fetch the file again"
        ) from error


def _named(model: str, folder: str | None, offline: bool) -> Path:
    """Where the checkpoint of a name lies, after fetching it where that is allowed."""
    import whisper

    url = whisper._MODELS[model]
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    root = Path(folder or f"{cache}/whisper").expanduser()
    file = root / Path(url).name
    if file.is_file() and _sha256(file) == Path(url).parent.name:
        return file
    wanted = f"wanted the weights of Whisper '{model}' in '{root}'"
    if offline:
        found = "a damaged file" if file.is_file() else "none"
        raise WeightsError(f"{wanted}, got {found}; {advice('recogniser', model, 'run once without --offline')}")
    try:
        return Path(str(whisper._download(url, str(root), in_memory=False)))
    except (OSError, RuntimeError, TypeError) as error:  # TypeError: a proxy answers without a length
        cure = f"{advice('recogniser', model, 'check the network')}, or put {url} there"
        raise WeightsError(f"{wanted}, the download ended in '{error}'; {cure}") from error


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


# ---------------------------------------------------------------- the hub's format


def _converted(model: str) -> Any:
    """A folder in the hub's format, as Whisper's own package has models.

    Raises what `hub.have` makes a WeightsError of.
    """
    import torch
    from safetensors.torch import load_file
    from whisper.model import ModelDimensions, Whisper

    folder = Path(model)
    said: dict[str, Any] = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    if said.get("model_type") != "whisper":
        raise ValueError(f"a model of type {said.get('model_type')}, no whisper")
    encoder = (said["d_model"], said["encoder_attention_heads"], said["encoder_layers"])
    decoder = (said["d_model"], said["decoder_attention_heads"], said["decoder_layers"])
    heard = (said["num_mel_bins"], said["max_source_positions"])
    loaded = Whisper(ModelDimensions(*heard, *encoder, said["vocab_size"], said["max_target_positions"], *decoder))
    loaded.load_state_dict({name: tensor.float() for name, tensor in _renamed(load_file(folder / _TENSORS))})
    generation = folder / "generation_config.json"
    told = json.loads(generation.read_text(encoding="utf-8")) if generation.is_file() else {}
    if heads := told.get("alignment_heads"):
        mask = torch.zeros(loaded.dims.n_text_layer, loaded.dims.n_text_head, dtype=torch.bool)
        mask[tuple(zip(*heads, strict=True))] = True
        loaded.register_buffer("alignment_heads", mask.to_sparse(), persistent=False)
    return loaded.eval()


def _renamed(tensors: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The hub's tensors under Whisper's names; the output layer is the input's, and left out."""
    for name, tensor in tensors.items():
        if name.startswith("proj_out."):
            continue
        name = name.removeprefix("model.")
        for theirs, ours in _RENAMED:
            name = name.replace(theirs, ours)
        yield name, tensor
