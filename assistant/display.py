"""What a talk looks like: a live view on a terminal, plain lines anywhere else.

Both are fed the entries of the event log (`show`) and the microphone's level (`level`). `lines`, `waterfall` and `step`
are pure and hold all there is to know of events; `Plain` and `Live` own an output. Whatever was said, read or generated
is shown without its control characters: a picture must not steer a terminal. Knows no engine and no device.
"""

from __future__ import annotations

import os
import time
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, Self, TextIO

from assistant.errors import OutputError
from assistant.timing import STAGES

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live as RichLive

    from assistant.models import Fetching

Event = Mapping[str, Any]

FLOOR_DB = -60.0
"""The left end of the level meter, in dB of full scale"""
REDRAW_S = 0.08
"""The live view is drawn again at most this often"""


class Display(Protocol):
    """What `run` and `demo` draw on. A context manager; `show` and `level` never block and never raise."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *error: object) -> None: ...

    def show(self, event: Event) -> None:
        """Draw an entry of the event log."""
        ...

    def level(self, db: float) -> None:
        """Draw how loud the microphone is, in dB of full scale (0 or less)."""
        ...

    def progress(self, step: Fetching) -> None:
        """Draw how far a download is; may be called on any thread."""
        ...

    def note(self, line: str) -> None:
        """Draw a line of the program's own."""
        ...


def open_display(out: TextIO, *, plain: bool = False) -> Display:
    """A live view where `out` is a terminal that can have one, else plain lines."""
    if plain or not out.isatty() or os.environ.get("TERM", "") in ("dumb", "unknown"):
        return Plain(out)
    from rich.console import Console

    return Live(Console(file=out, highlight=False, markup=False, emoji=False))


# ---------------------------------------------------------------- events as text


def lines(event: Event) -> list[str]:
    """An entry of the event log as plain lines; none for what a reader of a talk does not need."""
    match event["type"]:
        case "ready":
            engines = ", ".join(f"{s} {e.get('model', e['name'])} ({e['why']})" for s, e in event["engines"].items())
            return [clean(f"ready: {engines}")]
        case "words" if event["final"] and event["text"]:
            return [clean(f"you: {event['text']}")]
        case "playing":
            return [clean(f"assistant: {event['text']}")]
        case "turn":
            return [f"  {latency(event)}"]
        case "exchange" if event["cut"]:
            return [f"  interrupted, heard up to: {clean(event['heard'][-40:])}"]
        case "interruption" if event["verdict"] not in ("interruption", "stop"):
            return [f"  went on: {event['verdict']} ({clean(event['why'])})"]
        case "ignored":
            return [f"  not for me: {clean(event['why'])}"]
        case "trouble":
            return [f"  trouble ({event['where']}): {clean(event['message'])}"]
        case "done":
            exchanges = event["exchanges"]
            return [f"done: {exchanges} exchange{'' if exchanges == 1 else 's'} in {event['seconds']:.1f} s"]
        case _:
            return []


def latency(turn: Event) -> str:
    """A turn's latency in one line: `620 ms to the first sound (endpoint 500, recognise 40, think 60, speak 20)`."""
    parts = ", ".join(f"{stage} {round(ms)}" for stage, ms in stages(turn) if round(ms))
    return f"{round(turn['voice_to_voice_ms'])} ms to the first sound" + (f" ({parts})" if parts else "")


def waterfall(turn: Event, width: int = 40, *, ascii_only: bool = False) -> str:
    """A turn's stages below each other, each bar where its time lay; `width` columns are the whole latency."""
    total_ms = turn["voice_to_voice_ms"]
    block = "#" if ascii_only else "█"
    rows = [f"{round(total_ms):>5} ms  from the end of the speech to the first sound"]
    begun_ms = 0.0
    for stage, ms in stages(turn):
        left, right = (round(width * t / max(total_ms, 1.0)) for t in (begun_ms, begun_ms + ms))
        bar = block * (max(right - left, 1) if round(ms) else 0)
        rows.append(f"{round(ms):>5} ms  {stage:<9}  {' ' * min(left, width - len(bar))}{bar}".rstrip())
        begun_ms += ms
    return "\n".join(rows)


