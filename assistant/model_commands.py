"""`assistant models`: which models there are, which are here, and getting, checking and deleting them.

Turns what `assistant.models` says into text, and asks on the terminal where a licence has to be accepted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.errors import AssistantError, ConfigError, WeightsError
from assistant.options import AsJson, IsPlain, configured
from assistant.printing import echo, print_json, print_table

if TYPE_CHECKING:
    from assistant.config import Config
    from assistant.models import Fetching, Progress, StoreSettings, Weights

models_app = typer.Typer(help="The models on this machine.", epilog="Example: assistant models pull whisper-base")
Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="models by their names in `models list`")]
SomeNames = Annotated[
    list[str] | None, typer.Argument(metavar="[NAME...]", help="default: all of them", show_default=False)
]


# ---------------------------------------------------------------- what there is


@models_app.command("list", epilog="Example: assistant models list whisper-base")
@configured()
def models_list(config: Config, names: SomeNames = None, *, as_json: AsJson = False) -> None:
    """List the models there are; a model that is named, with all that is known of it."""
    from assistant.models import catalogue, known

    settings = _settings(config)
    rows = [_details(known(name), settings) for name in names or catalogue()]
    if as_json:
        print_json(rows)
    elif names:
        echo("\n\n".join("\n".join(_described(row)) for row in rows))
    else:
        print_table([_brief(row) for row in rows])
        echo("\n~ estimated; where figures and licences stand: assistant models list NAME")


@models_app.command("where", epilog="Example: assistant models where")
@configured()
def models_where(config: Config, *, as_json: AsJson = False) -> None:
    """List the models there are, and where those lie that are here."""
    from assistant import models

    rows = models.where(_settings(config))
    if as_json:
        print_json(rows)
        return
    print_table(
        [
            {
                "name": row.name,
                "slot": row.slot,
                "size": f"{row.size_bytes / 1e6:.0f} MB",
                "licence": row.licence,
                "where": _where(row.path, row.present, row.unfinished_bytes),
            }
            for row in rows
        ]
    )


def _details(weights: Weights, settings: StoreSettings) -> dict[str, Any]:
    """All that is known of a model, as JSON has it."""
    from dataclasses import asdict

    from assistant.models import accepted, locate

    told = asdict(weights)
    told["sources"] = [{"kind": source.kind, **asdict(source)} for source in weights.sources]
    path = locate(weights, settings)
    return {**told, "accepted": accepted(weights, settings), "here": path is not None, "path": path and str(path)}


def _brief(row: dict[str, Any]) -> dict[str, Any]:
    languages = row["languages"]
    return {
        "name": row["name"],
        "slot": row["slot"],
        "size": _size(row),
        "licence": row["licence"] + ("" if row["commercial"] else " (not commercial)"),
        "languages": ", ".join(languages)
        if len(languages) < 4
        else f"{', '.join(languages[:2])} +{len(languages) - 2}",
        "needs": _needs(row["needs"]),
        "quality": next((quality["text"] for quality in row["quality"]), ""),
        "here": "yes" if row["here"] else "no",
    }


def _described(row: dict[str, Any]) -> Iterator[str]:
    """A model in lines."""
    yield f"{row['name']}: {row['about']}"
    yield f"  slot       {row['slot']}, engine {row['engine']}"
    yield f"  size       {_size(row)}"
    use = "commercial use allowed" if row["commercial"] else "not for commercial use"
    must = "" if not row["accept"] else ", accepted" if row["accepted"] else ", must be accepted"
    yield f"  licence    {row['licence']}, {use}{must}  {row['licence_url']}".rstrip()
    yield f"  languages  {', '.join(row['languages'])}"
    needs = row["needs"]
    yield f"  needs      {_needs(needs)}  {needs['ram_source']} {needs['vram_source']}".rstrip()
    for quality in row["quality"]:
        yield f"  quality    {quality['text']}  {quality['source']}"
    yield f"  origin     {row['origin']}"
    for source in row["sources"]:
        yield f"  from       {source['kind']} {source.get('repository') or source.get('url') or source.get('project')}"
    yield f"  here       {row['path'] or 'no: assistant models pull ' + row['name']}"


def _size(row: dict[str, Any]) -> str:
    return f"{'' if row['exact'] else '~'}{row['size_bytes'] / 1e6:.0f} MB"


def _needs(needs: dict[str, Any]) -> str:
    """Memory in words; a figure that nobody has published is marked."""
    parts = ((needs["ram_mb"], needs["ram_source"], "RAM"), (needs["vram_mb"], needs["vram_source"], "GPU"))
    return " or ".join(f"{'' if source else '~'}{mb / 1000:.1f} GB {what}" for mb, source, what in parts if mb)


def _where(path: Any, present: bool, unfinished_bytes: int) -> str:
    if present:
        return str(path)
    if path is not None:
        return f"damaged: {path}"
    return f"{unfinished_bytes / 1e6:.0f} MB of it; pull it again to go on" if unfinished_bytes else "not here"


# ---------------------------------------------------------------- getting


@models_app.command("pull", epilog="Example: assistant models pull whisper-base smolvlm2-500m")
@configured("--offline")
def models_pull(
    config: Config,
    names: Annotated[list[str], typer.Argument(metavar="NAME|TIER...", help="models, or all that a tier runs on")],
    *,
    licences: Annotated[
        list[str] | None,
        typer.Option("--accept-licence", metavar="NAME", help="accept the licence of this model", show_default=False),
    ] = None,
    plain: IsPlain = False,
) -> None:
    """Get models, or go on getting them; several sources are tried, and every file is checked."""
    from assistant import models

    settings = _settings(config)
    wanted = [models.known(name) for name in _meant(names)]
    for name in licences or ():
        models.accept(models.known(name), settings)
    for weights in wanted:
        _ask(weights, settings)
    failed: list[tuple[str, AssistantError]] = []
    for weights in wanted:
        try:
            with _bar(plain) as progress:
                path = models.pull(weights, settings, progress)
            echo(f"{weights.name}: {path}")
        except WeightsError as error:
            failed.append((weights.name, error))
    if len(failed) == 1:
        raise failed[0][1]
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in failed)
        raise WeightsError(f"wanted {len(wanted)} models, {len(failed)} could not be had: {reasons}")


def _meant(names: Sequence[str]) -> list[str]:
    """The models that are meant, those of a tier in its place; each once."""
    from assistant import models
    from assistant.models import tiers

    entries = models.catalogue()
    meant: list[str] = []
    for name in names:
        if name not in entries and name not in tiers.tiers():
            try:
                models.known(name)
            except ConfigError as error:
                raise ConfigError(f"{error} (or a tier: {', '.join(tiers.tiers())})") from error
        meant += [name] if name in entries else tiers.names(name)
    return list(dict.fromkeys(meant))


def _ask(weights: Weights, settings: StoreSettings) -> None:
    """Have a licence accepted that must be, once, where somebody sits at a terminal."""
    from assistant.models import accept, accepted

    if accepted(weights, settings) or sys.stdin is None or not sys.stdin.isatty():
        return
    use = "commercial use allowed" if weights.commercial else "not for commercial use"
    echo(f"{weights.name} has a licence of its own: {weights.licence}, {use}. Read it: {weights.licence_url}")
    if typer.confirm("Do you accept it?"):
        accept(weights, settings)


@contextmanager
def _bar(plain: bool) -> Iterator[Progress]:
    """Something that shows how far a download is: a bar on a terminal, else lines when it begins and ends."""
    from assistant.display import Plain, fetch_lines, open_display

    display = open_display(sys.stderr, plain=plain)
    if isinstance(display, Plain):
        with display:
            yield display.progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(file=sys.stderr, markup=False, highlight=False, emoji=False)
    with Bars(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
        task = bars.add_task("", total=None, visible=False)

        def show(step: Fetching) -> None:
            for line in fetch_lines(step):
                console.print(line, style="dim")
            done, total = step.done_bytes, step.total_bytes or None
            bars.update(task, description=step.name, completed=done, total=total, visible=True)

        yield show


# ---------------------------------------------------------------- checking, deleting


@models_app.command("verify", epilog="Example: assistant models verify whisper-base")
@configured()
def models_verify(config: Config, names: SomeNames = None, *, as_json: AsJson = False) -> None:
    """Check every file of the models that are here against its checksum; needs no network."""
    from assistant import models

    settings = _settings(config)
    found = [models.verify(name, settings) for name in names or models.catalogue()]
    if missing := [name for name, one in zip(names or (), found, strict=False) if one is None]:
        raise WeightsError(f"wanted to check {', '.join(missing)}, got none of it; {models.how_to_get(missing[0])}")
    results = [one for one in found if one is not None]
    if as_json:
        print_json(results)
    for one in results if not as_json else ():
        state = f"differs: {', '.join(one.wrong)}" if one.wrong else f"right: {one.checked} of its files"
        echo(f"{one.name}: {state}" + (f", {len(one.unchecked)} have no checksum" if one.unchecked else ""))
    if wrong := [one for one in results if one.wrong]:
        damaged = ", ".join(f"{one.wrong[0]} of {one.name} damaged" for one in wrong)
        again = f"assistant models remove {wrong[0].name}, then pull it again"
        raise WeightsError(f"wanted every file right, got {damaged}; {again}")


@models_app.command("remove", epilog="Example: assistant models remove whisper-base")
@configured()
def models_remove(config: Config, names: Names) -> None:
    """Delete models from the store, and what unfinished pulls of them left."""
    from assistant import models

    settings = _settings(config)
    for weights in [models.known(name) for name in names]:
        echo(f"removed {weights.name}: {models.remove(weights, settings) / 1e6:.0f} MB are free again")


def _settings(config: Config) -> StoreSettings:
    from assistant.choosing import store_settings

    return store_settings(config)
