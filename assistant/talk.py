"""What the parts of a talk share: devices, engines, rules, and the turns themselves.

A `Draft` is what a reply is made from and the gate that lets it out; a `Turn` is a draft with the task that answers it.
Knows no order of things: `conversation` does.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

from assistant.addressing import AddressRules, Attention
from assistant.backends import Camera, EndOfTurn, Eyes, Message, Microphone, Mind, Speaker, Voice, VoiceActivity
from assistant.endpointing import Pauses, Waiting
from assistant.eventlog import EventLog, HeldLog
from assistant.events import Conversation
from assistant.hearing import Outlook, TurnTaking
from assistant.interrupting import Claim
from assistant.looking import Looked
from assistant.pacing import Clock
from assistant.seeing import Sight
from assistant.timing import Marks
from assistant.transcribing import Segment, Transcriber
from assistant.workers import Worker


@dataclass(frozen=True, slots=True)
class Devices:
    """What the assistant hears, sees and speaks through."""

    microphone: Microphone
    camera: Camera
    speaker: Speaker


@dataclass(frozen=True, slots=True)
class Models:
    """The engines, each on its worker; voice activity is quick enough to run where it stands."""

    activity: VoiceActivity
    endpointing: Worker[EndOfTurn]
    transcriber: Transcriber
    mind: Worker[Mind]
    voice: Worker[Voice]
    eyes: Worker[Eyes]

    @property
    def busy_s(self) -> float:
        """Processor seconds all engines of a reply have taken so far."""
        return self.mind.busy_s + self.voice.busy_s + self.eyes.busy_s


@dataclass(frozen=True, slots=True)
class Rules:
    """How to talk: the language wanted, turn-taking, and what a turn may use."""

    language: str = "auto"
    turn: TurnTaking = field(default_factory=TurnTaking)
    waiting: Waiting | None = None
    """how long a pause must last before the turn is over; None: always `turn.end_s`"""
    address: AddressRules = field(default_factory=AddressRules)
    """when the assistant is meant at all"""
    decide_s: float = 0.7
    """a voice over a reply that lasts this long after it was confirmed is an interruption, whatever its words"""
    fusion: str = "auto"
    see_wait_s: float = 0.8
    """a turn that asks about the picture waits this long for it to be read"""
    frames: int = 4
    """pictures that a mind that sees gets at most"""
    watch_interval_s: float = 0.25
    budget_tokens: int = 600
    memory: bool = True
    """False: no exchange and no glimpse outlives its turn"""


@dataclass(eq=False, slots=True)
class Talk:
    """All that the turns of one talk share."""

    devices: Devices
    models: Models
    rules: Rules
    conversation: Conversation
    clock: Clock
    log: EventLog
    sight: Sight
    tasks: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)
    outlook: Outlook = field(default_factory=Outlook)
    pauses: Pauses = field(default_factory=Pauses)
    """how this speaker pauses inside turns"""
    ended: tuple[float, float] = (-math.inf, -math.inf)
    """when the voice of the newest turn ended, and when the turn was taken to be over"""
    unanswered: list[tuple[Segment, ...]] = field(default_factory=list[tuple[Segment, ...]])
    """utterances that were said and got no answer that was heard; grows at `Utterance` only"""
    attention: Attention = field(default_factory=Attention)
    language: str = "en"
    """what was spoken last"""
    warming: asyncio.Task[None] | None = None
    """has the mind read ahead"""
    read_ahead: list[Message] = field(default_factory=list[Message])
    """what it has read to the end"""
    troubles: int = 0
    """turns that failed since the last that did not"""

    @property
    def spoken(self) -> str:
        """The language to talk in where no words say it: the one that was asked for, else what was spoken last."""
        return self.language if self.rules.language == "auto" else self.rules.language


@dataclass(frozen=True, eq=False, slots=True)
class Draft:
    """What a reply is made from. Its gate opens once, when the turn is over and nothing else was said or shown."""

    segments: tuple[Segment, ...]
    claim: Claim | None
    """the words were said over another reply: they are answered if they turn out to interrupt it"""
    left: float
    """the share of the sound's energy that the echo canceller left"""
    marks: Marks
    log: HeldLog
    busy_s: float
    looked: Looked = field(default_factory=Looked)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self, at_s: float) -> None:
        """Let the reply out."""
        self.marks.endpoint_s = at_s
        self.gate.set()
        self.log.open()


@dataclass(frozen=True, eq=False, slots=True)
class Turn:
    """A draft and the task that answers it."""

    draft: Draft
    task: asyncio.Task[None]

    @property
    def alive(self) -> bool:
        """Still thinking, speaking, or waiting at its gate."""
        return not self.task.done()


async def cancel(turn: Turn | None) -> None:
    """End a turn and wait until its task is over, never for a worker; what was heard of it is committed by then."""
    if turn is not None and turn.alive:
        turn.task.cancel()
        await asyncio.wait({turn.task})
