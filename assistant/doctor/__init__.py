"""`assistant doctor`: what works on this machine, what does not, and the line that puts it right.

Each check makes a `Finding` and stands alone: what is missing is told, and the next is looked at. Nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from assistant.doctor.finding import ESSENTIAL, Finding
from assistant.errors import EngineError

if TYPE_CHECKING:
    from assistant.config import Config

__all__ = ["ESSENTIAL", "Finding", "examine"]


def examine(config: Config) -> Iterator[Finding]:
    """All findings, one after the other as they come. Raises ConfigError where the configuration names what is not."""
    from assistant import choosing, hiring, pacing
    from assistant.doctor import engines, machine, sound

    yield machine.disk(choosing.store_settings(config))
    yield machine.gpu()
    yield machine.camera(config)
    try:
        activity, _ = hiring.engage(config, "activity", choosing.choose(config)["activity"])
    except EngineError:  # told with the other engines
        activity = None
    yield from pacing.run(sound.examine(config, activity), fast=False)
    yield from engines.examine(config)
