"""Tiers: which models suit which machine, and which of them fit into its memory together.

A tier has a ladder for each slot, best model first; below every ladder stands the built-in engine, which costs nothing
that counts, or nobody where a slot may stay empty. `tiers.toml` holds them. What is here and what is free is told; of
itself it only looks which of the package's extras are installed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from itertools import product
from types import MappingProxyType
from typing import Any

from assistant.backends import OPTIONAL
from assistant.models.catalogue import Weights, known
from assistant.models.machine import Machine, usable_cores

KEPT_FREE_MB = 1_000
"""Memory that no model gets: a talk on the built-in engines takes 660 MB (measured), and other programs want some."""
KEPT_FREE_VRAM_MB = 700
"""The same on a graphics card: for CUDA's own tables, and the screen."""
ON_PROCESSORS = ("llama",)
"""Engines that do not use a graphics card other than Apple's: the wheel of llama.cpp is built without CUDA."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A model on a ladder: what it needs where it would run, in units of 10^6 bytes, and whether it is `here`.

    `unfit` is empty, or says why this machine or this talk cannot use it, whatever is free. `options`: of its engine.
    `offered`: whether it is to be got with the others of its tier.
    """

    name: str
    ram_mb: int = 0
    vram_mb: int = 0
    here: bool = False
    unfit: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    offered: bool = True


Ladders = Mapping[str, Sequence[Rung]]


@cache
def _table() -> Mapping[str, Any]:
    text = files("assistant.models").joinpath("tiers.toml").read_text(encoding="utf-8")
    return MappingProxyType(tomllib.loads(text))


def _tier(name: str) -> Mapping[str, Any]:
    return _table()["tiers"][name]


def tiers() -> tuple[str, ...]:
    """The names of all tiers."""
    return tuple(_table()["tiers"])


def tier_of(machine: Machine) -> str:
    """The best tier that a machine is up to."""
    if machine.apple:
        return "apple"
    wants = {name: _tier(name)["from_vram_mb"] for name in tiers()}
    able = [name for name in tiers() if 0 < wants[name] <= machine.vram_mb]
    return max(able, key=lambda name: wants[name], default="cpu")


def names(tier: str, cores: int | None = None) -> tuple[str, ...]:
    """What `pull` gets for a tier: the tops of its ladders for so many processor cores, and what it falls back on.

    `cores`: default, those of this machine.
    """
    cores = usable_cores() if cores is None else cores
    able = ([e for e in ladder if _offered(e) and not _wants(e, cores)] for ladder in _tier(tier)["ladders"].values())
    return (*(ladder[0]["name"] for ladder in able if ladder), *_table()["always"])


def ladders_of(tier: str, machine: Machine, language: str, here: Callable[[str], bool]) -> dict[str, tuple[Rung, ...]]:
    """The ladders of a tier on a machine, slot by slot. `language` is en, zh, or auto: any will do."""

    def rung(entry: Mapping[str, Any]) -> Rung:
        weights = known(entry["name"])
        options = entry.get("options", {})
        ram_mb, vram_mb = needs(weights, machine, options)
        if vram_mb and "vram_mb" in entry:
            vram_mb = entry["vram_mb"]
        unfit = _unfit(weights, entry, machine, language)
        return Rung(weights.name, ram_mb, vram_mb, here(weights.name), unfit, options, _offered(entry))

    return {slot: tuple(map(rung, ladder)) for slot, ladder in _tier(tier)["ladders"].items()}


def needs(weights: Weights, machine: Machine, options: Mapping[str, Any] = {}) -> tuple[int, int]:
    """What a model takes of the memory and of the graphics card's with its engine's options, in units of 10^6 bytes."""
    wanted = weights.needs
    if machine.apple:
        return max(wanted.ram_mb, wanted.vram_mb), 0
    on_card = weights.engine not in ON_PROCESSORS and options.get("device") != "cpu"
    if machine.vram_mb and wanted.vram_mb and on_card:
        return 0, wanted.vram_mb
    return wanted.ram_mb, 0


