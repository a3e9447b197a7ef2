"""The configuration: one frozen class per [section], folded from layers, each over the one before.

`config.toml`, which comes with the package, holds every default and what it means; here are types and ranges. Over it:
the user's file, `--config FILE`, the environment (`ASSISTANT_SECTION__KEY`), `--set section.key=value`. What is wrong
is told with the layer it came from. Options of an engine are its own keyword arguments, checked against its signature
when it is loaded. Knows no engine's inside.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel, BeforeValidator, ConfigDict, PrivateAttr, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from assistant import packaged
from assistant.backends import ENGINES, OPTIONAL, find
from assistant.errors import ConfigError, nearest

Table = dict[str, Any]
PREFIX = "ASSISTANT_"
SECRET = re.compile("(^|_)(key|secret|password|token)$")
HUB_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
DEFAULTS = "config.toml"
"""the file of the package that holds the defaults, and what its layer is called"""


# ---------------------------------------------------------------- the sections


def _number_as_name(value: Any) -> Any:
    return str(value) if type(value) is int else value  # `source = 0` is a device number, as on the command line


DeviceName = Annotated[str, BeforeValidator(_number_as_name)]


class Section(BaseModel):
    """What all sections share: frozen, no key of its own, no type bent to fit."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Assistant(Section):
    """[assistant]: what holds for all of it."""

    language: Literal["auto", "en", "zh"]
    tier: Literal["auto", "builtin", "cpu", "8gb", "24gb", "apple"]
    memory: bool
    offline: bool
    seed: Annotated[int, Ge(0), Le(2**32 - 1)]


class Microphone(Section):
    """[microphone]: what is listened to."""

    source: DeviceName
    push_to_talk: bool


class Camera(Section):
    """[camera]: what is looked at."""

    source: DeviceName
    folder_interval_s: Annotated[float, Ge(0.01), Le(3600)]
    watch_interval_s: Annotated[float, Ge(0.05), Le(60)]
    turned: Literal[0, 90, 180, 270]


class Speaker(Section):
    """[speaker]: what it speaks through."""

    sink: DeviceName


class Echo(Section):
    """[echo]: how the assistant's own voice is kept out of what it hears."""

    mode: Literal["cancel", "half_duplex", "none"]
    feed: Literal["cancelled", "raw"]


class Address(Section):
    """[address]: when the assistant is meant."""

    wake: list[str]
    sleep: list[str]
    wake_up: list[str]
    follow_up_s: Annotated[float, Ge(0), Le(3600)]


class Turn(Section):
    """[turn]: when a turn begins, pauses and ends."""

    onset_p: Annotated[float, Ge(0.05), Le(0.95)]
    confirm_s: Annotated[float, Ge(0), Le(2)]
    pause_s: Annotated[float, Ge(0.05), Le(5)]
    end_s: Annotated[float, Ge(0.05), Le(10)]
    min_wait_s: Annotated[float, Ge(0.05), Le(10)]
    max_wait_s: Annotated[float, Ge(0.05), Le(30)]
    preroll_s: Annotated[float, Ge(0), Le(2)]
    longest_s: Annotated[float, Ge(1), Le(300)]
    decide_s: Annotated[float, Ge(0.1), Le(5)]
    false_alarm_s: Annotated[float, Ge(0.03), Le(5)]


