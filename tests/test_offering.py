"""The offer of better models: on a real terminal, over a real socket, beside a talk that goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import serving
from terminal import SCRIPTED, Terminal

from assistant.backends.keys import Keys
from assistant.choosing import Better, choose
from assistant.config import load_config
from assistant.models import StoreSettings, known, locate
from assistant.models.machine import Machine
from assistant.offering import Offer

MIND = "lfm2.5-vl-450m-gguf"
"""what the mind's ladder of a machine without a graphics card begins with; what is served for it is made up"""
FILES = {
    "LFM2.5-VL-450M-Q8_0.gguf": bytes(300_000),
    "mmproj-LFM2.5-VL-450m-Q8_0.gguf": bytes(20_000),
}
OFFERED = f"{known(MIND).size_bytes / 1e9:.1f} GB: a seeing model ({known(MIND).licence})"
QUESTION = "Get it now? [Y/n]"


@pytest.fixture
def hub() -> Generator[serving.Served]:
    with serving.served(dict(FILES)) as served:
        served.repositories = ("LiquidAI/LFM2.5-VL-450M-GGUF",)
        served.commit = "1abed04b6fe71314d8c446a1371c03d7c332266d"  # the one that the catalogue names
        yield served


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with nothing but the built-in mind, if this machine has it."""
    built_in = locate("smollm2-135m-instruct-q4_1")
    if built_in is None:
        pytest.skip("needs the built-in mind")
    store = tmp_path / "models"
    store.mkdir()
    (store / "smollm2-135m-instruct-q4_1").symlink_to(built_in.parent)
    return store


class Start:
    """A talk on a terminal whose mind is the tier's and everything else a fake."""

    def __init__(self, tmp_path: Path, store: Path, hub: serving.Served) -> None:
        self.sets = [f"models.folder={store}", "mind.engine=auto", "detector.engine=none", "assistant.language=en"]
        self.environ = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "nowhere"),
            "CUDA_VISIBLE_DEVICES": "",
            "NO_PROXY": "127.0.0.1",
        }
        self._tmp_path = tmp_path
        self._open: list[Terminal] = []

    def __call__(self, silence_s: float = 60.0) -> Terminal:
        more = [word for one in self.sets for word in ("--set", one)]
        self._open.append(Terminal(self._tmp_path, *more, silence_s=silence_s, environ=self.environ))
        on = self._open[-1]
        on.until(lambda: bool(on.logged("ready")) and on.settings != on.before)
        return on

    def close(self) -> None:
        for terminal in self._open:
            terminal.close()


@pytest.fixture
def start(tmp_path: Path, store: Path, hub: serving.Served) -> Generator[Start]:
    starting = Start(tmp_path, store, hub)
    yield starting
    starting.close()


def chosen(store: Path) -> str:
    config = load_config(sets=[f"models.folder={store}"], environ={})
    return choose(config, Machine(ram_mb=8_000, cores=2))["mind"].model


def shows(on: Terminal, text: str) -> None:
    """Wait until a text stands on the terminal, however its lines are broken."""
    on.until(lambda: text in " ".join(on.shown.split()))


def leave(on: Terminal) -> None:
    on.type("q")
    assert on.process.wait(30) == 130


def is_not_asked_again(start: Start, hub: serving.Served) -> None:
    again = start()
    shows(again, f"assistant models pull {MIND}")
    assert QUESTION not in again.shown
    leave(again)
    assert not hub.asked


# ---------------------------------------------------------------- on a terminal


def test_yes_gets_it_beside_the_talk_for_the_next_start(start, store, hub):
    hub.go_on = threading.Event()
    on = start(silence_s=8.0)
    shows(on, f"{OFFERED}. {QUESTION}")
    assert not hub.asked, "nothing is fetched unasked"
    on.type("y")
    on.until(hub.half_sent.is_set)
    on.until(lambda: bool(on.logged("exchange")))  # while the download stands still
    assert chosen(store) == ""
    hub.go_on.set()
    shows(on, f"got {MIND}: in use from the next start on")
    leave(on)
    assert chosen(store) == MIND
    assert not on.logged("trouble")


