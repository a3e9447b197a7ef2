"""Segments of a turn become words, partial and final, whatever the recogniser's pace."""

import asyncio
from typing import ClassVar

import numpy as np
import pytest

from assistant import pacing
from assistant.backends.scripted import ScriptedRecogniser
from assistant.errors import EngineError
from assistant.events import Block, Words
from assistant.pacing import Clock
from assistant.transcribing import Transcriber, joined
from assistant.workers import Worker


def blocks(from_s, to_s, step_s=0.032):
    size = int(step_s * 16000)
    return [Block(from_s + i * step_s, np.full(size, 0.1, np.float32)) for i in range(int((to_s - from_s) / step_s))]


def transcribe(main, recogniser, costs=None, fast=True):
    async def run():
        seen: list[Words] = []
        worker = await Worker.start("recogniser", lambda: recogniser, costs)
        clock = Clock()
        clock.start()
        result = await main(Transcriber(worker, "auto", seen.append), clock)
        worker.close()
        return result, seen

    return pacing.run(run(), fast=fast)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("cost_s", [0.0, 0.2])
def test_segments_are_joined_and_their_times_are_the_sessions(fast, cost_s):
    async def main(transcriber, clock):
        transcriber.begin()
        for block in blocks(5.0, 6.0):
            transcriber.feed(block)
            await asyncio.sleep(0)
        transcriber.close()
        for block in blocks(7.0, 8.0):
            transcriber.feed(block)
        transcriber.close()
        return await joined(transcriber.segments)

    recogniser = ScriptedRecogniser(["tell me more", "about the sea"])
    words, seen = transcribe(main, recogniser, {"recogniser.feed": cost_s, "recogniser.finish": cost_s}, fast)
    assert words.text == "tell me more about the sea"
    began = [w.began_s for w in words.words]
    assert began == sorted(began) and began[0] == pytest.approx(5.0) and 7.0 <= began[3] <= 8.0
    assert all("tell me more about the sea".startswith(w.text) for w in seen)


def test_a_slow_recogniser_gets_what_waited_as_one_piece():
    class Slow(ScriptedRecogniser):
        sizes: ClassVar[list[int]] = []

        def feed(self, segment, pcm):
            self.sizes.append(len(pcm))
            return super().feed(segment, pcm)

    async def main(transcriber, clock):
        transcriber.begin()
        for block in blocks(0.0, 2.0):
            await clock.until(block.at_s)
            transcriber.feed(block)
        transcriber.close()
        return await joined(transcriber.segments)

    recogniser = Slow(["one two three"])
    words, _ = transcribe(main, recogniser, {"recogniser.feed": 0.5})
    assert words.text == "one two three"
    assert len(Slow.sizes) <= 6 and sum(Slow.sizes) == len(blocks(0, 2)) * 512


def test_a_dropped_turn_leaves_nothing_and_the_next_one_starts_afresh():
    async def main(transcriber, clock):
        transcriber.begin()
        for block in blocks(0, 1):
            transcriber.feed(block)
        await asyncio.sleep(0)
        transcriber.drop()
        assert transcriber.segments == ()
        transcriber.begin()
        for block in blocks(3, 4):
            transcriber.feed(block)
        transcriber.close()
        return await joined(transcriber.segments)

    words, _ = transcribe(main, ScriptedRecogniser(["a cough", "real words"]))
    assert words.text == "real words" and words.words[0].began_s == pytest.approx(3.0)


def test_an_error_reaches_everyone_who_waits_and_nobody_else():
    class Broken(ScriptedRecogniser):
        def finish(self, segment):
            raise EngineError("out of memory")

    async def main(transcriber, clock):
        transcriber.begin()
        for block in blocks(0, 1):
            transcriber.feed(block)
        transcriber.close()
        for _ in range(2):
            with pytest.raises(EngineError, match="out of memory"):
                await joined(transcriber.segments)

    transcribe(main, Broken())


def test_cancelling_who_waits_keeps_the_segment_for_the_next():
    async def main(transcriber, clock):
        transcriber.begin()
        for block in blocks(0, 1):
            transcriber.feed(block)
        transcriber.close()
        first = asyncio.create_task(joined(transcriber.segments))
        await asyncio.sleep(0.01)
        first.cancel()
        await asyncio.wait({first})
        return await joined(transcriber.segments)

    words, _ = transcribe(main, ScriptedRecogniser(["still here"]), {"recogniser.finish": 0.5})
    assert words.text == "still here"


def test_chinese_segments_are_joined_without_spaces():
    async def main(transcriber, clock):
        transcriber.begin()
        for at_s in (0, 2):
            for block in blocks(at_s, at_s + 1):
                transcriber.feed(block)
            transcriber.close()
        return await joined(transcriber.segments)

    words, _ = transcribe(main, ScriptedRecogniser(["打开", "客厅的灯"]))
    assert (words.text, words.language) == ("打开客厅的灯", "zh")
