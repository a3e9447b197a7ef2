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


def random_hub_whisper(folder: Path) -> Path:
    """A Whisper as the hub has them (`config.json`, `model.safetensors`), with alignment heads of its own."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        vocab_size=51_865, d_model=32, encoder_layers=2, decoder_layers=3, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=128, decoder_ffn_dim=128,
    )  # fmt: skip
    model = transformers.WhisperForConditionalGeneration(config)
    settings: Any = model.generation_config
    settings.alignment_heads = [[1, 0], [2, 1]]
    model.save_pretrained(folder)
    return folder


CHAT_TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{% if part.type == 'image' %}IMAGE{% else %}{{ part.text }}{% endif %}{% endfor %}"
    "{% endif %}<|end|>{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
"""Images first, then text, as the real ones have it; IMAGE stands for a family's own picture mark."""

PICTURE_MARKS = {
    "smolvlm": "<image>",
    "idefics3": "<image>",
    "qwen2_5_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "qwen3_vl": "<|vision_start|><|image_pad|><|vision_end|>",
    "qwen3_5": "<|vision_start|><|image_pad|><|vision_end|>",
    "gemma3": "<start_of_image>",
    "lfm2_vl": "<image>",
    "llava_onevision": "<image>",
}

SPEAKABLE = "abcdefghijklmnopqrstuvwxyz" + "Ġ"
"""what random minds say, so that a voice has something to speak; Ġ is a space"""


def random_seeing_mind(
    folder: Path, family: str, template: str = CHAT_TEMPLATE, more_marks: tuple[str, ...] = ()
) -> Path:
    """A vision-language model of a `family` (a key of PICTURE_MARKS), with its processor, as the hub has them."""
    import json

    import torch
    from transformers import AutoModelForImageTextToText

    torch.manual_seed(0)
    marks = {"<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<video>"}
    named: dict[str, str] = {}
    if family.startswith("qwen"):
        marks = {"<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"}
    if family == "lfm2_vl":
        marks |= {"<|image_start|>", "<|image_end|>", "<|img_thumbnail|>"}
    if family == "gemma3":
        named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer = byte_tokenizer(sorted({*marks, *more_marks}), named)
    tokenizer.chat_template = template.replace("IMAGE", PICTURE_MARKS[family])
    config, images, extra = _family(family, tokenizer)
    model: Any = AutoModelForImageTextToText.from_config(config)
    for weights in model.parameters():
        if weights.dim() > 1 and not weights.any():  # Gemma 3's projector begins with zeros, and would show nothing
            torch.nn.init.normal_(weights, std=0.02)
    unspeakable = [i for letter, i in tokenizer.get_vocab().items() if len(letter) == 1 and letter not in SPEAKABLE]
    model.get_output_embeddings().weight.data[unspeakable] = 0
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if isinstance(images, dict):
        (folder / "preprocessor_config.json").write_text(json.dumps(images))
    else:
        images.save_pretrained(folder)
    (folder / "processor_config.json").write_text(json.dumps(extra))
    return folder


def byte_tokenizer(marks: list[str], named: dict[str, str] | None = None) -> Any:
    """A tokenizer whose words are bytes, and `marks` as special tokens; `named` ones are attributes of it, too."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    extra = {"extra_special_tokens": named} if named else {}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|end|>", pad_token="<|pad|>", **extra)
    roles = ["<|system|>", "<|user|>", "<|assistant|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": roles + marks})
    return tokenizer


def _family(family: str, tokenizer: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Config, image processor (or its settings) and processor settings, as small as they go."""
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
    vision = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision |= {"image_size": 32, "patch_size": 8}
    if family.startswith("qwen"):
        return _qwen(family, text, tokenizer.convert_tokens_to_ids)
    return {"gemma3": _gemma3, "lfm2_vl": _lfm2_vl, "llava_onevision": _llava_onevision}.get(family, _idefics)(
        family, text, vision, tokenizer
    )


