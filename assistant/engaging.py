"""One engine alone, for the commands that hold no talk: its weights are got, and who takes its place is told.

Knows no engine; who is chosen is decided in `choosing`, and loaded in `hiring`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from assistant.config import Config


def prepare(config: Config, *slots: str) -> None:
    """Get the weights of these slots that are not here yet, and show how far that is where it does not stand in the
    result's way.
    """
    from assistant import hiring
    from assistant.display import open_display

    with open_display(sys.stderr) as display:
        hiring.prepare(config, display, slots)


def engine(config: Config, slot: str) -> Any:
    """Load the engine that the configuration leads to; None in a slot that may stay empty and does.

    Raises EngineError, also for one that lacks the wanted language.
    """
    from assistant import hiring
    from assistant.choosing import choose

    if slot == "mind":
        prepare(config, "mind")
    wanted = choose(config).get(slot)
    if wanted is None:
        return None
    loaded, taken = hiring.engage(config, slot, wanted)
    if taken.shown != wanted.shown:
        typer.echo(f"{slot}: {taken.shown}, {taken.why}", err=True)
    return loaded
