"""Minds of the real shapes with random weights, as the hub has them; their tokenizers read bytes.

Sources of the shapes: `config.json` of HuggingFaceTB/SmolLM2-135M-Instruct and SmolVLM2-500M-Video-Instruct, of
LiquidAI/LFM2.5-VL-450M, of Qwen/Qwen3-VL-4B-Instruct and Qwen3-VL-8B-Instruct on https://huggingface.co.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SMALL = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9}
_MIDDLE = {"hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 15}
_SIGLIP = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
_LFM = {"hidden_size": 1024, "intermediate_size": 6656, "num_hidden_layers": 16, "num_attention_heads": 16}
_LFM |= {"num_key_value_heads": 8, "vocab_size": 65_536, "full_attn_idxs": [2, 5, 8, 10, 12, 14]}
_QWEN = {"num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}
_QWEN_ROPE = {"rope_type": "default", "rope_theta": 5_000_000.0, "mrope_section": [24, 20, 20]}
_QWEN_SEES = {"patch_size": 16, "num_heads": 16, "num_position_embeddings": 2304}

MINDS: dict[str, dict[str, Any]] = {
    "smollm2-135m": {"model_type": "llama", **_SMALL, "num_key_value_heads": 3, "vocab_size": 49_152}
    | {"tie_word_embeddings": True},
    "smolvlm2-500m": {
        "model_type": "smolvlm",
        "text_config": {"model_type": "llama", **_MIDDLE, "num_key_value_heads": 5, "vocab_size": 49_280},
        "vision_config": {**_SIGLIP, "image_size": 512, "patch_size": 16},
        "scale_factor": 4,
    },
    "lfm2.5-vl-450m": {
        "model_type": "lfm2_vl",
        "text_config": {"model_type": "lfm2", **_LFM},
        "vision_config": {"model_type": "siglip2_vision_model", **_SIGLIP, "patch_size": 16, "num_patches": 256}
        | {"vision_use_head": False},
        "projector_hidden_size": 2560,
        "downsample_factor": 2,
    },
    "qwen3-vl-4b": {
        "model_type": "qwen3_vl",
        "text_config": {**_QWEN, "hidden_size": 2560, "intermediate_size": 9728, "vocab_size": 151_936},
        "vision_config": {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "out_hidden_size": 2560}
        | {"deepstack_visual_indexes": [5, 11, 17], **_QWEN_SEES},
        "tie_word_embeddings": True,
    },
    "qwen3-vl-8b": {
        "model_type": "qwen3_vl",
        "text_config": {**_QWEN, "hidden_size": 4096, "intermediate_size": 12_288, "vocab_size": 151_936},
        "vision_config": {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "out_hidden_size": 4096}
        | {"deepstack_visual_indexes": [8, 16, 24], **_QWEN_SEES},
    },
}
"""name -> configuration"""

_TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{% if part.type == 'image' %}PICTURE{% else %}{{ part.text }}{% endif %}{% endfor %}"
    "{% endif %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_MARKS = {
    "llama": (),
    "smolvlm": ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<video>"),
    "lfm2_vl": ("<image>", "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>"),
    "qwen3_vl": ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
}
_PICTURE = {"llama": "", "smolvlm": "<image>", "lfm2_vl": "<image>"}
_PICTURE |= {"qwen3_vl": "<|vision_start|><|image_pad|><|vision_end|>"}
_SAID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
"""characters that may be a piece of a reply by themselves"""


def random_mind(name: str, folder: Path, known: Mapping[str, Mapping[str, Any]] = MINDS) -> Path:
    """A mind in bf16 of the shape of `name`, a key of `known`. Every token it says is a piece, and it never ends."""
    import torch

    from assistant.backends.hub import quiet

    torch.manual_seed(0)
    kind: str = known[name]["model_type"]
    config = mind_config(name, known)
    tokenizer = byte_tokenizer(config.get_text_config().vocab_size, _MARKS[kind])
    tokenizer.chat_template = _TEMPLATE.replace("PICTURE", _PICTURE[kind])
    for key, token in _pictured(kind).items():
        setattr(config, key, tokenizer.convert_tokens_to_ids(token))
    model = mind_model(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    unsaid = [i for word, i in tokenizer.get_vocab().items() if not (word in _SAID or word.startswith("w"))]
    model.get_output_embeddings().weight.data[unsaid] = 0  # a score of 0 is never the highest
    with quiet():  # it draws a bar
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _save_processor(kind, folder)
    return folder


def mind_config(name: str, known: Mapping[str, Mapping[str, Any]] = MINDS) -> Any:
    """The configuration of a key of `known`."""
    import transformers

    told = dict(known[name])
    if told["model_type"] == "qwen3_vl":
        told["text_config"] = {"rope_parameters": dict(_QWEN_ROPE), **told["text_config"]}
        told["text_config"]["tie_word_embeddings"] = told.get("tie_word_embeddings", False)
    return transformers.AutoConfig.for_model(told.pop("model_type"), **told)


def mind_model(config: Any) -> Any:
    """The network of a configuration, in bf16."""
    import torch
    import transformers

    sees = hasattr(config, "vision_config")
    sort: Any = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
    return sort.from_config(config, dtype=torch.bfloat16)


def _pictured(kind: str) -> dict[str, str]:
    """What a configuration calls the tokens that stand for pictures."""
    if kind in ("smolvlm", "lfm2_vl"):
        return {"image_token_id": "<image>"}
    if kind == "qwen3_vl":
        ids = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
        return ids | {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    return {}


def byte_tokenizer(size: int, marks: tuple[str, ...] = ()) -> Any:
    """A tokenizer of `size` tokens that reads bytes; the words that fill it up can be said, and are never read."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|end|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", *marks]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*alphabet, *(f"w{i}" for i in range(size - len(alphabet) - len(special)))]
    core = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", pad_token="<|pad|>")
    tokenizer.add_special_tokens({"additional_special_tokens": special[2:]})
    return tokenizer


def _save_processor(kind: str, folder: Path) -> None:
    """What prepares pictures, for a mind that sees."""
    import transformers

    if kind == "smolvlm":
        sides: dict[str, Any] = {"size": {"longest_edge": 2048}, "max_image_size": {"longest_edge": 512}}
        transformers.SmolVLMImageProcessorPil(**sides).save_pretrained(folder)
        extra: dict[str, Any] = {"processor_class": "SmolVLMProcessor", "image_seq_len": 64}
    elif kind == "lfm2_vl":
        bounds = {"tile_size": 512, "downsample_factor": 2, "min_image_tokens": 64, "max_image_tokens": 256}
        images = json.dumps({"image_processor_type": "Lfm2VlImageProcessor", "encoder_patch_size": 16} | bounds)
        (folder / "preprocessor_config.json").write_text(images, encoding="utf-8")
        extra = {"processor_class": "Lfm2VlProcessor"}
    elif kind == "qwen3_vl":
        size = {"shortest_edge": 65_536, "longest_edge": 16_777_216}
        transformers.Qwen2VLImageProcessorPil(patch_size=16, merge_size=2, size=size).save_pretrained(folder)
        extra = {"processor_class": "Qwen3VLProcessor"}
    else:
        return
    (folder / "processor_config.json").write_text(json.dumps(extra), encoding="utf-8")
