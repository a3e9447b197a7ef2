"""The event log: what happened, in order, as plain dictionaries to any number of sinks.

A draft's events are held back and come out when its gate opens, stamped then; a dropped draft's are lost but for one
line. Knows no event's meaning; the contract's table does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from assistant.errors import OutputError
from assistant.pacing import Clock

Event = dict[str, Any]
Sink = Callable[[Event], None]


class Log(Protocol):
    """What the parts of a turn need: somewhere to say what happened."""

    def emit(self, type: str, **fields: Any) -> None: ...  # noqa: D102 - see EventLog


class EventLog:
    """Stamps events with the audio clock and hands them to its sinks."""

    def __init__(self, clock: Clock, *sinks: Sink) -> None:
        self._clock = clock
        self._sinks = sinks

    def emit(self, type: str, **fields: Any) -> None:
        """Say that something happened, now."""
        event = {"at_s": round(self._clock.now_s(), 4), "type": type, **fields}
        for sink in self._sinks:
            sink(event)


class HeldLog:
    """A draft's log: nothing leaves it before `open`."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._held: list[tuple[str, Event]] | None = []

    def emit(self, type: str, **fields: Any) -> None:
        """Say that something happened: at once if the gate is open, else when it opens."""
        if self._held is None:
            self._log.emit(type, **fields)
        else:
            self._held.append((type, fields))

    def open(self) -> None:
        """Let out what was held back, in its order, and everything from now on."""
        held, self._held = self._held or [], None
        for type, fields in held:
            self._log.emit(type, **fields)


class EventFile:
    """A sink that writes JSON Lines, flushed as they happen.

    A write that fails (a full disk) ends the file, not the conversation: `failure` holds the error for the end.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.failure: OutputError | None = None
        try:
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"wanted to write events to {path}, {error.strerror}; choose another file") from error

    def __call__(self, event: Event) -> None:
        """Write one line."""
        if self.failure is not None:
            return
        try:
            self._file.write(json.dumps(event, ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            self._fail(error)

    def close(self) -> None:
        """Close the file; a failure is kept, not raised."""
        try:
            self._file.close()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.failure = self.failure or OutputError(
            f"wanted to write events to {self._path}, {error.strerror}; the talk went on without it: make room"
        )
