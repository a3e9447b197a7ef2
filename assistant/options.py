"""Options of the command line that change the configuration, the same for every command.

They are a table, `SETTINGS`; `configured` gives a command those it names, with `--config`, `--set` and `--debug`, and
hands it the configuration they lead to. Knows no command, and imports the configuration only when a command runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

if TYPE_CHECKING:
    from assistant.config import Config

Command = Callable[..., None]

Language = Literal["auto", "en", "zh"]
Tier = Literal["auto", "builtin", "cpu", "8gb", "24gb", "apple"]
Fusion = Literal["auto", "early", "late", "attention", "co-attention"]


@dataclass(frozen=True, slots=True)
class Setting:
    """An option that stands for a key. `value`: what the key becomes when the option is a flag."""

    key: str
    kind: Any
    help: str
    metavar: str | None = None
    value: Any = None


SETTINGS = {
    "--microphone": Setting("microphone.source", str, "device number or name, sound file, or none", "SRC"),
    "--camera": Setting("camera.source", str, "device number, picture, video, folder of pictures, or none", "SRC"),
    "--speaker": Setting("speaker.sink", str, "device number or name, FILE.wav, or none", "SINK"),
    "--recogniser": Setting("recogniser.engine", str, "who hears, instead of the tier's", "NAME"),
    "--mind": Setting("mind.engine", str, "who answers, instead of the tier's", "NAME"),
    "--eyes": Setting("eyes.engine", str, "who reads pictures, instead of the tier's", "NAME"),
    "--detector": Setting("detector.engine", str, "who names and counts things, or none", "NAME"),
    "--encoder": Setting("encoder.engine", str, "who holds pictures against words, or none", "NAME"),
    "--fusion": Setting("fusion.mode", Fusion, "how sight reaches the mind"),
    "--voice": Setting("voice.engine", str, "who speaks, instead of the tier's", "NAME"),
    "--language": Setting("assistant.language", Language, "what is spoken"),
    "--tier": Setting("assistant.tier", Tier, "how good the engines are to be"),
    "--seed": Setting("assistant.seed", int, "the same seed and input make the same talk", "N"),
    "--offline": Setting("assistant.offline", bool, "fetch nothing, not even weights that packages carry", value=True),
    "--no-memory": Setting("assistant.memory", bool, "keep nothing after its turn, and nothing on disk", value=False),
}
DEVICES = ("--microphone", "--camera", "--speaker")
ENGINES = ("--recogniser", "--mind", "--eyes", "--detector", "--encoder", "--fusion", "--voice")
GENERAL = ("--language", "--tier", "--seed", "--offline")

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="a configuration over the user's own", show_default=False),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="change one key; may be repeated", show_default=False),
]
Debug = Annotated[bool, typer.Option("--debug", help="show the traceback of an error")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON, with all details")]
IsPlain = Annotated[bool, typer.Option("--plain", help="plain lines, also on a terminal")]


def configured(*flags: str) -> Callable[[Command], Command]:
    """Give a command the named options (and `--config`, `--set`, `--debug`); it gets the configuration they lead to."""

    def decorate(command: Command) -> Command:
        hints = get_type_hints(command, localns={"Config": Any}, include_extras=True)
        _, *own = inspect.signature(command).parameters.values()
        parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
        parameters += [_parameter(flag, SETTINGS[flag]) for flag in flags]
        parameters += [_keyword("config_file", ConfigFile), _keyword("sets", Sets), _keyword("debug", Debug, False)]

        def configure(**given: Any) -> None:
            del given["debug"]  # `cli` has seen it
            chosen = {flag: given.pop(_name(flag)) for flag in flags}
            command(_configuration(given.pop("config_file"), given.pop("sets") or (), chosen), **given)

        configure.__name__, configure.__doc__ = command.__name__, command.__doc__
        configure.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        configure.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return configure

    return decorate


def _configuration(file: Path | None, sets: Sequence[str], chosen: dict[str, Any]) -> Config:
    from assistant.config import Layer, load_config

    layers: list[Layer] = []
    for flag, value in chosen.items():
        if value is not None and value is not False:
            setting = SETTINGS[flag]
            section, key = setting.key.split(".")
            layers.append(Layer(flag, {section: {key: value if setting.value is None else setting.value}}))
    return load_config(file, sets, options=layers)


def _parameter(flag: str, setting: Setting) -> inspect.Parameter:
    option = typer.Option(flag, metavar=setting.metavar, help=setting.help, show_default=False)
    if setting.value is not None:
        return _keyword(_name(flag), Annotated[bool, option], False)
    return _keyword(_name(flag), Annotated[setting.kind | None, option])


def _keyword(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _name(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")
