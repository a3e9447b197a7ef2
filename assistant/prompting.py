"""History, sight and persona -> messages that fit the mind's budget; pure but for reading the prompt files.

Every word the model is told lies in `prompts/NAME.LANGUAGE.md`. Order: system, history, what is seen, the words just
said, so that the prefix stays the same from turn to turn. Knows no engine: a token counter is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from assistant import packaged
from assistant.backends import Message
from assistant.events import Exchange, Image


@cache
def prompt(name: str, language: str = "en") -> str:
    """The text of `prompts/NAME.LANGUAGE.md`, stripped; English where a language has none. KeyError if unknown."""
    for tongue in (language, "en"):
        file = packaged("prompts") / f"{name}.{tongue}.md"
        if file.is_file():
            return file.read_text(encoding="utf-8").strip()
    raise KeyError(f"no prompt '{name}' in {packaged('prompts')}")


def compose(
    said: str,
    exchanges: Sequence[Exchange],
    *,
    language: str,
    seen: str = "",
    images: Sequence[Image] = (),
    budget_tokens: int,
    count: Callable[[str], int],
) -> list[Message]:
    """The messages for a turn, at most about `budget_tokens` long (images not counted).

    The system prompt and the words just said always stay; of the history the newest exchanges that fit, as heard and
    not as generated. `seen` is what the senses found, as text; it stands in the last message, quoted as data.
    """
    system = prompt("system", language)
    now = prompt("seen", language).replace("{seen}", seen).replace("{said}", said) if seen else said
    left = budget_tokens - count(system) - count(now)
    history: list[Message] = []
    for exchange in reversed(exchanges):
        left -= count(exchange.said) + count(exchange.heard) + 8  # 8: about what a chat template adds to two messages
        if left < 0:
            break
        heard = exchange.heard + (" " + prompt("cut", language) if exchange.cut else "")
        history[:0] = [Message("user", exchange.said), Message("assistant", heard.strip())]
    return [Message("system", system), *history, Message("user", now, tuple(images))]
