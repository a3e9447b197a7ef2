"""Engines that take whole recordings stream: ticks, pauses and their cost, in virtual time over a scripted engine."""

import asyncio
import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant import pacing
from assistant.agreement import MOST_S
from assistant.backends.scripted import ScriptedDecoder
from assistant.errors import EngineError
from assistant.events import Block, Words
from assistant.guards import compression
from assistant.pacing import Clock
from assistant.transcribing import Transcriber, joined
from assistant.workers import Worker

BLOCK_S = 0.032
PAUSE_S = 0.2


class Timed(ScriptedDecoder):
    """Notes when it was asked, in the loop's time."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.at_s = []

    def decode(self, pcm, language, prompt, stop):
        self.at_s.append(asyncio.get_running_loop().time())
        return super().decode(pcm, language, prompt, stop)


class Stage:
    """A transcriber on a clock that stands at 0, and what came out of it."""

    def __init__(self, worker):
        self.partial: list[Words] = []
        self.dropped: list[tuple[str, str]] = []
        self.transcriber = Transcriber(
            worker, "auto", self.partial.append, lambda text, why: self.dropped.append((text, why))
        )
        self.worker, self.engine = worker, worker.model
        self.clock = Clock()
        self.clock.start()
        self.closed_s = 0.0

    async def hear(self, pcm, began_s=0.0, pause_s=PAUSE_S):
        """Feed sound as it comes due, then a silence; a segment is closed after it. Returns when it was closed."""
        size = round(BLOCK_S * 16000)
        pcm = np.concatenate((pcm, np.zeros(round(pause_s * 16000) + size, np.float32)))
        for i in range(len(pcm) // size):
            block = Block(began_s + i * BLOCK_S, pcm[i * size : (i + 1) * size])
            await self.clock.until(block.end_s)
            self.transcriber.feed(block, float(block.pcm[-1] > 0))
        self.transcriber.close()
        self.closed_s = self.clock.now_s()


def stage(main, engine, cost_s=0.0, fast=True):
    async def run():
        worker = await Worker.start("recogniser", lambda: engine, {"recogniser.decode": cost_s})
        it = Stage(worker)
        it.transcriber.begin()
        try:
            return await main(it), it
        finally:
            worker.close()

    return pacing.run(run(), fast=fast)


SCRIPTS = (
    st.lists(st.text("abcdefghijklmn", min_size=1, max_size=3), min_size=1, max_size=50)
    .map(" ".join)
    .filter(lambda script: compression(script) < 2)
)


@settings(max_examples=60, deadline=None)
@given(SCRIPTS, st.floats(0.25, 0.4), st.floats(0, 0.15), st.floats(0, 6), st.integers(0, 2), st.floats(0, 0.05))
def test_any_turn_comes_out_whole_in_order_and_at_a_bounded_cost(script, word_s, gap_s, cost_s, wobble, blur_s):
    engine = Timed(script, wobble, blur_s)
    sound = engine.spoken(word_s, gap_s)

    async def main(it):
        await it.hear(sound)
        words = await joined(it.transcriber.segments)
        return words, it.clock.now_s()

    (words, final_s), it = stage(main, engine, cost_s)
    assert words.text == script == it.transcriber.latest.text
    times = [t for w in words.words for t in (w.began_s, w.ended_s)]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= len(sound) / 16000 + blur_s + 1e-6
    assert max(seconds for seconds, _, _ in engine.asked) <= MOST_S
    while_spoken = [at_s for at_s in engine.at_s if at_s < it.closed_s]
    assert all(b - a >= max(2 * cost_s, 0.09) - 1e-6 for a, b in pairwise(while_spoken))
    behind = max(1, round((len(sound) / 16000 - 2 * cost_s) // 8))  # a slow engine has more than a tail left
    assert final_s - it.closed_s <= behind * cost_s + 1e-6
    assert it.dropped == []


@pytest.mark.parametrize("cost_s", [0.3, 2.0])
def test_the_tenth_minute_of_a_turn_costs_what_the_first_did(cost_s):
    letters = np.random.default_rng(0).integers(97, 123, (1500, 4))  # no engine says words that pack well
    script = " ".join("".join(map(chr, word)) for word in letters)
    engine = Timed(script, wobble=2)

    async def main(it):
        await it.hear(engine.spoken(0.35, 0.05))
        words = await joined(it.transcriber.segments)
        return words, it.clock.now_s() - it.closed_s

    (words, late_s), it = stage(main, engine, cost_s)
    assert words.text == script
    assert max(seconds for seconds, _, _ in engine.asked) <= MOST_S
    assert late_s <= cost_s + 1e-6 and it.worker.busy_s <= 601 / 2 + 2 * cost_s


def test_words_show_up_while_they_are_spoken_and_grow():
    engine = ScriptedDecoder("one two three four five six")

    async def main(it):
        await it.hear(engine.spoken(0.5))
        return await joined(it.transcriber.segments)

    _, it = stage(main, engine, 0.1)
    lengths = [len(words.words) for words in it.partial]
    assert lengths == sorted(lengths) and len(set(lengths)) >= 5
    for words in it.partial:
        assert "one two three four five six".startswith(" ".join(w.text for w in words.words[:-1]))
        assert words.words[-1].ended_s <= 3.0 + 1e-6


@pytest.mark.parametrize("cost_s", [0.0, 0.05, 0.12])
def test_at_a_pause_a_tick_that_covers_all_voice_is_reused(cost_s):
    engine = Timed("one two three")

    async def main(it):
        await it.hear(engine.spoken(0.4))
        await joined(it.transcriber.segments)
        return it.clock.now_s()

    final_s, it = stage(main, engine, cost_s)
    covering_s = engine.at_s[-1]
    assert 1.2 + 0.1 <= covering_s + 1e-6 < it.closed_s
    assert final_s == pytest.approx(max(it.closed_s, covering_s + cost_s))


@pytest.mark.parametrize("cost_s", [0.9, 5.0])
def test_at_a_pause_a_tick_that_misses_voice_is_abandoned_and_costs_nothing_further(cost_s):
    engine = Timed("one two three")

    async def main(it):
        await it.hear(engine.spoken(0.3))
        await joined(it.transcriber.segments)
        return it.clock.now_s()

    final_s, it = stage(main, engine, cost_s)
    begun_s, again_s = engine.at_s
    assert begun_s < 0.9 and again_s == pytest.approx(it.closed_s)
    assert final_s == pytest.approx(it.closed_s + cost_s)
    assert it.worker.busy_s == pytest.approx(final_s - begun_s)


def test_an_abandoned_engine_is_told_to_stop():
    stopped = threading.Event()

    class Stuck(ScriptedDecoder):
        def decode(self, pcm, language, prompt, stop):
            if len(pcm) < 16000:  # a tick
                while not stop():
                    pass
                stopped.set()
            return super().decode(pcm, language, prompt, stop)

    engine = Stuck("one two three")

    async def main(it):
        await it.hear(engine.spoken(0.4))
        return await joined(it.transcriber.segments)

    words, _ = stage(main, engine, fast=False)
    assert stopped.is_set() and words.text == "one two three"


def test_a_voice_that_goes_on_is_one_recording_with_what_was_before():
    engine = ScriptedDecoder("turn on the living room lamp")
    sound = engine.spoken(0.4)

    async def main(it):
        await it.hear(sound[: 16000 + 3200])
        first = it.transcriber.segments
        before = await joined(first)
        shown = it.transcriber.latest
        await it.hear(sound[16000 + 3200 :], began_s=1.8)
        assert len(it.transcriber.segments) == 1 and it.transcriber.segments != first
        return before, shown, await joined(it.transcriber.segments), await joined(first)

    (before, shown, after, still), it = stage(main, engine, 0.1)
    assert before.text == shown.text == still.text == "turn on the"
    assert after.text == "turn on the living room lamp"
    assert [w.began_s for w in after.words[3:]] == pytest.approx([1.8, 2.2, 2.6], abs=0.04)
    assert all(words.text.startswith("turn on the") for words in it.partial[-2:])


def test_sound_that_is_handed_in_twice_is_heard_once():
    engine = ScriptedDecoder("one two three")
    sound = np.concatenate((engine.spoken(0.4)[:12800], np.zeros(3200, np.float32), engine.spoken(0.4)[12800:]))

    async def main(it):
        await it.hear(sound[:12800])
        await it.hear(sound[12800:], began_s=0.8)  # as the sound before an onset is
        return await joined(it.transcriber.segments)

    assert stage(main, engine)[0].text == "one two three"


def test_what_was_said_before_is_the_prompt_where_the_voice_stayed_away_long():
    engine = ScriptedDecoder("one two three four")
    sound = engine.spoken(0.4)

    async def main(it):
        await it.hear(sound[:12800])
        await it.hear(sound[12800:], began_s=9.0)
        return len(it.transcriber.segments), await joined(it.transcriber.segments)

    (count, words), _ = stage(main, engine)
    assert (count, words.text) == (2, "one two three four")
    assert engine.asked[-1][2] == "one two"


@pytest.mark.parametrize("voice_s", [0.0, 0.032, 0.128])
def test_next_to_no_voice_is_not_even_asked_about(voice_s):
    engine = ScriptedDecoder("invented")

    async def main(it):
        await it.hear(engine.spoken(1.0)[: round(voice_s * 16000)])
        return await joined(it.transcriber.segments)

    words, it = stage(main, engine)
    assert words.text == "" and engine.asked == []
    assert it.dropped == [("", f"{voice_s:.2f} s of voice, wanted 0.15")]


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        (ScriptedDecoder("thank you for watching", mean_logp=-1.5), "mean log-probability -1.50, wanted -1"),
        (ScriptedDecoder("thank you for watching", mean_logp=float("nan")), "mean log-probability nan, wanted -1"),
        (ScriptedDecoder("thank you for watching", no_speech_p=0.95), "no speech by 0.95, wanted at most 0.9"),
        (ScriptedDecoder("thank you " * 12), "repeats itself: packs "),
    ],
)
def test_what_is_not_believed_is_dropped_with_its_reason(engine, why):
    async def main(it):
        await it.hear(engine.spoken(0.3))
        return await joined(it.transcriber.segments)

    words, it = stage(main, engine, 9.0)
    assert words.text == it.transcriber.latest.text == ""
    ((text, reason),) = it.dropped
    assert "thank you" in text and reason.startswith(why)


def test_an_error_of_the_engine_ends_the_segment_and_not_the_next_one():
    class Broken(ScriptedDecoder):
        def decode(self, pcm, language, prompt, stop):
            if len(self.asked) == 0:
                self.asked.append((0.0, "", ""))
                raise EngineError("out of memory")
            return super().decode(pcm, language, prompt, stop)

    engine = Broken("one two three")

    async def main(it):
        await it.hear(engine.spoken(0.4))
        with pytest.raises(EngineError, match="out of memory"):
            await joined(it.transcriber.segments)
        it.transcriber.begin()
        await it.hear(engine.spoken(0.4), began_s=3.0)
        return await joined(it.transcriber.segments)

    assert stage(main, engine)[0].text == "one two three"


def test_a_dropped_turn_is_not_asked_about_any_further():
    engine = ScriptedDecoder("one two three four")

    async def main(it):
        hearing = asyncio.create_task(it.hear(engine.spoken(0.4)))
        await asyncio.sleep(0.7)  # virtual: the first tick is under way
        it.transcriber.drop()
        hearing.cancel()
        await asyncio.sleep(5)
        return it.transcriber.latest

    words, it = stage(main, engine, 0.5)
    assert words.text == "" and it.partial == [] and len(engine.asked) == 1
    assert it.worker.busy_s < 0.5
