"""Who has the floor: a voice over a reply claims it, and a pause may give it up.

`contest` finds out what a voice over a reply is and ends the reply or lets it go on; `judge_pause` finds out how long a
pause must last before the turn is over. What they go by is pure and stands elsewhere: `interrupting`, `endpointing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from assistant import endpointing
from assistant.echo import own_voice
from assistant.endpointing import went_on
from assistant.errors import EngineError
from assistant.events import Words
from assistant.interrupting import Claim, Judged, interjections, is_interjection, weigh
from assistant.speaking import sounded
from assistant.talk import Talk, Turn, cancel
from assistant.transcribing import Segment, joined
from assistant.warming import warm


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
            lambda: over_a_reply(talk, transcriber.segments),
            lambda words: is_echo(talk, words, outlook.left),
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
        if early and reply.draft.segments and reply.draft.segments not in talk.unanswered:
            talk.unanswered.append(reply.draft.segments)  # what was said then is part of what is said now
        warm(talk)
    else:
        talk.devices.speaker.go_on()
    outlook.dismissed = judged.verdict != "interruption"
    claim.settle(judged)


async def over_a_reply(talk: Talk, segments: Sequence[Segment]) -> Words:
    """The final words of a voice over a reply. Those that mean nothing there may be an interjection that was misheard:
    the recogniser is asked once more, where it can tell. Raises EngineError.
    """
    words = await joined(segments)
    if not words.text or is_interjection(words):
        return words
    spotted = await talk.models.transcriber.spot(segments, interjections())
    return replace(words, text=spotted) if spotted else words


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
    p_over, words, sound, said_s = None, None, outlook.sound, outlook.said_s
    try:
        p_over = await judge.call(judge.model.over, sound, cost="over")
        words = await joined(talk.models.transcriber.segments)
    except EngineError as error:  # a recogniser's failure is told by the turn itself
        talk.log.emit("trouble", where="endpointing", message=str(error), kept_going=True)
    wait = endpointing.judge(p_over, words, talk.pauses, rules, said_s)
    outlook.wait_s = wait.seconds
    talk.log.emit("endpoint", voice_s=round(voice_ended_s, 3), wait_s=wait.seconds, why=wait.why)


def is_echo(talk: Talk, words: Words, left: float) -> bool:
    """Whether the assistant said this itself; `left` is the share of the energy that the canceller left."""
    own = [word for phrase, first_s in talk.devices.speaker.recent for word in sounded(phrase, first_s)]
    return own_voice(words, own, 1.0, left)
