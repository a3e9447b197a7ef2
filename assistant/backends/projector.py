"""Whether a projector (mmproj) is whole and belongs to a model, asked of both headers before llama.cpp gets them.

llama.cpp takes most tensors for optional, and where one is missing it dies at the first picture, and the process with
it. Knows the kinds of PARTS, which are the catalogue's; of another kind llama.cpp itself has to say what it lacks.
Source: what the encoders in https://github.com/ggml-org/llama.cpp/tree/master/tools/mtmd/models read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

from assistant.backends.gguf import Header
from assistant.errors import WeightsError


def _both(*parts: str) -> tuple[str, ...]:
    return tuple(f"{part}.{kind}" for part in parts for kind in ("weight", "bias"))


PARTS = {
    "idefics3": ("mm.model.fc.weight",),
    "lfm2": _both("mm.1", "mm.2"),
    "qwen3vl_merger": (*_both("mm.0", "mm.2"), "v.patch_embd.weight.1"),
}
"""kind -> what it must have beside a picture encoder"""
ENDS = {
    "idefics3": ("mm.model.fc.weight", "mm.model.fc.weight"),
    "lfm2": ("mm.1.weight", "mm.2.weight"),
    "qwen3vl_merger": ("mm.0.weight", "mm.2.weight"),
}
"""kind -> what takes the encoder's patches, merged, and what makes the model's embeddings"""
ENCODER = (*_both("v.patch_embd", "v.post_ln"), "v.position_embd.weight")
BLOCK = _both("ln1", "ln2", "attn_out", "ffn_up", "ffn_down")
ATTENTION = _both("attn_q", "attn_k", "attn_v")
FUSED = _both("attn_qkv")
"""of a block: what makes queries, keys and values, in one"""
_NUMBERED = re.compile(r"v\.(blk|deepstack)\.(\d+)\.(.+)")


def check_projector(projector: Header, model: Header, path: Path) -> None:
    """Raise WeightsError where the projector of `path` lacks something, or is another model's."""
    kind = str(projector.keys.get("clip.projector_type") or projector.keys.get("clip.vision.projector_type"))
    for name in ("clip.vision.image_mean", "clip.vision.image_std"):
        if (got := projector.lists.get(name, 0)) != 3:
            raise _refused(f"three numbers in {name}", str(got or "none"), path)
    if kind not in PARTS:
        return
    blocks, width, heads = (
        _number(projector, f"clip.vision.{name}")
        for name in ("block_count", "embedding_length", "attention.head_count")
    )
    if not blocks or not width or not heads or width % heads:
        raise _refused("blocks whose heads share their width", f"{blocks} of {width} with {heads} heads", path)
    for name in _needed(projector.tensors, kind, blocks):
        if name not in projector.tensors:
            raise _refused(f"a tensor {name}", "none", path)
    _check_alike(projector.tensors, path)
    _check_widths(projector, model, kind, width, path)


def _needed(tensors: Container[str], kind: str, blocks: int) -> Iterator[str]:
    yield from (*ENCODER, *PARTS[kind])
    for i in range(blocks):
        fused = f"v.blk.{i}.attn_qkv.weight" in tensors
        yield from (f"v.blk.{i}.{name}" for name in (*BLOCK, *(FUSED if fused else ATTENTION)))


def _check_alike(tensors: dict[str, tuple[int, ...]], path: Path) -> None:
    """Every numbered part has what the others of its kind have, in the same sizes."""
    parts: dict[str, dict[str, dict[str, tuple[int, ...]]]] = defaultdict(lambda: defaultdict(dict))
    for name, sizes in tensors.items():
        if found := _NUMBERED.fullmatch(name):
            parts[found[1]][found[2]][found[3]] = sizes
    for prefix, numbered in parts.items():
        whole = {name: sizes for part in numbered.values() for name, sizes in part.items()}
        for i, part in numbered.items():
            for name, sizes in whole.items():
                if part.get(name) != sizes:
                    got = _said(part[name]) if name in part else "none"
                    raise _refused(f"a tensor v.{prefix}.{i}.{name} of {_said(sizes)} as elsewhere", got, path)


def _check_widths(projector: Header, model: Header, kind: str, width: int, path: Path) -> None:
    """What one part makes is what the next takes, up to the model."""
    merges = ("clip.vision.projector.scale_factor", "clip.vision.spatial_merge_size")
    merge = max(_number(projector, name) for name in merges) or 2
    first, last = ENDS[kind]
    for name, at, wanted in (
        ("v.patch_embd.weight", 3, width),
        ("v.position_embd.weight", 0, width),
        ("v.blk.0.ln1.weight", 0, width),
        (first, 0, width * merge**2),
        (last, 1, _number(model, f"{model.architecture}.embedding_length")),
    ):
        sizes = projector.tensors[name]
        if len(sizes) <= at or sizes[at] != wanted:
            raise _refused(f"{wanted} as size {at + 1} of {name}", _said(sizes), path)
    deep = sum(bool(re.fullmatch(r"v\.deepstack\.\d+\.fc2\.weight", name)) for name in projector.tensors)
    wanted = _number(model, f"{model.architecture}.n_deepstack_layers")
    if deep != wanted:
        raise _refused(f"{wanted} layers of v.deepstack for this model", str(deep), path)


def _number(header: Header, key: str) -> int:
    value: Any = header.keys.get(key, 0)
    return value if isinstance(value, int) else 0


def _said(sizes: Iterable[int]) -> str:
    return " x ".join(map(str, sizes))


def _refused(wanted: str, got: str, path: Path) -> WeightsError:
    return WeightsError(
        f"wanted a projector with {wanted}, got {got} in '{path}'; take the model's own, or fetch it anew"
    )
