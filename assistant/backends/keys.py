"""Keys typed on a terminal, one by one, while the event loop runs.

The terminal gives them without waiting for a line, and shows none; Ctrl-C stays what it is. It is put back however the
program ends, short of a kill that cannot be caught. Not on Windows, whose terminals have no `termios`. Knows no key's
meaning.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TextIO

OnKey = Callable[[str], None]
Keys = Callable[[OnKey], AbstractContextManager[None]]
"""Calls back with every key while it is entered."""


_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?")
"""what arrows and function keys send (ECMA-48): letters are in it that nobody typed"""


def terminal_keys(terminal: TextIO | None) -> Keys | None:
    """The keys of a terminal; None where it is no terminal or cannot give them one by one."""
    if terminal is None or sys.platform == "win32" or not terminal.isatty():
        return None
    return lambda on_key: _listening(terminal.fileno(), on_key)


@contextmanager
def _listening(fd: int, on_key: OnKey) -> Generator[None]:
    import termios
    import tty

    loop = asyncio.get_running_loop()
    before: list[Any] = termios.tcgetattr(fd)

    def enter() -> None:
        if os.tcgetpgrp(fd) == os.getpgrp():  # in the background the terminal is somebody else's
            tty.setcbreak(fd)

    def restore() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})  # else the background would be stopped for it
        try:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTTOU})

    def terminate() -> None:
        restore()
        loop.remove_signal_handler(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    def read() -> None:
        try:
            typed = os.read(fd, 64)
        except OSError:  # the terminal was closed
            typed = b""
        if not typed:
            loop.remove_reader(fd)
        for key in _SEQUENCE.sub("", typed.decode("utf-8", "ignore")):
            on_key(key)

    enter()
    try:
        loop.add_reader(fd, read)
        loop.add_signal_handler(signal.SIGCONT, enter)  # a shell puts the terminal right for itself meanwhile
        loop.add_signal_handler(signal.SIGTERM, terminate)
        yield
    finally:
        loop.remove_reader(fd)
        loop.remove_signal_handler(signal.SIGCONT)
        loop.remove_signal_handler(signal.SIGTERM)
        restore()
