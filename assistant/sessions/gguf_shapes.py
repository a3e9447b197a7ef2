"""The shapes of the catalogue's GGUF models: which tensors their two files have, of which sizes and types.

As llama.cpp's converter (https://github.com/ggml-org/llama.cpp/tree/master/conversion) and quantiser have them; the mix
of Q4_K_M is `llama_tensor_get_type_impl` in its src/llama-quant.cpp. Knows no weights and no files (`gguf_files`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Sizes = tuple[int, ...]
Mix = Literal["F32", "F16", "BF16", "Q8_0", "Q4_K_M"]
TAPS = 3
"""of a short convolution"""


@dataclass(frozen=True, slots=True)
class Reader:
    """The text model. `hidden`: width of a feed-forward layer. `tied`: the embeddings also say the tokens.
    `attends`: its layers of attention where the others are short convolutions; all are where it is empty.
    """

    architecture: Literal["llama", "lfm2", "qwen3vl"]
    tokens: int
    width: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_width: int
    tied: bool
    attends: tuple[int, ...] = ()
    rope_theta: float = 100_000.0
    epsilon: float = 1e-5

    def has_attention(self, layer: int) -> bool:
        """Whether a layer attends."""
        return not self.attends or layer in self.attends


@dataclass(frozen=True, slots=True)
class Sight:
    """The projector with its picture encoder. `merge`: patches a side that become one token; `middle`: width between
    the projector's two layers; `positions`: patches of the picture it was trained on; `deep`: layers it hands on.
    """

    kind: Literal["idefics3", "lfm2", "qwen3vl_merger"]
    width: int
    hidden: int
    layers: int
    heads: int
    merge: int
    middle: int
    positions: int
    deep: tuple[int, ...] = ()
    patch: int = 16


@dataclass(frozen=True, slots=True)
class Gguf:
    """A model of the catalogue and what its two files are quantised to."""

    reader: Reader
    sight: Sight
    mix: Mix
    sight_mix: Mix


_SMOL = Reader("llama", 49_280, 960, 2560, 32, 15, 5, 64, tied=False)
_LFM2 = Reader("lfm2", 65_536, 1024, 4608, 16, 16, 8, 64, tied=True, attends=(2, 5, 8, 10, 12, 14), rope_theta=1e6)
_QWEN_4B = Reader("qwen3vl", 151_936, 2560, 9728, 36, 32, 8, 128, True, rope_theta=5e6, epsilon=1e-6)
_QWEN_8B = Reader("qwen3vl", 151_936, 4096, 12_288, 36, 32, 8, 128, False, rope_theta=5e6, epsilon=1e-6)
_SEES_4B = Sight("qwen3vl_merger", 1024, 4096, 24, 16, 2, 4096, 2304, (5, 11, 17))
_SEES_8B = Sight("qwen3vl_merger", 1152, 4304, 27, 16, 2, 4608, 2304, (8, 16, 24))

GGUFS: dict[str, Gguf] = {
    "smolvlm2-500m-gguf": Gguf(_SMOL, Sight("idefics3", 768, 3072, 12, 12, 4, 0, 1024), "Q8_0", "Q8_0"),
    "lfm2.5-vl-450m-gguf": Gguf(_LFM2, Sight("lfm2", 768, 3072, 12, 12, 2, 2560, 256), "Q8_0", "Q8_0"),
    "qwen3-vl-4b-gguf": Gguf(_QWEN_4B, _SEES_4B, "Q4_K_M", "F16"),
    "qwen3-vl-8b-gguf": Gguf(_QWEN_8B, _SEES_8B, "Q4_K_M", "F16"),
}
"""name of the catalogue -> shape. Sources: MINDS of `shapes`; of LFM2.5-VL the configuration of LFM2-VL-450M in
https://huggingface.co/davanstrien/lfm2-vl-iconclass/blob/main/config.json; of Qwen3-VL-4B's projector the tensors in
https://ollama.com/dhiltgen/qwen3-vl:4b-instruct-q4_K_M.
"""


# ---------------------------------------------------------------- the tensors


def reader_tensors(reader: Reader) -> dict[str, Sizes]:
    """Name -> sizes of a text model's tensors, the outermost first."""
    width, heads, keys = reader.width, reader.heads * reader.head_width, reader.kv_heads * reader.head_width
    last = "token_embd_norm" if reader.architecture == "lfm2" else "output_norm"
    tensors: dict[str, Sizes] = {"token_embd.weight": (reader.tokens, width), f"{last}.weight": (width,)}
    if not reader.tied:
        tensors["output.weight"] = (reader.tokens, width)
    for i in range(reader.layers):
        block: dict[str, Sizes] = {"attn_norm": (width,)}
        if reader.has_attention(i):
            block |= {"attn_q": (heads, width), "attn_k": (keys, width), "attn_v": (keys, width)}
            block |= {"attn_output": (width, heads)}
            if reader.architecture != "llama":
                block |= {"attn_q_norm": (reader.head_width,), "attn_k_norm": (reader.head_width,)}
        else:
            block |= {"shortconv.in_proj": (3 * width, width), "shortconv.conv": (width, TAPS)}
            block |= {"shortconv.out_proj": (width, width)}
        block |= {"ffn_norm": (width,), "ffn_gate": (reader.hidden, width), "ffn_up": (reader.hidden, width)}
        block |= {"ffn_down": (width, reader.hidden)}
        tensors |= {f"blk.{i}.{name}.weight": sizes for name, sizes in block.items()}
    return tensors