def stages(turn: Event) -> Iterator[tuple[str, float]]:
    """The stages of a turn in their order, with their milliseconds."""
    for stage in STAGES:
        yield stage, float(turn["stages"].get(f"{stage}_ms", 0.0))


def clean(text: str) -> str:
    """One line without anything that steers a terminal: control, formatting and surrogate characters."""
    kept = (" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c) not in STEERING)
    return "".join(kept).strip()


STEERING = ("Cc", "Cf", "Cs", "Co", "Cn")


def meter(db: float, width: int = 16, *, ascii_only: bool = False) -> str:
    """A bar that is empty at -60 dB of full scale and full at 0."""
    filled = round(width * min(1.0, max(0.0, (db - FLOOR_DB) / -FLOOR_DB)))
    on, off = ("#", ".") if ascii_only else ("▮", "▯")
    return on * filled + off * (width - filled)


# ---------------------------------------------------------------- plain lines


class Plain:
    """Lines on any output, one as soon as it is known.

    An output that fails is left alone, and the talk goes on; at the end a full disk is told by an OutputError.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._failure: OSError | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None and self._failure is not None and not isinstance(self._failure, BrokenPipeError):
            said = self._failure.strerror
            raise OutputError(f"wanted to show the talk, got '{said}'; it went on unseen: send it somewhere else")

    def show(self, event: Event) -> None:
        """Write the lines of an entry."""
        for line in lines(event):
            self.note(line)

    def level(self, db: float) -> None:
        """Nothing: a level is no line."""

    def progress(self, step: Fetching) -> None:
        """Write that a download began, and that it is done."""
        for line in fetch_lines(step):
            self.note(line)

    def note(self, line: str) -> None:
        """Write a line."""
        if self._failure is not None:
            return
        encoding = self._out.encoding or "utf-8"
        try:
            self._out.write(line.encode(encoding, "replace").decode(encoding) + "\n")
            self._out.flush()
        except OSError as error:  # nobody reads any more, or the disk is full: the talk matters more than its display
            self._failure = error


def fetch_lines(step: Fetching) -> list[str]:
    """A download as plain lines: one when it begins, one when it is done."""
    if step.done_bytes == 0:
        size = f"{step.total_bytes / 1e6:.0f} MB" if step.total_bytes else "size unknown"
        return [clean(f"fetching {step.name} ({size}) from {step.place}")]
    return [clean(f"fetched {step.name}")] if step.done_bytes == step.total_bytes else []


# ---------------------------------------------------------------- a live view


@dataclass(frozen=True, slots=True)
class View:
    """What the live part of the screen shows."""

    state: str = "loading"
    """loading, listening, hearing, thinking or speaking"""
    db: float = FLOOR_DB
    partial: str = ""
    """what is being said, as far as it is understood"""
    reply: str = ""
    """what is being answered, as far as it is spoken"""
    turn: Event | None = None
    """the latency of the last turn"""
    fetch: Fetching | None = None
    muted: bool = False
    """the microphone is switched off by a key"""


def step(view: View, event: Event) -> View:
    """The view after an entry of the event log."""
    match event["type"]:
        case "ready":
            return replace(view, state="listening", fetch=None)
        case "speaking":
            return replace(view, state="hearing", partial="")
        case "words":
            text = "" if event["final"] else clean(event["text"])
            over = event["final"] and not event["text"]
            return replace(view, partial=text, state="listening" if over else view.state)
        case "utterance":
            return replace(view, state="thinking")
        case "playing":
            return replace(view, state="speaking", partial="", reply=f"{view.reply} {clean(event['text'])}".strip())
        case "turn":
            return replace(view, turn=event)
        case "muted":
            return replace(view, muted=event["on"])
        case "exchange":
            return replace(view, reply="", state="listening" if view.state == "speaking" else view.state)
        case "trouble" if event["where"] == "turn":
            return replace(view, reply="", partial="", state="listening")
        case _:
            return view


def history(view: View, event: Event) -> list[str]:
    """What scrolls up out of the live view: a reply only when it is over, exactly as far as it was heard."""
    match event["type"]:
        case "playing" | "turn":
            return []
        case "exchange":
            reply = f"assistant: {clean(event['heard'])}{' …' if event['cut'] else ''}"
            return [reply, f"  {latency(view.turn)}"] if view.turn else [reply]
        case _:
            return lines(event)


def render(view: View, *, ascii_only: bool = False) -> RenderableType:
    """The live part of the screen: state and level, what is being said, what is being answered, the last latency."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    last = f"  last answer after {round(view.turn['voice_to_voice_ms'])} ms" if view.turn else ""
    sound = meter(view.db, ascii_only=ascii_only)
    heard = ("microphone off".ljust(len(sound)), "bold red") if view.muted else (sound, "green")
    status = Text.assemble((f"{view.state:<10}", STYLES[view.state]), heard, (last, "dim"))
    rows: list[RenderableType] = [status]
    if view.fetch:
        fetched, total = view.fetch.done_bytes, view.fetch.total_bytes
        of = f"{fetched / 1e6:.0f} of {total / 1e6:.0f} MB" if total else f"{fetched / 1e6:.0f} MB"
        rows.append(Text(clean(f"fetching {view.fetch.name}: {of} from {view.fetch.place}"), no_wrap=True))
        rows.append(ProgressBar(total=total or None, completed=fetched, width=40))
    if view.partial:
        rows.append(Text(f"you: {view.partial}", "dim"))
    if view.reply:
        rows.append(Text(f"assistant: {view.reply}", "cyan"))
    return Group(*rows)


STYLES = {"loading": "dim", "listening": "green", "hearing": "bold yellow", "thinking": "magenta", "speaking": "cyan"}


class Live:
    """A terminal: what was said scrolls up, below it stands what is going on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._ascii = console.options.ascii_only
        self._view = View()
        self._drawn_s = 0.0
        self._live: RichLive | None = None

    def __enter__(self) -> Self:
        from rich.live import Live as RichLive

        self._live = RichLive(self._render(), console=self._console, auto_refresh=False, transient=True)
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._guarded(self._live.stop)
            self._live = None

    def show(self, event: Event) -> None:
        """Draw an entry: what is over scrolls up, the rest changes the live part."""
        over = history(self._view, event)
        self._draw(step(self._view, event), at_once=not over)
        for line in over:
            self.note(line)

    def level(self, db: float) -> None:
        """Move the meter."""
        self._draw(replace(self._view, db=db))

    def progress(self, step: Fetching) -> None:
        """Draw a bar while something is downloaded."""
        over = step.total_bytes and step.done_bytes >= step.total_bytes
        self._draw(replace(self._view, fetch=None if over else step), at_once=bool(over))
        if over:
            self.note(f"fetched {clean(step.name)}")

    def note(self, line: str) -> None:
        """Put a line above the live part."""
        from rich.text import Text

        style = "bold" if line.startswith("you:") else "cyan" if line.startswith("assistant:") else "dim"
        self._guarded(lambda: self._console.print(Text(line, style)))

    def _draw(self, view: View, *, at_once: bool = False) -> None:
        self._view = view
        now_s = time.monotonic()
        if (live := self._live) is None:
            return
        refresh = at_once or now_s - self._drawn_s >= REDRAW_S
        self._drawn_s = now_s if refresh else self._drawn_s
        self._guarded(lambda: live.update(self._render(), refresh=refresh))

    def _render(self) -> RenderableType:
        return render(self._view, ascii_only=self._ascii)

    def _guarded(self, draw: Any) -> None:
        try:
            draw()
        except OSError:  # the terminal went away: what is said matters more than what is shown
            self._live = None
