"""Whether the history holds exactly the words that sounded: found in the sound itself, word by word.

The loudspeaker's own account of what was played is not asked. Each word's beginning, as the voice made it, is looked
for in what sounded, first where it was due, and, where the voice was held back and went on, anywhere after. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from assistant.backends.timeline import DUCKED, FADE_S, RAMP_S, Gain, resampled
from assistant.eventlog import Event
from assistant.events import Phrase, Samples
from assistant.sessions.loudspeaker import RoomSpeaker, Told
from assistant.sessions.rooms import RATE

BEGUN_S = 0.02
"""a word of which that much sounded has begun"""
STEP_S = 0.005
"""what is less than this cannot be told from nothing; in between either is right"""
LOOKED_FOR_S = (0.25, 0.1, 0.04)
"""so much from a word's beginning on is looked for where the voice went on, less where it was stopped soon after"""
ALIKE = 0.9
"""correlation from which on two sounds are the same"""
BESIDE = 0.02
"""the same word said again is as alike up to so much"""
SLACK = 16
"""samples by which a word's place may be off"""
FAINT = 1e-4
"""what is quieter is nothing"""
SAME_S = 0.02
"""an exchange is logged as the loudspeaker is stopped"""


@dataclass(frozen=True, slots=True)
class Remembered:
    """How many words sounded, and those that the history has though they did not (kept), or has not though they did
    (dropped), each with the reply's text up to it.
    """

    words: int = 0
    kept: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def remembered(speaker: RoomSpeaker, exchanges: Sequence[Event]) -> Remembered:
    """Compare the `exchange` events of a talk with what its loudspeaker sounded."""
    words, kept, dropped = 0, [], []
    for reply in _replies(speaker.told):
        exchange = _exchange(reply, exchanges, speaker.rate_hz)
        generated = exchange["generated"] if exchange else ""
        end = len(exchange["heard"]) if exchange else 0
        for source_end, begun_s in _begun(reply, speaker):
            text = generated[:source_end] or f"{source_end} characters of a reply that was not kept"
            words += begun_s >= BEGUN_S
            if source_end <= end and begun_s < STEP_S:
                kept.append(text)
            elif source_end > end and begun_s >= BEGUN_S:
                dropped.append(text)
    return Remembered(words, tuple(kept), tuple(dropped))


def _replies(told: Sequence[Told]) -> Iterator[tuple[Told, ...]]:
    """What was told from stop to stop, where something was played."""
    reply: list[Told] = []
    for each in told:
        reply.append(each)
        if each.what in ("stop", "close"):
            if any(t.what == "play" for t in reply):
                yield tuple(reply)
            reply = []


def _exchange(reply: Sequence[Told], exchanges: Sequence[Event], rate_hz: int) -> Event | None:
    ended_s = reply[-1].at / rate_hz
    near = [e for e in exchanges if abs(e["at_s"] - ended_s) <= SAME_S]
    return near[0] if near else None


def _begun(reply: Sequence[Told], speaker: RoomSpeaker) -> Iterator[tuple[int, float]]:
    """For each word of a reply, where it ends in the reply's text, and how many seconds of its beginning sounded."""
    over = min(reply[-1].at + round(0.01 * RATE), speaker.settled)  # what is stopped fades out
    resumes = _resumes(reply)
    sounded = _unducked(reply, speaker, over)
    for told in reply:
        if told.phrase is None:
            continue
        shift = 0
        pcm = resampled(told.phrase.pcm, told.phrase.rate_hz, RATE)
        onsets = list(_onsets(told.phrase))
        for (source_end, onset), following in zip(onsets, [*(o for _, o in onsets[1:]), len(pcm)], strict=True):
            due = told.at + onset + shift
            later = sounded[max(0, due - reply[0].at) :]
            begun_s = _alike_s(pcm[onset:], later)
            if begun_s < BEGUN_S and resumes and due < over:
                places = (_found(pcm[onset : onset + round(s * RATE)], later) for s in LOOKED_FOR_S)
                place = next((p for p in places if p is not None), None)
                if place is not None:
                    shift += place
                    begun_s = _alike_s(pcm[onset:], later[place:])
            yield source_end, begun_s
            for held, back in resumes:
                within = -SLACK <= held - told.at - onset - shift < following - onset
                if within and _goes_on(pcm[onset:], sounded[back - reply[0].at :]):
                    shift = back - told.at - onset


