"""A reply as it comes into being: the mind's pieces, phrases, sound, each while the one before is still at work.

Nothing here waits for a gate or touches a loudspeaker: `conversation` does. Knows the seams, and no engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

from assistant.backends import Message, Mind, Streams, Voice
from assistant.events import Phrase
from assistant.fusing import Fusion
from assistant.speaking import ReplyText, Span, Spoken, make_phrase
from assistant.workers import Worker

T = TypeVar("T")


async def think(
    mind: Worker[Mind], messages: list[Message], fusion: Fusion, text: ReplyText, due: asyncio.Event | None = None
) -> AsyncGenerator[Span]:
    """The mind's reply as phrases, each a span of `text.generated`, which grows as it is thought.

    `due`: set once somebody waits for it (see `decided`).
    """
    pieces = mind.stream(lambda stop: mind.model.reply(messages, stop, fusion.grammar), cost="reply")
    async with aclosing(decided(pieces, fusion.sentences, due)) as chosen:
        async for piece in chosen:
            for span in text.feed(piece):
                yield span
    for span in text.finish():
        yield span


async def recite(sentence: str, text: ReplyText) -> AsyncGenerator[Span]:
    """A sentence that needs no mind, as phrases."""
    for span in (*text.feed(sentence), *text.finish()):
        yield span


async def decided(
    pieces: AsyncGenerator[str], sentences: Sequence[str], due: asyncio.Event | None = None
) -> AsyncGenerator[str]:
    """The pieces, until only one of the sentences that are admitted begins so: then all of that one, at once.

    `sentences` are what a grammar admits, all of them true, the best first; without any the pieces come as they are.
    One alone needs no mind, and once `due` is set somebody waits: the first that begins as the mind has begun will do.
    """
    said = ""
    async with aclosing(pieces):
        if not sentences:
            async for piece in pieces:
                yield piece
            return
        if len(sentences) == 1:
            yield sentences[0]
            return
        async for piece in _until(pieces, due):
            fitting = [s for s in sentences if s.startswith((said + piece).lstrip())]
            if len(fitting) == 1:
                break
            said += piece
            yield piece
        else:
            fitting = [s for s in sentences if s.startswith(said.lstrip())]
        if fitting:
            yield fitting[0][len(said.lstrip()) :]


async def _until(pieces: AsyncGenerator[str], due: asyncio.Event | None) -> AsyncGenerator[str]:
    """The pieces that come before `due` is set."""
    waiting = asyncio.ensure_future((due or asyncio.Event()).wait())
    coming: asyncio.Future[str] | None = None
    try:
        while not waiting.done():
            coming = asyncio.ensure_future(anext(pieces))
            await asyncio.wait({waiting, coming}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                return
            try:
                yield coming.result()
            except StopAsyncIteration:
                return
    finally:
        waiting.cancel()
        if coming is not None and not coming.done():
            coming.cancel()
            await asyncio.wait({coming})


async def ahead(source: AsyncGenerator[T], size: int = 2) -> AsyncGenerator[T]:
    """Iterate over `source` in a task of its own, at most `size` items ahead of whoever takes them."""
    room, items = asyncio.Semaphore(size), asyncio.Queue[tuple[T] | None]()

    async def pump() -> None:
        async with aclosing(source):
            async for item in source:
                await room.acquire()
                items.put_nowait((item,))

    task = asyncio.create_task(pump())
    task.add_done_callback(lambda _: items.put_nowait(None))
    try:
        while (item := await items.get()) is not None:
            room.release()
            yield item[0]
        task.result()
    finally:
        task.cancel()


async def voiced(voice: Worker[Voice], begin: int, spoken: Spoken, language: str) -> AsyncGenerator[Phrase]:
    """What begins at character `begin` of a reply, as sound: in pieces where the voice makes it so."""
    if not isinstance(voice.model, Streams):
        speech = await voice.stoppable(voice.model.synthesise, spoken.text, language, cost="synthesise")
        yield make_phrase(begin, spoken, speech)
        return
    done = 0
    async with aclosing(voice.stream(voice.model.stream, spoken.text, language, cost="synthesise")) as pieces:
        async for end, speech in pieces:
            yield make_phrase(begin, spoken.part(done, end), speech)
            done = end