def _idefics(family: str, text: dict[str, Any], vision: dict[str, Any], tokenizer: Any) -> Any:
    import transformers

    name = {"smolvlm": "SmolVLM", "idefics3": "Idefics3"}[family]
    config = getattr(transformers, f"{name}Config")(
        text_config={"model_type": "llama", **text},
        vision_config=vision,
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    processor = getattr(transformers, f"{name}ImageProcessorPil")
    images = processor(size={"longest_edge": 64}, max_image_size={"longest_edge": 32})
    return config, images, {"processor_class": f"{name}Processor", "image_seq_len": 4}


def _qwen(family: str, text: dict[str, Any], token: Any) -> Any:
    """Qwen3.5's first layer is recurrent."""
    import transformers

    name = {"qwen2_5_vl": "Qwen2_5_VL", "qwen3_vl": "Qwen3VL", "qwen3_5": "Qwen3_5"}[family]
    vision: dict[str, Any] = {"depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 8}
    text["rope_parameters"] = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 2, 2]}
    if family == "qwen2_5_vl":
        vision |= {"out_hidden_size": 32, "window_size": 32, "fullatt_block_indexes": [1]}
    else:
        vision |= {"out_hidden_size": 32, "num_position_embeddings": 64}
    if family == "qwen3_vl":
        vision |= {"deepstack_visual_indexes": [0]}
    if family == "qwen3_5":
        text |= {"layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 2}
        text |= {"linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8}
        text["rope_parameters"] |= {"partial_rotary_factor": 1.0, "mrope_interleaved": True}
    config = getattr(transformers, f"{name}Config")(
        text_config=text,
        vision_config=vision,
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
    )
    size = {"shortest_edge": 16 * 16, "longest_edge": 128 * 128}
    images = transformers.Qwen2VLImageProcessorPil(patch_size=8, merge_size=2, size=size)
    processor = {"qwen2_5_vl": "Qwen2_5_VLProcessor"}.get(family, "Qwen3VLProcessor")
    return config, images, {"processor_class": processor}


def _gemma3(family: str, text: dict[str, Any], vision: dict[str, Any], tokenizer: Any) -> Any:
    """One layer's window is 24 tokens; the other layer looks at all of them."""
    import transformers

    token = tokenizer.convert_tokens_to_ids
    text |= {"sliding_window": 24, "layer_types": ["sliding_attention", "full_attention"], "bos_token_id": None}
    config = transformers.Gemma3Config(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=4,
        image_token_index=token("<image_soft_token>"),
        boi_token_index=token("<start_of_image>"),
        eoi_token_index=token("<end_of_image>"),
    )
    images = transformers.Gemma3ImageProcessorPil(size={"height": 32, "width": 32})
    return config, images, {"processor_class": "Gemma3Processor", "image_seq_length": 4}


def _lfm2_vl(family: str, text: dict[str, Any], vision: dict[str, Any], tokenizer: Any) -> Any:
    """Two layers of short convolutions, one of attention."""
    import transformers

    del text["head_dim"], vision["image_size"]
    text |= {"num_hidden_layers": 3, "layer_types": ["conv", "full_attention", "conv"], "block_multiple_of": 8}
    config = transformers.Lfm2VlConfig(
        tie_word_embeddings=False,  # or with random weights it says its prompt's last token for ever
        text_config={"model_type": "lfm2", "tie_word_embeddings": False, **text},
        vision_config={"model_type": "siglip2_vision_model", **vision, "num_patches": 64, "vision_use_head": False},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        projector_hidden_size=32,
    )
    images = {"image_processor_type": "Lfm2VlImageProcessor", "encoder_patch_size": 8, "tile_size": 64}
    images |= {"min_image_tokens": 4, "max_image_tokens": 16}
    return config, images, {"processor_class": "Lfm2VlProcessor"}


def _llava_onevision(family: str, text: dict[str, Any], vision: dict[str, Any], tokenizer: Any) -> Any:
    import transformers

    pinpoints = [[32, 32], [32, 64], [64, 32], [64, 64]]
    config = transformers.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **text},
        vision_config={"model_type": "siglip_vision_model", **vision, "vision_use_head": False},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
    )
    images = transformers.LlavaOnevisionImageProcessorPil(
        size={"height": 32, "width": 32}, image_grid_pinpoints=pinpoints
    )
    extra = {"processor_class": "LlavaOnevisionProcessor", "num_image_tokens": 16}
    return config, images, {**extra, "vision_feature_select_strategy": "full"}


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


