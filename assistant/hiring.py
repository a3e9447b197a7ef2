"""Loading the engines that were chosen, each on a worker of its own, with what they are told and the weights they need.

One that cannot be loaded is done without where something takes its place. Knows the seams and the configuration, no
engine's inside and no device; who is chosen is decided in `choosing`, what is done with them in `running`.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from errno import ENOMEM
from functools import partial
from typing import TYPE_CHECKING, Any

from assistant import models, pacing
from assistant.backends import load
from assistant.choosing import NONE, Choice, choose, store_settings
from assistant.config import DEFAULTS
from assistant.errors import AssistantError, EngineError, OutputError, WeightsError
from assistant.grounding.words import is_chinese
from assistant.models.machine import measure
from assistant.pacing import Costs
from assistant.workers import Worker

if TYPE_CHECKING:
    from assistant.config import Config

Hired = tuple[Worker[Any], Choice]
"""a loaded engine, and who it is"""
LANGUAGES = ("en", "zh")
"""what may be spoken where no language is named"""
BUILT_IN_MIND = "smollm2-135m-instruct-q4_1"
BUILT_IN_ENDPOINTING = "smart-turn-v3.2"


# ---------------------------------------------------------------- what engines are told


def options(config: Config, slot: str, name: str, choice: Choice | None = None) -> dict[str, Any]:
    """The keyword arguments of an engine: its table in the configuration, and what all of a kind are told.

    What a tier's `choice` says holds where the user says nothing else; nothing is fetched for it.
    """
    table = config.options(slot, name)
    asked = {key: value for key, value in table.items() if config.origin(f"{slot}.{name}.{key}") != DEFAULTS}
    if choice is not None and choice.model:
        asked = {"model": choice.model, **choice.options, **asked}
    weights = models.called(name, str(asked.get("model", "")))
    wants = {*weights.options, *weights.paths} if weights is not None else set[str]()
    own = {key: value for key, value in table.items() if key not in wants}  # no default over what the model wants
    own = {**({"model": table["model"]} if "model" in table else {}), **own, **asked}
    own = models.resolved(slot, name, own, store_settings(config))
    if slot == "mind" and name != "scripted":
        own.setdefault("max_tokens", config.mind.max_reply_tokens)
        own.setdefault("seed", config.assistant.seed)
    if name in ("llama", "smart_turn"):
        own.setdefault("store", store_settings(config))
    if name in ("whisper", "transformers", "openai", "coqui", "siglip", "clip"):
        own.setdefault("offline", config.assistant.offline or (choice is not None and choice.model != ""))
    return own


def check_language(config: Config, slot: str, engine: Any) -> None:
    """Raise EngineError where the language that was asked for is none of the engine's."""
    wanted = config.assistant.language
    if wanted != "auto" and wanted not in engine.languages:
        cure = "--recogniser whisper" if slot == "recogniser" else "--voice espeak"
        raise EngineError(
            f"wanted a {slot} for '{wanted}', got one for {', '.join(engine.languages)} only; use {cure}, "
            f"or --language {engine.languages[0]}"
        )


def language_of(config: Config, text: str) -> str:
    """The language a text is answered or spoken in: the one that was asked for, else its own."""
    wanted = config.assistant.language
    return wanted if wanted != "auto" else "zh" if is_chinese(text) else "en"


# ---------------------------------------------------------------- their weights


def prepare(config: Config, display: Any = None, slots: Sequence[str] = ("mind", "endpointing")) -> None:
    """Get the weights that the chosen engines of `slots` need and that are not here: the built-in ones'.

    Raises WeightsError where the mind's cannot be had. Those for endpointing can be done without: who loads the engines
    is told what was missing.
    """
    chosen = choose(config)
    settings = store_settings(config)
    progress = display.progress if display is not None else lambda step: None
    wanted: dict[str, str] = {}
    if chosen["mind"].name == "llama" and not chosen["mind"].model:
        wanted["mind"] = config.options("mind", "llama").get("model", BUILT_IN_MIND)
    if chosen["endpointing"].name == "smart_turn":
        wanted["endpointing"] = BUILT_IN_ENDPOINTING
    for slot, name in wanted.items():
        if slot not in slots or name not in models.catalogue() or models.locate(name, settings) is not None:
            continue
        try:
            models.fetch(name, settings, progress)
        except (WeightsError, OutputError):
            if slot == "mind":
                raise


# ---------------------------------------------------------------- loading


def engage(config: Config, slot: str, choice: Choice, failed: AssistantError | None = None) -> tuple[Any, Choice]:
    """Load an engine, or the first of its spares that can be had; the choice that comes back says which, and why.

    The engine is None where the slot stays empty. `failed`: what `engage_at_once` ended in; only where it was memory
    that was missing is the choice itself tried again. Raises what the last of them raises: EngineError, also where
    there is no memory for it, or OutputError.
    """
    last = (choice, *choice.spares)[-1]
    candidates, reasons = [choice, *choice.spares], list[str]()
    if failed is not None and not out_of_memory(failed):
        if candidates.pop(0) is last:
            raise failed
        reasons.append(_instead(choice, failed))
    for candidate in candidates:
        try:
            return _taken(config, slot, candidate, last, reasons)
        except (EngineError, OutputError) as error:
            if candidate is last:
                raise
            reasons.append(_instead(candidate, error))
    raise AssertionError("the last one is loaded or raises")


def engage_at_once(config: Config, slot: str, choice: Choice) -> tuple[Any, Choice]:
    """Load an engine, and no spare; raises like `engage`."""
    return _taken(config, slot, choice, (choice, *choice.spares)[-1], [])


