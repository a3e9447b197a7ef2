"""Makers of tiny models with RANDOM weights, in the file formats of the real ones: plumbing, never sense.

Each writes into a folder and is seeded, so that the same call makes the same model.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any


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


CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{% if part.type == 'image' %}IMAGE{% else %}{{ part.text }}{% endif %}{% endfor %}"
    "{% endif %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""Images first, then text, as the real ones have it; IMAGE stands for a family's own picture mark."""

PICTURE_MARKS = {
    "smolvlm": "<image>",
    "idefics3": "<image>",
    "qwen3_vl": "<|vision_start|><|image_pad|><|vision_end|>",
}


def random_seeing_mind(folder: Path, family: str) -> Path:
    """A vision-language model of a `family` (a key of PICTURE_MARKS), with its processor, as the hub has them."""
    import json

    import torch
    from transformers import AutoModelForImageTextToText

    torch.manual_seed(0)
    marks = {"<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<video>"}
    if family == "qwen3_vl":
        marks = {"<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"}
    tokenizer = byte_tokenizer(sorted(marks))
    tokenizer.chat_template = CHAT_TEMPLATE.replace("IMAGE", PICTURE_MARKS[family])
    config, images, extra = _family(family, tokenizer)
    model: Any = AutoModelForImageTextToText.from_config(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    images.save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps(extra))
    return folder


def byte_tokenizer(marks: list[str]) -> Any:
    """A tokenizer whose words are bytes, and `marks` as special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", pad_token="<|pad|>")
    roles = ["<|system|>", "<|user|>", "<|assistant|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": roles + marks})
    return tokenizer


def _family(family: str, tokenizer: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Config, image processor and processor settings, as small as they go."""
    import transformers

    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 2048,
        "head_dim": 16,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    token = tokenizer.convert_tokens_to_ids
    if family == "qwen3_vl":
        vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 8}
        vision |= {"out_hidden_size": 32, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
        text["rope_parameters"] = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 2, 2]}
        config = transformers.Qwen3VLConfig(
            text_config=text,
            vision_config=vision,
            image_token_id=token("<|image_pad|>"),
            video_token_id=token("<|video_pad|>"),
            vision_start_token_id=token("<|vision_start|>"),
            vision_end_token_id=token("<|vision_end|>"),
        )
        size = {"shortest_edge": 16 * 16, "longest_edge": 128 * 128}
        images = transformers.Qwen2VLImageProcessorPil(patch_size=8, merge_size=2, size=size)
        return config, images, {"processor_class": "Qwen3VLProcessor"}
    name = {"smolvlm": "SmolVLM", "idefics3": "Idefics3"}[family]
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision |= {"image_size": 32, "patch_size": 8}
    config = getattr(transformers, f"{name}Config")(
        text_config={"model_type": "llama", **text},
        vision_config=vision,
        image_token_id=token("<image>"),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    processor = getattr(transformers, f"{name}ImageProcessorPil")
    images = processor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    return config, images, {"processor_class": f"{name}Processor", "image_seq_len": 4}


def random_voice(folder: Path, *, phonemes: bool = False, speakers: int = 0) -> Path:
    """A VITS voice (`config.json`, `model.pth`): a murmur whose length follows the text's."""
    import torch

    from assistant.backends.no_torchaudio import stand_in

    with stand_in():
        from TTS.tts.configs.shared_configs import BaseAudioConfig
        from TTS.tts.configs.vits_config import VitsArgs, VitsConfig
        from TTS.tts.models.vits import Vits

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    named = folder / "speakers.pth"
    if speakers:
        torch.save({f"speaker {i}": i for i in range(speakers)}, named)
    args = VitsArgs(
        hidden_channels=16,
        hidden_channels_ffn_text_encoder=16,
        num_layers_text_encoder=1,
        num_layers_posterior_encoder=1,
        num_layers_flow=1,
        upsample_initial_channel_decoder=32,
        init_discriminator=False,
        use_sdp=False,  # untrained, the stochastic predictor draws durations without bounds
        use_speaker_embedding=speakers > 0,
        speakers_file=str(named) if speakers else None,
        speaker_embedding_channels=8 if speakers else 0,
    )
    config = VitsConfig(
        model_args=args,
        audio=BaseAudioConfig(sample_rate=22_050, hop_length=256, win_length=1024, do_trim_silence=False),
        text_cleaner="english_cleaners",
        use_phonemes=phonemes,
        phonemizer="espeak" if phonemes else None,
        phoneme_language="en-us",
    )
    model = Vits(config)
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    model.config.save_json(str(folder / "config.json"))
    return folder
