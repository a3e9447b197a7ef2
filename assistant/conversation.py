"""The conversation: hear, think, speak, and be interrupted. Read this file first.

`converse` is the one main loop: it turns what is heard into turns. `answer` is one reply, and one asyncio task: all
that belongs to it lives in its stack frame, barge-in cancels it, and its `finally` asks the loudspeaker what was heard
and commits exactly that. A reply is begun at the first pause behind a closed gate, and only one whose gate opened may
touch the loudspeaker or the history. Knows the seams, and no engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TypeVar

from assistant.backends import Camera, Eyes, Message, Microphone, Mind, Prefills, Speaker, Voice, VoiceActivity
from assistant.errors import AssistantError, DeviceError, EngineError, OutputError
from assistant.eventlog import EventLog, HeldLog
from assistant.events import (
    Block,
    Conversation,
    Exchange,
    FalseAlarm,
    HearingEvent,
    Onset,
    Pause,
    Phrase,
    Resumed,
    Speaking,
    Utterance,
    Words,
    join_words,
)
from assistant.fusing import Fusion
from assistant.hearing import TurnTaking, hear
from assistant.looking import Looked, look, outdated
from assistant.pacing import Clock
from assistant.prompting import compose, prompt
from assistant.seeing import Sight
from assistant.speaking import ReplyText, Span, Spoken, heard, make_phrase, speakable
from assistant.timing import Marks, stages_ms
from assistant.transcribing import Segment, Transcriber, joined
from assistant.workers import Worker

T = TypeVar("T")

TROUBLES = 3
"""turns that may fail one after the other before the program gives up"""


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
    unanswered: list[tuple[Segment, ...]] = field(default_factory=list[tuple[Segment, ...]])
    """utterances that were said and got no answer that was heard; grows at `Utterance` only"""
    troubles: int = 0
    """turns that failed since the last that did not"""


@dataclass(frozen=True, eq=False, slots=True)
class Draft:
    """What a reply is made from. Its gate opens once, when the turn is over and nothing else was said or shown."""

    segments: tuple[Segment, ...]
    before: tuple[tuple[Segment, ...], ...]
    """what was said earlier and got no answer yet"""
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


# ---------------------------------------------------------------- the loop


async def converse(talk: Talk, level: Callable[[Block], None] = lambda _: None) -> None:
    """Talk until the microphone ends. Raises AssistantError when three turns in a row failed or a device is lost.

    Cancelling it (Ctrl-C) ends the reply that is being spoken, and commits what was heard of it.
    """
    turn: Turn | None = None

    def busy() -> bool:
        return (turn is not None and turn.alive) or talk.devices.speaker.sounding

    try:
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(talk.sight.watch(talk.rules.watch_interval_s))
            warming = tasks.create_task(prefill(talk))
            listening = hear(
                talk.devices.microphone,
                talk.models.activity,
                talk.models.transcriber,
                talk.rules.turn,
                busy=busy,
                level=level,
            )
            async with aclosing(listening) as events:
                async for event in events:
                    _log_hearing(talk.log, event)
                    match event:
                        case Onset():
                            if talk.devices.speaker.sounding:
                                talk.devices.speaker.duck()
                        case FalseAlarm():
                            talk.devices.speaker.restore()
                        case Speaking():
                            await cancel(turn)
                        case Pause(voice_s):
                            await cancel(turn)
                            warming.cancel()
                            turn = begin(talk, tasks, voice_s)
                        case Resumed():
                            await drop(talk, turn, "resumed")
                        case Utterance():
                            turn = await settle(talk, tasks, turn, event)
            watching.cancel()
            warming.cancel()
    except* AssistantError as group:
        raise _first(group) from None


def begin(talk: Talk, tasks: asyncio.TaskGroup, voice_ended_s: float) -> Turn:
    """Start a reply to what was said so far, behind a closed gate."""
    talk.sight.look(talk.clock.now_s(), "asked")
    talk.sight.attend(talk.clock.now_s())
    draft = Draft(
        segments=talk.models.transcriber.segments,
        before=tuple(u for u in talk.unanswered if u != talk.models.transcriber.segments),
        marks=Marks(voice_ended_s),
        log=HeldLog(talk.log),
        busy_s=talk.models.busy_s,
    )
    return Turn(draft, tasks.create_task(answer(talk, draft)))


async def settle(talk: Talk, tasks: asyncio.TaskGroup, turn: Turn | None, said: Utterance) -> Turn:
    """The turn is over: open the gate of the draft that was made from it, else answer anew.

    A draft that failed behind its gate is tried again here, and a failure is then told.
    """
    talk.devices.speaker.restore()
    talk.unanswered.append(talk.models.transcriber.segments)
    if turn is not None and turn.alive and not turn.draft.gate.is_set():
        if turn.draft.segments != talk.models.transcriber.segments:
            await drop(talk, turn, "other words")
        elif outdated(turn.draft.looked, talk.conversation.glimpses, said.ended_s):
            await drop(talk, turn, "other frame")
        else:
            turn.draft.open(talk.clock.now_s())
            return turn
    else:
        await cancel(turn)
    turn = begin(talk, tasks, said.ended_s)
    turn.draft.open(talk.clock.now_s())
    return turn


async def cancel(turn: Turn | None) -> None:
    """End a turn and wait until its task is over, never for a worker; what was heard of it is committed by then."""
    if turn is not None and turn.alive:
        turn.task.cancel()
        await asyncio.wait({turn.task})


async def drop(talk: Talk, turn: Turn | None, why: str) -> None:
    """Throw a draft away, and say so in the log."""
    if turn is not None and not turn.draft.gate.is_set():
        await cancel(turn)
        talk.log.emit("draft", why=why, cpu_ms=round(1000 * (talk.models.busy_s - turn.draft.busy_s), 1))


def _forget(talk: Talk, draft: Draft) -> None:
    """What this draft answers is no longer unanswered."""
    talk.unanswered = [u for u in talk.unanswered if u not in (*draft.before, draft.segments)]


def _first(group: BaseExceptionGroup[AssistantError]) -> AssistantError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, AssistantError)
    return error


def _log_hearing(log: EventLog, event: HearingEvent) -> None:
    match event:
        case Utterance(began_s, ended_s):
            log.emit("utterance", began_s=round(began_s, 3), ended_s=round(ended_s, 3))
        case Onset(voice_s) | Speaking(voice_s) | Pause(voice_s) | Resumed(voice_s) | FalseAlarm(voice_s):
            name = "false_alarm" if isinstance(event, FalseAlarm) else type(event).__name__.lower()
            log.emit(name, voice_s=round(voice_s, 3))


# ---------------------------------------------------------------- one reply


async def answer(talk: Talk, draft: Draft) -> None:
    """Answer what was said. A failure of an open turn is told aloud and logged; a draft's is silent.

    Raises EngineError with the third failure in a row; DeviceError and OutputError as they come.
    """
    try:
        await reply(talk, draft)
        if draft.gate.is_set():
            talk.troubles = 0
            await prefill(talk)
    except (DeviceError, OutputError):
        raise
    except Exception as error:  # whatever an engine raised must cost one turn and not the talk
        if not draft.gate.is_set():
            return
        talk.troubles += 1
        talk.log.emit("trouble", where="turn", message=str(error) or repr(error), kept_going=talk.troubles < TROUBLES)
        if talk.troubles >= TROUBLES:
            raise EngineError(
                f"wanted an answer, but {TROUBLES} turns in a row failed, the last with: {error}; "
                "choose another engine or see the events"
            ) from error
        await apologise(talk)


async def reply(talk: Talk, draft: Draft) -> None:
    """Recognise, look, think, and speak phrase by phrase; in the end commit what was heard."""
    clock, speaker, marks, log = talk.clock, talk.devices.speaker, draft.marks, draft.log
    said, fusion, text = "", Fusion("none", ""), ReplyText()
    try:
        words = await understand(talk, draft)
        said, marks.recognise_s = words.text, clock.now_s()
        if not said:
            _forget(talk, draft)
            return
        fusion = await look(talk, draft, words)
        marks.see_s = clock.now_s()
        messages = compose(
            said,
            talk.conversation.exchanges,
            language=words.language,
            free=talk.models.mind.model.free,
            seen=fusion.context,
            images=fusion.images,
            budget_tokens=talk.rules.budget_tokens,
            count=talk.models.mind.model.count,
        )
        async with aclosing(ahead(think(talk.models.mind, messages, fusion, text))) as spans:
            async for span in spans:
                marks.think_s = marks.think_s or clock.now_s()
                spoken = speakable(text.generated[span.begin : span.end], words.language)
                if not spoken.text:
                    continue
                log.emit("phrase", text=spoken.text)
                phrase = await voiced(talk.models.voice, span.begin, spoken, words.language)
                marks.speak_s = marks.speak_s or clock.now_s()
                await draft.gate.wait()
                sounds_s = await speaker.play(phrase)
                log.emit(
                    "playing", text=text.generated[span.begin : span.end].strip(), first_sample_s=round(sounds_s, 4)
                )
                if marks.output_s is None:
                    marks.output_s = sounds_s
                    v2v_ms = round(1000 * (sounds_s - marks.voice_ended_s), 1)
                    log.emit("turn", voice_to_voice_ms=v2v_ms, stages=stages_ms(marks))
        if marks.output_s is None:
            raise EngineError("wanted an answer, but the mind said nothing; try another mind")
        await speaker.drain()
    finally:
        if draft.gate.is_set():
            commit(talk, draft, said, text.generated, fusion.glimpses)


async def think(mind: Worker[Mind], messages: list[Message], fusion: Fusion, text: ReplyText) -> AsyncGenerator[Span]:
    """The mind's reply as phrases, each a span of `text.generated`, which grows as it is thought."""
    pieces = mind.stream(lambda stop: mind.model.reply(messages, stop, fusion.grammar), cost="reply")
    async with aclosing(decided(pieces, fusion.sentences)) as chosen:
        async for piece in chosen:
            for span in text.feed(piece):
                yield span
    for span in text.finish():
        yield span


