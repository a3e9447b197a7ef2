"""Time: the audio clock, and an event loop whose time jumps.

Everything waits through asyncio and asks `Clock.now_s()`. Live and at `--pace real` that is the machine's time; at
`--pace fast` it is `VirtualLoop`'s, which stands still while anything can run and else jumps to the next timer, so that
a conversation is the same on every machine and a ten-minute talk takes about a second. Knows no device and no engine.
"""

from __future__ import annotations

import asyncio
import selectors
import signal
import threading
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any


class Clock:
    """Seconds of the audio clock. `start` is called once, when the first microphone sample is heard."""

    def __init__(self) -> None:
        self._origin_s: float | None = None

    def start(self, at_s: float | None = None) -> None:
        """Make the loop's time `at_s` (default: now) the zero. Later calls are ignored: devices share one zero."""
        if self._origin_s is None:
            self._origin_s = asyncio.get_running_loop().time() if at_s is None else at_s

    def now_s(self) -> float:
        """Seconds since the first microphone sample; 0 before it."""
        if self._origin_s is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._origin_s

    async def until(self, at_s: float) -> None:
        """Wait until `at_s`; always lets other tasks run."""
        await asyncio.sleep(max(0.0, at_s - self.now_s()))


class _JumpingSelector(selectors.DefaultSelector):
    """Where the loop would wait for a timer, let the time jump there instead."""

    jumped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0 if timeout is not None else None)
        if not ready and timeout is not None and timeout > 0:
            self.jumped_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with its own time, in seconds from 0. Work costs no time but what it sleeps."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """The loop's own time in seconds."""
        return self._jumping.jumped_s


Costs = Mapping[str, float]
"""What work costs at `--pace fast`, in seconds: `recogniser.feed`, `mind.reply.first`, `mind.reply.next`, …"""


def is_virtual() -> bool:
    """Whether the running loop's time jumps."""
    return isinstance(asyncio.get_running_loop(), VirtualLoop)


def run(main: Any, *, fast: bool) -> Any:
    """Run a coroutine on a loop of the wanted pace; Ctrl-C cancels it and then raises KeyboardInterrupt."""
    try:
        with ExitStack() as closing:
            with _undisturbed():
                runner = closing.enter_context(asyncio.Runner(loop_factory=VirtualLoop if fast else None))
            return runner.run(main)
    finally:
        main.close()  # where Ctrl-C came before it began


@contextmanager
def _undisturbed() -> Generator[None]:
    """Hold Ctrl-C back: a loop that is interrupted while it is made cannot be closed.

    Blocking the signal would not do: libraries have threads of their own by now, and one of those would take it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt
