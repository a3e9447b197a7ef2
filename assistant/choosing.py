"""Which engine takes which slot, and why: what was asked for, the best of the tier that is here, or what is built in.

`choose` looks at the machine and at the store and fits all engines into one memory; `better` says what this machine
could run and has not got. Loads nothing; knows no engine's inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant.backends import OPTIONAL
from assistant.config import DEFAULTS
from assistant.models import StoreSettings, called, known, locate
from assistant.models.machine import Machine, measure
from assistant.models.tiers import Ladders, Rung, fit, ladders_of, needs, obstacle, reason, tier_of

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
WORDS_ALONE = "words"
"""the engine for endpointing that needs no weights, and judges worse"""
JUDGES_WORSE = "by words alone, which judges worse than a model does"
"""what is told wherever it runs"""
NONE = "none"
"""who is asked for in a slot that shall stay empty"""
SLOTS = (*BUILT_IN, *sorted(OPTIONAL))


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine for a slot, and why it was chosen, in a few words.

    `model` is a name of the catalogue, empty for the engine's own; `options` are the tier's, beneath the user's own.
    `spares` take its place in their order where it cannot be loaded; there are none for one that was asked for.
    """

    name: str
    why: str
    model: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    spares: tuple[Choice, ...] = ()

    @property
    def shown(self) -> str:
        """What a user knows it by."""
        return self.model or self.name

    def logged(self) -> dict[str, str]:
        """The entry in the `ready` event."""
        return {"name": self.name, **({"model": self.model} if self.model else {}), "why": self.why}


NOBODY = Choice(NONE, "done without")
"""in a slot that stays empty"""


@dataclass(frozen=True, slots=True)
class Better:
    """Models of a tier that this machine could run and has not got; `slots` are what they would do."""

    tier: str
    models: tuple[str, ...]
    slots: tuple[str, ...]
    size_bytes: int

    def __str__(self) -> str:
        """In words, as in `0.8 GB: Whisper base, a seeing model, a natural voice (MIT, LFM1.0, Apache-2.0)`."""
        licences = ", ".join(dict.fromkeys(known(model).licence for model in self.models))
        return f"{self.size_bytes / 1e9:.1f} GB: {', '.join(map(_contents, self.slots, self.models))} ({licences})"


def _contents(slot: str, model: str) -> str:
    kinds = {
        "mind": "a seeing model",
        "voice": "a natural voice",
        "detector": "an eye for things",
        "encoder": "a search of pictures by words",
    }
    return kinds.get(slot) or model.replace("-", " ").capitalize()


def choose(config: Config, machine: Machine | None = None) -> dict[str, Choice]:
    """An engine for every slot that has one; nobody, with the reason, where one is here that cannot be used.

    `machine`: default, this one as it is now.
    """
    chosen = {slot: _unaided(config, slot) for slot in SLOTS}
    if config.assistant.tier != "builtin" and any(_open(config, slot) for slot in SLOTS):
        scene = _look_around(config, machine)
        for slot, at in scene.steps().items():
            chosen[slot] = _choice(scene, slot, at)
    return {slot: choice for slot, choice in chosen.items() if choice != NOBODY}


def better(config: Config, machine: Machine | None = None) -> Better | None:
    """What would be better on this machine and is not here; None where nothing is, or where a tier was named."""
    if config.assistant.tier != "auto" or not any(_open(config, slot) for slot in SLOTS):
        return None
    scene = _look_around(config, machine)
    everything = {
        slot: [replace(rung, here=rung.here or rung.offered) for rung in ladder]
        for slot, ladder in scene.ladders.items()
    }
    now, then = scene.steps(), replace(scene, ladders=everything).steps()
    gained = {slot: scene.ladders[slot][at] for slot, at in then.items() if at < now[slot]}
    missing = {slot: rung.name for slot, rung in gained.items() if not rung.here}
    if not missing:
        return None
    size_bytes = sum(known(name).size_bytes for name in missing.values())
    return Better(scene.tier, tuple(missing.values()), tuple(missing), size_bytes)


# ---------------------------------------------------------------- slot by slot


def _open(config: Config, slot: str) -> bool:
    """Whether the tier decides: neither an engine was asked for, nor another model for the built-in one."""
    return getattr(config, slot).engine == "auto" and not (slot in BUILT_IN and _is_set(config, slot, BUILT_IN[slot]))


