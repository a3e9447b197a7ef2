"""Loading the engines that were chosen, each on a worker of its own, with what they are told and the weights they need.

One that cannot be loaded is done without where something takes its place. Knows the seams and the configuration, no
engine's inside and no device; who is chosen is decided in `choosing`, what is done with them in `running`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from errno import ENOMEM
from typing import TYPE_CHECKING, Any

from assistant import models, pacing
from assistant.backends import load
from assistant.choosing import NONE, Choice, choose, store_settings
from assistant.config import DEFAULTS
from assistant.errors import EngineError, OutputError, WeightsError
from assistant.grounding.words import is_chinese
from assistant.models.machine import measure
from assistant.pacing import Costs
from assistant.workers import Worker

if TYPE_CHECKING:
    from assistant.config import Config

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


def engage(config: Config, slot: str, choice: Choice) -> tuple[Any, Choice]:
    """Load an engine, or the first of its spares that can be had; the choice that comes back says which, and why.

    The engine is None where the slot stays empty.

    Raises what the last of them raises: EngineError, also where there is no memory for it, or OutputError.
    """
    failed = ""
    candidates = (choice, *choice.spares)
    for candidate in candidates:
        try:
            engine = _load(config, slot, candidate)
        except (EngineError, OutputError) as error:
            if candidate is candidates[-1]:
                raise
            failed = failed or f", in place of {candidate.shown}: {error}"
        else:
            taken = replace(candidate, why=candidate.why + failed)
            return _with_every_language(config, engine, taken, candidates[-1]) if slot == "voice" else (engine, taken)
    raise AssertionError("the last one is loaded or raises")


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
        free = f"{measure().ram_mb / 1e3:.1f} GB are free"
        raise EngineError(
            f"wanted the {slot} '{choice.shown}', got no memory for it ({free}); close programs, or name a smaller one"
        ) from error
    if slot in ("recogniser", "voice"):
        check_language(config, slot, engine)
    return engine


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


async def hire(config: Config, slot: str, choice: Choice, costs: Costs | None = None) -> tuple[Worker[Any], Choice]:
    """Load one engine, or its spare, on a worker of its own; like `engage`."""
    taken: list[Choice] = []

    def make() -> Any:
        engine, held = engage(config, slot, choice)
        taken.append(held)
        return engine

    worker = await Worker.start(slot, make, costs)
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
    """All engines at the same time, each on its thread. Raises what the first raises that has no spare left."""
    chosen = choose(config)
    loading = {slot: hire(config, slot, choice, costs) for slot, choice in chosen.items() if slot != "activity"}
    if pacing.is_virtual():
        hired = [await one for one in loading.values()]
    else:
        hired = await asyncio.gather(*loading.values())
    activity, chosen["activity"] = engage(config, "activity", chosen["activity"])
    chosen |= {slot: held for slot, (_, held) in zip(loading, hired, strict=True)}
    for slot, (worker, _) in zip(loading, hired, strict=True):
        if note := getattr(worker.model, "note", ""):
            chosen[slot] = replace(chosen[slot], why=f"{chosen[slot].why}; {note}")
    workers = {slot: worker for slot, (worker, _) in zip(loading, hired, strict=True)}
    for slot in [slot for slot, worker in workers.items() if worker.model is None]:
        workers.pop(slot).close()
    return Engines(activity, chosen=chosen, **workers)
