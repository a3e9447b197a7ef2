"""A microphone with a switch: muted by a key, or open only while a key says so (push to talk).

A terminal does not tell when a key is let go, so that one press opens and the next closes. Knows keys as characters;
where they come from is `backends/keys`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from assistant.backends import Microphone
from assistant.backends.passing import PassingMicrophone
from assistant.events import Block

MUTE, PUSH, END = "m", " ", "q"
"""the keys; `q` ends the talk as Ctrl-C does"""


class SwitchedMicrophone(PassingMicrophone):
    """Hears silence while it is muted, or (`push_to_talk`) not pushed; `tell` is called with True when it goes deaf and
    with False when it hears again.
    """

    def __init__(
        self, microphone: Microphone, *, push_to_talk: bool = False, tell: Callable[[bool], None] = lambda _: None
    ) -> None:
        super().__init__(microphone)
        self._push_to_talk = push_to_talk
        self._tell = tell
        self._muted = self._pushed = False

    @property
    def deaf(self) -> bool:
        """It hears silence now."""
        return self._muted or (self._push_to_talk and not self._pushed)

    @property
    def let_go(self) -> bool:
        """Push to talk is closed: what was said is over at once, however short the silence."""
        return self._push_to_talk and not self._pushed

    def press(self, key: str) -> None:
        """What a key does: `m` mutes or takes that back, the space bar opens or closes where one must push to talk."""
        before = self.deaf
        if key.lower() == MUTE:
            self._muted = not self._muted
        elif key == PUSH and self._push_to_talk:
            self._pushed = not self._pushed
        if self.deaf != before:
            self._tell(self.deaf)

    def _passed(self, block: Block) -> Block:
        return Block(block.at_s, np.zeros_like(block.pcm), block.rate_hz) if self.deaf else block
