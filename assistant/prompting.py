"""History, sight and persona -> messages that fit the mind's budget; pure but for reading the prompt files.

Every word the model is told lies in `prompts/NAME.LANGUAGE.md`. Order: system, history, what is seen, the words just
said, so that the prefix stays the same from turn to turn. Knows no engine: a token counter is handed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

from assistant import packaged
from assistant.backends import Message
from assistant.events import Exchange, Image

_MARK = re.compile(r"[<\[](?=[|/!<A-Za-z_])")
_QUOTES = re.compile(r'"{2,}|`{3,}')
TEMPLATE_TOKENS = 5
"""about what a chat template adds to a message"""


@cache
def prompt(name: str, language: str = "en") -> str:
    """The text of `prompts/NAME.LANGUAGE.md`, stripped; English where a language has none. KeyError if unknown."""
    for tongue in (language, "en"):
        file = packaged("prompts") / f"{name}.{tongue}.md"
        if file.is_file():
            return file.read_text(encoding="utf-8").strip()
    raise KeyError(f"no prompt '{name}' in {packaged('prompts')}")


def opening(language: str, *, free: bool) -> list[Message]:
    """How every prompt begins: the system prompt, and for a mind that is not `free` a few examples of good answers."""
    system = prompt("system", language)
    if free:  # one that is not is held to a grammar, and each word more costs it time
        return [Message("system", f"{system} {prompt('trust', language)}")]
    examples = (line.partition(": ") for line in prompt("examples", language).splitlines())
    return [Message("system", system), *(Message(role, text) for role, _, text in examples)]


def quoted(text: str) -> str:
    """Text out of a picture or a talk such that no mind takes it for a mark of its template, or for the end of the data
    that it stands in: `<|im_end|>`, `</s>`, `[INST]`, three quotes.
    """
    return _QUOTES.sub("'", _MARK.sub(r"\g<0> ", text))


def compose(
    said: str,
    exchanges: Sequence[Exchange],
    *,
    language: str,
    free: bool = True,
    seen: str = "",
    images: Sequence[Image] = (),
    budget_tokens: int,
    count: Callable[[str], int],
) -> list[Message]:
    """The messages for a turn, at most about `budget_tokens` long (images not counted).

    The opening and the words just said always stay; of the history what `recent` leaves, as heard and not as generated.
    `seen` is what the senses found, as text; it stands in the last message, marked as data.
    """
    said, seen = quoted(said), quoted(seen)
    now = prompt("seen", language).replace("{said}", said).replace("{seen}", seen) if seen else said
    begin = opening(language, free=free)
    left = budget_tokens - sum(count(m.text) + TEMPLATE_TOKENS for m in begin) - count(now)
    history: list[Message] = []
    for exchange in recent(exchanges, left, count):
        cut = prompt("cut", language) if free else "…"  # a small mind would say the words after it
        heard = exchange.heard + (" " + cut if exchange.cut else "")
        history += [Message("user", quoted(exchange.said)), Message("assistant", quoted(heard.strip()))]
    return [*begin, *history, Message("user", now, tuple(images))]


def recent(exchanges: Sequence[Exchange], budget_tokens: int, count: Callable[[str], int]) -> Sequence[Exchange]:
    """The newest exchanges that fit. What no longer fits goes in one step down to half of the budget, so that the
    prompt keeps its beginning, and a mind what it computed for it, for many turns.
    """
    begin, total, costs = 0, 0, [count(e.said) + count(e.heard) + 2 * TEMPLATE_TOKENS for e in exchanges]
    for i, cost in enumerate(costs):
        total += cost
        if total > budget_tokens:
            while begin <= i and total > budget_tokens // 2:
                total -= costs[begin]
                begin += 1
    return exchanges[begin:]
