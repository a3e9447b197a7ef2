"""The offer of better models, made once on a terminal; what is accepted is got beside the talk, for the next start.

The answer is kept with the models. Without a terminal, or after a no, there is one line that says how to get them. A
download that fails costs a line. Knows no engine.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from assistant.backends.keys import Keys, OnKey
from assistant.choosing import Better, better, store_settings
from assistant.errors import AssistantError
from assistant.models import Fetching, StoreSettings, pull
from assistant.workers import Worker

if TYPE_CHECKING:
    from assistant.config import Config
    from assistant.display import Display

OFFERS = "offers.json"
"""the file in the store that holds the answers, tier by tier"""
YES, NO = ("y", "\n", "\r"), ("n",)
"""the keys that answer; Enter is yes"""
SHOWN_S = 0.2
"""how often the progress of a download is shown at most"""


class Offer:
    """Better models, offered on the terminal while the talk goes on.

    A sink of the event log (`show`: it speaks up once the talk is ready) and part of the keyboard (`over`).
    """

    def __init__(self, found: Better, settings: StoreSettings, display: Display, *, ask: bool) -> None:
        self._found = found
        self._settings = settings
        self._display = display
        self._ask = ask
        self._asking = False
        self._getting: asyncio.Task[None] | None = None

    def show(self, event: Any) -> None:
        """Speak up once the talk is ready: ask, go on getting what was said yes to, or say how to get it."""
        if event["type"] != "ready":
            return
        agreed = _agreed(self._settings, self._found) if self._ask else []
        if agreed is None:
            self._display.note(f"better on this machine, {self._found}. Get it now? [Y/n]")
            self._asking = True
            _agree(self._settings, self._found, [])
        elif agreed:
            self._get(agreed)
        else:
            self._display.note(how(self._found))

    def over(self, keys: Keys) -> Keys:
        """The keyboard whose keys answer first, as long as the question stands."""

        def listening(on_key: OnKey) -> AbstractContextManager[None]:
            return keys(lambda key: None if self.press(key) else on_key(key))

        return listening

    def press(self, key: str) -> bool:
        """Take a key, if it is an answer to the question that stands."""
        if not self._asking or key.lower() not in YES + NO:
            return False
        self._asking = False
        if key.lower() in NO:
            self._display.note(f"not asked again; {how(self._found)}")
        else:
            _agree(self._settings, self._found, self._found.models)
            self._get(self._found.models)
        return True

    def close(self) -> None:
        """Say what becomes of a download that the end of the talk breaks off."""
        if self._getting is not None and (not self._getting.done() or self._getting.cancelled()):
            self._display.note("the rest of the models is got at the next start")

    def _get(self, models: Sequence[str]) -> None:
        self._getting = asyncio.get_running_loop().create_task(self._pull(models))

    async def _pull(self, models: Sequence[str]) -> None:
        loop = asyncio.get_running_loop()
        progress = _seldom(lambda step: loop.call_soon_threadsafe(self._display.progress, step))
        worker = Worker[None]("download")
        try:
            for name in models:
                await worker.call(lambda name=name: pull(name, self._settings, progress))
        except AssistantError as error:
            self._display.note(f"the better models could not be got: {error}; at the next start it is tried again")
        else:
            self._display.note(f"got {', '.join(models)}: in use from the next start on")
        finally:
            worker.close()


def offer(config: Config, display: Display, keys: Keys | None) -> Offer | None:
    """What to offer at the start of a talk; None where this machine has the best it can run, or is kept offline."""
    if config.assistant.offline or (found := better(config)) is None:
        return None
    return Offer(found, store_settings(config), display, ask=keys is not None)


def how(found: Better) -> str:
    """The line that says how to get what would be better."""
    return f"better on this machine, {found}: assistant models pull {' '.join(found.models)}"


def _seldom(show: Callable[[Fetching], Any]) -> Callable[[Fetching], None]:
    """Show a beginning and an end, and of what lies between no more than anybody can see."""
    due_s = 0.0

    def progress(step: Fetching) -> None:
        nonlocal due_s
        if step.done_bytes in (0, step.total_bytes) or time.monotonic() >= due_s:
            due_s = time.monotonic() + SHOWN_S
            try:
                show(step)
            except RuntimeError:  # the talk is over, and its loop closed: nobody is left to see it
                due_s = float("inf")

    return progress


# ---------------------------------------------------------------- remembered


def _answers(settings: StoreSettings) -> dict[str, Any]:
    """Tier -> the models of it that were said yes to; a tier that was never offered is not in it."""
    try:
        told: Any = json.loads((settings.kept_in() / OFFERS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _agreed(settings: StoreSettings, found: Better) -> list[str] | None:
    """Those of the models that were said yes to; None where that was never asked."""
    answers = _answers(settings)
    return [name for name in found.models if name in answers[found.tier]] if found.tier in answers else None


def _agree(settings: StoreSettings, found: Better, models: Sequence[str]) -> None:
    """Keep what was said yes to; where that cannot be done, the question comes again."""
    file = settings.kept_in() / OFFERS
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**_answers(settings), found.tier: [*models]}), encoding="utf-8")
    except OSError:
        return
