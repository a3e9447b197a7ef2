"""What came of a scene, as plain values: who was answered when, who was cut off, what was silenced, what was kept.

Read off the sound that was heard and the sound that sounded; the event log is asked only for what sound cannot tell
(when a gate opened, what was recognised, what a draft cost). Knows no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assistant.eventlog import Event
from assistant.sessions.levels import AUDIBLE
from assistant.sessions.remembering import Remembered, remembered
from assistant.sessions.rooms import Heard, RoomSpeaker, Told
from assistant.sessions.silencing import silenced
from assistant.sessions.staging import Played

OVER_S = 3.0
"""so long after a sound began the loudspeaker is watched"""
TAKEN_S = 1.0
"""a reply that ends by then after a sound ended was ended by it"""
AUDIBLE_S = 0.01
TO_COME_S = 0.5
"""a sound comes over a reply if so much of the reply was still to come"""
NEAR_S = 0.3
"""what an ear takes for a voice may be so much longer than what is audible of it"""


# ---------------------------------------------------------------- values


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence in which the end of a turn was judged: how long it lasted (None: nothing followed), and how long it
    would have had to last for the turn to be over. Seconds.
    """

    lasted_s: float | None
    wait_s: float


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn: whether it was answered while it went on (in how many of its pauses of 0.2 s and more), and how long
    after its end the answer was audible; None where it was not, or where it was cut off.
    """

    name: str
    noisy: bool
    pauses: int
    cut_pauses: int
    cut_off: bool
    answered: bool
    voice_to_voice_s: float | None
    silences: tuple[Silence, ...]


@dataclass(frozen=True, slots=True)
class Over:
    """A sound over a reply: interruption, stop, backchannel, cough or knock; the echo's level (None: headphones).

    `ducked_s` and `silent_s` after its onset the reply was quieter, and inaudible (None: it stayed so for OVER_S).
    `ended`: the reply did not go on; `held`: it fell silent and went on; `answered`: it got an answer of its own.
    """

    kind: str
    name: str
    coupling_db: float | None
    noisy: bool
    ducked_s: float | None
    silent_s: float | None
    ended: bool
    held: bool
    answered: bool
    text: str
    recognised: str


@dataclass(frozen=True, slots=True)
class Alone:
    """Seconds that the assistant spoke while nobody else did, and how often it fell silent for good, was held back, or
    lowered its voice in them.
    """

    seconds: float = 0.0
    stops: int = 0
    holds: int = 0
    ducks: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that came of a scene. `self_talk` and `to_noise` count answers to nobody: to the assistant's own voice, and
    to other sound. `drafts` were begun, `dropped` of them thrown away at `wasted_s` of the `busy_s` processor seconds.
    """

    number: int
    kind: str
    noise: str
    seconds: float
    turns: tuple[Turn, ...]
    over: tuple[Over, ...]
    alone: Alone
    self_talk: int
    to_noise: int
    remembered: Remembered
    drafts: int
    dropped: int
    wasted_s: float
    busy_s: float
    troubles: tuple[str, ...]


def outcome(played: Played, end_s: float) -> Outcome:
    """What came of a scene; `end_s` is the silence that ends a turn where nothing is known of it."""
    scene, speaker = played.scene, played.speaker
    turns = [h for h in played.heard if h.sound.kind == "turn"]
    over = [h for h in played.heard if h.sound.kind != "turn" and _comes_over(h, speaker)]
    dropped = played.all("draft")
    nobody = [e for e in played.all("utterance") if not _overlaps(e, played.heard) and _gets_answer(e, played)]
    own = [e for e in nobody if _sounds(speaker, e["began_s"], e["ended_s"])]
    return Outcome(
        number=scene.number,
        kind=scene.kind,
        noise=scene.noise,
        seconds=played.events[-1]["at_s"],
        turns=tuple(_turn(played, h, end_s) for h in turns),
        over=tuple(_over(played, h) for h in over),
        alone=_alone(played) if scene.kind.startswith("own speech") else Alone(),
        self_talk=len(own),
        to_noise=len(nobody) - len(own),
        remembered=remembered(speaker, played.all("exchange")),
        drafts=len(dropped) + len(played.all("utterance")),
        dropped=len(dropped),
        wasted_s=sum(e["cpu_ms"] for e in dropped) / 1000,
        busy_s=played.busy_s,
        troubles=tuple(f"{e['where']}: {e['message']}" for e in played.all("trouble")),
    )


# ---------------------------------------------------------------- turns


def _turn(played: Played, heard: Heard, end_s: float) -> Turn:
    next_s = until_s(played, heard)
    gates = [e["at_s"] for e in played.all("utterance") if heard.began_s < e["at_s"] < heard.ended_s]
    pauses = [(heard.at_s + began_s, heard.at_s + ended_s) for began_s, ended_s in heard.sound.pauses]
    first_s = _first_sound_s(played.speaker, heard.ended_s, next_s)
    return Turn(
        name=heard.sound.name,
        noisy=bool(played.scene.noise),
        pauses=len(pauses),
        cut_pauses=sum(any(a < gate < b for gate in gates) for a, b in pauses),
        cut_off=bool(gates),
        answered=first_s is not None,
        voice_to_voice_s=None if gates or first_s is None else first_s - heard.ended_s,
        silences=_silences(played, heard, next_s, end_s),
    )


