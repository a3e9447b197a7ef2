"""Time: the audio clock, and an event loop whose time jumps.

Everything waits through asyncio and asks `Clock.now_s()`. Live and at `--pace real` that is the machine's time, set by
the microphone's samples; at `--pace fast` it is `VirtualLoop`'s, which stands still while anything can run and else
jumps to the next timer, so that a conversation is the same on every machine and a ten-minute talk takes about a second.
Knows no device and no engine.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import signal
import threading
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

WINDOW_S = 4.0
"""the quickest block of so long a time tells how late the microphone is: the others waited for somebody"""
SLEW = 0.005
"""the clock goes at most so much faster or slower than the machine's: nobody hears it, and it never goes back"""
TOLERANCE_S = 0.001
"""a smaller difference is no drift"""


@dataclass(frozen=True, slots=True)
class Following:
    """How far the microphone's time is ahead of the machine's, as a line over the machine's time; all in seconds.

    A block is late by its way through card and system, by whoever kept it waiting, and by the drift between the two
    quartzes. The quickest block of a window was kept waiting by nobody; the first window tells the way.
    """

    ahead_s: float = 0.0
    """how far at `since_s`"""
    slope: float = 0.0
    since_s: float = 0.0
    way_s: float | None = None
    late_s: float = math.inf
    """how late the quickest block of this window was"""

    def at(self, passed_s: float) -> float:
        """How far ahead, so many seconds of the machine's time after the zero; level after the window's length."""
        return self.ahead_s + self.slope * min(max(0.0, passed_s - self.since_s), WINDOW_S)

    def heard(self, end_s: float, passed_s: float) -> Following:
        """The same, after a block that ends at `end_s` of the microphone's time came at `passed_s`."""
        late_s = min(self.late_s, passed_s - end_s)
        if passed_s < self.since_s + WINDOW_S:
            return replace(self, late_s=late_s)
        way_s = max(0.0, late_s) if self.way_s is None else self.way_s  # no sound comes before it was heard
        now_s = self.at(passed_s)
        off_s = way_s - late_s - now_s
        slope = max(-SLEW, min(SLEW, off_s / WINDOW_S)) if abs(off_s) > TOLERANCE_S else 0.0
        return Following(now_s, slope, passed_s, way_s)


class Clock:
    """Seconds of the audio clock: the microphone's samples, between whose blocks the machine's time is taken.

    `start` is called once, when the first microphone sample is heard; `heard` with every block of a microphone that has
    a quartz of its own. At 100 ppm two quartzes part by 0.36 s an hour; this clock stays with the microphone's.
    """

    def __init__(self) -> None:
        self._origin_s: float | None = None
        self._following = Following()

    def start(self, at_s: float | None = None) -> None:
        """Make the loop's time `at_s` (default: now) the zero. Later calls are ignored: devices share one zero."""
        if self._origin_s is None:
            self._origin_s = asyncio.get_running_loop().time() if at_s is None else at_s

    def heard(self, end_s: float, came_at_s: float | None = None) -> None:
        """A block of the microphone that ends at `end_s` of its samples came at `came_at_s` of the loop's time (now).

        A recording is paced by this clock and must not set it.
        """
        if self._origin_s is not None:
            came_at_s = asyncio.get_running_loop().time() if came_at_s is None else came_at_s
            self._following = self._following.heard(end_s, came_at_s - self._origin_s)

    def now_s(self) -> float:
        """Seconds since the first microphone sample; 0 before it. Never goes back."""
        if self._origin_s is None:
            return 0.0
        passed_s = asyncio.get_running_loop().time() - self._origin_s
        return passed_s + self._following.at(passed_s)

    async def until(self, at_s: float) -> None:
        """Wait until `at_s`, within a millisecond; always lets other tasks run."""
        while True:
            await asyncio.sleep(max(0.0, at_s - self.now_s()))
            if at_s - self.now_s() <= TOLERANCE_S:  # else the clock was slowed meanwhile
                return


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