def _unfit(weights: Weights, entry: Mapping[str, Any], machine: Machine, language: str) -> str:
    if wants := _wants(entry, machine.cores):
        return wants
    if needs(weights, machine, entry.get("options", {})) == (0, 0) and weights.needs.vram_mb:
        return "wants a graphics card"
    talks = weights.slot != "detector"  # what a thing is called in a language is looked up elsewhere
    if talks and language != "auto" and weights.languages and language not in weights.languages:
        return f"knows no '{language}'"
    return ""


def _offered(entry: Mapping[str, Any]) -> bool:
    return entry.get("offered", True)


def _wants(entry: Mapping[str, Any], cores: int) -> str:
    """What a machine lacks for a model, in words; empty where it lacks nothing."""
    if entry.get("cores", 0) > cores:
        return f"wants {entry['cores']} cores"
    if "module" in entry and find_spec(entry["module"]) is None:
        return f"wants: pip install 'assistant[{entry['extra']}]'"
    return ""


# ---------------------------------------------------------------- one memory for all


def fit(ladders: Ladders, machine: Machine, taken_mb: tuple[int, int] = (0, 0)) -> dict[str, int]:
    """For every slot the rung that runs; the length of the ladder stands for the built-in engine below it.

    Of all sets that are here and fit together into what is free, less `taken_mb` (memory, graphics card), it is the one
    with the fewest built-in engines, then the fewest steps down; of two alike the one that spares the first slots. The
    slots that may stay empty get what these leave, in the same way.
    """
    first = {slot: ladder for slot, ladder in ladders.items() if slot not in OPTIONAL}
    last = {slot: ladder for slot, ladder in ladders.items() if slot in OPTIONAL}
    steps = _fit(first, machine, taken_mb)
    rungs = [first[slot][at] for slot, at in steps.items() if at < len(first[slot])]
    ram_mb, vram_mb = sum(rung.ram_mb for rung in rungs), sum(rung.vram_mb for rung in rungs)
    return steps | _fit(last, machine, (taken_mb[0] + ram_mb, taken_mb[1] + vram_mb))


def _fit(ladders: Ladders, machine: Machine, taken_mb: tuple[int, int]) -> dict[str, int]:
    room_mb = machine.ram_mb - KEPT_FREE_MB - taken_mb[0]
    room_vram_mb = machine.vram_mb - KEPT_FREE_VRAM_MB - taken_mb[1]
    usable = [
        [at for at, rung in enumerate(ladder) if rung.here and not rung.unfit] + [len(ladder)]
        for ladder in ladders.values()
    ]

    def fits(steps: tuple[int, ...]) -> bool:
        rungs = [ladder[at] for ladder, at in zip(ladders.values(), steps, strict=True) if at < len(ladder)]
        ram_mb, vram_mb = sum(rung.ram_mb for rung in rungs), sum(rung.vram_mb for rung in rungs)
        return (not ram_mb or ram_mb <= room_mb) and (not vram_mb or vram_mb <= room_vram_mb)

    def loss(steps: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
        built_in = sum(at == len(ladder) for at, ladder in zip(steps, ladders.values(), strict=True))
        return built_in, sum(steps), steps

    return dict(zip(ladders, min(filter(fits, product(*usable)), key=loss), strict=True))


def reason(rung: Rung, machine: Machine) -> str:
    """Why a rung was taken: `8.1 GB are free and it is here`."""
    free = f"{machine.vram_mb / 1e3:.1f} GB are free on the graphics card" if rung.vram_mb else _free(machine)
    return f"{free} and it is here"


def obstacle(rung: Rung, machine: Machine) -> str:
    """Why a rung was not taken, behind its name: `is not here: assistant models pull whisper-base`."""
    if rung.unfit:
        return rung.unfit
    if not rung.here:
        return f"is not here: assistant models pull {rung.name}"
    if rung.vram_mb:
        free = f"{machine.vram_mb / 1e3:.1f} GB are free on the graphics card"
        return f"needs {rung.vram_mb / 1e3:.1f} GB beside the others, {free}"
    return f"needs {rung.ram_mb / 1e3:.1f} GB beside the others, {_free(machine)}"


def _free(machine: Machine) -> str:
    return f"{machine.ram_mb / 1e3:.1f} GB are free"