def random_kokoro(folder: Path, names: tuple[str, ...] = ("af_heart", "zf_xiaobei", "bf_emma")) -> Path:
    """A network with Kokoro's inputs and outputs (`kokoro.onnx`, `voices.bin`): each phoneme is a stretch of noise of
    its own, 600 samples long, as loud as the speaker's style says.
    """
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (178, 600)).astype(np.float32)
    tensors = {"noise": noise, "ones": np.ones(178, np.int64), "flat": np.array([-1], np.int64)}
    nodes = [
        ("Gather", ["noise", "tokens"], "stretches"),
        ("Reshape", ["stretches", "flat"], "plain"),
        ("ReduceMean", ["style"], "loudness"),
        ("Reshape", ["loudness", "flat"], "gain"),
        ("Mul", ["plain", "gain"], "styled"),
        ("Mul", ["styled", "speed"], "audio"),
        ("Gather", ["ones", "tokens"], "frames"),
        ("Reshape", ["frames", "flat"], "duration"),
    ]
    inputs = {"tokens": (np.int64, 2), "style": (np.float32, 2), "speed": (np.float32, 1)}
    outputs = {"audio": (np.float32, 1), "duration": (np.int64, 1)}
    (folder / "kokoro.onnx").write_bytes(onnx_file(nodes, tensors, inputs, outputs))
    styles = {name: np.full((510, 1, 256), 0.5 + 0.1 * i, np.float32) for i, name in enumerate(names)}
    with (folder / "voices.bin").open("wb") as file:
        np.savez(file, **styles)  # type: ignore[arg-type]  # the names are the voices'
    return folder


def onnx_file(
    nodes: list[tuple[str, list[str], str]],
    tensors: dict[str, Any],
    inputs: dict[str, tuple[Any, int]],
    outputs: dict[str, tuple[Any, int]],
) -> bytes:
    """An ONNX model, opset 13: nodes as (operator, inputs, output), inputs and outputs as (type, number of axes)."""
    import numpy as np

    kinds = {np.dtype(np.float32): 1, np.dtype(np.int64): 7}

    def number(value: int) -> bytes:
        low, rest = value & 0x7F, value >> 7
        return bytes([low | 0x80]) + number(rest) if rest else bytes([low])

    def field(key: int, value: int | str | bytes) -> bytes:
        if isinstance(value, int):
            return number(key << 3) + number(value)
        raw = value.encode() if isinstance(value, str) else value
        return number(key << 3 | 2) + number(len(raw)) + raw

    def described(name: str, kind: Any, axes: int) -> bytes:
        shape = b"".join(field(1, field(2, f"{name}{axis}")) for axis in range(axes))
        return field(1, name) + field(2, field(1, field(1, kinds[np.dtype(kind)]) + field(2, shape)))

    graph = field(2, "random")
    for operator, taken, made in nodes:
        named = b"".join(field(1, name) for name in taken)
        graph += field(1, named + field(2, made) + field(4, operator))
    for name, tensor in tensors.items():
        axes = b"".join(field(1, size) for size in tensor.shape)
        graph += field(5, axes + field(2, kinds[tensor.dtype]) + field(8, name) + field(9, tensor.tobytes()))
    graph += b"".join(field(11, described(name, *shape)) for name, shape in inputs.items())
    graph += b"".join(field(12, described(name, *shape)) for name, shape in outputs.items())
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def random_xtts(folder: Path, speakers: tuple[str, ...] = ("Ana", "Ben")) -> Path:
    """An XTTS (`config.json`, `model.pth`, `vocab.json`, `speakers_xtts.pth`) that knows letters and says noise."""
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    from assistant.backends.no_torchaudio import stand_in

    with stand_in():
        from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
        from TTS.tts.models.xtts import Xtts

    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    marks = ["[STOP]", "[UNK]", "[SPACE]", "[START]", "[en]", "[zh-cn]"]
    core = Tokenizer(models.WordLevel({c: i for i, c in enumerate([*marks, *"abcdefghijklmnopqrstuvwxyz.,"])}, "[UNK]"))
    core.add_special_tokens(marks)
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    core.save(str(folder / "vocab.json"))
    config = XttsConfig(
        model_args=XttsArgs(
            gpt_layers=1, gpt_n_model_channels=64, decoder_input_dim=64, gpt_n_heads=2, gpt_num_audio_tokens=66,
            gpt_start_audio_token=64, gpt_stop_audio_token=65, gpt_max_audio_tokens=50,
        ),
        languages=["en", "zh-cn"],
    )  # fmt: skip
    model = Xtts(config)
    model.tokenizer.tokenizer = core
    model.init_models()
    torch.save({"model": model.state_dict()}, folder / "model.pth")
    voices = {
        name: {"gpt_cond_latent": torch.randn(1, 32, 64), "speaker_embedding": torch.randn(1, 512, 1)}
        for name in speakers
    }
    torch.save(voices, folder / "speakers_xtts.pth")
    config.save_json(str(folder / "config.json"))
    return folder


