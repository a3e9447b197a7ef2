"""A microphone behind another: what is common to all that change its blocks on their way.

Knows nothing of what is changed; `echo` and `muting` do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from assistant.backends import Microphone
from assistant.events import HEARING_RATE_HZ, Block


class PassingMicrophone(ABC):
    """A microphone whose blocks pass `_passed` one by one; times and lengths stay as they are."""

    over = False

    def __init__(self, microphone: Microphone) -> None:
        self._microphone = microphone
        self.rate_hz: int = getattr(microphone, "rate_hz", HEARING_RATE_HZ)

    @property
    def source(self) -> Microphone:
        """The microphone that all of it comes from."""
        return getattr(self._microphone, "source", self._microphone)

    async def blocks(self) -> AsyncIterator[Block]:
        """The other microphone's blocks, changed."""
        async for block in self._microphone.blocks():
            self.over = self._microphone.over
            yield self._passed(block)

    @property
    def lost(self) -> bool:
        """The other microphone is gone, and waited for."""
        return getattr(self._microphone, "lost", False)

    @property
    def let_go(self) -> bool:
        """Whoever spoke has said so by a key: the turn is over at once."""
        return getattr(self._microphone, "let_go", False)

    @property
    def settled(self) -> bool:
        """Whether an echo in it, if there is one, is being cancelled by now."""
        return getattr(self._microphone, "settled", True)

    def close(self) -> None:
        """Close the other microphone."""
        self._microphone.close()

    @abstractmethod
    def _passed(self, block: Block) -> Block: ...
