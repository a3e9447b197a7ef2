"""`assistant bench turns`: turn-taking, measured from end to end.

Latency is measured at the speed of sound with all engines and a picture in view; decisions are counted over hundreds
of scenes in virtual time, at the costs that were measured there. In those the voice activity, the canceller, the
recogniser, the judgement of pauses and the voice are real, and the mind is scripted: what it says does not matter, and
it says it at the real mind's pace. Knows no engine's inside.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant import pacing
from assistant.backends.pictures import read_picture
from assistant.errors import ConfigError
from assistant.hiring import load_engines
from assistant.pacing import Costs
from assistant.sessions.counting import count
from assistant.sessions.idling import cold_start_s, idle_shares, memory_mb
from assistant.sessions.latency import Latencies, hold_talks
from assistant.sessions.picture import draw
from assistant.sessions.recordings import Corpus, read_corpus, shared_corpus
from assistant.sessions.report import figures
from assistant.sessions.scenes import TURNS, quiet_talk
from assistant.sessions.staging import MIND

if TYPE_CHECKING:
    from assistant.config import Config

SCENES, TALK_TURNS = 240, 42
"""by default: about a quarter of an hour on two cores"""


@dataclass(frozen=True, slots=True)
class Bench:
    """What to measure. `corpus`: None is `$ASSISTANT_SHARED/data/speech`, else the demo's sounds. `turns` at the speed
    of sound, `scenes` in virtual time. `costs`: None are those measured. `picture` is drawn if there is one.
    """

    corpus: Path | None = None
    scenes: int = SCENES
    turns: int = TALK_TURNS
    costs: Costs | None = None
    picture: Path | None = None
    processes: int = 1


def bench_turns(config: Config, bench: Bench, tell: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Measure. Returns the contract's keys and what `report.figures` adds; `costs` are those that were counted at.

    Raises SourceError where the corpus cannot be used, OutputError where the picture cannot be drawn, ConfigError where
    scenes are to be counted at costs that nobody knows.
    """
    if bench.scenes and not bench.turns and bench.costs is None:
        raise ConfigError(
            "wanted what work costs in the scenes, got neither turns to measure it in nor a table of costs; "
            "add --turns 6, or --costs with the --json output of an earlier run"
        )
    corpus = read_corpus(bench.corpus or shared_corpus())
    tell(f"{len(corpus.clips)} recordings of {corpus.name}")
    measured, resting = pacing.run(_at_real_pace(config, corpus, bench.turns, tell), fast=False)
    costs = measured.costs if bench.costs is None else dict(bench.costs)
    outcomes = count(config, corpus, bench.scenes, costs, tell, bench.processes) if bench.scenes else []
    report = {
        "machine": {"cores": os.cpu_count(), "processor": platform.machine(), "python": platform.python_version()},
        **resting.pop("engines"),
        "corpus": {"name": corpus.name, "recordings": len(corpus.clips), "noises": len(corpus.noises)},
        "seed": config.assistant.seed,
        **figures(measured, outcomes),
        **resting,
        "costs": costs,
    }
    if bench.picture is not None:
        draw(bench.picture, measured.voice_to_voice_ms, report)
        tell(f"wrote {bench.picture}")
    return report


async def _at_real_pace(
    config: Config, corpus: Corpus, turns: int, tell: Callable[[str], None]
) -> tuple[Latencies, dict[str, Any]]:
    """The talks, and what the program costs at rest: `ready_s` (a fresh process until `ready`), `memory_mb` (the most
    this process took) and `idle_cpu` (share of a core while nobody speaks). Without turns nothing is measured.
    """
    import asyncio

    from assistant.demo import script

    engines = await load_engines(config)
    chosen = {slot: choice.name for slot, choice in engines.chosen.items()}
    named = {"engines": chosen, "counted_with": {**chosen, "mind": f"{MIND.name}: {MIND.why}", "eyes": "none"}}
    try:
        if not turns:
            return Latencies(), {"engines": named}
        picture = read_picture(script().pictures[0][1])
        talks = (quiet_talk(corpus, number, config.assistant.seed) for number in range(math.ceil(turns / TURNS)))
        latencies = await hold_talks(config, engines, talks, picture, tell)
        tell("at rest")
        idle = await idle_shares(config, engines, picture)
    finally:
        engines.close()
    tell("starting a fresh process")
    ready_s = round(await asyncio.to_thread(cold_start_s), 2)
    return latencies, {"engines": named, "ready_s": ready_s, "memory_mb": memory_mb(), "idle_cpu": idle}
