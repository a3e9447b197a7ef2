"""The values that flow through the assistant, all frozen; the one mutable object is `Conversation`.

Times are seconds of the audio clock: 0 is the first microphone sample. Sound is float32, mono, -1 to 1.
Pictures are uint8 arrays of shape (height, width, 3), red first. Knows numpy and nothing of the engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""left, top, right, bottom in pixels of the picture"""
Vector = NDArray[np.float32]
"""what an encoder makes of a picture or a text: shape (d,), of length 1"""
Matrix = NDArray[np.float32]
"""several of them: shape (n, d)"""

HEARING_RATE_HZ = 16_000
"""The rate of all sound that is heard; voices bring their own."""


# ---------------------------------------------------------------- what comes in


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A few milliseconds of microphone sound; `pcm[0]` was heard at `at_s`."""

    at_s: float
    pcm: Samples
    rate_hz: int = HEARING_RATE_HZ
    raw: Samples | None = None
    """the same moments as the microphone heard them, echo and all; None where nothing was taken out of `pcm`"""

    @property
    def end_s(self) -> float:
        """When the sample after the last one is due."""
        return self.at_s + len(self.pcm) / self.rate_hz


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of the camera."""

    at_s: float
    image: Image


# ---------------------------------------------------------------- turn-taking


@dataclass(frozen=True, slots=True)
class Onset:
    """Something that may be speech began."""

    voice_s: float


@dataclass(frozen=True, slots=True)
class FalseAlarm:
    """What began was too short to be speech."""

    voice_s: float


@dataclass(frozen=True, slots=True)
class Speaking:
    """What began is speech."""

    voice_s: float


@dataclass(frozen=True, slots=True)
class Pause:
    """The voice stopped at `voice_s`; perhaps the turn is over."""

    voice_s: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """The voice went on: the turn was not over."""

    voice_s: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """The turn is over; the voice lasted from `began_s` to `ended_s`, the silence after it not counted."""

    began_s: float
    ended_s: float


HearingEvent = Onset | FalseAlarm | Speaking | Pause | Resumed | Utterance


@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody speaks, and a device (microphone, camera) has gone that was not told of yet."""

    device: str


# ---------------------------------------------------------------- words


@dataclass(frozen=True, slots=True)
class Word:
    """A word and when it was said; `p` is the recogniser's confidence, 0 to 1."""

    text: str
    began_s: float
    ended_s: float
    p: float = 1.0


@dataclass(frozen=True, slots=True)
class Words:
    """What was said: the text as it is to be read, and its words one by one (empty where an engine has no times)."""

    text: str
    words: tuple[Word, ...] = ()
    language: str = "en"
    ends_p: float | None = None
    """how likely a sentence ends after these words, 0 to 1, by the recogniser's model of language; None without one"""

    def shifted(self, by_s: float) -> Words:
        """The same words, `by_s` later: engines count from the start of a segment, everyone else from the session's."""
        moved = tuple(Word(w.text, w.began_s + by_s, w.ended_s + by_s, w.p) for w in self.words)
        return replace(self, words=moved)

    @property
    def timed(self) -> list[list[str | float]]:
        """[word, began_s, ended_s, confidence] for each word, as the event log and `--json` have them."""
        return [[w.text, round(w.began_s, 3), round(w.ended_s, 3), round(w.p, 3)] for w in self.words]


def join_words(parts: Sequence[Words]) -> Words:
    """One after the other, Chinese without spaces between; the language and the end are the last spoken part's."""
    spoken = [part for part in parts if part.text]
    if not spoken:
        return Words("", (), parts[-1].language if parts else "en")
    space = "" if spoken[-1].language == "zh" else " "
    words = tuple(w for p in spoken for w in p.words)
    return replace(spoken[-1], text=space.join(p.text for p in spoken), words=words)


# ---------------------------------------------------------------- sight


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a sense found in a picture: `kind` is text, code, colour, object or caption; `score` 0 to 1.

    A text finding is one line as it stands in the picture. A colour finding is an English colour name and its score is
    the share of the picture (or of the main object) that has it. An object finding is one thing of that name: how many
    there are, and where, follows from all of them.
    """

    kind: str
    text: str
    score: float
    box: Box | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Glimpse:
    """A view that was worth keeping, from `at_s` to `until_s`, and what the eyes found in it (None: not looked at yet).

    `image` is None once the picture lies on disk (see `Album`) or is gone; what was found in it stays. `sharpness` is
    in grey levels per pixel, 0 where there is nothing to see (a covered lens); `light` the mean brightness, 0 to 1.
    `features` is an encoder's vector, where there is one, `stored` the height and width of a picture that is not at
    hand.
    """

    id: int
    at_s: float
    image: Image | None
    findings: tuple[Finding, ...] | None = None
    sharpness: float = 0.0
    why: str = "changed"
    until_s: float = 0.0
    light: float = 0.5
    features: Vector | None = None
    stored: tuple[int, int] | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the picture, in pixels; None where that is not known."""
        return self.stored if self.image is None else (self.image.shape[0], self.image.shape[1])

    @property
    def text(self) -> str:
        """All text that was read, line by line."""
        return "\n".join(f.text for f in self.findings or () if f.kind == "text")

    @property
    def labels(self) -> tuple[str, ...]:
        """Everything found that is not running text."""
        return tuple(f.text for f in self.findings or () if f.kind not in ("text", "caption"))

    @property
    def caption(self) -> str:
        """What a mind said of the picture, empty where none did."""
        return next((f.text for f in self.findings or () if f.kind == "caption"), "")

    @property
    def ended_s(self) -> float:
        """When the view was last there."""
        return max(self.at_s, self.until_s)


@dataclass(frozen=True, slots=True)
class Gaze:
    """Which glimpse a reply looked at, and why: pointed (`word` was said then), newest, fits (it fits the words best)
    or part (a part of it does).
    """

    glimpse: int
    at_s: float
    reason: str
    word: str = ""


# ---------------------------------------------------------------- speech


@dataclass(frozen=True, slots=True)
class Mark:
    """By `sample` of a phrase's sound, the reply has been spoken up to character `source_end`."""

    source_end: int
    sample: int


@dataclass(frozen=True, slots=True, eq=False)
class Phrase:
    """A stretch of a reply made sound; `text` is what the voice got, marks count characters of the whole reply."""

    text: str
    pcm: Samples
    rate_hz: int
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """How much of a phrase left the loudspeaker, in samples of the phrase."""

    phrase: Phrase
    samples: int


# ---------------------------------------------------------------- memory


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was said, and of the reply exactly what was heard: `heard` is a prefix of `generated`."""

    at_s: float
    said: str
    generated: str
    heard: str
    cut: bool
    seen: tuple[int, ...] = ()


@dataclass(slots=True)
class Conversation:
    """All that outlives a turn."""

    exchanges: list[Exchange] = field(default_factory=list[Exchange])
    glimpses: list[Glimpse] = field(default_factory=list[Glimpse])