def _taken(config: Config, slot: str, choice: Choice, last: Choice, reasons: Sequence[str]) -> tuple[Any, Choice]:
    engine, taken = _load(config, slot, choice), replace(choice, why=choice.why + "".join(reasons))
    return _with_every_language(config, engine, taken, last) if slot == "voice" else (engine, taken)


def _instead(choice: Choice, error: AssistantError) -> str:
    return f", in place of {choice.shown}: {error}"


def _with_every_language(config: Config, voice: Any, taken: Choice, last: Choice) -> tuple[Any, Choice]:
    """A tier's voice, with the built-in one for languages that may be spoken and that it does not speak."""
    lacking = [language for language in LANGUAGES if language not in voice.languages]
    if config.assistant.language != "auto" or not taken.model or not lacking:
        return voice, taken
    from assistant.backends.two_voices import TwoVoices

    both = TwoVoices(voice, _load(config, "voice", last))
    return both, replace(taken, why=f"{taken.why}; {', '.join(lacking)} by {last.shown}")


def _load(config: Config, slot: str, choice: Choice) -> Any:
    """Load an engine that speaks the wanted language; None for nobody. Raises EngineError where it cannot, or memory
    runs out.
    """
    if choice.name == NONE:
        return None
    try:
        engine = load(slot, choice.name, **options(config, slot, choice.name, choice))
    except (EngineError, MemoryError, RuntimeError, OSError) as error:
        if not out_of_memory(error):
            raise
        _let_go(error)
        free = f"{measure().ram_mb / 1e3:.1f} GB are free"
        raise EngineError(
            f"wanted the {slot} '{choice.shown}', got no memory for it ({free}); close programs, or name a smaller one"
        ) from error
    if slot in ("recogniser", "voice"):
        check_language(config, slot, engine)
    return engine


def _let_go(error: BaseException | None) -> None:
    """Free what an engine had loaded when it failed: the error would keep it for as long as it is known itself."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def out_of_memory(error: BaseException | None) -> bool:
    """Whether a failure comes from too little memory, of whatever kind: in Python's words, the system's or torch's."""
    if error is None:
        return False
    said = str(error).lower()
    short = any(sign in said for sign in ("out of memory", "t allocate memory", "cannot allocate", "bad_alloc"))
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, OSError) and error.errno == ENOMEM)
        or (isinstance(error, RuntimeError) and short)
        or out_of_memory(error.__cause__)
    )


async def hire(slot: str, make: Callable[[], tuple[Any, Choice]], costs: Costs | None = None) -> Hired:
    """Have an engine loaded on a worker of its own by `engage` or `engage_at_once`, as `make`; raises like these."""
    taken: list[Choice] = []

    def load() -> Any:
        engine, held = make()
        taken.append(held)
        return engine

    worker = await Worker.start(slot, load, costs)
    return worker, taken[0]


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of a session, loaded; a talk after a talk can use them."""

    activity: Any
    endpointing: Worker[Any]
    recogniser: Worker[Any]
    mind: Worker[Any]
    eyes: Worker[Any]
    voice: Worker[Any]
    chosen: Mapping[str, Choice]
    detector: Worker[Any] | None = None
    encoder: Worker[Any] | None = None

    def close(self) -> None:
        """Let the threads end."""
        workers = (self.endpointing, self.recogniser, self.mind, self.eyes, self.voice, self.detector, self.encoder)
        for worker in filter(None, workers):
            getattr(worker.model, "close", lambda: None)()
            worker.close()


async def load_engines(config: Config, costs: Costs | None = None) -> Engines:
    """All engines at the same time, each on its thread; then, one after the other, what takes the place of those that
    could not be had. Where it was memory that was missing, they are tried again: what another one took in vain is free.

    Raises what an engine without a spare left raises, EngineError with all reasons where there are several such.
    """
    chosen = choose(config)
    workers: dict[str, Worker[Any]] = {}
    hired = await _hired_at_once(config, {slot: chosen[slot] for slot in chosen if slot != "activity"}, costs)
    lost: list[AssistantError] = []
    for slot, outcome in hired.items():
        try:
            if isinstance(outcome, AssistantError):
                outcome = await hire(slot, partial(engage, config, slot, chosen[slot], outcome), costs)
            workers[slot], chosen[slot] = outcome
        except (EngineError, OutputError) as error:
            lost.append(error)
    if lost:
        for worker in workers.values():
            worker.close()
        raise lost[0] if len(lost) == 1 else EngineError("; and ".join(map(str, lost)))
    activity, chosen["activity"] = engage(config, "activity", chosen["activity"])
    for slot, worker in [*workers.items()]:
        if worker.model is None:
            workers.pop(slot).close()
        elif note := getattr(worker.model, "note", ""):
            chosen[slot] = replace(chosen[slot], why=f"{chosen[slot].why}; {note}")
    return Engines(activity, chosen=chosen, **workers)


async def _hired_at_once(
    config: Config, chosen: Mapping[str, Choice], costs: Costs | None
) -> dict[str, Hired | AssistantError]:
    """Who could be had of those that were chosen, and why the others could not."""

    async def attempt(slot: str) -> Hired | AssistantError:
        try:
            return await hire(slot, partial(engage_at_once, config, slot, chosen[slot]), costs)
        except (EngineError, OutputError) as error:
            return error

    if pacing.is_virtual():
        return {slot: await attempt(slot) for slot in chosen}
    return dict(zip(chosen, await asyncio.gather(*map(attempt, chosen)), strict=True))
