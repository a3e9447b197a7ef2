"""The conversation: hear, think, speak, and be interrupted. Read this file first.

`converse` is the one main loop: it turns what is heard into turns. `answer` is one reply, and one asyncio task: all
that belongs to it lives in its stack frame, barge-in cancels it, and its `finally` asks the loudspeaker what was heard
and commits exactly that. A reply is begun at the first pause behind a closed gate, and only one whose gate opened may
touch the loudspeaker or the history. A voice over a reply claims the floor: the reply falls silent, and `contest` finds
out whether it is over or goes on at the word it was in. Knows the seams, and no engine.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from assistant import endpointing
from assistant.addressing import (
    Acknowledge,
    AddressRules,
    Answer,
    Attention,
    Ignore,
    acknowledgement,
    addressed,
    answered,
)
from assistant.backends import (
    Camera,
    EndOfTurn,
    Eyes,
    Message,
    Microphone,
    Mind,
    Prefills,
    Speaker,
    Voice,
    VoiceActivity,
)
from assistant.echo import own_voice
from assistant.endpointing import Pauses, Waiting, went_on
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
    Resumed,
    Speaking,
    Utterance,
    Words,
    join_words,
)
from assistant.fusing import Fusion, choose_mode
from assistant.hearing import Outlook, TurnTaking, hear
from assistant.interrupting import Claim, Judged, weigh
from assistant.looking import Looked, look, outdated
from assistant.pacing import Clock
from assistant.prompting import compose, prompt
from assistant.replying import ahead, recite, think, voiced
from assistant.seeing import Sight, recall
from assistant.speaking import ReplyText, heard, sounded, speakable
from assistant.timing import Marks, stages_ms
from assistant.transcribing import Segment, Transcriber, joined
from assistant.workers import Worker

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


# ---------------------------------------------------------------- the loop


async def converse(talk: Talk, level: Callable[[Block], None] = lambda _: None) -> None:
    """Talk until the microphone ends. Raises AssistantError when three turns in a row failed or a device is lost.

    Cancelling it (Ctrl-C) ends the reply that is being spoken, and commits what was heard of it.
    """
    speaker = talk.devices.speaker
    reply: Turn | None = None  # has the floor: it thinks or speaks
    draft: Turn | None = None  # would answer what is being said, behind its gate
    claim: Claim | None = None  # a voice over the reply
    judging: asyncio.Task[None] | None = None  # how long the pause must last

    def busy() -> bool:
        return any(turn is not None and turn.alive for turn in (reply, draft)) or speaker.sounding

    try:
        async with talk.tasks:
            watching = talk.tasks.create_task(talk.sight.watch(talk.rules.watch_interval_s))
            warm(talk)
            listening = hear(
                talk.devices.microphone,
                talk.models.activity,
                talk.models.transcriber,
                talk.rules.turn,
                busy=busy,
                level=level,
                outlook=talk.outlook,
            )
            async with aclosing(listening) as events:
                async for event in events:
                    _log_hearing(talk.log, event)
                    match event:
                        case Onset():
                            if speaker.sounding:
                                speaker.duck()
                        case FalseAlarm():
                            speaker.restore()
                            await drop(talk, draft, "nothing was asked")
                        case Speaking(voice_s):
                            claim = take(talk, reply, voice_s)
                            if claim is None:
                                went_on_after_all(talk, voice_s)
                                warm(talk)
                        case Pause(voice_s):
                            if claim is not None:
                                claim.pause(voice_s)
                            draft = begin(talk, voice_s, claim)
                            judging = talk.tasks.create_task(judge_pause(talk, voice_s))
                        case Resumed(voice_s):
                            await drop(talk, draft, "resumed")
                            if judging is not None:
                                judging.cancel()
                            if draft is not None:
                                talk.pauses = talk.pauses.resumed(voice_s - draft.draft.marks.voice_ended_s)
                            if claim is not None and claim.judged.done():
                                claim = take(talk, reply, voice_s)
                        case Utterance():
                            reply = await settle(talk, reply, draft, claim, event)
            watching.cancel()
            cool(talk)
    except* AssistantError as group:
        raise _first(group) from None


def take(talk: Talk, reply: Turn | None, voice_s: float) -> Claim | None:
    """Somebody speaks. A reply that has the floor falls silent until it is known what for; None where there is none."""
    if reply is None or not reply.alive:
        return None
    talk.devices.speaker.hold()
    claim = Claim(talk.clock.now_s(), voice_s)
    talk.tasks.create_task(contest(talk, reply, claim))
    return claim


async def contest(talk: Talk, reply: Turn, claim: Claim) -> None:
    """Find out what a voice over a reply is: end the reply, or let it go on at the word it was in."""
    transcriber, outlook = talk.models.transcriber, talk.outlook
    try:
        judged = await weigh(
            claim,
            lambda: transcriber.latest,
            lambda: joined(transcriber.segments),
            lambda words: _is_echo(talk, words, outlook.left),
            talk.rules.decide_s,
            talk.clock,
        )
    except EngineError as error:
        judged = Judged("interruption", f"its words are not to be had: {error}")
    if claim.judged.done():
        return
    talk.log.emit("interruption", verdict=judged.verdict, why=judged.why, voice_s=round(claim.began_s, 3))
    if judged.ends_reply:
        await cancel(reply)
        early = judged.verdict == "interruption" and went_on_after_all(talk, claim.began_s)
        if early and reply.draft.segments not in talk.unanswered:
            talk.unanswered.append(reply.draft.segments)  # what was said then is part of what is said now
        warm(talk)
    else:
        talk.devices.speaker.go_on()
    outlook.dismissed = judged.verdict != "interruption"
    claim.settle(judged)


def went_on_after_all(talk: Talk, voice_s: float) -> bool:
    """Whether a voice that sets in at `voice_s` belongs to the turn before, which was taken to be over too early.

    If so, its speaker is waited for longer from now on.
    """
    voice_ended_s, decided_s = talk.ended
    if not went_on(decided_s, voice_s):
        return False
    talk.pauses = talk.pauses.cut_off(voice_s - voice_ended_s)
    return True


async def judge_pause(talk: Talk, voice_ended_s: float) -> None:
    """Find out how long this pause must last before the turn is over, by how it sounded and what was said."""
    rules, outlook, judge = talk.rules.waiting, talk.outlook, talk.models.endpointing
    if rules is None:
        return
    outlook.wait_s = endpointing.undecided(rules).seconds
    p_over, words = None, None
    try:
        p_over = await judge.call(judge.model.over, outlook.sound, cost="over")
        words = await joined(talk.models.transcriber.segments)
    except EngineError as error:  # a recogniser's failure is told by the turn itself
        talk.log.emit("trouble", where="endpointing", message=str(error), kept_going=True)
    wait = endpointing.judge(p_over, words, talk.pauses, rules)
    outlook.wait_s = wait.seconds
    talk.log.emit("endpoint", voice_s=round(voice_ended_s, 3), wait_s=wait.seconds, why=wait.why)


def begin(talk: Talk, voice_ended_s: float, claim: Claim | None) -> Turn:
    """Start a reply to what was said so far, behind a closed gate."""
    talk.sight.look(talk.clock.now_s(), "asked")
    talk.sight.attend(talk.clock.now_s())
    draft = Draft(
        segments=talk.models.transcriber.segments,
        claim=claim,
        left=talk.outlook.left,
        marks=Marks(voice_ended_s),
        log=HeldLog(talk.log),
        busy_s=talk.models.busy_s,
    )
    return Turn(draft, talk.tasks.create_task(answer(talk, draft)))


async def settle(
    talk: Talk, reply: Turn | None, draft: Turn | None, claim: Claim | None, said: Utterance
) -> Turn | None:
    """The turn is over: open the gate of the draft that was made from it, else answer anew; who has the floor now.

    A draft that failed behind its gate is tried again here, and a failure is then told.
    """
    if claim is not None and claim.judged.done() and claim.judged.result().verdict != "interruption":
        talk.outlook.dismissed = False
        await drop(talk, draft, "nothing was asked")
        return reply
    talk.devices.speaker.restore()
    talk.pauses, talk.ended = talk.pauses.ended(), (said.ended_s, talk.clock.now_s())
    if claim is not None:
        claim.settle(Judged("interruption", "its words came late"))
    await cancel(reply)
    talk.unanswered.append(talk.models.transcriber.segments)
    if draft is not None and draft.alive and not draft.draft.gate.is_set():
        if draft.draft.segments != talk.models.transcriber.segments:
            await drop(talk, draft, "other words")
        elif outdated(draft.draft.looked, talk.conversation.glimpses, said.ended_s):
            await drop(talk, draft, "other frame")
        else:
            draft.draft.open(talk.clock.now_s())
            return draft
    draft = begin(talk, said.ended_s, claim)
    draft.draft.open(talk.clock.now_s())
    return draft


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


def warm(talk: Talk) -> None:
    """Have the mind read what the next prompt begins with, as it is now; a reply that begins ends it."""
    cool(talk)
    talk.warming = talk.tasks.create_task(prefill(talk))


def cool(talk: Talk) -> None:
    """Stop reading ahead."""
    if talk.warming is not None:
        talk.warming.cancel()
        talk.warming = None


def _before(talk: Talk, draft: Draft) -> list[tuple[Segment, ...]]:
    """What was said earlier than this and got no answer yet."""
    if draft.segments in talk.unanswered:
        return talk.unanswered[: talk.unanswered.index(draft.segments)]
    return list(talk.unanswered)


def _forget(talk: Talk, draft: Draft) -> None:
    """What this draft answers, and all that was said before it, is no longer unanswered."""
    if draft.segments in talk.unanswered:
        del talk.unanswered[: talk.unanswered.index(draft.segments) + 1]


def _same(some: Sequence[Message], others: Sequence[Message]) -> bool:
    """Whether two prompts have the same words and the very same pictures: arrays do not compare."""
    first, second = ([(m.role, m.text, *map(id, m.images)) for m in messages] for messages in (some, others))
    return first == second


def _began_s(words: Words, marks: Marks) -> float:
    """When words were begun, as far as the recogniser tells."""
    return words.words[0].began_s if words.words else marks.voice_ended_s


def _messages(talk: Talk, asked: Words, fusion: Fusion) -> list[Message]:
    """What the mind is told in this turn."""
    return compose(
        asked.text,
        talk.conversation.exchanges,
        language=asked.language,
        free=talk.models.mind.model.free,
        seen=fusion.context,
        images=fusion.images,
        budget_tokens=talk.rules.budget_tokens,
        count=talk.models.mind.model.count,
    )


def _is_echo(talk: Talk, words: Words, left: float) -> bool:
    """Whether the assistant said this itself; `left` is the share of the energy that the canceller left."""
    own = [word for phrase, first_s in talk.devices.speaker.recent for word in sounded(phrase, first_s)]
    return own_voice(words, own, 1.0, left)


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
        if draft.claim is not None and (await draft.claim.verdict()).verdict != "interruption":
            return
        await reply(talk, draft)
        if draft.gate.is_set():
            talk.troubles = 0
            warm(talk)
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
    cool(talk)
    try:
        words = await understand(talk, draft)
        said, marks.recognise_s = words.text, clock.now_s()
        if not said or _is_echo(talk, words, draft.left):
            _forget(talk, draft)
            return
        attention, verdict = addressed(talk.attention, words, _began_s(words, marks), talk.rules.address)
        match verdict:
            case Ignore(why):
                _forget(talk, draft)
                log.emit("ignored", text=said, why=why)
                return
            case Acknowledge():
                thought = recite(acknowledgement(verdict, words.language, talk.rules.address), text)
            case Answer(asked):
                fusion = await look(talk, draft, asked)
                marks.see_s = clock.now_s()
                thought = think(talk.models.mind, _messages(talk, asked, fusion), fusion, text, draft.gate)
        async with aclosing(ahead(thought)) as spans:
            async for span in spans:
                marks.think_s = marks.think_s or clock.now_s()
                spoken = speakable(text.generated[span.begin : span.end], words.language)
                if not spoken.text:
                    continue
                log.emit("phrase", text=spoken.text)
                phrase = await voiced(talk.models.voice, span.begin, spoken, words.language)
                marks.speak_s = marks.speak_s or clock.now_s()
                await draft.gate.wait()
                talk.attention = attention
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
            talk.attention = answered(talk.attention, clock.now_s(), talk.rules.address)


async def understand(talk: Talk, draft: Draft) -> Words:
    """The final words of the turn, with what was said before and got no answer in front of them."""
    earlier = [await joined(segments) for segments in _before(talk, draft)]
    words = await joined(draft.segments)
    language = words.language if talk.rules.language == "auto" else talk.rules.language
    talk.language = language if words.text else talk.language
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
    """While nobody speaks, and while somebody does, have the mind read what the next prompt begins with: who it is,
    what was said and heard before, and, for a mind that sees, what is in view.
    """
    mind, rules = talk.models.mind, talk.rules
    if not isinstance(mind.model, Prefills):
        return
    early = choose_mode(rules.fusion, mind.model.sees)[0] == "early"
    glimpse = recall(talk.conversation.glimpses, talk.clock.now_s()) if early else None
    images = (glimpse.image,) if glimpse is not None and glimpse.image is not None else ()
    messages = compose(
        "",
        talk.conversation.exchanges,
        language=talk.language if rules.language == "auto" else rules.language,
        free=mind.model.free,
        images=images,
        budget_tokens=rules.budget_tokens,
        count=mind.model.count,
    )
    messages = messages if images else messages[:-1]
    if _same(messages, talk.read_ahead):
        return
    try:
        await mind.stoppable(mind.model.prefill, messages, cost="prefill")
        talk.read_ahead = messages
    except EngineError as error:  # nothing was lost; if it lasts, the next turn tells
        talk.log.emit("trouble", where="mind", message=str(error), kept_going=True)


async def apologise(talk: Talk) -> None:
    """Say in one sentence that a turn was lost; if not even that can be said, the log has it."""
    speaker = talk.devices.speaker
    language = talk.language if talk.rules.language == "auto" else talk.rules.language
    spoken = speakable(prompt("trouble", language), language)
    try:
        await speaker.play(await voiced(talk.models.voice, 0, spoken, language))
        await speaker.drain()
    except EngineError as error:
        talk.log.emit("trouble", where="voice", message=str(error), kept_going=True)
    finally:
        speaker.stop()
