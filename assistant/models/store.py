"""Models on this machine: where they lie, whether they are whole, and what their engine is told to run them.

    locate()    the file or the folder, if it is here
    where()     all of the catalogue and what of it is here
    resolved()  an engine's options, with a model of the catalogue put into words that it understands
    remove()    away with it

A model that has its name in the store is whole: it was checked before it got it, and got it in one step (`pulling`).
One that lies in a folder of the user's or in another program's cache counts as well. Opens no connection.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from assistant.errors import ConfigError, OutputError, WeightsError
from assistant.models.catalogue import Hub, Url, Weights, Wheel, called, catalogue, how_to_get, known
from assistant.models.elsewhere import caches
from assistant.models.licences import check_licence
from assistant.models.manifest import has_all, read_manifest, size
from assistant.models.settings import StoreSettings


@dataclass(frozen=True, slots=True)
class Stored:
    """A line of `assistant models where`. `path` is None where nothing is; `present` says that all of it is there.

    `unfinished_bytes` is what a pull that was broken off has left to go on with.
    """

    name: str
    slot: str
    path: Path | None
    size_bytes: int
    licence: str
    present: bool
    unfinished_bytes: int = 0


# ---------------------------------------------------------------- what is here


def locate(weights: str | Weights, settings: StoreSettings | None = None) -> Path | None:
    """The file, or the folder of a model that is one; None where it is not here, or not all of it.

    Looked for in the store, in the user's folders, in installed packages that carry it, in other programs' caches.
    Raises ConfigError for a name that the catalogue does not have.
    """
    wanted = known(weights) if isinstance(weights, str) else weights
    return next((path for path in _candidates(wanted, settings or StoreSettings()) if _whole(path, wanted)), None)


def where(settings: StoreSettings | None = None) -> list[Stored]:
    """What of the catalogue is here. What is not whole is listed with its path and is not `present`."""
    settings = settings or StoreSettings()
    lines: list[Stored] = []
    for weights in catalogue().values():
        found, kept = locate(weights, settings), target(weights, settings)
        path = found or (kept if kept.exists() else None)
        begun = _bytes_in(unfinished(weights, settings))
        lines.append(
            Stored(weights.name, weights.slot, path, weights.size_bytes, weights.licence, found is not None, begun)
        )
    return lines


def place(weights: Weights, settings: StoreSettings) -> Path:
    """The folder of a model in the store."""
    return settings.kept_in() / weights.name


def target(weights: Weights, settings: StoreSettings) -> Path:
    """What `locate` finds of a model in the store: its file, or its folder."""
    return place(weights, settings) / weights.file


def unfinished(weights: Weights, settings: StoreSettings) -> Path:
    """Where a pull keeps what has arrived until all of it has."""
    return settings.kept_in() / f"{weights.name}.part"


def lock(weights: Weights, settings: StoreSettings) -> Path:
    """What a pull holds while it is under way."""
    return settings.kept_in() / f"{weights.name}.lock"


def wheels_of(weights: Weights) -> list[Wheel]:
    """The wheels that carry it: such a model is fetched the first time it is needed, as a package is."""
    return [source for source in weights.sources if isinstance(source, Wheel)]


def _candidates(weights: Weights, settings: StoreSettings) -> Iterator[Path]:
    yield target(weights, settings)
    titles = [
        weights.name,
        *(source.repository.split("/")[-1] for source in weights.sources if isinstance(source, Hub)),
    ]
    for folder in settings.folders:
        own = folder.expanduser()
        yield from ((own / title / weights.file) for title in titles)
        if weights.file:
            yield own / weights.file
    for source in wheels_of(weights):
        try:  # inside an installed package, found without importing it
            yield Path(str(metadata.distribution(source.project).locate_file(source.member)))
        except metadata.PackageNotFoundError:
            continue
    yield from caches(weights)


def _whole(path: Path, weights: Weights) -> bool:
    """Whether all of a model is there: by its size, by the manifest beside it, else by the files it must have."""
    if weights.exact:
        return size(path) == weights.size_bytes
    folder = path.parent if weights.file else path
    if (manifest := read_manifest(folder)) is not None:
        return has_all(folder, manifest)
    if weights.file:
        return size(path) > 0
    return path.is_dir() and all(size(folder / inside) > 0 for inside in _needed(folder, weights))


def _needed(folder: Path, weights: Weights) -> set[str]:
    """Files that a folder without a manifest cannot do without: a configuration, weights, and all of their parts."""
    named = {inside for inside in weights.paths.values() if inside != "."}
    for source in weights.sources:
        if isinstance(source, Url) and not source.unpack:
            named |= {url.rpartition("/")[2] for url in (source.url, *source.more)}
    if named:
        return named
    parts: set[str] = set()
    for index in folder.glob("*.safetensors.index.json"):
        try:
            parts |= set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError):
            parts.add(f"{index.name} that can be read")
    found = [path.name for ending in ("safetensors", "bin", "pth") for path in folder.glob(f"*.{ending}")]
    return {"config.json", *(parts or found or {"model.safetensors"})}


def _bytes_in(folder: Path) -> int:
    return sum(size(path) for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else 0


# ---------------------------------------------------------------- what engines are told


def resolved(slot: str, engine: str, told: Mapping[str, Any], settings: StoreSettings) -> dict[str, Any]:
    """The options of an engine, where `model` (or `folder`) may be a name of the catalogue: it is told where that lies.

    The engine's own name of a model that is here is put into a path too, and what the catalogue says of a model holds
    over what was told; anything else is left as it is. Raises ConfigError for a model of another engine or slot,
    WeightsError for one that is not here.
    """
    named = [str(told[option]) for option in ("model", "folder") if told.get(option)]
    name, weights = next(((name, found) for name in named if (found := called(engine, name))), ("", None))
    if weights is None or wheels_of(weights):
        return dict(told)
    ours = name == weights.name
    if (weights.slot, weights.engine) != (slot, engine):
        if not ours:
            return dict(told)
        raise ConfigError(
            f"wanted a model for [{slot}.{engine}], got '{weights.name}', which is one for [{weights.slot}."
            f"{weights.engine}]; choose another, or --{weights.slot} {weights.engine}"
        )
    if not ours and locate(weights, settings) is None:
        return dict(told)
    rest = {option: value for option, value in told.items() if option != "model"}
    return rest | engine_options(weights, settings)


def engine_options(weights: str | Weights, settings: StoreSettings | None = None) -> dict[str, Any]:
    """What its engine is told to run a model. Raises WeightsError where it is not here or its licence not accepted."""
    wanted = known(weights) if isinstance(weights, str) else weights
    settings = settings or StoreSettings()
    path = locate(wanted, settings)
    if path is None:
        raise WeightsError(
            f"wanted the model '{wanted.name}' ({shown_size(wanted)}), got none of it, or not all; "
            f"{how_to_get(wanted.name)}"
        )
    check_licence(wanted, settings)
    folder = path.parent if wanted.file else path
    return {**wanted.options, **{option: str(folder / inside) for option, inside in wanted.paths.items()}}


# ---------------------------------------------------------------- away with it


def remove(weights: str | Weights, settings: StoreSettings | None = None) -> int:
    """Delete a model from the store, and what an unfinished pull of it has left; returns the bytes that are freed.

    Raises WeightsError where nothing of it is in the store: what other programs keep is theirs to delete; OutputError
    where it cannot be deleted.
    """
    wanted = known(weights) if isinstance(weights, str) else weights
    settings = settings or StoreSettings()
    there = [folder for folder in (place(wanted, settings), unfinished(wanted, settings)) if folder.is_dir()]
    if not there:
        found = locate(wanted, settings)
        got = f"it lies in {found}, which is not ours; delete it there" if found else "nothing of it is there"
        raise WeightsError(f"wanted '{wanted.name}' in {settings.kept_in()}, {got}")
    freed = sum(_bytes_in(folder) for folder in there)
    try:
        for folder in there:
            gone = folder.with_name(f"{folder.name}.gone")
            if gone.exists():
                shutil.rmtree(gone)
            shutil.rmtree(folder.rename(gone))  # what is half deleted has no name that anybody looks for
        lock(wanted, settings).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"wanted to delete {folder}, got '{error.strerror}'; permit it, or delete it yourself"
        ) from error
    return freed


def shown_size(weights: Weights) -> str:
    """The size of a model in words: `98 MB`, `about 2.0 GB`."""
    about = "" if weights.exact else "about "
    return f"{about}{shown_bytes(weights.size_bytes)}"


def shown_bytes(count: float) -> str:
    """Bytes in words: `98 MB`, `2.0 GB`."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6))} MB"
