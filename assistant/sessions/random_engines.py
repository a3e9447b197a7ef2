"""`assistant bench engines --random-weights`: the engines on models of the catalogue's shapes with RANDOM weights.

Their speed is true, and their words are not. The weights are made in a process of their own, in a temporary folder, and
are gone afterwards. Without names it measures the ratios that one run can show: Whisper's window and precision, torch
against llama.cpp, a voice in windows against a whole one.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from assistant.errors import AssistantError, ConfigError, EngineError, nearest
from assistant.models import StoreSettings, known
from assistant.models.machine import Machine, measure
from assistant.sessions import gguf_files, gguf_torch, shapes
from assistant.sessions.engines import Case, Job, Row, apart, failed, measure_cases, named
from assistant.sessions.gguf_shapes import GGUFS
from assistant.sessions.work import REPLY_TOKENS

MIND = {"max_tokens": REPLY_TOKENS}


@dataclass(frozen=True, slots=True)
class Shape:
    """A model of the catalogue that can be made with random weights.

    `make` gets a path of its own and returns what the engine is told as `model`. `variants`: what to call a way of
    running it, "" for the only one -> the engine's options; a `model` or `mmproj` among them is a file of what was
    made. `job` as in `Case`. `engine`: default, transformers for a mind, else the catalogue's. `also`: the same model
    in other files.
    """

    make: Callable[[Path], Path]
    variants: Mapping[str, Mapping[str, Any]]
    job: Job = ""
    engine: str = ""
    also: tuple[Shape, ...] = ()


def _whisper(name: str, *computes: str) -> Shape:
    make = partial(shapes.random_checkpoint, name)
    return Shape(make, {compute: {"compute": compute} for compute in computes}, "encoder")


def _mind(name: str) -> Shape:
    return Shape(partial(shapes.random_mind, name), _ways(name, MIND))


def _gguf(name: str) -> Shape:
    return Shape(partial(gguf_files.random_gguf, name), _ways(name, {**_FILES, **MIND}), engine="llama")


def _ways(name: str, options: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {"": options} | {way: {**options, **fewer} for way, fewer in SMALLER.get(name, {}).items()}


SMALLER: dict[str, dict[str, Mapping[str, Any]]] = {
    "lfm2.5-vl-450m": {"384 px": {"image_px": 384}},
    "lfm2.5-vl-450m-gguf": {"384 px": {"image_px": 384}},
    "smolvlm2-500m": {"128 tokens a picture": {"image_tokens": 128}},
}
"""name -> ways of making less of a picture, among them those of the tier for processors"""
_FILES = {"model": "model.gguf", "mmproj": "mmproj.gguf"}
_SAME = Shape(
    partial(gguf_torch.same_mind, "smollm2-135m"),
    {f"llama.cpp {mix}": {"model": f"{mix}.gguf", **MIND} for mix in ("f16", "bf16", "q8_0")},
    engine="llama",
)
VITS = {"whole": {"windows": False}, "in windows": {"windows": True}}

SHAPES: dict[str, Shape] = {
    "whisper-tiny": _whisper("tiny", "fp32"),
    "whisper-base": _whisper("base", "fp32", "bf16", "int8"),
    "whisper-small": _whisper("small", "fp32"),
    "whisper-turbo": _whisper("turbo", "bf16"),
    "whisper-large-v3": _whisper("large-v3", "bf16"),
    "smollm2-135m-instruct-q4_1": Shape(
        partial(shapes.random_mind, "smollm2-135m"),
        {"torch fp32": {"dtype": "float32", **MIND}, "torch bf16": {"dtype": "bfloat16", **MIND}},
        also=(_SAME,),
    ),
    "smolvlm2-500m": _mind("smolvlm2-500m"),
    "qwen3-vl-4b": _mind("qwen3-vl-4b"),
    "qwen3-vl-8b": _mind("qwen3-vl-8b"),
    "coqui-vits-ljspeech": Shape(shapes.random_vits, VITS),
    "lfm2.5-vl-450m": _mind("lfm2.5-vl-450m"),
    "coqui-vits-vctk": Shape(partial(shapes.random_vits, speakers=shapes.SPEAKERS), VITS),
    "xtts-v2": Shape(shapes.random_xtts, {"in pieces": {"accept_licence": True}}),  # there is nothing to be agreed to
    "d-fine-small": Shape(partial(shapes.random_detector, "d-fine-small"), {"": {}}),
    "rf-detr-medium": Shape(partial(shapes.random_detector, "rf-detr-medium"), {"": {}}),
    "siglip2-base": Shape(partial(shapes.random_encoder, "siglip2-base"), {"": {}}),
    "clip-vit-base-patch32": Shape(partial(shapes.random_encoder, "clip-vit-base-patch32"), {"": {}}),
    **{name: _gguf(name) for name in GGUFS},
}
SHAPELESS = {
    "smart-turn-v3.2": "a wheel carries the real one: name smart_turn without --random-weights",
    "kokoro-82m": "its engine runs a finished ONNX file, which is not built here: assistant models pull kokoro-82m",
}
"""what of the catalogue cannot be made, or need not: why, and what to do"""
RATIOS = ("whisper-tiny", "whisper-base", "whisper-small", "smollm2-135m-instruct-q4_1", "coqui-vits-ljspeech")
"""what is measured where nothing is named"""
BESIDE = {"smollm2-135m-instruct-q4_1": Case("mind", "llama", "smollm2-135m-instruct-q4_1, llama.cpp", options=MIND)}
"""name -> the real model on its own engine, to hold the random ones against"""


def measure_random(
    names: Sequence[str] = (),
    machine: Machine | None = None,
    known_shapes: Mapping[str, Shape] = SHAPES,
    tell: Callable[[str], None] = lambda _: None,
    store: StoreSettings | None = None,
) -> Iterator[Row]:
    """Rows for models of the catalogue, by default RATIOS; what does not fit into the memory is one with an error.

    `machine`: default, this one as it is now. `store`: where the real model of BESIDE is kept.

    Raises ConfigError for a name whose shape is not known.
    """
    for name in names:
        if name not in known_shapes and name in SHAPELESS:
            raise ConfigError(f"wanted a model that can be made, got '{name}'; {SHAPELESS[name]}")
        if name not in known_shapes:
            hint = nearest(name, known_shapes, f"choose among {', '.join(known_shapes)}")
            raise ConfigError(f"wanted a model whose shape is known, got '{name}'; {hint}")
    return _measured(names or RATIOS, machine, known_shapes, tell, store)


def _measured(
    names: Sequence[str],
    machine: Machine | None,
    known_shapes: Mapping[str, Shape],
    tell: Callable[[str], None],
    store: StoreSettings | None,
) -> Iterator[Row]:
    for name in names:
        for shape in (known_shapes[name], *known_shapes[name].also):
            yield from _made(name, shape, machine, tell)
        if name in BESIDE:
            beside = BESIDE[name]
            yield from measure_cases([replace(beside, options={**beside.options, "store": store})], tell)


def _made(name: str, shape: Shape, machine: Machine | None, tell: Callable[[str], None]) -> Iterator[Row]:
    slot = known(name).slot
    engine = shape.engine or ("transformers" if slot == "mind" else known(name).engine)
    folder = Path(tempfile.mkdtemp(prefix="assistant-random-"))
    blank = Case(slot, engine, name, weights="random")
    try:
        check_room(name, machine or measure())
        tell(f"{name}: making random weights")
        path = apart(partial(shape.make, folder / _file(slot)))
        cases = [
            Case(slot, engine, named(name, variant), {**options, **_paths(path, options)}, "random", shape.job)
            for variant, options in shape.variants.items()
        ]
        yield from measure_cases(cases, tell)
    except (AssistantError, MemoryError, RuntimeError, OSError) as error:
        yield failed(blank, error)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _paths(made: Path, options: Mapping[str, Any]) -> dict[str, str]:
    """Where the files lie that a way of running it names."""
    files = {"model": ""} | {option: options[option] for option in ("model", "mmproj") if option in options}
    return {option: str(made / file) for option, file in files.items()}


def _file(slot: str) -> str:
    return "model.pt" if slot == "recogniser" else "model"


def check_room(name: str, machine: Machine) -> None:
    """Raise EngineError where this machine has not the free memory that the catalogue says a model takes."""
    wanted_mb = known(name).needs.ram_mb
    if wanted_mb > machine.ram_mb:
        raise EngineError(
            f"wanted {wanted_mb / 1e3:.1f} GB for '{name}', got {machine.ram_mb / 1e3:.1f} GB of free memory; "
            "close programs, or name a smaller model"
        )
