"""The end of a turn without a model of sound: nothing is made of how it sounds, words and silence decide."""

from __future__ import annotations

from assistant.events import Samples


class WordsAlone:
    """The `EndOfTurn` seam where its model is not to be had, or not wanted."""

    def over(self, pcm: Samples) -> None:
        """No opinion."""
