"""`assistant bench engines`: how fast each engine is on this machine, and what memory it takes.

Each engine is loaded in a process of its own: its memory is its own, and one that dies takes no other with it. Figures
are medians. Knows no engine: what each is timed at is in `work`.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from assistant.backends import load
from assistant.errors import AssistantError, ConfigError, nearest
from assistant.sessions.work import WORK, Timed, encode

if TYPE_CHECKING:
    from assistant.config import Config

REPEATS = 3
Job = Literal["", "encoder"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Case:
    """An engine to measure. `model` is what a row calls it, `options` are the engine's own.

    `job`: empty is the slot's work; `encoder` is Whisper's encoder alone, in the full and in the trimmed window.
    """

    slot: str
    engine: str
    model: str
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: Literal["real", "random"] = "real"
    job: Job = ""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of an engine; the figures are None where `error` says why there are none.

    `first_ms`: to the first token, to the first sound, or from the last sample heard to the words; of what comes in one
    piece, to that. `rate` is of `unit`. `memory_mb` (10^6 bytes): by how much the process grew at most, the engine's
    libraries included.
    """

    slot: str
    engine: str
    model: str
    weights: str
    load_s: float | None = None
    first_ms: float | None = None
    rate: float | None = None
    unit: str = ""
    memory_mb: int | None = None
    error: str = ""

    def told(self) -> dict[str, Any]:
        """The contract's keys, and `error` where there is one."""
        return {key: value for key, value in asdict(self).items() if key != "error" or value}

    def shown(self) -> dict[str, Any]:
        """The same for a table: every row has all columns, and nothing stands where there is no figure."""
        return {key: "" if value is None else value for key, value in asdict(self).items()}


def chosen_cases(config: Config, names: Sequence[str] = ()) -> list[Case]:
    """The engines that the configuration leads to; `names` are slots, engines or models, none means all.

    Raises ConfigError for a name that is none of theirs.
    """
    from assistant.choosing import NONE, choose
    from assistant.hiring import options

    cases: list[Case] = []
    for slot, choice in choose(config).items():
        if choice.name == NONE:
            continue
        told = options(config, slot, choice.name, choice)
        model = choice.model or str(told.get("model") or choice.name)
        cases.append(Case(slot, choice.name, model, told))
    known = {name for case in cases for name in (case.slot, case.engine, case.model)}
    for name in names:
        if name not in known:
            hint = nearest(name, known, f"choose among {', '.join(sorted(known))}")
            raise ConfigError(f"wanted an engine that is in use, got '{name}'; {hint}")
    return [case for case in cases if not names or {case.slot, case.engine, case.model} & set(names)]


def measure_cases(cases: Sequence[Case], tell: Callable[[str], None] = lambda _: None) -> Iterator[Row]:
    """Measure one engine after the other. One that cannot be loaded, fails or dies is a row with its error."""
    for case in cases:
        tell(f"{case.slot}: {case.model}")
        try:
            yield from apart(partial(measure_case, case))
        except (AssistantError, MemoryError, RuntimeError, OSError) as error:  # a process that dies is a RuntimeError
            yield failed(case, error)


def failed(case: Case, error: BaseException) -> Row:
    """The row of an engine that could not be measured."""
    said = next(iter(str(error).splitlines()), "") or type(error).__name__
    return Row(case.slot, case.engine, case.model, case.weights, error=said)


def apart(work: Callable[[], T]) -> T:
    """The result of `work` in a process of its own. Raises what it raises, BrokenProcessPool where the process dies."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work).result()


def measure_case(case: Case) -> list[Row]:
    """Load an engine in this process and measure it: a row for each way of running it. Raises what loading raises."""
    before_mb, began_s = peak_mb(), perf_counter()
    engine = load(case.slot, case.engine, **case.options)
    load_s = perf_counter() - began_s
    try:
        work = encode if case.job == "encoder" else WORK[case.slot]
        rounds = [list(work(engine, turn)) for turn in range(REPEATS)]
    finally:
        getattr(engine, "close", lambda: None)()
    row = Row(case.slot, case.engine, case.model, case.weights, round(load_s, 2), memory_mb=peak_mb() - before_mb)
    return [_median(row, ways) for ways in zip(*rounds, strict=True)]


def _median(row: Row, times: Sequence[Timed]) -> Row:
    first_ms = 1000 * statistics.median(timed.first_s for timed in times)
    rate = statistics.median(timed.rate for timed in times)
    return replace(
        row,
        model=named(row.model, times[0].variant),
        first_ms=round(first_ms, 1),
        rate=round(rate, 2),
        unit=times[0].unit,
    )


def named(model: str, variant: str) -> str:
    """What a row calls a way of running a model; the only way has no name."""
    return ", ".join(filter(None, (model, variant)))


def peak_mb() -> int:
    """The most memory that this process has had, in 10^6 bytes."""
    if sys.platform == "linux":  # getrusage would count what the parent had before it started this process
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 // 1_000_000
    import psutil

    return psutil.Process().memory_info().rss // 1_000_000