async def decided(pieces: AsyncGenerator[str], sentences: Sequence[str]) -> AsyncGenerator[str]:
    """The pieces, until only one of the sentences that are admitted begins so: then all of that one, at once.

    `sentences` are what a grammar admits; without any the pieces come as they are. One alone needs no mind.
    """
    said = ""
    async with aclosing(pieces):
        if len(sentences) == 1:
            yield sentences[0]
            return
        async for piece in pieces:
            fitting = [s for s in sentences if s.startswith((said + piece).lstrip())]
            if len(fitting) == 1:
                yield fitting[0][len(said.lstrip()) :]
                return
            said += piece
            yield piece


async def ahead(source: AsyncGenerator[T], size: int = 2) -> AsyncGenerator[T]:
    """Iterate over `source` in a task of its own, at most `size` items ahead of whoever takes them."""
    room, items = asyncio.Semaphore(size), asyncio.Queue[tuple[T] | None]()

    async def pump() -> None:
        async with aclosing(source):
            async for item in source:
                await room.acquire()
                items.put_nowait((item,))

    task = asyncio.create_task(pump())
    task.add_done_callback(lambda _: items.put_nowait(None))
    try:
        while (item := await items.get()) is not None:
            room.release()
            yield item[0]
        task.result()
    finally:
        task.cancel()