def _silences(played: Played, heard: Heard, next_s: float, end_s: float) -> tuple[Silence, ...]:
    """Each pause that the ear took for one during a turn, and the one after it."""
    events = [e for e in played.events if heard.began_s - NEAR_S < e["at_s"] < next_s]
    silences: list[Silence] = []
    for number, event in enumerate(events):
        if event["type"] != "pause":
            continue
        after = events[number + 1 :]
        end = next((n for n, e in enumerate(after) if e["type"] in ("resumed", "utterance", "false_alarm")), None)
        if end is None or after[end]["type"] == "false_alarm":
            continue
        told = [e["wait_s"] for e in after[: end + 1] if e.get("wait_s") is not None]
        if after[end]["type"] == "resumed":
            silences.append(Silence(after[end]["voice_s"] - event["voice_s"], told[-1] if told else end_s))
            continue
        waited_s = after[end]["at_s"] - event["voice_s"]
        if after[end]["at_s"] >= heard.ended_s:
            silences.append(Silence(None, waited_s))
            continue
        again = (e["voice_s"] for e in after[end:] if e["type"] == "onset" and e["voice_s"] < heard.ended_s)
        silences.append(Silence(next(again, heard.ended_s) - event["voice_s"], waited_s))
    return tuple(silences)


# ---------------------------------------------------------------- over a reply


def _over(played: Played, heard: Heard) -> Over:
    speaker = played.speaker
    began, watched_s = speaker.sample(heard.began_s), min(OVER_S, played.events[-1]["at_s"] - heard.began_s)
    end = began + round(watched_s * speaker.rate_hz)
    assert heard.planned is not None
    became = silenced(heard.planned.render(began, end), speaker.between(began, end), speaker.rate_hz)
    until = speaker.sample(heard.ended_s + TAKEN_S)
    told = [t for t in speaker.told if began <= t.at <= until]
    ended = any(t.what == "stop" and t.left_s > AUDIBLE_S for t in told)
    spoken = [e for e in played.all("utterance") if _overlaps(e, [heard])]
    return Over(
        kind=heard.sound.kind,
        name=heard.sound.name,
        coupling_db=played.scene.room.coupling_db,
        noisy=bool(played.scene.noise),
        ducked_s=became.ducked_s if became else None,
        silent_s=became.silent_s if became else None,
        ended=ended,
        held=not ended and any(t.what == "hold" for t in told),
        answered=any(_gets_answer(e, played) for e in spoken),
        text=heard.sound.text,
        recognised=" ".join(_recognised(e, played) for e in spoken).strip(),
    )


def _comes_over(heard: Heard, speaker: RoomSpeaker) -> bool:
    """Whether the assistant was speaking, and had more to say, when a sound began."""
    if heard.planned is None:
        return False
    began = speaker.sample(heard.began_s)
    to_come = heard.planned.render(began, began + round(TO_COME_S * speaker.rate_hz))
    return bool(np.abs(to_come).max(initial=0.0) > AUDIBLE)


def _alone(played: Played) -> Alone:
    """What happened while only the assistant spoke: from the end of the last that was said on."""
    speaker = played.speaker
    from_s = max((h.ended_s for h in played.heard), default=0.0)
    begin = speaker.sample(from_s)
    size = round(AUDIBLE_S * speaker.rate_hz)
    frames = speaker.between(begin, max(begin, speaker.settled))
    frames = frames[: len(frames) // size * size].reshape(-1, size)
    told = [t for t in speaker.told if t.at >= begin and t.left_s > AUDIBLE_S]
    return Alone(
        seconds=_filled(np.abs(frames).max(1, initial=0.0) > AUDIBLE) * AUDIBLE_S,
        stops=_count(told, "stop"),
        holds=_count(told, "hold"),
        ducks=_count(told, "duck"),
    )


def _filled(sounds: np.ndarray) -> int:
    """How many frames lie in speech: those that sound, and the gaps of up to half a second between them."""
    places = np.flatnonzero(sounds)
    gaps = np.diff(places)
    return int(len(places) + (gaps[gaps <= round(0.5 / AUDIBLE_S)] - 1).sum())


def _count(told: Sequence[Told], what: str) -> int:
    return sum(t.what == what for t in told)


# ---------------------------------------------------------------- reading the log and the sound


def until_s(played: Played, heard: Heard) -> float:
    """When the next sound begins, or the scene ends."""
    later = [h.began_s for h in played.heard if h.at_s > heard.at_s]
    return min(later, default=played.events[-1]["at_s"])


def _first_sound_s(speaker: RoomSpeaker, from_s: float, to_s: float) -> float | None:
    begin = speaker.sample(from_s)
    sounding = np.flatnonzero(np.abs(speaker.between(begin, min(speaker.sample(to_s), speaker.settled))) > AUDIBLE)
    return from_s + int(sounding[0]) / speaker.rate_hz if len(sounding) else None


def _sounds(speaker: RoomSpeaker, from_s: float, to_s: float) -> bool:
    return _first_sound_s(speaker, from_s, to_s) is not None


def _overlaps(utterance: Event, heard: Sequence[Heard]) -> bool:
    return any(h.began_s - NEAR_S < utterance["ended_s"] and utterance["began_s"] < h.ended_s + NEAR_S for h in heard)


def _following(event: Event, played: Played) -> list[Event]:
    """What was logged from an utterance on, up to the next."""
    number = next(n for n, e in enumerate(played.events) if e is event)
    after = played.events[number + 1 :]
    end = next((n for n, e in enumerate(after) if e["type"] in ("utterance", "onset")), len(after))
    return list(after[:end])


def _gets_answer(utterance: Event, played: Played) -> bool:
    return any(e["type"] == "turn" for e in _following(utterance, played))


def _recognised(utterance: Event, played: Played) -> str:
    """The final words of an utterance: those of the draft that was let out with it."""
    return next((e["text"] for e in _following(utterance, played) if e["type"] == "words" and e["final"]), "")
