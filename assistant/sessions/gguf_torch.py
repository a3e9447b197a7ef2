"""The random weights of a mind for torch as GGUF files, so that both engines are measured on the same model.

Knows the hub's names of a Llama's weights, and no engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.sessions.gguf_files import tell_reader, tell_tokens, write
from assistant.sessions.gguf_shapes import Mix, Reader, Sizes, chosen_types, reader_tensors


def same_mind(name: str, folder: Path) -> Path:
    """`f16.gguf`, `bf16.gguf` and `q8_0.gguf` of the weights that `random_mind` gives `name`, a Llama of MINDS."""
    from assistant.sessions.shapes import random_mind

    return convert(random_mind(name, folder / "hub"), folder)


def convert(hub: Path, folder: Path, mixes: Sequence[Mix] = ("F16", "BF16", "Q8_0")) -> Path:
    """The same of any Llama with a tokenizer of bytes that lies in the folder `hub` as the hub has them."""
    import gguf
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    from assistant.backends.hub import quiet

    config, tokenizer = AutoConfig.from_pretrained(hub), AutoTokenizer.from_pretrained(hub)
    reader = Reader(
        "llama", config.vocab_size, config.hidden_size, config.intermediate_size, config.num_hidden_layers,
        config.num_attention_heads, config.num_key_value_heads, config.head_dim, config.tie_word_embeddings,
        rope_theta=config.rope_parameters["rope_theta"], epsilon=config.rms_norm_eps,
    )  # fmt: skip
    with quiet():  # it draws a bar
        model: Any = AutoModelForCausalLM.from_pretrained(hub, dtype="float32")
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    tensors = reader_tensors(reader)

    def fill(name: str, sizes: Sizes, kind: str) -> Any:
        weight = _hub_weight(weights, name, reader)
        return gguf.quants.quantize(weight, gguf.GGMLQuantizationType[kind])

    for mix in mixes:
        writer = gguf.GGUFWriter(folder / f"{mix.lower()}.gguf", "llama")
        tell_reader(writer, reader)
        tokens = tokenizer.convert_ids_to_tokens(range(reader.tokens))
        tell_tokens(writer, tokens, tokenizer.all_special_tokens, tokenizer.eos_token, tokenizer.chat_template)
        write(writer, tensors, chosen_types(tensors, mix), fill)
    return folder


_HUB = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def _hub_weight(weights: Mapping[str, Any], name: str, reader: Reader) -> Any:
    """A weight by llama.cpp's name. It turns neighbours of a head, where the hub's Llama turns its two halves."""
    *block, part, kind = name.split(".")
    weight = weights[".".join([*(["model.layers", block[1]] if block else []), _HUB[part], kind])]
    if part in ("attn_q", "attn_k"):
        heads = len(weight) // reader.head_width
        halves = weight.reshape(heads, 2, reader.head_width // 2, -1)
        return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weight.shape)
    return weight
