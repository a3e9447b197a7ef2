"""What a talk looks like: plain lines, the live view, and that nothing said or seen steers the terminal."""

import io
import os
import pty
import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from assistant.display import Live, Plain, View, clean, history, latency, lines, meter, open_display, render, step
from assistant.display import waterfall as draw_waterfall
from assistant.errors import OutputError
from assistant.models import Fetching
from assistant.timing import STAGES

TURN: dict[str, Any] = {
    "at_s": 3.2,
    "type": "turn",
    "voice_to_voice_ms": 620.4,
    "stages": {
        "endpoint_ms": 500.0,
        "recognise_ms": 40.2,
        "see_ms": 0.0,
        "think_ms": 60.2,
        "speak_ms": 20.0,
        "output_ms": 0.0,
    },
}
MIND = {"name": "transformers", "model": "smolvlm2-500m", "why": "8.0 GB are free and it is here"}
READY: dict[str, Any] = {
    "at_s": 0.0,
    "type": "ready",
    "engines": {"recogniser": {"name": "whisper", "why": "asked for"}, "mind": MIND},
    "sample_rate_hz": {"microphone": 48000, "recogniser": 16000, "speaker": 48000},
    "version": "0.1.0",
}
ESCAPE = "\x1b"


def words(text: str, *, final: bool) -> dict[str, Any]:
    return {"at_s": 1.0, "type": "words", "text": text, "final": final, "language": "en", "words": []}


def playing(text: str) -> dict[str, Any]:
    return {"at_s": 3.0, "type": "playing", "text": text, "first_sample_s": 3.1}


def exchange(heard: str, *, cut: bool = False) -> dict[str, Any]:
    return {"at_s": 5.0, "type": "exchange", "said": "a", "generated": "b", "heard": heard, "cut": cut, "seen": []}


TALK: list[dict[str, Any]] = [
    READY,
    {"at_s": 1.1, "type": "onset", "voice_s": 1.0},
    {"at_s": 1.2, "type": "speaking", "voice_s": 1.0},
    words("how much", final=False),
    {"at_s": 2.6, "type": "utterance", "began_s": 1.0, "ended_s": 2.1},
    words("how much is the milk", final=True),
    playing("The milk costs 3.49, "),
    TURN,
    playing("and it is fresh."),
    exchange("The milk costs 3.49, and it is fresh."),
    {
        "at_s": 6.0,
        "type": "trouble",
        "where": "eyes",
        "message": "the picture was not read in time",
        "kept_going": True,
    },
    {"at_s": 7.0, "type": "done", "exchanges": 1, "seconds": 7.04},
]


# ---------------------------------------------------------------- plain lines


def test_a_talk_as_plain_lines():
    assert [line for event in TALK for line in lines(event)] == [
        "ready: recogniser whisper (asked for), mind smolvlm2-500m (8.0 GB are free and it is here)",
        "you: how much is the milk",
        "assistant: The milk costs 3.49,",
        "  620 ms to the first sound (endpoint 500, recognise 40, think 60, speak 20)",
        "assistant: and it is fresh.",
        "  trouble (eyes): the picture was not read in time",
        "done: 1 exchange in 7.0 s",
    ]


def test_an_interrupted_reply_says_how_far_it_was_heard():
    assert lines(exchange("The milk costs", cut=True)) == ["  interrupted, heard up to: The milk costs"]
    assert lines(exchange("The milk costs 3.49.")) == []


def test_nothing_said_makes_no_line():
    assert lines(words("", final=True)) == lines(words("how", final=False)) == []


@given(st.text())
def test_no_text_steers_the_terminal(text: str):
    for event in (words(text, final=True), playing(text), exchange(text, cut=True)):
        for line in lines(event):
            assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]", line)
    assert clean(clean(text)) == clean(text)


def test_plain_lines_are_written_as_they_come_and_survive_any_encoding():
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    with Plain(out) as display:
        display.show(words("牛奶 costs €3", final=True))
        assert raw.getvalue() == b"you: ?? costs ?3\n"
        display.level(-20.0)
        display.show(words("partial", final=False))
    assert raw.getvalue() == b"you: ?? costs ?3\n"


def test_an_output_that_fails_does_not_stop_the_talk():
    with open("/dev/full", "w", encoding="utf-8") as full:
        display = Plain(full)
        with pytest.raises(OutputError, match="No space left on device"), display:
            for event in TALK:
                display.show(event)
        with open(os.devnull, "w") as nowhere:  # what is left in the buffer has to go somewhere at the end
            os.dup2(nowhere.fileno(), full.fileno())


def test_a_download_is_announced_with_its_size_and_its_end():
    out = io.StringIO()
    display = Plain(out)
    for done in (0, 50_000_000, 92_871_040):
        display.progress(Fetching("smollm2", "https://example.org/simple/", done, 92_871_040))
    assert out.getvalue().splitlines() == [
        "fetching smollm2 (93 MB) from https://example.org/simple/",
        "fetched smollm2",
    ]


# ---------------------------------------------------------------- figures


def test_a_waterfall_has_every_stage_where_its_time_lay():
    rows = draw_waterfall(TURN, width=62, ascii_only=True).splitlines()
    assert rows[0] == "  620 ms  from the end of the speech to the first sound"
    assert [row.split()[2] for row in rows[1:]] == list(STAGES)
    bars = [row.partition("ms  ")[2][11:] for row in rows[1:]]
    assert (len(bars[0]), bars[0].count("#")) == (50, 50)
    assert (bars[1].index("#"), bars[1].count("#")) == (50, 4)
    assert (bars[2], bars[5]) == ("", "")
    assert len(bars[4]) == 62