def sight_tensors(sight: Sight, text_width: int) -> dict[str, Sizes]:
    """Name -> sizes of a projector's tensors, the outermost first, for a model of `text_width`."""
    width, merged = sight.width, sight.width * sight.merge**2
    patches = (width, 3, sight.patch, sight.patch)
    tensors: dict[str, Sizes] = {"v.patch_embd.weight": patches, "v.patch_embd.bias": (width,)}
    tensors |= {"v.position_embd.weight": (sight.positions, width)} | _layer("v.post_ln", (width,))
    for i in range(sight.layers):
        block: dict[str, Sizes] = {"ln1": (width,), "ln2": (width,), "attn_out": (width, width)}
        if sight.kind == "qwen3vl_merger":
            block |= {"attn_qkv": (3 * width, width)}
        else:
            block |= dict.fromkeys(("attn_q", "attn_k", "attn_v"), (width, width))
        block |= {"ffn_up": (sight.hidden, width), "ffn_down": (width, sight.hidden)}
        for name, sizes in block.items():
            tensors |= _layer(f"v.blk.{i}.{name}", sizes)
    match sight.kind:
        case "idefics3":
            return tensors | {"mm.model.fc.weight": (text_width, merged)}
        case "lfm2":
            tensors |= _layer("mm.input_norm", (merged,))
            return tensors | _layer("mm.1", (sight.middle, merged)) | _layer("mm.2", (text_width, sight.middle))
    tensors["v.patch_embd.weight.1"] = patches  # a still picture is taken for two frames of a video
    for i in sight.deep:
        tensors |= _layer(f"v.deepstack.{i}.norm", (merged,)) | _layer(f"v.deepstack.{i}.fc1", (merged, merged))
        tensors |= _layer(f"v.deepstack.{i}.fc2", (text_width, merged))
    return tensors | _layer("mm.0", (sight.middle, merged)) | _layer("mm.2", (text_width, sight.middle))


def _layer(name: str, sizes: Sizes) -> dict[str, Sizes]:
    return {f"{name}.weight": sizes, f"{name}.bias": sizes[:1]}


def chosen_types(tensors: Mapping[str, Sizes], mix: Mix) -> dict[str, str]:
    """Name -> type of a tensor, as `gguf` calls it. Vectors and what stands for places stay in 32 bits."""
    layers = 1 + max((int(name.split(".")[1]) for name in tensors if name.startswith("blk.")), default=0)
    tied = "output.weight" not in tensors
    return {name: _type(name, sizes, mix, layers, tied) for name, sizes in tensors.items()}


def _type(name: str, sizes: Sizes, mix: Mix, layers: int, tied: bool) -> str:
    if len(sizes) == 1 or name == "v.position_embd.weight" or name.endswith("shortconv.conv.weight"):
        return "F32"
    if name.startswith("v.patch_embd"):
        return "F16" if mix == "F16" else "F32"
    if mix != "Q4_K_M":
        return mix
    if name == ("token_embd.weight" if tied else "output.weight"):
        return "Q6_K"
    if name.endswith(("attn_v.weight", "ffn_down.weight")):
        layer, eighth = int(name.split(".")[1]), layers // 8
        if layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2:
            return "Q6_K"
    return "Q4_K"
