"""Models of the real shapes with RANDOM weights: their speed is true, and their words and voices mean nothing.

For measuring engines where weights are not to be had. The same call makes the same model. Sources of the shapes:
Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022, table 1, and the checkpoints of
`openai-whisper`; the configurations of the minds (MINDS); the defaults of coqui-tts, which are those of its
`tts_models/en/ljspeech/vits`.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from assistant.errors import ConfigError

WHISPERS = {
    "tiny": (80, 384, 6, 4, 4, 51_865),
    "base": (80, 512, 8, 6, 6, 51_865),
    "small": (80, 768, 12, 12, 12, 51_865),
    "medium": (80, 1024, 16, 24, 24, 51_865),
    "large-v3": (128, 1280, 20, 32, 32, 51_866),
    "turbo": (128, 1280, 20, 32, 4, 51_866),
}
"""name -> bands, width, heads, layers of the encoder and of the decoder, tokens"""


def random_checkpoint(name: str, file: Path) -> Path:
    """A Whisper checkpoint (`.pt`) of the shape of `name`, a key of WHISPERS. Raises ConfigError for another name."""
    import torch
    from whisper.model import ModelDimensions, Whisper

    if name not in WHISPERS:
        near = get_close_matches(name, WHISPERS, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(WHISPERS)}"
        raise ConfigError(f"wanted the shape of a Whisper, got '{name}'; {hint}")
    bands, width, heads, hears, says, tokens = WHISPERS[name]
    torch.manual_seed(0)
    model = Whisper(ModelDimensions(bands, 1500, width, heads, hears, tokens, 448, width, heads, says))
    torch.nn.init.normal_(model.decoder.positional_embedding, std=0.02)  # left as found memory by Whisper
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"dims": asdict(model.dims), "model_state_dict": model.state_dict()}, file)
    return file


def random_vits(folder: Path) -> Path:
    """A VITS voice (`config.json`, `model.pth`) of 22 kHz that reads letters, and says each for about 45 ms.

    Durations come from the plain predictor: untrained, the stochastic one draws them without bounds.
    """
    import torch

    from assistant.backends.no_torchaudio import stand_in

    with stand_in():
        from TTS.tts.configs.shared_configs import BaseAudioConfig
        from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
        from TTS.tts.models.vits import Vits

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    config = VitsConfig(
        model_args=VitsArgs(init_discriminator=False, use_sdp=False, length_scale=2.0),
        audio=BaseAudioConfig(sample_rate=22_050, hop_length=256, win_length=1024, do_trim_silence=False),
        text_cleaner="english_cleaners",
        use_phonemes=False,
        phoneme_language="en-us",
    )
    model = Vits(config)
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    model.config.save_json(str(folder / "config.json"))
    return folder


# ---------------------------------------------------------------- minds

_SMALL = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9}
_MIDDLE = {"hidden_size": 960, "intermediate_size": 2560, "num_hidden_layers": 32, "num_attention_heads": 15}
_SIGLIP = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
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
"""name -> configuration; sources: config.json of HuggingFaceTB/SmolLM2-135M-Instruct and SmolVLM2-500M-Video-Instruct,
of Qwen/Qwen3-VL-4B-Instruct and Qwen3-VL-8B-Instruct on https://huggingface.co"""

_TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{% if part.type == 'image' %}PICTURE{% else %}{{ part.text }}{% endif %}{% endfor %}"
    "{% endif %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_MARKS = {
    "llama": (),
    "smolvlm": ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<video>"),
    "qwen3_vl": ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"),
}
_PICTURE = {"llama": "", "smolvlm": "<image>", "qwen3_vl": "<|vision_start|><|image_pad|><|vision_end|>"}


def random_mind(name: str, folder: Path) -> Path:
    """A mind as the hub has them, in bf16, of the shape of `name`, a key of MINDS; its tokenizer reads bytes.

    It hardly ever ends a reply by itself.
    """
    import torch
    import transformers

    from assistant.backends.hub import quiet

    torch.manual_seed(0)
    kind = MINDS[name]["model_type"]
    config = mind_config(name)
    tokenizer = _tokenizer(config.get_text_config().vocab_size, _MARKS[kind])
    tokenizer.chat_template = _TEMPLATE.replace("PICTURE", _PICTURE[kind])
    for key, token in _pictured(kind).items():
        setattr(config, key, tokenizer.convert_tokens_to_ids(token))
    sort: Any = transformers.AutoModelForCausalLM if kind == "llama" else transformers.AutoModelForImageTextToText
    model: Any = sort.from_config(config, dtype=torch.bfloat16)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    with quiet():  # it draws a bar
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _save_processor(kind, folder)
    return folder


def mind_config(name: str) -> Any:
    """The configuration of a key of MINDS."""
    import transformers

    told = dict(MINDS[name])
    if told["model_type"] == "qwen3_vl":
        told["text_config"] = {**told["text_config"], "rope_parameters": dict(_QWEN_ROPE)}
        told["text_config"]["tie_word_embeddings"] = told.get("tie_word_embeddings", False)
    return transformers.AutoConfig.for_model(told.pop("model_type"), **told)


def _pictured(kind: str) -> dict[str, str]:
    """What a configuration calls the tokens that stand for pictures."""
    if kind == "smolvlm":
        return {"image_token_id": "<image>"}
    if kind == "qwen3_vl":
        ids = {"image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}
        return ids | {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    return {}


def _tokenizer(size: int, marks: tuple[str, ...]) -> Any:
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
    elif kind == "qwen3_vl":
        size = {"shortest_edge": 65_536, "longest_edge": 16_777_216}
        transformers.Qwen2VLImageProcessorPil(patch_size=16, merge_size=2, size=size).save_pretrained(folder)
        extra = {"processor_class": "Qwen3VLProcessor"}
    else:
        return
    (folder / "processor_config.json").write_text(json.dumps(extra), encoding="utf-8")