async def voiced(voice: Worker[Voice], begin: int, spoken: Spoken, language: str) -> Phrase:
    """The phrase that begins at character `begin` of a reply, as sound."""
    speech = await voice.stoppable(voice.model.synthesise, spoken.text, language, cost="synthesise")
    return make_phrase(begin, spoken, speech)


async def understand(talk: Talk, draft: Draft) -> Words:
    """The final words of the turn, with what was said before and got no answer in front of them."""
    earlier = [await joined(segments) for segments in draft.before]
    words = await joined(draft.segments)
    language = words.language if talk.rules.language == "auto" else talk.rules.language
    draft.log.emit("words", text=words.text, final=True, language=language, words=words.timed)
    text = join_words([*earlier, words]).text if words.text else ""
    return Words(text, words.words, language)


def commit(talk: Talk, draft: Draft, said: str, generated: str, seen: tuple[int, ...]) -> None:
    """Silence the loudspeaker and keep exactly what was heard; nothing heard leaves the speech unanswered."""
    was_heard = heard(talk.devices.speaker.stop(), generated)
    if not was_heard:
        return
    _forget(talk, draft)
    exchange = Exchange(draft.marks.voice_ended_s, said, generated, was_heard, was_heard != generated, seen)
    talk.log.emit(
        "exchange", said=said, generated=generated, heard=was_heard, cut=exchange.cut, seen=list(exchange.seen)
    )
    if talk.rules.memory:
        talk.conversation.exchanges.append(exchange)
    else:
        talk.sight.forget()


async def prefill(talk: Talk) -> None:
    """While nobody speaks, have the mind read what the next prompt begins with; whoever speaks cancels it."""
    mind, rules = talk.models.mind, talk.rules
    if isinstance(mind.model, Prefills):
        language = "zh" if rules.language == "zh" else "en"
        *messages, _ = compose(
            "",
            talk.conversation.exchanges,
            language=language,
            free=mind.model.free,
            budget_tokens=rules.budget_tokens,
            count=mind.model.count,
        )
        try:
            await mind.stoppable(mind.model.prefill, messages, cost="prefill")
        except EngineError as error:  # nothing was lost; if it lasts, the next turn tells
            talk.log.emit("trouble", where="mind", message=str(error), kept_going=True)


async def apologise(talk: Talk) -> None:
    """Say in one sentence that a turn was lost; if not even that can be said, the log has it."""
    speaker = talk.devices.speaker
    language = "zh" if talk.rules.language == "zh" else "en"
    spoken = speakable(prompt("trouble", language), language)
    try:
        await speaker.play(await voiced(talk.models.voice, 0, spoken, language))
        await speaker.drain()
    except EngineError as error:
        talk.log.emit("trouble", where="voice", message=str(error), kept_going=True)
    finally:
        speaker.stop()
