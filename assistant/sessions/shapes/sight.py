"""Detectors and encoders of the real shapes with random weights, as the hub has them.

Sources: D-FINE and RF-DETR as transformers' conversion scripts build them (https://github.com/huggingface/transformers,
src/transformers/models/d_fine/convert_d_fine_original_pytorch_checkpoint_to_hf.py, `dfine_s_obj2coco`, and
models/rf_detr/convert_rf_detr_weights_to_hf.py, `rf-detr-medium`); CLIP is the ViT-B/32 of Radford et al. 2021, table
20; SigLIP 2 is the ViT-B/16 of SigLIP with the vocabulary of Gemma (Tschannen et al. 2025, section 2.1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assistant.sessions.shapes.minds import byte_tokenizer

_BASE = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
_SMALL = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 8}

ENCODERS: dict[str, dict[str, Any]] = {
    "siglip2-base": {
        "model_type": "siglip",
        "text_config": {**_BASE, "vocab_size": 256_000, "max_position_embeddings": 64, "projection_size": 768},
        "vision_config": {**_BASE, "image_size": 224, "patch_size": 16},
    },
    "clip-vit-base-patch32": {
        "model_type": "clip",
        "text_config": {**_SMALL, "vocab_size": 49_408, "max_position_embeddings": 77, "projection_dim": 512},
        "vision_config": {**_BASE, "image_size": 224, "patch_size": 32, "projection_dim": 512},
        "projection_dim": 512,
    },
}
"""name -> configuration"""

_HGNET_B0 = {
    "model_type": "hgnet_v2",
    "embedding_size": 32,
    "hidden_sizes": [128, 256, 512, 1024],
    "stem_channels": [3, 16, 16],
    "stage_in_channels": [16, 64, 256, 512],
    "stage_mid_channels": [16, 32, 64, 128],
    "stage_out_channels": [64, 256, 512, 1024],
    "stage_num_blocks": [1, 1, 2, 1],
    "stage_downsample": [False, True, True, True],
    "stage_light_block": [False, False, True, True],
    "stage_kernel_size": [3, 3, 5, 5],
    "stage_numb_of_layers": [3, 3, 3, 3],
    "use_learnable_affine_block": True,
    "out_indices": [2, 3, 4],
}
_DINO_SMALL = {
    "model_type": "rf_detr_dinov2",
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "image_size": 576,
    "patch_size": 16,
    "num_windows": 2,
    "out_features": ["stage3", "stage6", "stage9", "stage12"],
}

DETECTORS: dict[str, dict[str, Any]] = {
    "d-fine-small": {
        "model_type": "d_fine",
        "backbone_config": _HGNET_B0,
        "decoder_layers": 3,
        "hidden_expansion": 0.5,
        "depth_mult": 0.34,
        "decoder_n_points": [3, 6, 3],
        "encoder_in_channels": [256, 512, 1024],
        "num_labels": 80,
    },
    "rf-detr-medium": {
        "model_type": "rf_detr",
        "backbone_config": _DINO_SMALL,
        "decoder_layers": 4,
        "decoder_n_points": 2,
        "num_labels": 91,
    },
}
"""name -> configuration"""
SIDES = {"d-fine-small": 640, "rf-detr-medium": 576}
"""pixels to which a detector stretches its pictures"""


def encoder_model(name: str, known: Mapping[str, Mapping[str, Any]] = ENCODERS) -> Any:
    """The network of a key of `known`."""
    import transformers

    return transformers.AutoModel.from_config(_config(known[name]))


def detector_model(name: str, known: Mapping[str, Mapping[str, Any]] = DETECTORS) -> Any:
    """The network of a key of `known`."""
    import transformers

    return transformers.AutoModelForObjectDetection.from_config(_config(known[name]))


def random_encoder(name: str, folder: Path, known: Mapping[str, Mapping[str, Any]] = ENCODERS) -> Path:
    """An encoder of the shape of `name`, a key of `known`; its tokenizer reads bytes."""
    import torch

    torch.manual_seed(0)
    model = encoder_model(name, known)
    _save(model, folder, model.config.vision_config.image_size)
    byte_tokenizer(model.config.text_config.vocab_size).save_pretrained(folder)
    return folder


def random_detector(
    name: str, folder: Path, known: Mapping[str, Mapping[str, Any]] = DETECTORS, side: int | None = None
) -> Path:
    """A detector of the shape of `name`, a key of `known`, that is sure of nothing. `side`: as in SIDES."""
    import torch

    torch.manual_seed(0)
    model = detector_model(name, known)
    _save(model, folder, side or SIDES[name])
    return folder


def _config(told: Mapping[str, Any]) -> Any:
    import transformers

    rest = {key: value for key, value in told.items() if key not in ("model_type", "backbone_config")}
    if "backbone_config" in told:
        backbone = dict(told["backbone_config"])
        rest["backbone_config"] = transformers.AutoConfig.for_model(backbone.pop("model_type"), **backbone)
    return transformers.AutoConfig.for_model(told["model_type"], **rest)


def _save(model: Any, folder: Path, side: int) -> None:
    from assistant.backends.hub import quiet

    with quiet():  # it draws a bar
        model.save_pretrained(folder)
    settings = {"size": {"height": side, "width": side}, "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")
