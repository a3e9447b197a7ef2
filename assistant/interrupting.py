"""Tell an interruption from what the assistant should not stop for: a cough, a door, a word that says go on.

`judge` decides by the words and by how long the voice lasted; it is pure. `Claim` is one such sound: whoever waits for
the floor, the reply that has it and the draft that would take it, waits for its verdict. Knows no device and no engine.
"""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from assistant.events import Words
from assistant.grounding.words import plain
from assistant.pacing import Clock

Verdict = Literal["interruption", "stop", "backchannel", "noise", "echo"]
"""interruption: the reply ends and what was said is answered; stop: it ends and nothing is; else it goes on"""

SHORT_S = 0.6
"""a voice that lasted less and left only a word or two that mean nothing alone was a cough or a door"""

UNSURE = 0.1
"""so little confidence in the words of so short a voice says that they are none (words heard right in half a second had
0.3 and more)"""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict, and in a few words why."""

    verdict: Verdict
    why: str

    @property
    def ends_reply(self) -> bool:
        """The reply that had the floor is over."""
        return self.verdict in ("interruption", "stop")


def judge(words: Words, voice_s: float, *, over: bool, decide_s: float) -> Judged | None:
    """What a sound over the assistant's voice was; None: it goes on, and that cannot be told yet.

    `words`: the best that is known of what was said. `voice_s`: how long the voice has lasted. `over`: it has paused,
    and the words are final. A voice that is longer than `decide_s` is taken for an interruption unless all it says is
    that it listens. (People yield to an overlap that lasts, and not to one that ends within about a word: Heldner and
    Edlund, Pauses, gaps and overlaps in conversations, 2010; the lists are in `interrupting.toml`.)
    """
    text = _plain(words)
    if over:
        if not text:
            return Judged("noise", "no words")
        if is_stop(words):
            return Judged("stop", f"'{text}'")
        if _made_of(text, ("backchannel",)):
            return Judged("backchannel", f"'{text}'")
        if voice_s < SHORT_S and (_made_of(text, ("nothing",)) or _confidence(words) < UNSURE):
            return Judged("noise", f"'{text}' in {voice_s:.1f} s")
        return Judged("interruption", f"'{text}'")
    if voice_s >= decide_s and not (text and _made_of(text, ("backchannel", "nothing"))):
        return Judged("interruption", f"{voice_s:.1f} s of voice")
    return None


@cache
def interjections() -> tuple[str, ...]:
    """All that is a stop or a backchannel by itself, in English: what a short voice over a reply is likely to say."""
    stops, backchannels = (
        [phrase.replace("-", " ") for phrase in _table()[name] if phrase.isascii()] for name in ("stop", "backchannel")
    )
    return (*stops, *(f"{stop} please" for stop in stops), *backchannels)


def is_stop(words: Words) -> bool:
    """Whether all that was said is to stop: it gets no answer, however long it took to say."""
    text = _plain(words)
    return bool(text) and _made_of(text, ("stop", "beside")) and _holds(text, "stop")


def is_interjection(words: Words) -> bool:
    """Whether all that was said is to stop, or to say that one listens."""
    return is_stop(words) or _made_of(_plain(words), ("backchannel",))


def _plain(words: Words) -> str:
    return plain(re.sub(r"[^\w\s'-]+", " ", words.text))


def _confidence(words: Words) -> float:
    """The recogniser's in its words, 0 to 1; 1 where it gives none."""
    return sum(word.p for word in words.words) / len(words.words) if words.words else 1.0


def _made_of(text: str, lists: tuple[str, ...]) -> bool:
    """Whether a text is nothing but phrases of these lists, one after the other."""
    return _pattern(lists).fullmatch(text) is not None


def _holds(text: str, name: str) -> bool:
    return re.search(_pattern((name,)).pattern, text) is not None


@cache
def _table() -> dict[str, list[str]]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


@cache
def _pattern(lists: tuple[str, ...]) -> re.Pattern[str]:
    phrases = sorted((phrase for name in lists for phrase in _table()[name]), key=len, reverse=True)
    ends = [re.escape(phrase) + (r"(?!\w)" if phrase.isascii() else "") for phrase in phrases]
    return re.compile(rf"(?:(?:{'|'.join(ends)})\s*)+")


@dataclass(eq=False, slots=True)
class Claim:
    """A voice over a reply, from when it was confirmed, at `at_s`, until it is judged.

    `began_s` is where the voice began, `ended_s` where it has ended, once it has paused.
    """

    at_s: float
    began_s: float
    ended_s: float = 0.0
    paused: asyncio.Event = field(default_factory=asyncio.Event)
    judged: asyncio.Future[Judged] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def pause(self, voice_s: float) -> None:
        """The voice paused at `voice_s`: whatever it said is final."""
        self.ended_s = voice_s
        self.paused.set()

    def settle(self, judged: Judged) -> None:
        """Say what it was; the first to say so is right."""
        if not self.judged.done():
            self.judged.set_result(judged)

    async def verdict(self) -> Judged:
        """Wait for it; cancelling this does not cancel the judging."""
        return await asyncio.shield(self.judged)


async def weigh(
    claim: Claim,
    latest: Callable[[], Words],
    final: Callable[[], Awaitable[Words]],
    is_echo: Callable[[Words], bool],
    decide_s: float,
    clock: Clock,
) -> Judged:
    """Judge a claim: once it is `decide_s` old by its length and the words so far, else at its pause by its words.

    `is_echo` tells whether the assistant said them itself.
    """
    try:
        async with asyncio.timeout(max(0.0, claim.at_s + decide_s - clock.now_s())):
            await claim.paused.wait()
    except TimeoutError:
        judged = judge(latest(), clock.now_s() - claim.began_s, over=False, decide_s=decide_s)
        if judged is not None:
            return judged
        await claim.paused.wait()
    words = await final()
    if is_echo(words):
        return Judged("echo", f"'{words.text}' is what was being said")
    judged = judge(words, claim.ended_s - claim.began_s, over=True, decide_s=decide_s)
    assert judged is not None
    return judged