@given(st.lists(st.floats(0, 5000), min_size=6, max_size=6), st.integers(10, 100))
def test_no_waterfall_is_wider_than_it_may_be(ms: list[float], width: int):
    turn = {"voice_to_voice_ms": sum(ms), "stages": {f"{stage}_ms": t for stage, t in zip(STAGES, ms, strict=True)}}
    for row, t in zip(draw_waterfall(turn, width).splitlines()[1:], ms, strict=True):
        assert len(row) <= len("  123 ms  recognise  ") + width
        assert ("█" in row) == (round(t) > 0)
    assert latency(turn).startswith(f"{round(sum(ms))} ms")


def test_the_meter_is_empty_in_silence_and_full_at_full_scale():
    assert [meter(db, 10, ascii_only=True).count("#") for db in (-200, -60, -30, -6, 0, 6)] == [0, 0, 5, 9, 10, 10]
    assert len(meter(-30)) == 16


# ---------------------------------------------------------------- the live view


def states(events: list[dict[str, Any]]) -> list[str]:
    view, seen = View(), []
    for event in events:
        view = step(view, event)
        seen.append(view.state)
    return seen


def test_the_state_follows_the_talk():
    before = ["listening", "listening", "hearing", "hearing", "thinking", "thinking"]
    assert states(TALK[:10]) == [*before, "speaking", "speaking", "speaking", "listening"]
    assert states([READY, TALK[4], words("", final=True)])[-1] == "listening"
    interrupted = [READY, playing("The milk"), TALK[2], exchange("The", cut=True)]
    assert states(interrupted) == ["listening", "speaking", "hearing", "hearing"]
    trouble = {"type": "trouble", "where": "turn", "message": "no", "kept_going": True}
    assert states([READY, TALK[4], trouble]) == ["listening", "thinking", "listening"]


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_microphone_that_is_off_shows_no_level(ascii_only: bool):
    shown = screen(80)
    view = step(View(db=-10.0), {"type": "muted", "on": True})
    shown.console.print(render(view, ascii_only=ascii_only))
    assert (
        "microphone off" in shown.text.getvalue() and meter(-10.0, ascii_only=ascii_only) not in shown.text.getvalue()
    )
    shown.console.print(render(step(view, {"type": "muted", "on": False}), ascii_only=ascii_only))
    assert meter(-10.0, ascii_only=ascii_only) in shown.text.getvalue()


def test_a_reply_grows_while_it_is_spoken_and_goes_when_it_is_over():
    view = View()
    for event in TALK[:9]:
        view = step(view, event)
    assert view.reply == "The milk costs 3.49, and it is fresh."
    assert history(view, TALK[9]) == [
        "assistant: The milk costs 3.49, and it is fresh.",
        "  620 ms to the first sound (endpoint 500, recognise 40, think 60, speak 20)",
    ]
    assert step(view, TALK[9]).reply == ""
    assert history(View(), exchange("The", cut=True)) == ["assistant: The …"]


def test_what_is_being_said_stands_there_until_it_is_final():
    view = step(View(), words("how much", final=False))
    assert view.partial == "how much"
    assert step(view, words("how much is it", final=True)).partial == ""


@dataclass
class Screen:
    """A terminal that is a text: what was written to it."""

    text: io.StringIO
    console: Console


def screen(width: int = 60, **options: Any) -> Screen:
    text = io.StringIO()
    return Screen(text, Console(file=text, force_terminal=True, width=width, height=20, **options))


def test_the_live_view_leaves_the_talk_on_the_screen(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    shown = screen(100, color_system="standard")
    with Live(shown.console) as display:
        for event in TALK:
            display.show(event)
            display.level(-30.0)
        display.note("wrote a.wav")
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.text.getvalue())
    for line in (
        "you: how much is the milk",
        "assistant: The milk costs 3.49, and it is fresh.",
        "620 ms to the first sound",
        "wrote a.wav",
        "thinking",
        "▮",
    ):
        assert line in text
    assert f"{ESCAPE}[36m" in shown.text.getvalue()


def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NO_COLOR", "1")
    shown = screen(color_system="standard")
    with Live(shown.console) as display:
        for event in TALK:
            display.show(event)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown.text.getvalue())


def test_markup_in_what_was_said_is_text():
    shown = screen()
    with Live(shown.console) as display:
        display.show(words("[bold]loud[/bold] :smile:", final=True))
    assert "[bold]loud[/bold] :smile:" in shown.text.getvalue()


@pytest.mark.parametrize("width", [20, 37, 80])
def test_no_line_is_wider_than_the_terminal_in_chinese_too(width: int):
    view = View("speaking", -20.0, "牛奶多少钱" * 9, "这是一瓶牛奶，三元五角。" * 9, TURN, Fetching("权重", "x", 5, 9))
    shown = screen(width, color_system=None)
    shown.console.print(render(view))
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.text.getvalue())
    assert plain.replace("\n", "").count("牛奶多少钱") >= 1 or width == 20
    assert max(cell_len(line) for line in plain.splitlines()) <= width


def test_a_terminal_that_knows_ascii_only_gets_no_more():
    shown = screen(color_system=None)
    shown.console.print(render(step(View(db=-30.0), READY), ascii_only=True))
    assert shown.text.getvalue().isascii()


# ---------------------------------------------------------------- which of the two


def test_only_a_terminal_that_can_gets_the_live_view(monkeypatch: pytest.MonkeyPatch):
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setenv("TERM", "xterm-256color")
        assert isinstance(open_display(terminal), Live)
        assert isinstance(open_display(terminal, plain=True), Plain)
        monkeypatch.setenv("TERM", "dumb")
        assert isinstance(open_display(terminal), Plain)
    os.close(master)
    assert isinstance(open_display(io.StringIO()), Plain)
