"""Captions: while nobody talks, a mind that sees says in a sentence what is in a picture.

It uses the mind that answers, so it gives way: a voice, or a reply, ends it at its next word. Knows no camera.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from functools import partial

from assistant.backends import Message, Mind
from assistant.errors import EngineError
from assistant.events import Finding, Image
from assistant.prompting import prompt
from assistant.workers import Worker

SCORE = 0.5
"""how sure a caption is: minds tell no score, and say things that are not there"""
LONGEST = 300
"""characters; then it is cut at its last word"""


class Captioner:
    """A mind that sees, asked to describe pictures. `busy`: whether somebody talks or is being answered."""

    def __init__(self, mind: Worker[Mind], language: str, busy: Callable[[], bool]) -> None:
        self._mind = mind
        self._language = language
        self.busy = busy

    async def caption(self, image: Image) -> Finding | None:
        """The picture in a sentence; None where it had to give way, or the mind had nothing to say or failed."""
        mind = self._mind.model
        messages = [Message("user", prompt("caption", self._language), (image,))]
        said = ""
        try:
            pieces = self._mind.stream(partial(mind.reply, messages), cost="caption")
            async with aclosing(pieces):
                async for piece in pieces:
                    said += piece
                    if self.busy():
                        return None
                    if len(said) > LONGEST:
                        break
        except EngineError:
            return None
        text = " ".join(said.split())
        text = text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " …"
        return Finding("caption", text, SCORE) if text else None
