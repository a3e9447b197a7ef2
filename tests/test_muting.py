"""The microphone's switch: what is said while it is off is never heard, and letting go ends a turn at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from terminal import SCRIPTED, Terminal

from assistant.backends.files import FileMicrophone, SilentSpeaker
from assistant.backends.keys import OnKey, terminal_keys
from assistant.backends.pictures import PictureCamera
from assistant.backends.scripted import ScriptedActivity, ScriptedMicrophone, ScriptedRecogniser
from assistant.config import load_config
from assistant.errors import ConfigError
from assistant.events import HearingEvent, Lost, Onset, Speaking, Utterance
from assistant.hearing import TurnTaking, hear
from assistant.hiring import load_engines
from assistant.muting import SwitchedMicrophone
from assistant.pacing import Clock, run
from assistant.running import address_rules, run_session, talk_over
from assistant.talk import Devices
from assistant.transcribing import Transcriber, joined
from assistant.workers import Worker

Heard = HearingEvent | Lost


def listen(
    spans: Sequence[tuple[float, float]], keys: Sequence[tuple[float, str]], *, push_to_talk: bool = False
) -> tuple[list[tuple[float, Heard]], list[bool], list[str]]:
    """What is heard of speech (from, to) while keys are pressed at their times: events, switches, words."""

    async def main() -> tuple[list[tuple[float, Heard]], list[bool], list[str]]:
        clock, told, found = Clock(), list[bool](), list[tuple[float, Heard]]()
        worker = await Worker.start("recogniser", lambda: ScriptedRecogniser(["one two three"]))
        transcriber = Transcriber(worker, "auto", lambda _: None)
        inner = ScriptedMicrophone(clock, spans, seconds=8.0, block_s=0.01)
        microphone = SwitchedMicrophone(inner, push_to_talk=push_to_talk, tell=told.append)

        async def type_keys() -> None:
            for at_s, key in keys:
                await clock.until(at_s)
                microphone.press(key)

        typing, texts = asyncio.create_task(type_keys()), list[str]()
        async for event in hear(microphone, ScriptedActivity(), transcriber, TurnTaking(), busy=lambda: False):
            found.append((clock.now_s(), event))
            if isinstance(event, Utterance):
                texts.append((await joined(transcriber.segments)).text)
        await typing
        worker.close()
        return found, told, texts

    return run(main(), fast=True)


def when(found: Sequence[tuple[float, Heard]], kind: type) -> list[float]:
    return [at_s for at_s, event in found if isinstance(event, kind)]


def test_what_is_said_while_muted_is_not_heard() -> None:
    found, told, texts = listen([(1, 2), (3, 4), (5, 6)], [(2.8, "m"), (4.5, "M")])
    assert len(when(found, Onset)) == len(texts) == 2
    assert not any(2.8 < at_s < 5.0 for at_s in when(found, Speaking))
    assert told == [True, False]


def test_muted_in_the_middle_of_a_sentence_only_what_came_before_is_answered() -> None:
    found, _, texts = listen([(1, 4)], [(2.0, "m")])
    (ended_s,) = when(found, Utterance)
    assert ended_s == pytest.approx(2.5, abs=0.1) and texts == ["one two three"]


def test_push_to_talk_hears_only_what_is_said_between_two_presses_and_ends_at_once() -> None:
    found, told, texts = listen([(0.5, 1), (2, 3), (4, 5)], [(1.8, " "), (2.9, " ")], push_to_talk=True)
    assert when(found, Onset) == [pytest.approx(2.0, abs=0.1)]
    assert when(found, Utterance) == [pytest.approx(2.9, abs=0.05)]
    assert texts == ["one two three"] and told == [False, True]


def test_a_pause_before_letting_go_does_not_keep_the_turn_open() -> None:
    found, _, texts = listen([(2, 3)], [(1.8, " "), (3.3, " ")], push_to_talk=True)
    assert when(found, Utterance) == [pytest.approx(3.3, abs=0.05)] and len(texts) == 1


def test_letting_go_without_a_word_is_nothing_and_other_keys_do_nothing() -> None:
    found, told, _ = listen([(3, 4)], [(1.0, " "), (2.0, " ")], push_to_talk=True)
    assert found == [] and told == [False, True]
    found, told, _ = listen([(1, 2)], [(0.5, " "), (0.6, "x"), (0.7, "\n")])
    assert len(when(found, Utterance)) == 1 and told == []


def test_muting_stands_above_pushing() -> None:
    found, told, _ = listen([(2, 3)], [(1.0, "m"), (1.5, " "), (4.0, "m")], push_to_talk=True)
    assert found == [] and told == [False]


def test_whoever_pushes_to_talk_needs_no_wake_phrase_but_needs_keys() -> None:
    sets = ['address.wake=["assistant"]', "microphone.push_to_talk=true"]
    assert address_rules(load_config(sets=sets[:1], environ={})).wake == ("assistant",)
    assert address_rules(load_config(sets=sets, environ={})).wake == ()
    with pytest.raises(ConfigError, match="wanted to push a key to talk, got no terminal"):
        run_session(load_config(sets=[*sets, "microphone.source=none"], environ={}))


# ---------------------------------------------------------------- in a talk


def talk(keys: Sequence[tuple[float, str]], *sets: str) -> list[dict[str, Any]]:
    """The events of a talk in which something is said from 1 to 2 s and keys are typed at their times."""
    events: list[dict[str, Any]] = []
    pcm = np.zeros(16_000 * 3, np.float32)
    pcm[16_000:32_000] = 0.3

    @contextmanager
    def typed(on_key: OnKey) -> Generator[None]:
        loop = asyncio.get_running_loop()
        due = [loop.call_later(at_s, on_key, key) for at_s, key in keys]
        yield
        for one in due:
            one.cancel()

    def open_them(clock: Clock) -> Devices:
        return Devices(FileMicrophone(pcm, clock), PictureCamera(()), SilentSpeaker(clock))

    async def main() -> None:
        config = load_config(sets=[*SCRIPTED, *sets], environ={})
        engines = await load_engines(config)
        await talk_over(config, engines, open_them, (events.append,), keys=typed)
        engines.close()

    run(main(), fast=True)
    return events


def switches(events: Sequence[dict[str, Any]]) -> list[bool]:
    return [event["on"] for event in events if event["type"] == "muted"]


def test_a_muted_talk_is_logged_and_answers_nothing() -> None:
    assert len([e for e in talk([]) if e["type"] == "exchange"]) == 1
    events = talk([(0.5, "m"), (2.5, "m")])
    assert switches(events) == [True, False]
    assert not [e for e in events if e["type"] in ("onset", "exchange")]


def test_a_talk_by_pushing_begins_deaf_and_answers_what_was_said() -> None:
    events = talk([(0.8, " "), (2.05, " ")], "microphone.push_to_talk=true")
    assert switches(events) == [True, False, True]
    assert [e["type"] for e in events[:2]] == ["ready", "muted"]
    (utterance,) = (e for e in events if e["type"] == "utterance")
    assert utterance["at_s"] == pytest.approx(2.08, abs=0.05)
    assert len([e for e in events if e["type"] == "exchange"]) == 1


# ---------------------------------------------------------------- on a real terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Generator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*more: str) -> Terminal:
        opened.append(Terminal(tmp_path, *more))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def test_keys_on_a_terminal_mute_and_end_the_talk_and_it_is_left_as_it_was(terminal: Callable[..., Terminal]) -> None:
    on = terminal()
    on.until(lambda: bool(on.logged("ready")) and on.settings != on.before)
    on.type("\x1bOm\x1b[1;5m")  # what a keypad and an arrow send holds letters that nobody typed
    on.type("m")
    on.until(lambda: len(on.logged("muted")) == 1 and "microphone off" in on.shown)
    on.type("m")
    on.until(lambda: len(on.logged("muted")) == 2)
    assert [e["on"] for e in on.logged("muted")] == [True, False]
    assert "keys: m mutes, q ends" in on.shown
    on.type("q")
    assert on.process.wait(20) == 130
    assert on.settings == on.before and on.logged("done")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_is_put_back_when_the_program_is_ended_from_outside(
    terminal: Callable[..., Terminal], how: signal.Signals
) -> None:
    on = terminal("--set", "microphone.push_to_talk=true")
    on.until(lambda: bool(on.logged("muted")) and on.settings != on.before)
    on.process.send_signal(how)
    assert on.process.wait(20) == (130 if how == signal.SIGINT else -signal.SIGTERM)
    assert on.settings == on.before


def test_what_is_no_terminal_has_no_keys(tmp_path: Path) -> None:
    assert terminal_keys(None) is None
    with (tmp_path / "file").open("w+") as file:
        assert terminal_keys(file) is None