def _is_set(config: Config, slot: str, engine: str) -> bool:
    """Whether the user names a model for an engine."""
    return config.origin(f"{slot}.{engine}.model") != DEFAULTS


def _unaided(config: Config, slot: str) -> Choice:
    """The engine of a slot without any tier."""
    asked = getattr(config, slot).engine
    choice = _last(slot) if asked in ("auto", NONE) else Choice(asked, "asked for")
    if slot != "endpointing":
        return choice
    if asked == WORDS_ALONE:
        return replace(choice, why=f"asked for; {JUDGES_WORSE}")
    return replace(choice, spares=(Choice(WORDS_ALONE, JUDGES_WORSE),))  # nobody wants no talk for want of this engine


def _last(slot: str) -> Choice:
    """Who runs in a slot where nothing else does."""
    return Choice(BUILT_IN[slot], "built in") if slot in BUILT_IN else NOBODY


def _choice(scene: _Scene, slot: str, at: int) -> Choice:
    """The rung `at` of a ladder, or the built-in engine below it, with what takes its place."""
    ladder, machine = scene.ladders[slot], scene.machine
    above = [
        rung for rung in ladder[:at] if rung.here or (scene.named and rung.offered)
    ]  # unasked, nobody is told of all there is
    missed = next(iter(sorted(above, key=lambda rung: bool(rung.unfit))), None)  # rather one that could be had
    usable = [rung for rung in ladder[at:] if rung.here and not rung.unfit]
    first, *rest = [*(_of_rung(rung, machine) for rung in usable), _last(slot)]
    named = f"tier {scene.tier}, " if scene.named and first.model else ""
    because = f"; {missed.name} {obstacle(missed, machine)}" if missed else ""
    return replace(first, why=f"{named}{first.why}{because}", spares=tuple(rest))


def _of_rung(rung: Rung, machine: Machine) -> Choice:
    return Choice(known(rung.name).engine, reason(rung, machine), rung.name, rung.options)


# ---------------------------------------------------------------- the machine and the store


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a choice depends on; `ladders` are those of the slots that the tier decides."""

    machine: Machine
    tier: str
    named: bool
    """by the user; else it is the one that the machine is up to"""
    ladders: Ladders
    taken_mb: tuple[int, int]

    def steps(self) -> dict[str, int]:
        """Which rung runs in each slot; a tier that was named is not held against the memory."""
        if not self.named:
            return fit(self.ladders, self.machine, self.taken_mb)
        return {slot: _first(ladder) for slot, ladder in self.ladders.items()}


def _first(ladder: Sequence[Rung]) -> int:
    return next((at for at, rung in enumerate(ladder) if rung.here and not rung.unfit), len(ladder))


def _look_around(config: Config, machine: Machine | None) -> _Scene:
    machine = machine or measure()
    named = config.assistant.tier != "auto"
    tier = config.assistant.tier if named else tier_of(machine)
    settings = store_settings(config)
    found = ladders_of(tier, machine, config.assistant.language, lambda name: locate(name, settings) is not None)
    ladders = {
        slot: [rung for rung in ladder if not _is_set(config, slot, known(rung.name).engine)]
        for slot, ladder in found.items()
        if _open(config, slot)
    }
    return _Scene(machine, tier, named, ladders, _taken_mb(config, machine))


def _taken_mb(config: Config, machine: Machine) -> tuple[int, int]:
    """What the engines that were asked for take of the memory and of the graphics card's."""
    ram_mb = vram_mb = 0
    for slot in SLOTS:
        engine = getattr(config, slot).engine
        told = {} if engine in ("auto", NONE) else config.options(slot, engine)
        if (weights := called(engine, told.get("model") or told.get("folder", ""))) is not None:
            own_mb = needs(weights, machine, told)
            ram_mb, vram_mb = ram_mb + own_mb[0], vram_mb + own_mb[1]
    return ram_mb, vram_mb


def store_settings(config: Config) -> StoreSettings:
    """Where weights are kept and may come from."""
    models = config.models
    return StoreSettings(
        folder=Path(models.folder).expanduser() if models.folder else None,
        wheels=tuple(models.wheels),
        folders=tuple(Path(folder) for folder in models.folders),
        index=models.index or None,
        offline=config.assistant.offline,
    )