def _resumes(reply: Sequence[Told]) -> list[tuple[int, int]]:
    """When the voice was held back, and when it went on."""
    held, resumes = 0, list[tuple[int, int]]()
    for told in reply:
        if told.what == "hold":
            held = told.at
        elif told.what == "go_on":
            resumes.append((held, told.at))
    return resumes


def _goes_on(word: Samples, sounded: Samples) -> bool:
    """Whether the voice went on with this word: it fades in, so that what follows is compared."""
    rise, size = round(FADE_S * RATE), round(LOOKED_FOR_S[-1] * RATE)
    ends = min(len(word), len(sounded), rise + size)
    return ends > rise and _likeness(word[rise:ends], sounded[rise:ends]) >= ALIKE


def _unducked(reply: Sequence[Told], speaker: RoomSpeaker, over: int) -> Samples:
    """What sounded of a reply up to sample `over`, as loud as if it had never been ducked."""
    gain = Gain()
    loud = np.ones(max(0, over - reply[0].at), np.float32)
    for told in reply:
        if told.what in ("duck", "restore", "go_on"):
            before = float(gain.at(np.array([told.at]))[0])
            gain = Gain(before, DUCKED if told.what == "duck" else 1.0, told.at, told.at + round(RAMP_S * RATE))
            loud[told.at - reply[0].at :] = gain.at(np.arange(told.at, max(told.at, over)))
    return speaker.between(reply[0].at, max(reply[0].at, over)) / loud


def _onsets(phrase: Phrase) -> Iterator[tuple[int, int]]:
    """Where each word ends in the reply's text, and its first sample, at RATE: a mark lies one behind it."""
    for mark in phrase.marks:
        yield mark.source_end, max(0, mark.sample - 1) * RATE // phrase.rate_hz


def _alike_s(word: Samples, sounded: Samples) -> float:
    """How many seconds of a word's beginning stand at the beginning of what sounded, up to BEGUN_S, by STEP_S."""
    for steps in range(round(BEGUN_S / STEP_S), 0, -1):
        size = round(steps * STEP_S * RATE)
        if min(len(word), len(sounded)) >= size and _likeness(word[:size], sounded[:size]) >= ALIKE:
            return steps * STEP_S
    return 0.0


def _likeness(a: Samples, b: Samples) -> float:
    energy = float((a.astype(np.float64) ** 2).sum() * (b.astype(np.float64) ** 2).sum())
    return float(a.astype(np.float64) @ b) / energy**0.5 if energy > (FAINT**2 * len(a)) ** 2 else 0.0


def _found(word: Samples, sounded: Samples) -> int | None:
    """The first place in what sounded where a word stands."""
    if len(sounded) < len(word) or not len(word):
        return None
    size = 1 << (len(sounded) + len(word)).bit_length()
    product = np.fft.irfft(np.fft.rfft(sounded, size) * np.conj(np.fft.rfft(word, size)), size)
    product = product[: len(sounded) - len(word) + 1]
    squares = np.concatenate([[0.0], np.cumsum(sounded.astype(np.float64) ** 2)])
    energy = (squares[len(word) :] - squares[: -len(word)]) * float((word.astype(np.float64) ** 2).sum())
    likeness = product / np.sqrt(np.maximum(energy, (FAINT**2 * len(word)) ** 2))
    if likeness.max() <= ALIKE:
        return None
    first = int(np.flatnonzero(likeness > likeness.max() - BESIDE)[0])  # a period beside it, a voice is nearly the same
    run = np.arange(first, min(len(likeness), first + round(STEP_S * RATE)))
    return int(run[np.argmax(likeness[run])])
