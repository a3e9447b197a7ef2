"""A voice for the languages it speaks, and another for the others: nobody is left without an answer for want of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from assistant.backends import Speech, Stop, Voice


class TwoVoices:
    """The `Voice` seam over two others. `first` speaks what it can, `second` the rest; sound comes in pieces where the
    one that speaks makes pieces.
    """

    def __init__(self, first: Voice, second: Voice) -> None:
        self.languages = tuple(dict.fromkeys((*first.languages, *second.languages)))
        self._first, self._second = first, second

    def synthesise(self, text: str, language: str, stop: Stop) -> Speech:
        """The sound of a text, by whoever speaks the language. Raises what that voice raises."""
        return self._of(language).synthesise(text, language, stop)

    def stream(self, text: str, language: str, stop: Stop) -> Iterator[tuple[int, Speech]]:
        """The sound in pieces, each with where it ends in the text; one piece of a voice that makes no pieces."""
        voice = self._of(language)
        if hasattr(voice, "stream"):
            yield from voice.stream(text, language, stop)
        elif len((speech := voice.synthesise(text, language, stop)).pcm):
            yield len(text), speech

    def close(self) -> None:
        """Close those of both that can be closed."""
        for voice in (self._first, self._second):
            getattr(voice, "close", lambda: None)()

    def _of(self, language: str) -> Any:
        return self._first if language in self._first.languages else self._second