class EngineSection(Section):
    """The section of a slot: the engine's name, and tables of options by engine (`[voice.espeak]`)."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Table]

    engine: str


class Mind(EngineSection):
    """[mind]: who answers, and at what length."""

    budget_tokens: Annotated[int, Ge(64), Le(1_000_000)]
    max_reply_tokens: Annotated[int, Ge(1), Le(100_000)]


class Fusion(Section):
    """[fusion]: how sight reaches the mind."""

    mode: Literal["auto", "early", "late", "attention", "co-attention"]
    see_wait_s: Annotated[float, Ge(0), Le(30)]
    frames: Annotated[int, Ge(1), Le(16)]
    captions: bool
    disk_mb: Annotated[int, Ge(0), Le(100_000)]


class Models(Section):
    """[models]: where weights are kept and may come from."""

    folder: str
    folders: list[str]
    wheels: list[str]
    index: str


class Config(Section):
    """All sections. Made by `load_config`."""

    assistant: Assistant
    microphone: Microphone
    camera: Camera
    speaker: Speaker
    echo: Echo
    address: Address
    turn: Turn
    activity: EngineSection
    endpointing: EngineSection
    recogniser: EngineSection
    mind: Mind
    eyes: EngineSection
    detector: EngineSection
    encoder: EngineSection
    voice: EngineSection
    fusion: Fusion
    models: Models

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    def options(self, slot: str, engine: str) -> Table:
        """The options of an engine, checked against its signature. Raises ConfigError naming where a bad one stands."""
        table = (getattr(self, slot).__pydantic_extra__ or {}).get(engine, {})
        parameters = inspect.signature(find(slot, engine), eval_str=True).parameters
        for key, value in table.items():
            where = f"{self.origin(f'{slot}.{engine}.{key}')}: [{slot}.{engine}]"
            if key not in parameters:
                keep = "keep keys in the environment; " if SECRET.search(key) else ""
                raise ConfigError(f"{where} has no key '{key}'; {keep}{_suggest(key, list(parameters))}")
            _check_option(where, key, value, parameters[key])
        return deepcopy(table)

    def origin(self, dotted: str) -> str:
        """The name of the layer that a key (`turn.end_s`) has its value from."""
        return self._origins.get(dotted, DEFAULTS)

    def check(self) -> None:
        """Check the options of every engine that has some, and that the chosen engines are known."""
        for slot, known in ENGINES.items():
            for engine in known:
                if getattr(self, slot).__pydantic_extra__.get(engine):
                    self.options(slot, engine)


# ---------------------------------------------------------------- the layers


@dataclass(frozen=True, slots=True)
class Layer:
    """Part of a configuration, and what to call the place it stands in."""

    name: str
    table: Table


def load_config(
    file: Path | None = None,
    sets: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
    options: Sequence[Layer] = (),
) -> Config:
    """Fold the layers into one configuration; `options` are those of the command line, and stand above `sets`.

    Raises ConfigError that names the layer, the section and the key, what was wanted and what was got.
    """
    own = user_file()
    layers = [
        _read(packaged(DEFAULTS)),
        *([_read(own)] if own.is_file() else []),
        *([_read(file)] if file else []),
        *_as_others_read(environ),
        _from_environment(environ),
        *(_from_set(text) for text in sets),
        *options,
    ]
    merged: Table = {}
    origins: dict[str, str] = {}
    for layer in layers:
        _merge(merged, layer.table)
        origins |= {dotted: layer.name for dotted, _ in leaves(layer.table)}
        config = _validated(merged, layer.name)
    config._origins.update(origins)
    if config.turn.end_s < config.turn.pause_s:
        where = origins["turn.end_s" if origins["turn.end_s"] != DEFAULTS else "turn.pause_s"]
        raise ConfigError(
            f"{where}: [turn] end_s wanted at least pause_s ({config.turn.pause_s:g}), got {config.turn.end_s:g}; "
            "raise it or lower pause_s"
        )
    return config


def user_file() -> Path:
    """Where the user's own configuration lies, or would."""
    from platformdirs import user_config_path

    return user_config_path("assistant", appauthor=False) / "config.toml"


def show(config: Config) -> str:
    """The configuration as TOML; behind each value that is no default stands where it comes from."""
    lines: list[str] = []
    table: Table = config.model_dump()
    for name, section in table.items():
        scalars = {key: value for key, value in section.items() if not isinstance(value, dict)}
        engines = {f"{name}.{key}": value for key, value in section.items() if isinstance(value, dict)}
        for title, keys in {name: scalars, **engines}.items():
            lines += ["", f"[{title}]"]
            for key, value in keys.items():
                origin = config.origin(f"{title}.{key}")
                note = "" if origin == DEFAULTS else f"  # {origin}"
                lines.append(f"{key} = {toml(value)}{note}")
    return "\n".join(lines[1:])


def toml(value: Any) -> str:
    """A value as TOML writes it: a string, a number, true or false, a list or a table of them, or a date."""
    match value:
        case dict():
            return "{" + ", ".join(f"{toml(str(k))} = {toml(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(toml(v) for v in value) + "]"
        case bool() | str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # the one that JSON lets through
        case _:
            return str(value)


