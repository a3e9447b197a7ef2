"""In which numbers a Whisper is computed: fp32, fp16, bf16 or int8, and which of them this machine is good at.

fp16 on a GPU is what Whisper's own package does. On a processor bf16 is for the encoder alone, and int8 for every
matrix, its activations measured as they come. Word errors under bf16 and int8 are not measured here; bf16 keeps the
range of fp32 and is the smaller step. Knows no checkpoint.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, Literal

from assistant.errors import ConfigError

Compute = Literal["auto", "fp32", "fp16", "bf16", "int8"]


@dataclass(frozen=True, slots=True)
class Precision:
    """`name` is fp32, fp16, bf16 or int8; `why` it was chosen, for the log."""

    name: str
    why: str


def choose_precision(wanted: Compute, device: str, able: frozenset[str] | None = None) -> Precision:
    """The precision for a device (`cpu`, `cuda`, `cuda:1`). `able` is what its processor can: bf16, vnni.

    Raises ConfigError for int8 on a GPU and fp16 on a processor, which torch has no quick way to do.
    """
    gpu = device.startswith("cuda")
    if wanted == "auto" and gpu:
        return Precision("fp16", "it runs on a GPU")
    if wanted == "auto":
        able = abilities() if able is None else able
        if "bf16" in able:
            return Precision("bf16", "the processor multiplies bf16")
        if "vnni" in able:
            return Precision("int8", "the processor multiplies int8, and no bf16")
        return Precision("fp32", "the processor multiplies neither bf16 nor int8")
    if wanted == ("int8" if gpu else "fp16"):
        usable = "fp32, fp16 or bf16" if gpu else "fp32, bf16 or int8"
        raise ConfigError(f"wanted to compute in {wanted} on '{device}', which cannot; take {usable}")
    return Precision(wanted, "asked for")


def abilities() -> frozenset[str]:
    """What this machine's processor multiplies in hardware: `bf16` (AVX-512 or AMX), `vnni` (int8)."""
    import torch

    cpu: Any = torch.cpu
    asked = {"bf16": ("_is_avx512_bf16_supported", "_is_amx_tile_supported"), "vnni": ("_is_vnni_supported",)}
    return frozenset(name for name, ways in asked.items() if any(getattr(cpu, way, bool)() for way in ways))


def cast(model: Any, precision: Precision, device: str) -> Any:
    """A Whisper in fp32 made one of that precision, and moved. Layer normalisation stays in fp32, as Whisper has it."""
    import torch

    if precision.name == "int8":
        return _int8(model)
    if precision.name != "fp32":
        part = (
            model if device.startswith("cuda") else model.encoder
        )  # token by token, bf16 on a processor gains nothing
        kind = {"fp16": torch.float16, "bf16": torch.bfloat16}[precision.name]
        for layer in part.modules():
            if isinstance(layer, (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Embedding)):
                layer.to(kind)
    return model.to(device)


def _int8(model: Any) -> Any:
    import torch

    plain(model)
    with warnings.catch_warnings():  # its successor is a package of its own, and this torch still has it
        warnings.filterwarnings("ignore", "torch.ao.quantization is deprecated")
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor")
        tools: Any = torch.ao.quantization
        by_channel = {torch.nn.Linear: tools.per_channel_dynamic_qconfig}
        return tools.quantize_dynamic(model, by_channel, inplace=True)


def plain(model: Any) -> None:
    """Make torch's own of Whisper's linear layers, in place: torch quantises a class and none that is derived of it."""
    import torch
    from whisper.model import Linear

    for name, layer in list(model.named_modules()):
        if isinstance(layer, Linear):
            own = torch.nn.Linear(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
            own.weight, own.bias = layer.weight, layer.bias
            model.set_submodule(name, own)
