"""The catalogue: which weights there are, how large, under which licence, and which wheel carries them.

Read from `catalogue.toml`, which ships with the package. Knows nothing of the network or of what is on the disk.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from assistant.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that carries weights: `member` is the file's path inside, `size_bytes` the size of the wheel."""

    project: str
    version: str
    member: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of weights. `slot` is the seam it serves, `languages` are ISO 639-1 codes."""

    name: str
    slot: str
    file: str
    size_bytes: int
    sha256: str
    licence: str
    languages: tuple[str, ...] = ()
    sources: tuple[Wheel, ...] = ()
    about: str = ""
    origin: str = ""


@cache
def catalogue() -> MappingProxyType[str, Weights]:
    """All known weights by name."""
    table = tomllib.loads(files("assistant.models").joinpath("catalogue.toml").read_text(encoding="utf-8"))
    return MappingProxyType({entry["name"]: _weights(entry) for entry in table["weights"]})


def _weights(entry: dict[str, Any]) -> Weights:
    sources = [dict(source) for source in entry["sources"]]
    wheels = tuple(Wheel(**source) for source in sources if source.pop("kind") == "wheel")
    return Weights(**{**entry, "languages": tuple(entry["languages"]), "sources": wheels})


def known(name: str) -> Weights:
    """The entry of that name. An unknown one is a ConfigError that suggests the nearest."""
    entries = catalogue()
    if name not in entries:
        near = get_close_matches(name, entries, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(entries)}"
        raise ConfigError(f"wanted weights of the catalogue, got '{name}'; {hint}")
    return entries[name]
