"""`assistant eval` and `assistant bench`: how well the engines hear and see, and how fast this machine is.

Each command hands its work to `assistant.sessions` and turns the report into text. Knows no engine.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.engaging import engine, prepare
from assistant.options import ENGINES, GENERAL, AsJson, configured
from assistant.printing import echo, plainly, print_json, print_table

if TYPE_CHECKING:
    from assistant.config import Config

eval_app = typer.Typer(
    help="Measure an engine on recordings or pictures.", epilog="Example: assistant eval hearing data"
)
bench_app = typer.Typer(help="Measure this machine.", epilog="Example: assistant bench turns --json")


@eval_app.command("hearing", epilog="Example: assistant eval hearing data/speech --json")
@configured("--recogniser", *GENERAL)
def eval_hearing(
    config: Config,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="a folder with transcripts.tsv")],
    *,
    as_json: AsJson = False,
) -> None:
    """Measure a recogniser: word and character errors, latency, words it invents."""
    from assistant.sessions.hearing import evaluate_hearing

    report = evaluate_hearing(path, engine(config, "recogniser"), engine(config, "activity"))
    _print_report(report, as_json)


@eval_app.command("seeing", epilog="Example: assistant eval seeing data/images --json")
@configured("--mind", "--eyes", "--detector", "--encoder", *GENERAL)
def eval_seeing(
    config: Config,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="a folder with qa.jsonl, or VQA, COCO, … as they come")],
    *,
    most: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="no more than N questions, evenly spread", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure seeing: right answers by every way of fusing, captions, frames.

    The sentences that the evidence allows are judged by themselves; with --mind, what that mind makes of them.
    """
    from assistant.sessions.seeing import evaluate_seeing
    from assistant.sessions.tabling import seeing_tables
    from assistant.sessions.viewing import Senses

    mind = None if config.mind.engine == "auto" else engine(config, "mind")
    senses = Senses(*(engine(config, slot) for slot in ("eyes", "detector", "encoder")))
    report = evaluate_seeing(path, senses, mind, most)
    if as_json:
        print_json(report)
    else:
        echo(seeing_tables(report))


@bench_app.command("turns", epilog="Example: assistant bench turns --json")
@configured(*ENGINES, *GENERAL)
def bench_turns(
    config: Config,
    *,
    corpus: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="recordings with a transcripts.tsv; default: the shared ones, or the demo's"
        ),
    ] = None,
    scenes: Annotated[int, typer.Option(min=0, metavar="N", help="scenes that are counted in virtual time")] = 240,
    turns: Annotated[int, typer.Option(min=0, metavar="N", help="turns that are timed at the speed of sound")] = 42,
    costs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="what work costs in the scenes; default: as measured before")
    ] = None,
    picture: Annotated[Path, typer.Option(metavar="FILE.png", help="where the distribution is drawn")] = Path(
        "bench-turns.png"
    ),
    as_json: AsJson = False,
) -> None:
    """Measure turn-taking: latency at the speed of sound, decisions over simulated scenes."""
    from assistant.running import read_costs
    from assistant.sessions.turns import Bench, bench_turns

    known = read_costs(costs) if costs is not None else None
    prepare(config, "mind", "endpointing")
    bench = Bench(corpus, scenes, turns, known, picture, os.cpu_count() or 1)
    _print_report(bench_turns(config, bench, lambda line: typer.echo(line, err=True)), as_json)


@bench_app.command("engines", epilog="Example: assistant bench engines --random-weights whisper-base")
@configured(*ENGINES, *GENERAL)
def bench_engines(
    config: Config,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="slots, engines or models; default: all")
    ] = None,
    *,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="models of the catalogue's shapes: true speed, no sense")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure engines one by one: loading, the first of their work, speed, memory."""
    from assistant.choosing import store_settings
    from assistant.sessions.engines import chosen_cases, measure_cases
    from assistant.sessions.random_engines import measure_random

    def tell(line: str) -> None:
        typer.echo(line, err=True)

    if random_weights:
        tell("random: speed is true, words are not")
        rows = list(measure_random(names or (), tell=tell, store=store_settings(config)))
    else:
        prepare(config, "mind", "endpointing")
        rows = list(measure_cases(chosen_cases(config, names or ()), tell))
    if as_json:
        print_json([row.told() for row in rows])
    else:
        print_table([row.shown() for row in rows])


def _print_report(report: Any, as_json: bool) -> None:
    table = report if isinstance(report, dict) else asdict(report)
    if as_json:
        print_json(table)
        return
    for key, value in table.items():
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=plainly)
        echo(f"{key}: {shown}")