def random_detector(folder: Path, family: str, labels: tuple[str, ...] = ("cup", "dog", "N/A")) -> Path:
    """A detector of a `family`, d_fine or rf_detr, with its classes and the settings of its pictures, 64 x 64."""
    import json

    import torch
    import transformers

    torch.manual_seed(0)
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    if family == "rf_detr":
        from transformers.models.rf_detr.configuration_rf_detr import RfDetrDinov2Config

        dino: Any = RfDetrDinov2Config
        backbone: Any = dino(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=64, patch_size=8, num_windows=2,
            mlp_ratio=2, out_features=["stage1", "stage2"], window_block_indexes=[0],
        )  # fmt: skip
        config: Any = transformers.RfDetrConfig(
            backbone_config=backbone, d_model=16, decoder_layers=2, decoder_self_attention_heads=2,
            decoder_cross_attention_heads=2, num_queries=10, c2f_num_blocks=1, decoder_ffn_dim=16, group_detr=1,
            **names,
        )  # fmt: skip
        settings: dict[str, Any] = {"image_processor_type": "RfDetrImageProcessor", "do_normalize": True}
    else:
        hgnet: Any = transformers.HGNetV2Config
        backbone = hgnet(
            embedding_size=8, hidden_sizes=[8, 16, 16, 16], depths=[1] * 4, stem_channels=[3, 8, 8],
            stage_in_channels=[8, 8, 16, 16], stage_mid_channels=[8] * 4, stage_out_channels=[8, 16, 16, 16],
            stage_num_blocks=[1] * 4, stage_downsample=[False, True, True, True], stage_light_block=[False] * 4,
            stage_kernel_size=[3] * 4, stage_numb_of_layers=[1] * 4, out_features=["stage2", "stage3", "stage4"],
        )  # fmt: skip
        config = transformers.DFineConfig(
            backbone_config=backbone, encoder_hidden_dim=16, encoder_in_channels=[16] * 3, encoder_ffn_dim=16,
            encoder_attention_heads=2, d_model=16, num_queries=10, decoder_in_channels=[16] * 3, decoder_ffn_dim=16,
            decoder_layers=2, decoder_attention_heads=2, num_denoising=0, decoder_n_points=[4] * 3, **names,
        )  # fmt: skip
        settings = {"image_processor_type": "RTDetrImageProcessor", "do_normalize": False}
    transformers.AutoModelForObjectDetection.from_config(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({**settings, "size": {"height": 64, "width": 64}}))
    return folder


