"""Turn-taking: when someone speaks, pauses, goes on, is done.

`listen` is a pure state machine over windows of sound and their probability of speech; `hear` runs it over a microphone
and hands the sound to the transcriber. The order is always
`Onset -> (FalseAlarm | Speaking -> (Pause -> (Resumed | Utterance))+)`, but for a turn that grew too long or whose
microphone ended: it is an Utterance without a Pause. Knows nothing of words, replies and engines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from assistant.backends import Microphone, VoiceActivity
from assistant.events import (
    HEARING_RATE_HZ,
    Block,
    FalseAlarm,
    HearingEvent,
    Onset,
    Pause,
    Resumed,
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


def listen(ear: Ear, window: Block, p_voice: float, rules: TurnTaking) -> tuple[Ear, tuple[HearingEvent, ...]]:
    """One step: the next state and the events of this window (a few milliseconds of sound with one probability).

    A voice that goes on is believed down to 0.15 below the threshold (the usual hysteresis of Silero's own iterator).
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
        case "pausing" if silent_s >= rules.end_s - 1e-6:
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
    level: Callable[[Block], None] = lambda _: None,
) -> AsyncGenerator[HearingEvent]:
    """Listen until the microphone ends, or is `over` (a recording) and neither the ear nor anything else is busy.

    The transcriber gets the sound of every turn, 300 ms before its onset included; a segment closes at a Pause and a
    new one opens when the voice goes on. When an event comes out, the transcriber has already been told.
    """
    ear, state = Ear(), activity.start()
    history: deque[tuple[Block, float]] = deque()
    async for window in windows(microphone, activity.window, level):
        state, p_voice = activity.voice(state, window.pcm)
        history.append((window, p_voice))
        while history[0][0].end_s < window.end_s - rules.preroll_s - rules.pause_s:
            history.popleft()
        before_s = ear.ended_s
        ear, events = listen(ear, window, p_voice, rules)
        for event in events:
            _transcribe(transcriber, event, [(b, p) for b, p in history if b.end_s > before_s + 1e-6], rules)
            yield event
        if not events and ear.phase in ("onset", "speaking"):
            transcriber.feed(window, p_voice)
        if microphone.over and ear.phase == "quiet" and not busy():
            return
    if ear.phase in ("speaking", "pausing"):
        transcriber.close()
        yield Utterance(ear.began_s, ear.ended_s)


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
        pcm = np.concatenate([b.pcm for b in waiting])
        at_s = waiting[0].at_s
        while len(pcm) >= size:
            yield Block(at_s, pcm[:size])
            pcm, at_s = pcm[size:], at_s + size / HEARING_RATE_HZ
        held = len(pcm)
        waiting = [Block(at_s, pcm)] if held else []