def leaves(table: Table, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a table with its dotted key."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _read(path: Path) -> Layer:
    name = DEFAULTS if path == packaged(DEFAULTS) else str(path)
    try:
        return Layer(
            name, tomllib.loads(path.read_text(encoding="utf-8-sig"))
        )  # -sig: Windows editors put a mark first
    except OSError as error:
        reason = (error.strerror or "nothing").lower()
        raise ConfigError(f"wanted a configuration file, got {name} ({reason}); check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: wanted TOML in UTF-8, got: {error}; correct that line") from error


def _from_environment(environ: Mapping[str, str]) -> Layer:
    table: Table = {}
    for name in sorted(environ):
        if name.startswith(PREFIX) and "__" in name:
            keys = name.removeprefix(PREFIX).lower().split("__")
            _merge(table, _nested(keys, environ[name]))
    return Layer("environment", table)


def _as_others_read(environ: Mapping[str, str]) -> Iterator[Layer]:
    """What variables of the Hugging Face hub mean for all that is fetched, and not for its files alone.

    Source: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
    """
    for name in HUB_OFFLINE:
        if environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            yield Layer(name, {"assistant": {"offline": True}})


def _from_set(text: str) -> Layer:
    dotted, equals, value = text.partition("=")
    keys = dotted.strip().split(".")
    if not equals or len(keys) < 2 or not all(keys):
        raise ConfigError(f"--set: wanted section.key=value, got '{text}'; write it as in --set turn.end_s=0.7")
    return Layer("--set", _nested(keys, value.strip()))


def _nested(keys: Sequence[str], text: str) -> Table:
    table: Any = _literal(text, _takes_text(keys))
    for key in reversed(keys):
        table = {key: table}
    return table


def _takes_text(keys: Sequence[str]) -> bool:
    field = _fields(keys[0]).get(keys[1]) if len(keys) == 2 else None
    return field is not None and (field.annotation is str or get_origin(field.annotation) is Literal)


def _literal(text: str, is_text: bool) -> Any:
    """What a value is that was written without TOML's quotes: `0.7` a number, `a.wav` a string, `8gb` one too."""
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = table["value"]
    return text if len(table) > 1 or (is_text and not isinstance(value, str)) else value


def _merge(into: Table, table: Table) -> None:
    for key, value in table.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = deepcopy(value)


# ---------------------------------------------------------------- what is wrong


def _validated(merged: Table, layer: str) -> Config:
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(f"{layer}: {_explain(error.errors()[0])}") from error
    for slot, known in ENGINES.items():
        section: EngineSection = getattr(config, slot)
        choices = ["auto", *(["none"] if slot in OPTIONAL else []), *known]
        if section.engine not in choices:
            raise ConfigError(
                f"{layer}: [{slot}] engine wanted one of {', '.join(choices)}, got '{section.engine}'; "
                f"{_suggest(section.engine, choices)}"
            )
        for engine in section.__pydantic_extra__ or {}:
            if engine not in known:
                raise ConfigError(f"{layer}: [{slot}] has no engine '{engine}'; {_suggest(engine, [*known])}")
    return config


def _explain(error: ErrorDetails) -> str:
    """The first thing that is wrong with a merged table, in the words of the configuration."""
    section, *rest = (str(part) for part in error["loc"])
    got = error["input"]
    fields = _fields(section)
    if not fields and not isinstance(got, dict):
        return f"wanted sections, got the key '{section}' outside of any; {_suggest(section, (), elsewhere=True)}"
    if not fields:
        return f"there is no section [{section}]; {_suggest(section, list(Config.model_fields))}"
    if not rest:
        return f"[{section}] wanted a section of keys, got {_quoted(got)}; write [{section}] and its keys below"
    key = rest[0]
    if key in ENGINES.get(section, {}):
        return f"[{section}] {key} wanted a table of options, got {_quoted(got)}; write [{section}.{key}]"
    if key not in fields:
        return f"[{section}] has no key '{key}'; {_suggest(key, list(fields), elsewhere=True)}"
    choices = [choice for choice in get_args(fields[key].annotation) if isinstance(choice, str)]
    default = f"the default is {_quoted(_defaults()[f'{section}.{key}'])}"
    cure = nearest(got.lower(), choices, default) if isinstance(got, str) else default
    return f"[{section}] {key} wanted {_wanted(fields[key])}, got {_quoted(got)}; {cure}"


def _wanted(field: FieldInfo) -> str:
    """What a key takes, in words: its type and its range."""
    if get_origin(field.annotation) is Literal:
        return f"one of {', '.join(get_args(field.annotation))}"
    low = next((limit.ge for limit in field.metadata if isinstance(limit, Ge)), None)
    high = next((limit.le for limit in field.metadata if isinstance(limit, Le)), None)
    kind = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}.get(field.annotation)  # type: ignore[arg-type]
    return (kind or "a list of texts") + (f" from {low:g} to {high:.12g}" if low is not None else "")


def _check_option(where: str, key: str, value: Any, parameter: inspect.Parameter) -> None:
    if parameter.annotation is inspect.Parameter.empty:
        return
    kind: TypeAdapter[Any] = TypeAdapter(parameter.annotation, config=ConfigDict(arbitrary_types_allowed=True))
    try:
        kind.validate_json(json.dumps(value, default=str), strict=True)  # as JSON, so that a list can be a tuple
    except ValidationError as error:
        wanted = inspect.formatannotation(parameter.annotation)
        raise ConfigError(f"{where} {key} wanted {wanted}, got {_quoted(value)}; correct it") from error


def _suggest(key: str, known: Sequence[str], *, elsewhere: bool = False) -> str:
    """The nearest of what is known, here or (of all keys there are) elsewhere; else all that is known here."""
    if near := get_close_matches(key.lower(), known, 1):
        return f"did you mean '{near[0]}'?"
    sections = {key: section for section, _, key in (dotted.rpartition(".") for dotted in _defaults())}
    if elsewhere and (near := get_close_matches(key.lower(), sections, 1, cutoff=0.75)):
        return f"did you mean '{near[0]}' of [{sections[near[0]]}]?"
    return f"it knows {', '.join(known) or 'none'}"


def _fields(section: str) -> dict[str, FieldInfo]:
    """The keys of a section; none where there is no such section."""
    cls = Config.model_fields[section].annotation if section in Config.model_fields else None
    return cls.model_fields if isinstance(cls, type) and issubclass(cls, Section) else {}


def _defaults() -> Table:
    return dict(leaves(_read(packaged(DEFAULTS)).table))


def _quoted(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else toml(value)