def random_encoder(folder: Path, family: str, layers: int = 2, words: tuple[str, ...] = ()) -> Path:
    """An encoder of a `family`, clip or siglip, for pictures of 32 x 32 in patches of 8 x 8, that knows `words`."""
    import json

    import torch
    import transformers

    torch.manual_seed(0)
    tokenizer = word_tokenizer(words)
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": 8, "projection_dim": 24, "projection_size": 32}
    text |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": layers, "num_attention_heads": 2}
    picture = {"image_size": 32, "patch_size": 8, "projection_dim": 24}
    kind: Any = {"clip": transformers.CLIPConfig, "siglip": transformers.SiglipConfig}[family]
    config = kind(text_config={**shape, **text}, vision_config={**shape, **picture}, projection_dim=24)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor = {"clip": "CLIPImageProcessor", "siglip": "SiglipImageProcessor"}[family]
    settings = {"image_processor_type": processor, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def word_tokenizer(words: tuple[str, ...]) -> Any:
    """A tokenizer of whole words, that puts a mark in front and one behind, as CLIP's does."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    known = ("<begin>", "<end>", "<pad>", "<unknown>", *words)
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(known)}, unk_token="<unknown>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="<begin> $A <end>", special_tokens=[("<begin>", 0), ("<end>", 1)]
    )
    marks = {"bos_token": "<begin>", "eos_token": "<end>", "pad_token": "<pad>", "unk_token": "<unknown>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, **marks)


GGUF_CONTROL = ["<|im_start|>", "<|im_end|>", "<fake_token_around_image>", "<global-img>", "<image>"]
"""What ChatML writes around messages, and what SmolVLM's family writes around pictures."""

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def random_gguf(file: Path, *, width: int = 32, layers: int = 2, architecture: str = "llama") -> Path:
    """A text model for llama.cpp whose words are bytes."""
    import gguf
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, "ĊĊ", *GGUF_CONTROL]  # two line ends in one: SmolVLM's pictures begin with them
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_name("random")
    writer.add_context_length(4096)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(2 * width)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // 2)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    kinds = [gguf.TokenType.NORMAL] * (len(letters) + 1) + [gguf.TokenType.CONTROL] * len(GGUF_CONTROL)
    writer.add_token_types(kinds)
    writer.add_token_merges(["Ċ Ċ"])
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)
    shapes = {"token_embd.weight": (len(tokens), width), "output_norm.weight": (width,)}
    shapes["output.weight"] = (len(tokens), width)
    for i in range(layers):
        narrow, wide = (width // 2, width), (2 * width, width)
        block = {"attn_norm": (width,), "attn_q": (width, width), "attn_k": narrow, "attn_v": narrow}
        block |= {"attn_output": (width, width), "ffn_norm": (width,), "ffn_gate": wide, "ffn_up": wide}
        block |= {"ffn_down": (width, 2 * width)}
        shapes |= {f"blk.{i}.{name}.weight": shape for name, shape in block.items()}
    return _write_gguf(writer, file, shapes)


def random_mmproj(file: Path, *, text_width: int = 32, width: int = 32, layers: int = 1) -> Path:
    """A projector of SmolVLM's kind for pictures of 32 x 32 in patches of 8 x 8, for a model of `text_width`."""
    import gguf

    writer = gguf.GGUFWriter(file, "clip")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type("idefics3")
    writer.add_vision_image_size(32)
    writer.add_vision_preproc_image_size(64)
    writer.add_vision_patch_size(8)
    writer.add_vision_embedding_length(width)
    writer.add_vision_feed_forward_length(2 * width)
    writer.add_vision_block_count(layers)
    writer.add_vision_head_count(2)
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_projection_dim(text_width)
    writer.add_vision_image_mean([0.5] * 3)
    writer.add_vision_image_std([0.5] * 3)
    writer.add_vision_use_gelu(True)
    writer.add_vision_projector_scale_factor(2)
    shapes: dict[str, tuple[int, ...]] = {"v.patch_embd.weight": (width, 3, 8, 8), "v.patch_embd.bias": (width,)}
    shapes |= {"v.position_embd.weight": (16, width), "v.post_ln.weight": (width,), "v.post_ln.bias": (width,)}
    for i in range(layers):
        block = {name: (width, width) for name in ("attn_q", "attn_k", "attn_v", "attn_out")}
        block |= {"ln1": (width,), "ln2": (width,), "ffn_up": (2 * width, width), "ffn_down": (width, 2 * width)}
        for name, shape in block.items():
            shapes |= {f"v.blk.{i}.{name}.weight": shape, f"v.blk.{i}.{name}.bias": shape[:1]}
    shapes["mm.model.fc.weight"] = (text_width, 4 * width)
    return _write_gguf(writer, file, shapes)


def _write_gguf(writer: Any, file: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    import numpy as np

    rng = np.random.default_rng(0)
    for name, shape in shapes.items():
        is_norm = name.endswith("weight") and len(shape) == 1
        writer.add_tensor(name, (np.ones(shape) if is_norm else rng.normal(0, 0.3, shape)).astype(np.float32))
    file.parent.mkdir(parents=True, exist_ok=True)
    writer.write_header_to_file(file)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
