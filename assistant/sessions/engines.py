"""`assistant bench engines`: how fast each engine is on this machine, and what memory it takes.

Each engine is loaded in a process of its own: its memory is its own, and one that dies takes no other with it. Figures
are medians. Knows the seams, and of the engines only that Whisper's encoder can be run in a cut window.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from assistant import demo
from assistant.backends import Decodes, Message, Streams, load
from assistant.backends.files import read_sound
from assistant.backends.pictures import read_picture
from assistant.errors import AssistantError, ConfigError
from assistant.events import HEARING_RATE_HZ, Samples

if TYPE_CHECKING:
    from assistant.config import Config

REPEATS = 3
PROMPT_TOKENS, REPLY_TOKENS = 64, 32
"""of a mind; a random one never ends by itself"""
BLOCK = HEARING_RATE_HZ // 10
SENTENCE = "The red cup stands on the table beside the window, and the book lies under it."
WINDOWS = 100
"""of sound for the voice activity"""

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


@dataclass(frozen=True, slots=True)
class Timed:
    """Once through an engine's work: the seconds to the first of it, and how much of `unit` it does per second."""

    first_s: float
    rate: float
    unit: str
    variant: str = ""


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
            near = get_close_matches(name, known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"choose among {', '.join(sorted(known))}"
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
    model = ", ".join(filter(None, (row.model, times[0].variant)))
    return replace(row, model=model, first_ms=round(first_ms, 1), rate=round(rate, 2), unit=times[0].unit)


def peak_mb() -> int:
    """The most memory that this process has had, in 10^6 bytes."""
    if sys.platform == "linux":  # getrusage would count what the parent had before it started this process
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0]) * 1024 // 1_000_000
    import psutil

    return psutil.Process().memory_info().rss // 1_000_000


# ---------------------------------------------------------------- the work of each slot, once


def hear(engine: Any, turn: int) -> Iterator[Timed]:
    """A question of the demo, and how long its words take after its last sample."""
    pcm = question(turn)
    began_s = ended_s = perf_counter()
    if isinstance(engine, Decodes):
        engine.decode(pcm, "en", "", _never)
    else:
        segment = engine.start("en")
        for at in range(0, len(pcm), BLOCK):
            engine.feed(segment, pcm[at : at + BLOCK])
        ended_s = perf_counter()
        engine.finish(segment)
    now_s = perf_counter()
    yield Timed(now_s - ended_s, len(pcm) / HEARING_RATE_HZ / (now_s - began_s), "x real time")


def encode(engine: Any, turn: int) -> Iterator[Timed]:
    """Whisper's encoder over 3 s and 8 s, in the window of 30 s and in one cut to the sound."""
    sound = read_sound(demo.script().sound)
    for length_s in (3, 8):
        pcm = sound[: length_s * HEARING_RATE_HZ]
        for trimmed in (False, True):
            took_s = _timed(partial(engine.encode, pcm, trimmed=trimmed))
            variant = f"encoder, {length_s} s {'trimmed' if trimmed else 'in 30 s'}"
            yield Timed(took_s, length_s / took_s, "x real time", variant)


def think(engine: Any, turn: int) -> Iterator[Timed]:
    """A reply to a prompt that begins like none before it; one piece is one token."""
    prompt = f"{turn} is the number of this talk. Count from one to thirty, in words."
    while engine.count(prompt) < PROMPT_TOKENS:
        prompt += " Go on and on."
    began_s, times = perf_counter(), list[float]()
    for _ in engine.reply([Message("user", prompt)], _never):
        times.append(perf_counter())
        if len(times) == REPLY_TOKENS:
            break
    if len(times) < 2:
        raise RuntimeError(f"wanted a reply of two tokens or more, got {len(times)}; take another model")
    yield Timed(times[0] - began_s, (len(times) - 1) / (times[-1] - times[0]), "tokens/s")


def speak(engine: Any, turn: int) -> Iterator[Timed]:
    """A sentence: its first sound, and how much sound is made in a second."""
    began_s, first_s, sound_s = perf_counter(), 0.0, 0.0
    if isinstance(engine, Streams):
        pieces = (speech for _, speech in engine.stream(SENTENCE, "en", _never))
    else:
        pieces = iter((engine.synthesise(SENTENCE, "en", _never),))
    for speech in pieces:
        first_s = first_s or perf_counter() - began_s
        sound_s += len(speech.pcm) / speech.rate_hz
    yield Timed(first_s, sound_s / (perf_counter() - began_s), "x real time")


def look(engine: Any, turn: int) -> Iterator[Timed]:
    """A picture of the demo, through eyes, a detector or an encoder."""
    _, path = demo.script().pictures[turn % len(demo.script().pictures)]
    picture = read_picture(path)
    took_s = _timed(partial(getattr(engine, "embed_image", None) or engine.look, picture))
    yield Timed(took_s, 1 / took_s, "pictures/s")


def notice(engine: Any, turn: int) -> Iterator[Timed]:
    """Whether anybody speaks, window by window."""
    pcm, state, times = question(turn), engine.start(), list[float]()
    for at in range(0, min(len(pcm) - engine.window, WINDOWS * engine.window), engine.window):
        began_s = perf_counter()
        state, _ = engine.voice(state, pcm[at : at + engine.window])
        times.append(perf_counter() - began_s)
    yield Timed(times[0], len(times) / sum(times), "windows/s")


def judge(engine: Any, turn: int) -> Iterator[Timed]:
    """Whether a question of the demo is over."""
    took_s = _timed(partial(engine.over, question(turn)))
    yield Timed(took_s, 1 / took_s, "judgements/s")


WORK: dict[str, Callable[[Any, int], Iterator[Timed]]] = {
    "recogniser": hear,
    "mind": think,
    "voice": speak,
    "eyes": look,
    "detector": look,
    "encoder": look,
    "activity": notice,
    "endpointing": judge,
}


def question(turn: int) -> Samples:
    """One of the demo's questions, at 16 kHz."""
    talk = demo.script()
    asked = talk.questions[turn % len(talk.questions)]
    began, ended = (int(at_s * HEARING_RATE_HZ) for at_s in (asked.began_s - 0.3, asked.ended_s + 0.2))
    return read_sound(talk.sound)[max(0, began) : ended]


def _timed(work: Callable[[], Any]) -> float:
    began_s = perf_counter()
    work()
    return perf_counter() - began_s


def _never() -> bool:
    return False
