"""Keeping a mind's reasoning out of its reply, while both are streaming.

Knows the tags that open models put around their thinking; knows nothing of phrases and voices.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_NAMES = ("think", "thinking", "thought", "thoughts", "reasoning", "reflection", "scratchpad")
_CLOSING = {
    **{f"<{name}>": f"</{name}>" for name in _NAMES},
    "[think]": "[/think]",
    "◁think▷": "◁/think▷",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|channel>": "<channel|>",
}
"""opening tag -> closing tag"""
_HEADERS = ("<|channel|>", "<|start|>")
"""harmony's: a header follows, up to `<|message|>`, and says whether what comes then is meant for the user"""
_TAGS = (*_CLOSING, *_CLOSING.values())
_TAG = re.compile("|".join(map(re.escape, _TAGS)) + r"|<\|[a-z0-9_]{1,40}\|>", re.IGNORECASE)
_BEGUN = re.compile(r"<(?:\|(?:[a-z0-9_]{0,40}\|?)?)?$", re.IGNORECASE)
_LONGEST_TAG = 44
_FIRST_CHARS = "<[◁"


def is_tag(text: str) -> bool:
    """Whether a text is a tag that begins or ends thinking, or a header of harmony's."""
    return text.lower() in (*_TAGS, *_HEADERS, "<|message|>")


def left_open(prompt: str) -> bool:
    """Whether a prompt ends inside thinking, so that what a mind says next is hidden until it closes it."""
    tags = [found[0].lower() for found in _TAG.finditer(prompt) if found[0].lower() in _TAGS]
    return bool(tags) and tags[-1] in _CLOSING and prompt.rstrip().lower().endswith(tags[-1])


class SpokenOnly:
    """What of a token stream is reply: thinking and control tokens are dropped, the rest is kept verbatim but for white
    space at either end. What is withheld between two pieces is at most the beginning of a tag and white space.

    Thinking that is never closed is dropped to the end. A closing tag that nothing opened is dropped alone: what came
    before it may have been spoken already. For a mind whose prompt ends in an opening tag, say `starts_thinking=True`.
    """

    def __init__(self, *, starts_thinking: bool = False) -> None:
        self._pending = ""
        self._space: str = ""
        self._began = False
        self._until: str | None = "</think>" if starts_thinking else None
        """the tag that ends what is hidden now; `<|message|>` while in a header"""
        self._header = ""

    @property
    def hidden(self) -> bool:
        """What comes now is no reply, but thinking or a header."""
        return self._until is not None

    def feed(self, piece: str) -> str:
        """The next piece of the stream; returns what of the reply is now certain, perhaps nothing."""
        self._pending += piece
        out: list[str] = []
        while (tag := _TAG.search(self._pending)) is not None:
            self._text(self._pending[: tag.start()], out)
            self._pending = self._pending[tag.end() :]
            self._switch(tag[0].lower())
        keep = _tag_begun(self._pending)
        self._text(self._pending[:keep], out)
        self._pending = self._pending[keep:]
        return self._trimmed("".join(out))

    def finish(self) -> str:
        """The stream is over; returns the rest of the reply."""
        out: list[str] = []
        self._text(self._pending, out)
        self._pending = ""
        return self._trimmed("".join(out))

    def _text(self, text: str, out: list[str]) -> None:
        if self._until is None:
            out.append(text)
        elif self._until == "<|message|>":
            self._header += text

    def _switch(self, tag: str) -> None:
        if tag in _HEADERS and self._until != "</think>":
            self._until, self._header = "<|message|>", ""
        elif tag == "<|message|>" and self._until == tag:
            meant_for_user = self._header.strip().lower().startswith(("final", "assistant"))
            self._until = None if meant_for_user else "<|end|>"
        elif self._until is None:
            self._until = _CLOSING.get(tag)
        elif tag == self._until or (tag in _CLOSING.values() and self._until in _CLOSING.values()):
            self._until = None

    def _trimmed(self, text: str) -> str:
        """`text` with white space withheld until something follows it."""
        if not self._began:
            text = text.lstrip()
        text = self._space + text
        kept = text.rstrip()
        self._space = text[len(kept) :] if kept or self._began else ""
        if not kept:
            return ""
        self._began = True
        return kept


def _tag_begun(text: str) -> int:
    """Where a tag may have begun at the end of `text`; its length where none has."""
    first = max(0, len(text) - _LONGEST_TAG)
    for at in range(first, len(text)):
        if text[at] in _FIRST_CHARS:
            rest = text[at:].lower()
            if _BEGUN.match(rest) or any(tag.startswith(rest) for tag in _TAGS):
                return at
    return len(text)


def spoken_only(pieces: Iterable[str]) -> Iterator[str]:
    """The pieces of a reply without its thinking; joined, they are the reply."""
    spoken = SpokenOnly()
    for piece in pieces:
        if text := spoken.feed(piece):
            yield text
    if text := spoken.finish():
        yield text
