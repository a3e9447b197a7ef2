"""The catalogue: which models there are, how large and how good, under which licence, and where they come from.

Read from `catalogue.toml`, which ships with the package; every fact there names its source. Knows nothing of the
network or of what is on the disk.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, ClassVar

from assistant.errors import ConfigError, nearest

EVERYTHING_FOR_TRANSFORMERS = ("*.json", "*.jinja", "*.safetensors", "*.txt", "*.model")
"""What is taken of a repository unless its source says otherwise: many also hold the same weights for other engines."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that carries a file: `member` is the file's path inside, `size_bytes` the size of the wheel."""

    kind: ClassVar[str] = "wheel"
    project: str
    version: str
    member: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Hub:
    """A repository on the Hugging Face hub. `files` are patterns; one without a slash means the top folder alone."""

    kind: ClassVar[str] = "hub"
    repository: str
    revision: str = "main"
    files: tuple[str, ...] = EVERYTHING_FOR_TRANSFORMERS


@dataclass(frozen=True, slots=True)
class Url:
    """A file behind an address; `unpack` says that it is a zip of what is wanted.

    `more` are the addresses of further files of the model, `sha256` the checksums of all of them where they are known.
    """

    kind: ClassVar[str] = "url"
    url: str
    unpack: bool = False
    more: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()


Source = Wheel | Hub | Url
_SOURCES: dict[str, type[Source]] = {kind.kind: kind for kind in (Wheel, Hub, Url)}


@dataclass(frozen=True, slots=True)
class Quality:
    """A published figure, and the page that publishes it."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Needs:
    """What a model takes while it runs: `vram_mb` on a GPU, `ram_mb` without one (0: it is not meant to run there).

    Each figure has the page that publishes it; one without is an estimate from the number of its weights.
    """

    ram_mb: int = 0
    vram_mb: int = 0
    ram_source: str = ""
    vram_source: str = ""


@dataclass(frozen=True, slots=True)
class Weights:
    """A model: one `file`, pinned by `sha256`, or a folder of files (`file` is empty).

    `slot` is the seam it serves and `engine` the backend that runs it, with `options` of that engine's and `paths`:
    option -> path inside the model's folder; `aliases` are names that its engine has for it. `size_bytes` is what is
    downloaded; unless `exact` it is rounded. `commercial`: whether the licence (an SPDX id or the licence's own name)
    allows commercial use; `accept`: whether it must be accepted first. `languages` are ISO 639-1 codes.
    """

    name: str
    slot: str
    size_bytes: int
    licence: str
    file: str = ""
    sha256: str = ""
    engine: str = ""
    aliases: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    exact: bool = True
    commercial: bool = True
    accept: bool = False
    licence_url: str = ""
    languages: tuple[str, ...] = ()
    quality: tuple[Quality, ...] = ()
    needs: Needs = Needs()
    sources: tuple[Source, ...] = ()
    about: str = ""
    origin: str = ""

    @property
    def also(self) -> tuple[str, ...]:
        """What its engine itself calls it: `base`, `tts_models/en/vctk/vits`, a name on the hub."""
        own = (self.options["model"],) if "model" in self.options else ()
        return self.aliases + own + tuple(source.repository for source in self.sources if isinstance(source, Hub))


@cache
def catalogue() -> MappingProxyType[str, Weights]:
    """All known models by name."""
    table = tomllib.loads(files("assistant.models").joinpath("catalogue.toml").read_text(encoding="utf-8"))
    return MappingProxyType({entry["name"]: _weights(entry) for entry in table["weights"]})


def _weights(entry: dict[str, Any]) -> Weights:
    told = _frozen(entry)
    if "size_mb" in told:
        told |= {"size_bytes": round(told.pop("size_mb") * 1e6), "exact": False}
    told["sources"] = tuple(_SOURCES[source.pop("kind")](**source) for source in map(_frozen, entry["sources"]))
    told["quality"] = tuple(Quality(**quality) for quality in entry.get("quality", ()))
    told["needs"] = Needs(**entry.get("needs", {}))
    return Weights(**told)


def _frozen(table: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple[Any, ...](value) if isinstance(value, list) else value for key, value in table.items()}


def known(name: str) -> Weights:
    """The entry of that name. An unknown one is a ConfigError that suggests the nearest."""
    entries = catalogue()
    if name not in entries:
        hint = nearest(name, entries, f"choose one of {', '.join(entries)}")
        raise ConfigError(f"wanted a model of the catalogue, got '{name}'; {hint}")
    return entries[name]


def called(engine: str, model: str) -> Weights | None:
    """The entry that an engine's option `model` means: by our name or by the engine's own; None for anything else."""
    entries = catalogue().values()
    return next((one for one in entries if one.name == model or (one.engine == engine and model in one.also)), None)


def how_to_get(name: str) -> str:
    """What the user of an engine is told whose weights, a model of the catalogue, are not here."""
    return f"get it with: assistant models pull {name}"


def advice(slot: str, model: str, otherwise: str) -> str:
    """`how_to_get` a model that an engine has by any of its names; `otherwise` for one that no pull gets."""
    entries = (one for one in catalogue().values() if one.slot == slot and not isinstance(one.sources[0], Wheel))
    wanted = next((one for one in entries if model in (one.name, *one.also)), None)
    return otherwise if wanted is None else how_to_get(wanted.name)
