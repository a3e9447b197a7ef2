"""Tiers: which models suit which machine, and which of them fit into its memory together.

A tier has a ladder for each slot, best model first; below every ladder stands the built-in engine, which costs nothing
that counts. `tiers.toml` holds them. Pure, but for reading that file: what is here and what is free is told.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import product
from types import MappingProxyType
from typing import Any

from assistant.models.catalogue import Weights, known
from assistant.models.machine import Machine

KEPT_FREE_MB = 1_000
"""Memory that no model gets: for the built-in engines, the libraries, and whatever else runs on the machine."""
KEPT_FREE_VRAM_MB = 700
"""The same on a graphics card: for CUDA's own tables, and the screen."""
ON_PROCESSORS = ("llama",)
"""Engines that do not use a graphics card other than Apple's: the wheel of llama.cpp is built without CUDA."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A model on a ladder: what it needs where it would run, in units of 10^6 bytes, and whether it is `here`.

    `runs` is empty, or says why this machine or this talk cannot use it, whatever is free.
    """

    name: str
    ram_mb: int = 0
    vram_mb: int = 0
    here: bool = False
    runs: str = ""


Ladders = Mapping[str, Sequence[Rung]]


@cache
def tiers() -> Mapping[str, Mapping[str, Any]]:
    """All tiers by name, as they stand in the file."""
    text = files("assistant.models").joinpath("tiers.toml").read_text(encoding="utf-8")
    return MappingProxyType(tomllib.loads(text))


def tier_of(machine: Machine) -> str:
    """The best tier that a machine is up to."""
    if machine.apple:
        return "apple"
    able = [name for name, tier in tiers().items() if 0 < tier["from_vram_mb"] <= machine.vram_mb]
    return max(able, key=lambda name: tiers()[name]["from_vram_mb"], default="cpu")


def names(tier: str, cores: int | None = None) -> tuple[str, ...]:
    """What a tier is made of: the models on top of its ladders, for so many processor cores (None: any number)."""
    return tuple(
        next(entry["name"] for entry in ladder if cores is None or entry.get("cores", 0) <= cores)
        for ladder in tiers()[tier]["ladders"].values()
    )


def ladders(tier: str, machine: Machine, language: str, here: Callable[[str], bool]) -> dict[str, tuple[Rung, ...]]:
    """The ladders of a tier on a machine, slot by slot. `language` is en, zh, or auto: any will do."""

    def rung(entry: Mapping[str, Any]) -> Rung:
        weights = known(entry["name"])
        ram_mb, vram_mb = needs(weights, machine)
        return Rung(weights.name, ram_mb, vram_mb, here(weights.name), _obstacle(weights, entry, machine, language))

    return {slot: tuple(map(rung, ladder)) for slot, ladder in tiers()[tier]["ladders"].items()}


def needs(weights: Weights, machine: Machine) -> tuple[int, int]:
    """What a model takes of the memory and of the graphics card's, in units of 10^6 bytes."""
    wanted = weights.needs
    if machine.apple:
        return max(wanted.ram_mb, wanted.vram_mb), 0
    if machine.vram_mb and wanted.vram_mb and weights.engine not in ON_PROCESSORS:
        return 0, wanted.vram_mb
    return wanted.ram_mb, 0


def _obstacle(weights: Weights, entry: Mapping[str, Any], machine: Machine, language: str) -> str:
    cores = entry.get("cores", 0)
    if cores > machine.cores:
        return f"wants {cores} cores"
    if needs(weights, machine) == (0, 0) and weights.needs.vram_mb:
        return "wants a graphics card"
    if language != "auto" and weights.languages and language not in weights.languages:
        return f"knows no '{language}'"
    return ""


# ---------------------------------------------------------------- one memory for all


def fit(ladders: Ladders, machine: Machine, taken_mb: tuple[int, int] = (0, 0)) -> dict[str, int]:
    """For every slot the rung that runs; the length of the ladder stands for the built-in engine below it.

    Of all sets that are here and fit together into what is free, less `taken_mb` (memory, graphics card), it is the one
    with the fewest steps down from the tops; of two with as many, the one that spares the slots that come first.
    """
    room_mb = machine.ram_mb - KEPT_FREE_MB - taken_mb[0]
    room_vram_mb = machine.vram_mb - KEPT_FREE_VRAM_MB - taken_mb[1]
    usable = [
        [at for at, rung in enumerate(ladder) if rung.here and not rung.runs] + [len(ladder)]
        for ladder in ladders.values()
    ]

    def fits(steps: tuple[int, ...]) -> bool:
        rungs = [ladder[at] for ladder, at in zip(ladders.values(), steps, strict=True) if at < len(ladder)]
        ram_mb, vram_mb = sum(rung.ram_mb for rung in rungs), sum(rung.vram_mb for rung in rungs)
        return (not ram_mb or ram_mb <= room_mb) and (not vram_mb or vram_mb <= room_vram_mb)

    best = next(steps for steps in sorted(product(*usable), key=lambda steps: (sum(steps), steps)) if fits(steps))
    return dict(zip(ladders, best, strict=True))


def reason(rung: Rung, machine: Machine) -> str:
    """Why a rung was taken: `8.1 GB are free and it is here`."""
    free = f"{machine.vram_mb / 1e3:.1f} GB are free on the graphics card" if rung.vram_mb else _free(machine)
    return f"{free} and it is here"


def obstacle(rung: Rung, machine: Machine) -> str:
    """Why a rung was not taken, behind its name: `is not here: assistant models pull whisper-base`."""
    if rung.runs:
        return rung.runs
    if not rung.here:
        return f"is not here: assistant models pull {rung.name}"
    if rung.vram_mb:
        free = f"{machine.vram_mb / 1e3:.1f} GB are free on the graphics card"
        return f"needs {rung.vram_mb / 1e3:.1f} GB beside the others, {free}"
    return f"needs {rung.ram_mb / 1e3:.1f} GB beside the others, {_free(machine)}"


def _free(machine: Machine) -> str:
    return f"{machine.ram_mb / 1e3:.1f} GB are free"