def test_no_is_remembered_and_how_to_get_it_is_told(start, hub):
    on = start()
    shows(on, QUESTION)
    on.type("n")
    shows(on, f"not asked again; better on this machine, {OFFERED}: assistant models pull {MIND}")
    leave(on)
    is_not_asked_again(start, hub)


def test_a_question_that_is_not_answered_is_not_asked_again(start, hub):
    on = start()
    shows(on, QUESTION)
    leave(on)
    is_not_asked_again(start, hub)


def test_a_download_that_fails_costs_one_line_and_the_talk_goes_on(start, hub):
    hub.status = {f"/api/models/{hub.repositories[0]}/revision/{hub.commit}": 500}
    on = start(silence_s=12.0)
    shows(on, QUESTION)
    on.type("\n")
    shows(on, "the better models could not be got: ")
    on.until(lambda: bool(on.logged("exchange")))
    assert not on.logged("trouble")
    leave(on)


def test_a_download_that_the_end_of_the_talk_breaks_off_goes_on_at_the_next_start(start, store, hub):
    hub.go_on = threading.Event()
    on = start()
    shows(on, QUESTION)
    on.type("y")
    on.until(hub.half_sent.is_set)
    leave(on)
    hub.go_on.set()
    hub.go_on = None
    again = start()
    shows(again, f"got {MIND}: in use from the next start on")
    assert QUESTION not in again.shown
    leave(again)
    assert chosen(store) == MIND
    third = start()
    (ready,) = third.logged("ready")
    assert f"in place of {MIND}: wanted " in ready["engines"]["mind"]["why"], "it was taken up, and is zeros"
    leave(third)


# ---------------------------------------------------------------- without one


def test_without_a_terminal_nothing_is_fetched_and_how_is_told(start, first_question, hub):
    words = ["--microphone", str(first_question), "--camera", "none", "--speaker", "none"]
    sets = [word for one in (*SCRIPTED, *start.sets) for word in ("--set", one)]
    done = subprocess.run(
        [sys.executable, "-m", "assistant", "run", *words, *sets],
        env={**os.environ, **start.environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{OFFERED}: assistant models pull {MIND}" in done.stdout
    assert QUESTION not in done.stdout and not hub.asked


# ---------------------------------------------------------------- keys


class Notes:
    """A display that only keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


def offered(tmp_path: Path, *, ask: bool = True) -> tuple[Offer, Notes]:
    display: Any = Notes()
    found = Better("cpu", ("whisper-base",), ("recogniser",), 145_000_000)
    return Offer(found, StoreSettings(tmp_path), display, ask=ask), display


def test_keys_reach_the_talk_unless_they_answer(tmp_path):
    offer, _ = offered(tmp_path)
    typed: list[str] = []
    pressed: list[Any] = []
    keys: Keys = pressed.append  # type: ignore[assignment]  # keeps the callback in place of a terminal's
    offer.over(keys)(typed.append)
    for key in "yn":
        pressed[0](key)  # nothing has been asked yet
    offer.show({"type": "ready"})
    for key in "mn y\n":
        pressed[0](key)
    assert typed == ["y", "n", "m", " ", "y", "\n"], "one n was the answer"


def test_what_cannot_be_remembered_or_read_does_not_stop_the_talk(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    offer, display = offered(blocked)
    offer.show({"type": "ready"})
    assert display.lines[-1].endswith(QUESTION)
    (tmp_path / "offers.json").write_text("{ no json")
    offer, display = offered(tmp_path)
    offer.show({"type": "ready"})
    assert display.lines[-1].endswith(QUESTION)
    assert json.loads((tmp_path / "offers.json").read_text()) == {"cpu": []}


def test_other_models_than_those_that_were_agreed_on_are_not_fetched(tmp_path):
    (tmp_path / "offers.json").write_text(json.dumps({"cpu": ["whisper-small"]}))
    offer, display = offered(tmp_path)
    offer.show({"type": "ready"})
    assert display.lines == ["better on this machine, 0.1 GB: Whisper base (MIT): assistant models pull whisper-base"]
