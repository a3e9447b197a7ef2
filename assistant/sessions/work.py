"""What an engine of each slot is timed at by `assistant bench engines`: its work, once.

Sounds and pictures are the demo's. Knows the seams, and of the engines only that Whisper's encoder can be run in a cut
window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from assistant import demo
from assistant.backends import Decodes, Message, Streams
from assistant.backends.files import read_sound
from assistant.backends.pictures import read_picture
from assistant.events import HEARING_RATE_HZ, Image, Samples

PROMPT_TOKENS, REPLY_TOKENS = 64, 32
"""of a mind; a random one never ends by itself"""
BLOCK = HEARING_RATE_HZ // 10
SENTENCE = "The red cup stands on the table beside the window, and the book lies under it."
WINDOWS = 100
"""of sound for the voice activity"""


@dataclass(frozen=True, slots=True)
class Timed:
    """Once through an engine's work: the seconds to the first of it, and how much of `unit` it does per second."""

    first_s: float
    rate: float
    unit: str
    variant: str = ""


def hear(engine: Any, turn: int) -> Iterator[Timed]:
    """A question of the demo, and how long its words take after its last sample."""
    pcm = question(turn)
    began_s = ended_s = perf_counter()
    if isinstance(engine, Decodes):
        engine.decode(pcm, "en", "", _never)
    else:
        segment = engine.start("en")
        for at in range(0, len(pcm), BLOCK):
            engine.feed(segment, pcm[at : at + BLOCK])
        ended_s = perf_counter()
        engine.finish(segment)
    now_s = perf_counter()
    yield Timed(now_s - ended_s, len(pcm) / HEARING_RATE_HZ / (now_s - began_s), "x real time")


def encode(engine: Any, turn: int) -> Iterator[Timed]:
    """Whisper's encoder over 3 s and 8 s, in the window of 30 s and in one cut to the sound."""
    sound = read_sound(demo.script().sound)
    for length_s in (3, 8):
        pcm = sound[: length_s * HEARING_RATE_HZ]
        for trimmed in (False, True):
            took_s = _timed(partial(engine.encode, pcm, trimmed=trimmed))
            variant = f"encoder, {length_s} s {'trimmed' if trimmed else 'in 30 s'}"
            yield Timed(took_s, length_s / took_s, "x real time", variant)


def think(engine: Any, turn: int) -> Iterator[Timed]:
    """A reply to a prompt that begins like none before it, and one to the same with a picture, of a mind that sees."""
    prompt = f"{turn} is the number of this talk. Count from one to thirty, in words."
    while engine.count(prompt) < PROMPT_TOKENS:
        prompt += " Go on and on."
    yield _reply(engine, Message("user", prompt), "")
    if engine.sees:
        yield _reply(engine, Message("user", prompt, (shown(turn),)), "a picture")


def _reply(engine: Any, message: Message, variant: str) -> Timed:
    """How soon and how fast it is answered; one piece is one token."""
    began_s, times = perf_counter(), list[float]()
    for _ in engine.reply([message], _never):
        times.append(perf_counter())
        if len(times) == REPLY_TOKENS:
            break
    if len(times) < 2:
        raise RuntimeError(f"wanted a reply of two tokens or more, got {len(times)}; take another model")
    return Timed(times[0] - began_s, (len(times) - 1) / (times[-1] - times[0]), "tokens/s", variant)


def speak(engine: Any, turn: int) -> Iterator[Timed]:
    """A sentence: its first sound, and how much sound is made in a second."""
    began_s, first_s, sound_s = perf_counter(), 0.0, 0.0
    if isinstance(engine, Streams):
        pieces = (speech for _, speech in engine.stream(SENTENCE, "en", _never))
    else:
        pieces = iter((engine.synthesise(SENTENCE, "en", _never),))
    for speech in pieces:
        first_s = first_s or perf_counter() - began_s
        sound_s += len(speech.pcm) / speech.rate_hz
    yield Timed(first_s, sound_s / (perf_counter() - began_s), "x real time")


def look(engine: Any, turn: int) -> Iterator[Timed]:
    """A picture of the demo, through eyes, a detector or an encoder."""
    picture = shown(turn)
    took_s = _timed(partial(getattr(engine, "embed_image", None) or engine.look, picture))
    yield Timed(took_s, 1 / took_s, "pictures/s")


def notice(engine: Any, turn: int) -> Iterator[Timed]:
    """Whether anybody speaks, window by window."""
    pcm, state, times = question(turn), engine.start(), list[float]()
    for at in range(0, min(len(pcm) - engine.window, WINDOWS * engine.window), engine.window):
        began_s = perf_counter()
        state, _ = engine.voice(state, pcm[at : at + engine.window])
        times.append(perf_counter() - began_s)
    yield Timed(times[0], len(times) / sum(times), "windows/s")


def judge(engine: Any, turn: int) -> Iterator[Timed]:
    """Whether a question of the demo is over."""
    took_s = _timed(partial(engine.over, question(turn)))
    yield Timed(took_s, 1 / took_s, "judgements/s")


WORK: dict[str, Callable[[Any, int], Iterator[Timed]]] = {
    "recogniser": hear,
    "mind": think,
    "voice": speak,
    "eyes": look,
    "detector": look,
    "encoder": look,
    "activity": notice,
    "endpointing": judge,
}


def shown(turn: int) -> Image:
    """One of the demo's pictures, a pixel further to the right each turn: no mind has read it before."""
    pictures = demo.script().pictures
    _, path = pictures[turn % len(pictures)]
    return np.ascontiguousarray(np.roll(read_picture(path), turn, axis=1))


def question(turn: int) -> Samples:
    """One of the demo's questions, at 16 kHz."""
    talk = demo.script()
    asked = talk.questions[turn % len(talk.questions)]
    began, ended = (int(at_s * HEARING_RATE_HZ) for at_s in (asked.began_s - 0.3, asked.ended_s + 0.2))
    return read_sound(talk.sound)[max(0, began) : ended]


def _timed(work: Callable[[], Any]) -> float:
    began_s = perf_counter()
    work()
    return perf_counter() - began_s


def _never() -> bool:
    return False
