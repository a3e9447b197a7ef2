"""A phrase said through a loudspeaker to the end, whatever becomes of the loudspeaker meanwhile: for `assistant say`.

In a talk, what was lost with a loudspeaker stays unsaid, and the talk goes on; here it is all there is to say. Knows
the seam, no device.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from assistant.backends import Speaker
from assistant.errors import DeviceError
from assistant.events import Phrase

BACK_S = 30.0
"""a loudspeaker that went away is waited for so long: to plug it in again takes some seconds"""


async def say_through(speaker: Speaker, phrase: Phrase, tell: Callable[[str], None], back_s: float = BACK_S) -> None:
    """Say a phrase to the end; after a loss, from its beginning as soon as the loudspeaker is back.

    The first loss is told, in a line. Raises DeviceError where it does not come back within `back_s`.
    """
    told = False
    while True:
        if getattr(speaker, "lost", False) and not told:
            tell(f"the loudspeaker is gone; plug it in, it is waited for ({back_s:g} s)")
            told = True
        try:
            async with asyncio.timeout(back_s):
                await speaker.play(phrase)  # waits while it is gone
        except TimeoutError as error:
            raise DeviceError(
                f"wanted to be heard to the end, the loudspeaker was gone and not back within {back_s:g} s; plug it in "
                "and try again, or write it: -o FILE.wav"
            ) from error
        try:
            await speaker.drain()
            return
        except DeviceError:
            speaker.stop()
