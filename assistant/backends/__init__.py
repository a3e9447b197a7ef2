"""The seams: what an engine or a device must be able to do, and `load`, which finds one by name.

Engines are plain synchronous code; a `Worker` runs each on a thread of its own. Nothing heavy is imported before an
engine is loaded. Knows no engine's inside: each has a module of its own in this package.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from assistant.errors import ConfigError, nearest
from assistant.events import Block, Box, Finding, Frame, Image, Matrix, Phrase, Played, Samples, Vector, Words
from assistant.privacy import keep_quiet

Stop = Callable[[], bool]
"""True once nobody wants the result any more; engines ask per token and per prefill chunk."""


# ---------------------------------------------------------------- engines


class VoiceActivity(Protocol):
    """Is anybody speaking? State is explicit: the caller carries it from window to window."""

    window: int
    """samples of 16 kHz sound per call"""

    def start(self) -> Any:
        """The state before the first window."""
        ...

    def voice(self, state: Any, pcm: Samples) -> tuple[Any, float]:
        """The next state, and the probability (0 to 1) that the window holds speech."""
        ...


class EndOfTurn(Protocol):
    """Whether whoever paused is done, by how it sounded."""

    def over(self, pcm: Samples) -> float | None:
        """The probability (0 to 1) that the turn is over; None where the engine has no opinion. `pcm` is the turn so
        far at 16 kHz, of which the last 8 s will do, with 0.3 s before it and the beginning of the pause.
        """
        ...


class Recogniser(Protocol):
    """Speech to words while it is spoken, segment by segment. Times of words count from the segment's first sample.

    `start` -> `feed`* -> `finish`. `feed` returns the words so far, or None where nothing new is known. A segment that
    has been finished cannot be fed again.
    """

    languages: tuple[str, ...]
    longest_s: float
    """a segment that gets longer ends at its quietest moment; inf where `finish` takes no longer for a long one"""

    def start(self, language: str) -> Any: ...
    def feed(self, segment: Any, pcm: Samples) -> Words | None: ...
    def finish(self, segment: Any) -> Words: ...


@runtime_checkable
class Spots(Protocol):
    """A recogniser that can ask itself once more about a finished segment, where only a few phrases are likely."""

    def spot(self, segment: Any, phrases: Sequence[str]) -> str | None:
        """The likeliest of the phrases; None where what was heard at first is plainly more likely."""
        ...


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What an engine makes of a recording, and how sure it is; an engine that cannot tell is taken to be.

    `mean_logp` is the mean log-probability of its tokens, `no_speech_p` the probability that nobody spoke.
    """

    words: Words
    mean_logp: float = 0.0
    no_speech_p: float = 0.0


@runtime_checkable
class Decodes(Protocol):
    """A recogniser that only takes whole recordings, in place of `Recogniser`; `transcribing` makes it stream.

    `decode` is given at most 15 s of sound, and in `prompt` what was said before it, "" for nothing; every word it
    returns has times, counted from the first sample. Once `stop()` is true it may return, or raise, anything.
    """

    languages: tuple[str, ...]

    def decode(self, pcm: Samples, language: str, prompt: str, stop: Stop) -> Hypothesis: ...


@dataclass(frozen=True, slots=True)
class Message:
    """One message to a mind. `role` is system, user or assistant; images go before the text."""

    role: str
    text: str
    images: tuple[Image, ...] = ()


class Mind(Protocol):
    """Messages to text, streamed."""

    sees: bool
    """takes images"""
    free: bool
    """can be trusted to answer freely from evidence; otherwise code decides what answers and the mind words it"""
    context_tokens: int

    def count(self, text: str) -> int:
        """How many tokens a text takes."""
        ...

    def reply(self, messages: Sequence[Message], stop: Stop, grammar: str | None = None) -> Iterator[str]:
        """The reply, piece by piece. `grammar` is GBNF; only minds with `free = False` are given one."""
        ...


@runtime_checkable
class Prefills(Protocol):
    """A mind that can read the beginning of a prompt ahead of time."""

    def prefill(self, messages: Sequence[Message], stop: Stop) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """Synthesised sound. `marks`: by sample s, the text has been spoken up to character c, as (c, s), rising; empty
    where an engine does not know.
    """

    pcm: Samples
    rate_hz: int
    marks: tuple[tuple[int, int], ...] = ()


class Voice(Protocol):
    """Text to sound."""

    languages: tuple[str, ...]

    def synthesise(self, text: str, language: str, stop: Stop) -> Speech: ...


@runtime_checkable
class Streams(Protocol):
    """A voice whose sound comes in pieces, the first long before the last is made.

    Each piece is the sound of the text from where the piece before it ended up to `end`, as `(end, speech)`; its marks
    count characters and samples from there. The last piece ends where the text ends, and no piece is no words. Once
    `stop()` is true there may be none any more.
    """

    languages: tuple[str, ...]

    def stream(self, text: str, language: str, stop: Stop) -> Iterator[tuple[int, Speech]]: ...


class Eyes(Protocol):
    """What is to be seen in a picture."""

    def look(self, image: Image) -> tuple[Finding, ...]: ...


