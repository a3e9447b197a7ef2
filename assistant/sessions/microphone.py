"""The microphone of a simulated room: it hears what people say on cue, the loudspeaker's echo, and a background.

Sound is mixed block by block as time passes, so that who speaks when can depend on what the loudspeaker does; in
virtual time and in real time alike. Knows no engine.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from assistant.backends.timeline import TimeLine
from assistant.events import Block, Samples
from assistant.pacing import Clock
from assistant.sessions.levels import AUDIBLE
from assistant.sessions.loudspeaker import RoomSpeaker
from assistant.sessions.rooms import BLOCK, RATE, Echo, Room

PATIENCE_S = 12.0
"""a cue that has not come by then does not come: nobody answered"""

Cue = Literal["begin", "answer", "quiet"]
"""What a sound waits for once the one before it has ended: nothing, the loudspeaker's next sound, or that one's end."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Something that is heard in the room: `pcm` (16 kHz), `after_s` seconds after its cue.

    `kind`: turn, interruption, backchannel, cough or knock. `began_s` and `ended_s` bound what is audible of it, and
    `pauses` (from, to) its silences in between, all in its own seconds; `text` is what is said.
    """

    kind: str
    name: str
    pcm: Samples
    began_s: float
    ended_s: float
    text: str = ""
    pauses: tuple[tuple[float, float], ...] = ()
    cue: Cue = "begin"
    after_s: float = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """A sound that was heard, its first sample at `at_s` of the microphone's clock.

    `planned`: what the loudspeaker would have sounded, had nobody been heard; None where the sound was not audible yet.
    """

    sound: Sound
    at_s: float
    planned: TimeLine | None = None

    @property
    def began_s(self) -> float:
        """When it became audible."""
        return self.at_s + self.sound.began_s

    @property
    def ended_s(self) -> float:
        """When it was over."""
        return self.at_s + self.sound.ended_s


@dataclass(slots=True)
class _Waiting:
    """How far the scene has come."""

    sounds: list[Sound]
    since_s: float = 0.0
    """when the newest sound ended"""
    spoke_s: float | None = None
    """when the loudspeaker first sounded after that"""
    last_s: float = 0.0
    """when it last sounded"""
    heard: list[Heard] = field(default_factory=list[Heard])


class RoomMicrophone:
    """Hears the sounds of a scene as their cues come, the echo of the loudspeaker, and a background that goes on.

    `over` is True once all sounds are (or a cue did not come within PATIENCE_S, and those behind it are dropped), and
    `seconds` have passed. The microphone ends `after_s` later, and after `limit_s`, whatever is going on. `background`
    (16 kHz) is repeated.
    """

    def __init__(
        self,
        clock: Clock,
        room: Room,
        speaker: RoomSpeaker,
        sounds: Sequence[Sound],
        background: Samples | None = None,
        *,
        seconds: float = 0.0,
        after_s: float = math.inf,
        limit_s: float = 300.0,
    ) -> None:
        self.over = False
        self.rate_hz = RATE
        self._clock = clock
        self._speaker = speaker
        self._echo = Echo(room, speaker)
        self._background = background if background is not None and len(background) else np.zeros(BLOCK, np.float32)
        self._seconds = seconds
        self._after_s = after_s
        self._limit_s = limit_s
        self._waiting = _Waiting(list(sounds))
        self._closed = False

    @property
    def heard(self) -> tuple[Heard, ...]:
        """The sounds so far, in order."""
        return tuple(self._waiting.heard)

    async def blocks(self) -> AsyncIterator[Block]:
        """Blocks of 10 ms, each when its last sample is due."""
        self._clock.start()
        begin = 0
        while not self._closed and begin < self._limit_s * RATE:
            end_s = (begin + BLOCK) / RATE
            await self._clock.until(end_s)
            self._speaker.settle()
            self._await_cue(begin)
            pcm = self._mixed(begin)
            done_s = max(self._waiting.since_s, self._seconds)
            self.over = not self._waiting.sounds and end_s > done_s
            if self.over and end_s > done_s + self._after_s:
                return
            yield Block(begin / RATE, pcm)
            begin += BLOCK

    def close(self) -> None:
        """End after the block that is under way."""
        self._closed = True

    def _await_cue(self, begin: int) -> None:
        """Let the next sound begin with this block if it is time."""
        waiting, begin_s, end_s = self._waiting, begin / RATE, (begin + BLOCK) / RATE
        newest = self._speaker.between(self._speaker.sample(begin_s), self._speaker.settled)
        if np.abs(newest).max(initial=0.0) > AUDIBLE:
            waiting.last_s = end_s
            if waiting.spoke_s is None and begin_s >= waiting.since_s:
                waiting.spoke_s = begin_s
        if not waiting.sounds or begin_s < waiting.since_s:
            return
        sound = waiting.sounds[0]
        match sound.cue:
            case "begin":
                cue_s = waiting.since_s
            case "answer":
                cue_s = waiting.spoke_s
            case "quiet":
                quiet = waiting.spoke_s is not None and not self._speaker.sounding
                cue_s = max(waiting.last_s, waiting.since_s) if quiet else None
        if cue_s is not None and begin_s >= cue_s + sound.after_s - 1e-9:
            waiting.sounds.pop(0)
            waiting.heard.append(Heard(sound, begin_s))
            waiting.since_s, waiting.spoke_s = begin_s + len(sound.pcm) / RATE, None
        elif waiting.spoke_s is None and sound.cue != "begin" and begin_s > waiting.since_s + PATIENCE_S:
            waiting.sounds.clear()

    def _mixed(self, begin: int) -> Samples:
        end = begin + BLOCK
        places = np.arange(begin, end) % len(self._background)
        pcm = self._background[places] + self._echo.heard(begin, end)
        for number, heard in enumerate(self._waiting.heard):
            first = begin - round(heard.at_s * RATE)
            if 0 <= first < len(heard.sound.pcm):
                part = heard.sound.pcm[first : first + BLOCK]
                pcm[: len(part)] += part
                if heard.planned is None and heard.began_s < end / RATE:
                    self._waiting.heard[number] = replace(heard, planned=self._speaker.planned)
        return np.clip(pcm, -1, 1, out=pcm)
