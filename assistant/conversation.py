"""The conversation: hear, think, speak, and be interrupted. Read this file first.

`converse` is the one main loop: it turns what is heard into turns. `answer` is one reply, and one asyncio task: all
that belongs to it lives in its stack frame, barge-in cancels it, and its `finally` asks the loudspeaker what was heard
and commits exactly that. A reply is begun at the first pause behind a closed gate, and only one whose gate opened may
touch the loudspeaker or the history. A voice over a reply claims the floor: the reply falls silent, and `floor` finds
out whether it is over or goes on at the word it was in. Knows the seams, and no engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from assistant.addressing import Acknowledge, Answer, Ignore, acknowledgement, addressed, answered
from assistant.backends import Message
from assistant.errors import AssistantError, DeviceError, EngineError, OutputError
from assistant.eventlog import EventLog, HeldLog
from assistant.events import (
    Block,
    Exchange,
    FalseAlarm,
    HearingEvent,
    Lost,
    Onset,
    Pause,
    Resumed,
    Speaking,
    Utterance,
    Words,
    join_words,
)
from assistant.floor import is_echo, judge_pause, over_a_reply, take, went_on_after_all
from assistant.fusing import Fusion
from assistant.hearing import hear
from assistant.interrupting import Claim, Judged, is_stop
from assistant.looking import look, outdated
from assistant.prompting import compose, prompt
from assistant.replying import ahead, recite, think, voiced
from assistant.speaking import ReplyText, heard, speakable
from assistant.talk import Draft, Talk, Turn, cancel
from assistant.timing import Marks, stages_ms
from assistant.transcribing import Segment, joined
from assistant.warming import cool, warm

TROUBLES = 3
"""turns that may fail one after the other before the program gives up"""


# ---------------------------------------------------------------- the loop


async def converse(
    talk: Talk,
    level: Callable[[Block], None] = lambda _: None,
    checked: Callable[[Block, float], None] = lambda _block, _p_voice: None,
) -> None:
    """Talk until the microphone ends. Raises AssistantError when three turns in a row failed.

    A device that is lost is waited for, and told of once nobody speaks.

    Cancelling it (Ctrl-C) ends the reply that is being spoken, and commits what was heard of it.
    """
    speaker = talk.devices.speaker
    reply: Turn | None = None  # has the floor: it thinks or speaks
    draft: Turn | None = None  # would answer what is being said, behind its gate
    claim: Claim | None = None  # a voice over the reply
    judging: asyncio.Task[None] | None = None  # how long the pause must last

    def busy() -> bool:
        return any(turn is not None and turn.alive for turn in (reply, draft)) or speaker.sounding

    def missing() -> frozenset[str]:
        gone = {"microphone": getattr(talk.devices.microphone, "lost", False), "camera": talk.sight.lost}
        return frozenset(device for device, is_gone in gone.items() if is_gone)

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
                missing=missing,
                level=level,
                checked=checked,
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
                            draft = await drop(talk, draft, "nothing was asked")
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
                            if draft is not None:
                                talk.pauses = talk.pauses.resumed(voice_s - draft.draft.marks.voice_ended_s)
                            draft = await drop(talk, draft, "resumed")
                            if claim is not None and claim.judged.done():
                                claim = take(talk, reply, voice_s)
                        case Utterance():
                            reply, draft = await settle(talk, reply, draft, claim, event), None
                        case Lost(device):
                            reply = tell(talk, f"lost.{device}")
                    if judging is not None and not isinstance(event, Pause):
                        judging.cancel()
            watching.cancel()
            cool(talk)
    except* AssistantError as group:
        raise _first(group) from None


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


def tell(talk: Talk, what: str) -> Turn:
    """Say a sentence of the prompts unasked: it has the floor as a reply has, and leaves nothing in the history."""
    draft = Draft(
        segments=(),
        claim=None,
        left=1.0,
        marks=Marks(talk.clock.now_s()),
        log=HeldLog(talk.log),
        busy_s=talk.models.busy_s,
    )
    draft.open(talk.clock.now_s())
    return Turn(draft, talk.tasks.create_task(say(talk, what)))


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


async def drop(talk: Talk, turn: Turn | None, why: str) -> None:
    """Throw a draft away, and say so in the log; None is what is left of it."""
    if turn is not None and not turn.draft.gate.is_set():
        await cancel(turn)
        talk.log.emit("draft", why=why, cpu_ms=round(1000 * (talk.models.busy_s - turn.draft.busy_s), 1))


def _before(talk: Talk, draft: Draft) -> list[tuple[Segment, ...]]:
    """What was said earlier than this and got no answer yet."""
    if draft.segments in talk.unanswered:
        return talk.unanswered[: talk.unanswered.index(draft.segments)]
    return list(talk.unanswered)


def _forget(talk: Talk, draft: Draft) -> None:
    """What this draft answers, and all that was said before it, is no longer unanswered."""
    if draft.segments in talk.unanswered:
        del talk.unanswered[: talk.unanswered.index(draft.segments) + 1]


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


def _first(group: BaseExceptionGroup[AssistantError]) -> AssistantError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, AssistantError)
    return error


def _log_hearing(log: EventLog, event: HearingEvent | Lost) -> None:
    match event:
        case Utterance(began_s, ended_s):
            log.emit("utterance", began_s=round(began_s, 3), ended_s=round(ended_s, 3))
        case Onset(voice_s) | Speaking(voice_s) | Pause(voice_s) | Resumed(voice_s) | FalseAlarm(voice_s):
            name = "false_alarm" if isinstance(event, FalseAlarm) else type(event).__name__.lower()
            log.emit(name, voice_s=round(voice_s, 3))


# ---------------------------------------------------------------- one reply


async def answer(talk: Talk, draft: Draft) -> None:
    """Answer what was said. A failure of an open turn is told aloud and logged; a draft's is silent.

    Raises EngineError with the third failure in a row, OutputError as it comes. A loudspeaker that goes away, which is
    told by itself, cuts the reply and is no failure.
    """
    try:
        if draft.claim is not None and (await draft.claim.verdict()).verdict != "interruption":
            return
        await reply(talk, draft)
        if draft.gate.is_set():
            talk.troubles = 0
            warm(talk)
    except OutputError:
        raise
    except DeviceError:
        return
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
        await say(talk, "trouble")


async def reply(talk: Talk, draft: Draft) -> None:
    """Recognise, look, think, and speak phrase by phrase; in the end commit what was heard."""
    clock, speaker, marks, log = talk.clock, talk.devices.speaker, draft.marks, draft.log
    said, fusion, text = "", Fusion("none", ""), ReplyText()
    warm(talk, talk.models.transcriber.latest.text)
    try:
        words = await understand(talk, draft)
        cool(talk)
        said, marks.recognise_s = words.text, clock.now_s()
        stops = draft.claim is not None and is_stop(await over_a_reply(talk, draft.segments))
        if not said or stops or is_echo(talk, words, draft.left):
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
                async with aclosing(voiced(talk.models.voice, span.begin, spoken, words.language)) as pieces:
                    unsaid = text.generated[span.begin : span.end].strip()
                    async for phrase in pieces:
                        marks.speak_s = marks.speak_s or clock.now_s()
                        await draft.gate.wait()
                        talk.attention = attention
                        sounds_s = await speaker.play(phrase)
                        if unsaid:
                            log.emit("playing", text=unsaid, first_sample_s=round(sounds_s, 4))
                            unsaid = ""
                        if marks.output_s is None:
                            marks.output_s = sounds_s
                            v2v_ms = round(1000 * (sounds_s - marks.voice_ended_s), 1)
                            log.emit("turn", voice_to_voice_ms=v2v_ms, stages=stages_ms(marks))
        if marks.output_s is None:
            raise EngineError("wanted an answer, but the mind said nothing; try another mind")
        await speaker.drain()
    except EngineError:
        if marks.output_s is not None:
            await speaker.drain()  # what was said before it failed is heard to its end
        raise
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


async def say(talk: Talk, what: str) -> None:
    """Say a sentence of the prompts, such as that a turn was lost; if not even that can be said, the log has it."""
    speaker = talk.devices.speaker
    language = talk.spoken
    spoken = speakable(prompt(what, language), language)
    try:
        async with aclosing(voiced(talk.models.voice, 0, spoken, language)) as pieces:
            async for phrase in pieces:
                await speaker.play(phrase)
        await speaker.drain()
    except EngineError as error:
        talk.log.emit("trouble", where="voice", message=str(error), kept_going=True)
    except DeviceError:  # the loudspeaker went away too, and that is told by itself
        pass
    finally:
        speaker.stop()