class Encoder(Protocol):
    """Pictures and texts as vectors of one space: the nearer two are, the better the one tells what the other shows.

    All vectors are float32 of length 1. Regions of a picture come out in that space too, one row a box.
    """

    def embed_image(self, image: Image) -> Vector: ...
    def embed_text(self, text: str) -> Vector: ...
    def embed_regions(self, image: Image, boxes: Sequence[Box]) -> Matrix: ...


class Album(Protocol):
    """Where pictures go that memory cannot hold, by number; `get` gives None for one that is not there (any more)."""

    def put(self, number: int, image: Image) -> None: ...
    def get(self, number: int) -> Image | None: ...
    def drop(self, numbers: Collection[int]) -> None: ...
    def close(self) -> None: ...


# ---------------------------------------------------------------- devices


class Microphone(Protocol):
    """Blocks of 16 kHz mono sound, 10 ms each, the first at 0 s. `over`: it is a recording and the recording has ended;
    it goes on with silence until it is closed.
    """

    over: bool

    def blocks(self) -> AsyncIterator[Block]: ...
    def close(self) -> None: ...


class Camera(Protocol):
    """Pictures on demand."""

    def frame(self, at_s: float) -> Frame | None:
        """The newest frame at `at_s`, None while there is none. Never blocks."""
        ...

    def close(self) -> None: ...


class Speaker(Protocol):
    """A loudspeaker that knows what was really played. All of it runs on the event loop; nothing blocks."""

    async def play(self, phrase: Phrase) -> float:
        """Put a phrase behind what is sounding; returns when its first sample sounds or will (seconds). Holds back, and
        can be cancelled, while more than about 6 s are waiting.
        """
        ...

    def stop(self) -> tuple[Played, ...]:
        """Silence at once, undo ducking, and say what was played of each phrase since the last `stop`."""
        ...

    async def drain(self) -> None:
        """Wait until all of it has sounded."""
        ...

    @property
    def recent(self) -> Sequence[tuple[Phrase, float]]:
        """The newest phrases, and when their first samples sounded or will (for one that was held: would have)."""
        ...

    @property
    def sounding(self) -> bool:
        """Something is sounding, waiting to, or held back."""
        ...

    def hold(self) -> None:
        """Silence at once, and keep what has not sounded; `play` holds back until `go_on` or `stop`."""
        ...

    def go_on(self) -> None:
        """Go on with what was held, from the beginning of the word that was cut, as loud as ever."""
        ...

    def duck(self) -> None:
        """Lower the voice by about 15 dB."""
        ...

    def restore(self) -> None:
        """Take the lowering back."""
        ...

    def close(self) -> None: ...


# ---------------------------------------------------------------- finding one by name

ENGINES: dict[str, dict[str, str]] = {
    "activity": {"silero": "silero:Silero", "scripted": "scripted:ScriptedActivity"},
    "endpointing": {
        "smart_turn": "smart_turn:SmartTurn",
        "words": "words_alone:WordsAlone",
        "scripted": "scripted:ScriptedEndOfTurn",
    },
    "recogniser": {
        "pocketsphinx": "pocketsphinx:PocketSphinx",
        "whisper": "whisper:Whisper",
        "scripted": "scripted:ScriptedRecogniser",
    },
    "mind": {
        "llama": "llama:Llama",
        "transformers": "transformers:Transformers",
        "openai": "openai:OpenAI",
        "scripted": "scripted:ScriptedMind",
    },
    "eyes": {"ocr": "ocr:Ocr", "scripted": "scripted:ScriptedEyes"},
    "detector": {
        "onnx": "detector:OnnxDetector",
        "transformers": "detector:TransformersDetector",
        "scripted": "scripted:ScriptedDetector",
    },
    "encoder": {
        "siglip": "encoder:Siglip",
        "clip": "encoder:Clip",
        "scripted": "scripted:ScriptedEncoder",
    },
    "voice": {
        "espeak": "espeak:Espeak",
        "coqui": "coqui:Coqui",
        "kokoro": "kokoro:Kokoro",
        "scripted": "scripted:ScriptedVoice",
    },
}
"""slot -> name -> module of this package : class"""
OPTIONAL = frozenset({"detector", "encoder"})
"""slots that may stay empty: their engine may be `none`, and is where a tier has none for them"""


def find(slot: str, name: str) -> type[Any]:
    """The class of an engine. An unknown name is a ConfigError that lists the known ones."""
    known = ENGINES[slot]
    if name not in known:
        hint = nearest(name, known, f"choose one of {', '.join(known)}")
        raise ConfigError(f"wanted a known {slot}, got '{name}'; {hint}")
    module, cls = known[name].split(":")
    keep_quiet()
    return getattr(import_module(f"assistant.backends.{module}"), cls)


def load(slot: str, name: str, **options: Any) -> Any:
    """Load an engine. `options` are its own keyword arguments; one it does not know is a ConfigError.

    Raises EngineError or WeightsError where the engine cannot be had.
    """
    cls = find(slot, name)
    known = list(inspect.signature(cls).parameters)
    for option in options:
        if option not in known:
            hint = nearest(option, known, f"it knows {', '.join(known) or 'none'}")
            raise ConfigError(f"[{slot}.{name}] has no option '{option}'; {hint}")
    return cls(**options)
