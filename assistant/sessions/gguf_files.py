"""GGUF files with RANDOM weights, for llama.cpp: their speed is true, and their words mean nothing.

A model and its projector (mmproj) in the catalogue's quantisation, written tensor by tensor, so that no more than the
largest is in memory. Bytes and marks can be read and are hardly ever said: a reply neither ends early nor hides tokens.
Knows the shapes of `gguf_shapes`, and no engine. Blocks of bits: https://github.com/ggml-org/ggml, src/ggml-common.h.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isqrt, prod
from pathlib import Path
from typing import Any

import numpy as np

from assistant.errors import ConfigError, nearest
from assistant.sessions.gguf_shapes import (
    GGUFS,
    TAPS,
    Gguf,
    Reader,
    Sight,
    Sizes,
    chosen_types,
    reader_tensors,
    sight_tensors,
)

SPREAD, QUIET = 0.02, 0.1
"""standard deviation of a weight, as of a transformer before its training; and how much of it a token that is hardly
ever said has in the rows that stand for tokens
"""
TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ROLES = ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
PARTS = 10
PICTURES = {
    "idefics3": ("<image>", "<fake_token_around_image>", "<global-img>", "<row_{}_col_{}>"),
    "lfm2": ("<image>", "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>", "<|img_row_{}_col_{}|>"),
    "qwen3vl_merger": ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>"),
}
"""what is written around pictures, and around the parts of one: at most PARTS a side"""

BLOCKS = {"Q8_0": (32, 34, 73.9), "Q4_K": (256, 144, 15 * 4.61), "Q6_K": (256, 210, 4 * 18.5)}
"""type -> weights and bytes of a block, and the standard deviation of its even bits, scaled as `random_blocks` does"""

Fill = Callable[[str, Sizes, str], Any]
"""name, sizes and type of a tensor -> what the file gets: numbers, or blocks of bits"""


def random_gguf(name: str, folder: Path) -> Path:
    """`model.gguf` and `mmproj.gguf` of the shape of `name`, a key of GGUFS, in `folder`, which is made and returned.

    The same call makes the same files. Raises ConfigError for another name.
    """
    if name not in GGUFS:
        hint = nearest(name, GGUFS, f"choose one of {', '.join(GGUFS)}")
        raise ConfigError(f"wanted the shape of a GGUF model, got '{name}'; {hint}")
    return write_random(GGUFS[name], folder)


def write_random(shape: Gguf, folder: Path) -> Path:
    """The same for a shape."""
    import gguf

    folder.mkdir(parents=True, exist_ok=True)
    reader, sight = shape.reader, shape.sight
    read, marks = read_tokens(sight.kind)
    writer = gguf.GGUFWriter(folder / "model.gguf", reader.architecture)
    tell_reader(writer, reader, len(sight.deep))
    tokens = [*read, *marks, *(f"w{i}" for i in range(reader.tokens - len(read) - len(marks)))]
    tell_tokens(writer, tokens, marks, "<|end|>", TEMPLATE)
    tensors = reader_tensors(reader)
    write(writer, tensors, chosen_types(tensors, shape.mix), _Random(0, len(read) + len(marks)))
    writer = gguf.GGUFWriter(folder / "mmproj.gguf", "clip")
    _tell_sight(writer, sight, reader.width)
    tensors = sight_tensors(sight, reader.width)
    write(writer, tensors, chosen_types(tensors, shape.sight_mix), _Random(1, 0))
    return folder


def read_tokens(kind: str) -> tuple[list[str], list[str]]:
    """The tokens that can be read: bytes and a double line end, and the marks of messages and of pictures."""
    from tokenizers import pre_tokenizers

    sides = range(1, PARTS + 1)
    parts = [mark.format(row, column) for mark in PICTURES[kind] if "{" in mark for row in sides for column in sides]
    marks = [*ROLES, *(mark for mark in PICTURES[kind] if "{" not in mark), *parts]
    return [*sorted(pre_tokenizers.ByteLevel.alphabet()), "ĊĊ"], marks


# ---------------------------------------------------------------- what the files say of themselves


def tell_reader(writer: Any, reader: Reader, deep: int = 0) -> None:
    """Give a writer of `gguf` a text model's keys; `deep`: how many layers its projector hands on."""
    writer.add_name("random weights")
    writer.add_context_length(32_768)
    writer.add_embedding_length(reader.width)
    writer.add_block_count(reader.layers)
    writer.add_feed_forward_length(reader.hidden)
    writer.add_head_count(reader.heads)
    every = [reader.kv_heads if reader.has_attention(i) else 0 for i in range(reader.layers)]
    writer.add_head_count_kv(every if reader.attends else reader.kv_heads)
    writer.add_key_length(reader.head_width)
    writer.add_value_length(reader.head_width)
    writer.add_rope_dimension_count(reader.head_width)
    writer.add_layer_norm_rms_eps(reader.epsilon)
    writer.add_rope_freq_base(reader.rope_theta)
    writer.add_vocab_size(reader.tokens)
    if reader.architecture == "lfm2":
        writer.add_shortconv_l_cache(TAPS)
    if reader.architecture == "qwen3vl":
        eighth = reader.head_width // 16  # of half a head: shares of 24, 20 and 20 of 64 for time, height and width
        writer.add_rope_dimension_sections([3 * eighth, 5 * eighth // 2, 5 * eighth // 2, 0])
        writer.add_num_deepstack_layers(deep)


def tell_tokens(writer: Any, tokens: Sequence[str], marks: Sequence[str], end: str, template: str) -> None:
    """Give it a vocabulary of bytes, with its `marks`, the one that ends a reply, and how messages are written."""
    import gguf

    special = set(marks)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    kinds = (gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens)
    writer.add_token_types(list(kinds))
    writer.add_token_merges(["Ċ Ċ"])
    writer.add_eos_token_id(tokens.index(end))
    writer.add_add_bos_token(False)
    writer.add_chat_template(template)


def _tell_sight(writer: Any, sight: Sight, text_width: int) -> None:
    side_px = isqrt(sight.positions) * sight.patch
    writer.add_name("random weights")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(sight.kind)
    writer.add_vision_image_size(side_px)
    writer.add_vision_patch_size(sight.patch)
    writer.add_vision_embedding_length(sight.width)
    writer.add_vision_feed_forward_length(sight.hidden)
    writer.add_vision_block_count(sight.layers)
    writer.add_vision_head_count(sight.heads)
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_projection_dim(text_width)
    writer.add_vision_image_mean([0.5] * 3)
    writer.add_vision_image_std([0.5] * 3)
    writer.add_vision_use_gelu(True)
    if sight.kind == "qwen3vl_merger":
        writer.add_vision_spatial_merge_size(sight.merge)
        writer.add_vision_is_deepstack_layers([i in sight.deep for i in range(sight.layers)])
        return
    writer.add_vision_projector_scale_factor(sight.merge)
    if sight.kind == "idefics3":
        # a picture becomes as large as this, and is cut into parts of `side_px`; as preprocessor_config.json of
        # https://huggingface.co/HuggingFaceTB/SmolVLM2-256M-Video-Instruct has it: 2048 and 512
        writer.add_vision_preproc_image_size(4 * side_px)


# ---------------------------------------------------------------- weights


def write(writer: Any, tensors: Mapping[str, Sizes], types: Mapping[str, str], fill: Fill) -> None:
    """Write the file of a writer that knows all keys, and close it; `types` as `chosen_types` has them."""
    import gguf

    kinds = {name: gguf.GGMLQuantizationType[types[name]] for name in tensors}
    for name, sizes in tensors.items():
        block, size = gguf.GGML_QUANT_SIZES[kinds[name]]
        writer.add_tensor_info(name, sizes, np.dtype(np.float32), prod(sizes) // block * size, kinds[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, sizes in tensors.items():
        writer.write_tensor_data(fill(name, sizes, types[name]))
    writer.close()


class _Random:
    """Fills tensors with normal numbers, or with blocks of even bits as wide; norms are ones and biases zeros."""

    def __init__(self, seed: int, read: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._read = read

    def __call__(self, name: str, sizes: Sizes, kind: str) -> Any:
        if len(sizes) == 1:
            return np.full(sizes, float(name.endswith("weight")), np.float32)
        spread = np.full((sizes[0], 1), SPREAD, np.float32)
        if name in ("token_embd.weight", "output.weight"):
            spread[: self._read] *= QUIET
        if kind in ("F32", "F16"):
            numbers = self._rng.standard_normal((sizes[0], prod(sizes[1:])), np.float32) * spread
            return numbers.reshape(sizes).astype({"F32": np.float32, "F16": np.float16}[kind])
        return random_blocks(self._rng, kind, prod(sizes[1:]), spread)


def random_blocks(rng: np.random.Generator, kind: str, columns: int, spread: Any) -> Any:
    """Rows of `columns` weights of even bits in blocks of Q8_0, Q4_K or Q6_K; `spread` (rows, 1) is what their standard
    deviation is to be. Raises KeyError for another type.
    """
    weights, size, deviation = BLOCKS[kind]
    blocks = rng.integers(0, 256, (len(spread), columns // weights, size), np.uint8)
    step = (spread / deviation).astype(np.float16)
    match kind:
        case "Q8_0":
            blocks[..., :2] = step[..., None].view(np.uint8)
        case "Q4_K":  # eight scales of 15, and eight offsets of 15 by which the middle of 0 to 15 is nought
            blocks[..., :2] = step[..., None].view(np.uint8)
            blocks[..., 2:4] = (7.5 * step).astype(np.float16)[..., None].view(np.uint8)
            blocks[..., 4:12], blocks[..., 12:16] = 15, 255
        case _:
            blocks[..., 192:208] = 4
            blocks[..., 208:] = step[..., None].view(np.uint8)
    return blocks.reshape(len(spread), -1)
