"""Which engine takes which slot and why, the weights it needs, and loading it: each on a worker of its own.

Knows the seams and the configuration, no engine's inside and no device; what is done with the engines is in `running`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant import pacing
from assistant.backends import OPTIONAL, load
from assistant.errors import ConfigError, EngineError, OutputError, WeightsError
from assistant.grounding.words import is_chinese
from assistant.pacing import Costs
from assistant.workers import Worker

if TYPE_CHECKING:
    from assistant.config import Config

BUILT_IN = {
    "activity": "silero",
    "endpointing": "smart_turn",
    "recogniser": "pocketsphinx",
    "mind": "llama",
    "eyes": "ocr",
    "voice": "espeak",
}
"""what runs on a machine with nothing but packages"""
_APART = ("activity", "endpointing")
"""slots whose engines are loaded in a way of their own"""
BUILT_IN_MIND = "smollm2-135m-instruct-q4_1"
BUILT_IN_ENDPOINTING = "smart-turn-v3.2"


# ---------------------------------------------------------------- which engines


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine for a slot, and why it was chosen, in a few words."""

    name: str
    why: str


def choose(config: Config) -> dict[str, Choice]:
    """An engine for every slot. Raises ConfigError where the tier is not there."""
    tier = config.assistant.tier
    if tier not in ("auto", "builtin"):
        raise ConfigError(
            f"wanted tier '{tier}', only the built-in tier chooses by itself so far; "
            "name engines one by one, as in --recogniser whisper --voice coqui"
        )
    chosen: dict[str, Choice] = {}
    for slot, built_in in BUILT_IN.items():
        asked = getattr(config, slot).engine
        chosen[slot] = Choice(built_in, "built in") if asked == "auto" else Choice(asked, "asked for")
    for slot in sorted(OPTIONAL):
        asked = getattr(config, slot).engine
        if asked != "none":
            chosen[slot] = Choice(asked, "asked for")
    return chosen


def options(config: Config, slot: str, name: str) -> dict[str, Any]:
    """The keyword arguments of an engine: its table in the configuration, and what all of a kind are told."""
    from assistant.models import resolved

    own = resolved(slot, name, config.options(slot, name), store_settings(config))
    if slot == "mind" and name != "scripted":
        own.setdefault("max_tokens", config.mind.max_reply_tokens)
        own.setdefault("seed", config.assistant.seed)
    if name in ("llama", "smart_turn"):
        own.setdefault("store", store_settings(config))
    if name in ("whisper", "transformers", "coqui", "siglip", "clip"):
        own.setdefault("offline", config.assistant.offline)
    return own


def store_settings(config: Config) -> Any:
    """Where weights are kept and may come from."""
    from assistant.models import StoreSettings

    models = config.models
    return StoreSettings(
        folder=Path(models.folder).expanduser() if models.folder else None,
        wheels=tuple(models.wheels),
        folders=tuple(Path(folder) for folder in models.folders),
        index=models.index or None,
        offline=config.assistant.offline,
    )


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
    from assistant import models

    chosen = choose(config)
    settings = store_settings(config)
    progress = display.progress if display is not None else lambda step: None
    wanted: dict[str, str] = {}
    if chosen["mind"].name == "llama":
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


async def hire(config: Config, slot: str, name: str, costs: Costs | None = None) -> Worker[Any]:
    """Load one engine on a worker of its own."""
    worker = await Worker.start(slot, lambda: load(slot, name, **options(config, slot, name)), costs)
    if slot in ("recogniser", "voice"):
        check_language(config, slot, worker.model)
    return worker


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
    """All engines at the same time, each on its thread. Raises what the first that fails raises; nobody needs the one
    for `endpointing` so much that a talk would not begin without it.
    """
    chosen = choose(config)
    loading = {slot: hire(config, slot, choice.name, costs) for slot, choice in chosen.items() if slot not in _APART}
    judging = hire_endpointing(config, chosen["endpointing"], costs)
    if pacing.is_virtual():
        endpointing, workers = await judging, [await one for one in loading.values()]
    else:
        endpointing, workers = await asyncio.gather(judging, asyncio.gather(*loading.values()))
    judge, chosen["endpointing"] = endpointing
    activity = load("activity", chosen["activity"].name, **options(config, "activity", chosen["activity"].name))
    return Engines(activity, judge, chosen=chosen, **dict(zip(loading, workers, strict=True)))


async def hire_endpointing(config: Config, wanted: Choice, costs: Costs | None = None) -> tuple[Worker[Any], Choice]:
    """Who judges by the sound whether a turn is over; where that engine cannot be had nobody does, and the choice that
    comes back says why.
    """
    try:
        return await hire(config, "endpointing", wanted.name, costs), wanted
    except (EngineError, OutputError) as error:
        nobody = Choice("words", f"in place of {wanted.name}, and worse: {error}")
        return await hire(config, "endpointing", nobody.name, costs), nobody
