"""Turn-taking: when someone speaks, pauses, goes on, is done.

`listen` is a pure state machine over windows of sound and their probability of speech; `hear` runs it over a microphone
and hands the sound to the transcriber. The order is always
`Onset -> (FalseAlarm | Speaking -> (Pause -> (Resumed | Utterance | FalseAlarm))+)`, but for a turn that grew too long,
that a key ended or whose microphone ended: it is an Utterance without a Pause. Knows nothing of words, replies and
engines: how long a pause must last before the turn is over, and whether it asked for anything at all, it reads off an
`Outlook`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from assistant.backends import Microphone, VoiceActivity
from assistant.endpointing import TAIL_S
from assistant.events import (
    HEARING_RATE_HZ,
    Block,
    FalseAlarm,
    HearingEvent,
    Lost,
    Onset,
    Pause,
    Resumed,
    Samples,
    Speaking,
    Utterance,
)
from assistant.transcribing import Transcriber


@dataclass(frozen=True, slots=True)
class TurnTaking:
    """The rules, in seconds of sound; `onset_p` is a probability."""

    onset_p: float = 0.5
    confirm_s: float = 0.16
    """voice needed after an onset until it counts as speech"""
    false_alarm_s: float = 0.2
    """silence after an onset that was not confirmed until it is dropped"""
    pause_s: float = 0.2
    """silence until the turn may be over"""
    end_s: float = 0.5
    """silence until the turn is over"""
    longest_s: float = 30.0
    """a turn is ended after this long, whatever happens"""
    preroll_s: float = 0.3
    """sound before the onset that the recogniser gets too"""


UNSETTLED_S = 0.5
"""voice needed until it counts as speech while the echo canceller has not settled: in its first second, a loud echo
sounds like somebody for up to 0.3 s"""
RECENT_S = 8.0
"""sound that is kept, and at a pause handed to whoever judges whether the turn is over"""


@dataclass(slots=True)
class Outlook:
    """What others make of the turn that is being heard: they write it, and `hear` reads it with every window.

    `wait_s` is the silence after which the turn is over (None: the rules' `end_s`); `dismissed` says that the turn
    asked for nothing, and ends it as a FalseAlarm at its pause. `sound` is what was heard of it when it
    paused, up to 8 s with little of the pause; `said_s` is how long it has lasted, `left` the share of its energy that
    the echo canceller left.
    """

    wait_s: float | None = None
    dismissed: bool = False
    sound: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    said_s: float = 0.0
    left: float = 1.0


@dataclass(frozen=True, slots=True)
class Ear:
    """The state of `listen`. `phase` is quiet, onset, speaking or pausing."""

    phase: str = "quiet"
    began_s: float = 0.0
    """where the voice of this turn began"""
    voiced_s: float = 0.0
    """how much voice was heard since the onset"""
    ended_s: float = 0.0
    """where the newest voice ended"""


def listen(
    ear: Ear, window: Block, p_voice: float, rules: TurnTaking, wait_s: float | None = None
) -> tuple[Ear, tuple[HearingEvent, ...]]:
    """One step: the next state and the events of this window (a few milliseconds of sound with one probability).

    `wait_s`: the silence after which the turn is over, where it is not the rules' `end_s`. A voice that goes on is
    believed down to 0.15 below the threshold (the usual hysteresis of Silero's own iterator).
    """
    length_s = window.end_s - window.at_s
    voiced = p_voice >= (rules.onset_p if ear.phase in ("quiet", "pausing") else max(0.01, rules.onset_p - 0.15))
    if voiced:
        ear = replace(ear, ended_s=window.end_s, voiced_s=ear.voiced_s + length_s)
    silent_s = window.end_s - ear.ended_s
    match ear.phase:
        case "quiet" if voiced:
            return Ear("onset", window.at_s, length_s, window.end_s), (Onset(window.at_s),)
        case "onset" if ear.voiced_s >= rules.confirm_s - 1e-6:
            return replace(ear, phase="speaking"), (Speaking(ear.began_s),)
        case "onset" if not voiced and silent_s >= rules.false_alarm_s - 1e-6:
            return Ear(), (FalseAlarm(ear.ended_s),)
        case "speaking" | "pausing" if window.end_s - ear.began_s >= rules.longest_s:
            return Ear(), (Utterance(ear.began_s, ear.ended_s),)
        case "speaking" if not voiced and silent_s >= rules.pause_s - 1e-6:
            return replace(ear, phase="pausing"), (Pause(ear.ended_s),)
        case "pausing" if voiced:
            return replace(ear, phase="speaking"), (Resumed(window.at_s),)
        case "pausing" if silent_s >= (rules.end_s if wait_s is None else wait_s) - 1e-6:
            return Ear(), (Utterance(ear.began_s, ear.ended_s),)
        case _:
            return ear, ()


async def hear(
    microphone: Microphone,
    activity: VoiceActivity,
    transcriber: Transcriber,
    rules: TurnTaking,
    *,
    busy: Callable[[], bool],
    missing: Callable[[], frozenset[str]] = frozenset,
    level: Callable[[Block], None] = lambda _: None,
    checked: Callable[[Block, float], None] = lambda _block, _p_voice: None,
    outlook: Outlook | None = None,
) -> AsyncGenerator[HearingEvent | Lost]:
    """Listen until the microphone ends, or is `over` (a recording) and neither the ear nor anything else is busy.

    The transcriber gets the sound of every turn, 300 ms before its onset included; a segment closes at a Pause and a
    new one opens when the voice goes on. When an event comes out, the transcriber has already been told. Where a key is
    pushed to talk (`let_go` of the microphone), the turn is over when that is. `missing`: the devices that are gone;
    each comes out once a loss, as `Lost`, when nobody speaks and nothing is busy. `level` is told of every block,
    `checked` of every window with its probability of speech.
    """
    ear, state, outlook = Ear(), activity.start(), outlook or Outlook()
    unsettled = replace(rules, confirm_s=max(rules.confirm_s, UNSETTLED_S))
    history: deque[tuple[Block, float]] = deque()
    told = frozenset[str]()
    async for window in windows(microphone, activity.window, level):
        state, p_voice = activity.voice(state, window.pcm)
        checked(window, p_voice)
        history.append((window, p_voice))
        while history[0][0].at_s < window.end_s - RECENT_S:
            history.popleft()
        before_s = ear.ended_s
        settled = getattr(microphone, "settled", True)
        ear, events = listen(ear, window, p_voice, rules if settled else unsettled, outlook.wait_s)
        if ear.phase == "pausing" and outlook.dismissed:
            ear, events = Ear(), (FalseAlarm(ear.ended_s),)
        if ear.phase in ("speaking", "pausing") and getattr(microphone, "let_go", False):
            ear, events = Ear(), (*events, Utterance(ear.began_s, ear.ended_s))
        for event in events:
            if isinstance(event, Pause):
                outlook.sound = _between(history, ear.began_s - rules.preroll_s, ear.ended_s + TAIL_S)
                outlook.said_s = ear.ended_s - ear.began_s
                outlook.left = _left([block for block, _ in history if ear.began_s <= block.at_s < ear.ended_s])
            outlook.wait_s, outlook.dismissed = None, False
            _transcribe(transcriber, event, [(b, p) for b, p in history if b.end_s > before_s + 1e-6], rules)
            yield event
        if not events and ear.phase in ("onset", "speaking"):
            transcriber.feed(window, p_voice)
        told &= missing()
        if ear.phase == "quiet" and not busy() and (lost := min(missing() - told, default="")):
            told |= {lost}
            yield Lost(lost)
        if microphone.over and ear.phase == "quiet" and not busy():
            return
    if ear.phase in ("speaking", "pausing"):
        transcriber.close()
        yield Utterance(ear.began_s, ear.ended_s)


def _between(history: Iterable[tuple[Block, float]], from_s: float, to_s: float) -> Samples:
    """The sound from one time to another, in whole windows."""
    return np.concatenate([np.zeros(0, np.float32), *(b.pcm for b, _ in history if from_s <= b.at_s < to_s)])


def _left(blocks: Sequence[Block]) -> float:
    """The share of the energy that is left after echo cancellation; 1 where nothing was taken out."""
    raw = sum(float(np.square(block.pcm if block.raw is None else block.raw).sum()) for block in blocks)
    return sum(float(np.square(block.pcm).sum()) for block in blocks) / raw if raw else 1.0


def _transcribe(
    transcriber: Transcriber, event: HearingEvent, recent: Sequence[tuple[Block, float]], rules: TurnTaking
) -> None:
    match event:
        case Onset(voice_s) | Resumed(voice_s):
            if isinstance(event, Onset):
                transcriber.begin()
            for block, p_voice in recent:
                if block.end_s > voice_s - rules.preroll_s:
                    transcriber.feed(block, p_voice)
        case Speaking():
            transcriber.feed(*recent[-1])
        case FalseAlarm():
            transcriber.drop()
        case Pause() | Utterance():
            transcriber.close()


async def windows(microphone: Microphone, size: int, level: Callable[[Block], None]) -> AsyncGenerator[Block]:
    """The microphone's blocks, regrouped to `size` samples, stamped as they were heard; a rest is dropped."""
    waiting: list[Block] = []
    held = 0
    async for block in microphone.blocks():
        level(block)
        waiting.append(block)
        held += len(block.pcm)
        if held < size:
            continue
        joined = _joined(waiting)
        while len(joined.pcm) >= size:
            yield _part(joined, 0, size)
            joined = _part(joined, size, len(joined.pcm))
        held = len(joined.pcm)
        waiting = [joined] if held else []


def _joined(blocks: Sequence[Block]) -> Block:
    """Blocks that follow each other, as one. It has raw sound if one of them has: elsewhere nothing was taken out."""
    pcm = np.concatenate([b.pcm for b in blocks])
    if all(b.raw is None for b in blocks):
        return Block(blocks[0].at_s, pcm)
    return Block(blocks[0].at_s, pcm, raw=np.concatenate([b.pcm if b.raw is None else b.raw for b in blocks]))


def _part(block: Block, begin: int, end: int) -> Block:
    """The samples `begin` to `end` of a block."""
    raw = None if block.raw is None else block.raw[begin:end]
    return Block(block.at_s + begin / HEARING_RATE_HZ, block.pcm[begin:end], raw=raw)
