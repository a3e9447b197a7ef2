"""The audio clock stays with the microphone's samples, whatever quartz they are counted by."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.backends.files import FileMicrophone, SilentSpeaker, read_sound
from assistant.backends.scripted import ScriptedMicrophone
from assistant.pacing import SLEW, Clock, Following, run

HOUR_S = 3600.0


def follow(seconds: float, drift_ppm: float, jitter_s: float, block_s: float = 0.128) -> list[tuple[float, float]]:
    """What the clock shows and what the microphone's quartz does, at moments between the blocks."""

    async def main() -> list[tuple[float, float]]:
        clock, loop = Clock(), asyncio.get_running_loop()
        microphone = ScriptedMicrophone(clock, (), block_s=block_s, drift_ppm=drift_ppm, jitter_s=jitter_s, seed=4)
        seen: list[tuple[float, float]] = []
        began_at = loop.time()
        async for block in microphone.blocks():
            seen.append((clock.now_s(), (loop.time() - began_at) / (1 + drift_ppm / 1e6)))
            if block.end_s >= seconds:
                microphone.close()
        return seen

    return run(main(), fast=True)


@pytest.mark.parametrize("drift_ppm", [-100, -20, 0, 100])
def test_over_an_hour_the_clock_stays_within_20_ms_of_the_microphone(drift_ppm: float) -> None:
    seen = follow(HOUR_S, drift_ppm, jitter_s=0.03)
    assert seen[-1][0] == pytest.approx(HOUR_S, abs=0.1)
    assert max(abs(shown - true) for shown, true in seen) < 0.02
    assert all(a <= b for (a, _), (b, _) in pairwise(seen))


def test_without_drift_the_clock_is_the_machines_to_the_last_digit() -> None:
    assert all(shown == true for shown, true in follow(60.0, 0.0, 0.0, block_s=0.01))


def test_a_first_block_that_came_late_is_made_up_for() -> None:
    """The zero is set when the first block comes; the others cannot have been heard after they came."""

    async def main() -> float:
        clock, loop = Clock(), asyncio.get_running_loop()
        began_at = loop.time()
        await asyncio.sleep(0.25)
        clock.start()
        for end in range(1, 7000):
            await asyncio.sleep(max(0.0, began_at + end / 100 - loop.time()))
            clock.heard(end / 100)
        return loop.time() - began_at - clock.now_s()

    assert run(main(), fast=True) == pytest.approx(0.0, abs=0.002)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 3), st.floats(-1, 5)), max_size=60))
def test_it_never_goes_back_nor_hurries(blocks: list[tuple[float, float]]) -> None:
    following, passed_s, shown_s = Following(), 0.0, 0.0
    for wait_s, late_s in blocks:
        passed_s += wait_s
        now_s = passed_s + following.at(passed_s)
        assert (1 - SLEW) * wait_s - 1e-9 <= now_s - shown_s <= (1 + SLEW) * wait_s + 1e-9
        following = following.heard(passed_s - late_s, passed_s)
        shown_s = passed_s + following.at(passed_s)
        assert shown_s == pytest.approx(now_s, abs=1e-9)


def test_waiting_is_by_the_microphones_time() -> None:
    async def main() -> tuple[float, float]:
        clock = Clock()
        microphone = ScriptedMicrophone(clock, (), drift_ppm=4000, jitter_s=0.0)

        async def hear() -> None:
            async for block in microphone.blocks():
                if block.end_s > 40:
                    microphone.close()

        hearing = asyncio.create_task(hear())
        await clock.until(0.0)
        await clock.until(30.0)
        woke = clock.now_s(), asyncio.get_running_loop().time()
        await hearing
        return woke

    shown_s, machine_s = run(main(), fast=True)
    assert shown_s == pytest.approx(30.0, abs=0.002)
    assert machine_s == pytest.approx(30.0 * 1.004, abs=0.05)


def test_a_loudspeaker_of_files_keeps_the_microphones_time() -> None:
    async def main() -> tuple[int, float]:
        clock = Clock()
        speaker = SilentSpeaker(clock)
        microphone = ScriptedMicrophone(clock, (), block_s=0.128, drift_ppm=100, jitter_s=0.03)
        end_s = 0.0
        async for block in microphone.blocks():
            end_s = block.end_s
            if end_s >= HOUR_S:
                microphone.close()
        return speaker._sounded(), end_s

    samples, end_s = run(main(), fast=True)
    assert samples / 24_000 == pytest.approx(end_s, abs=0.05)


def test_a_recording_is_paced_by_the_clock_and_does_not_set_it(shared) -> None:
    async def main() -> bool:
        clock, loop = Clock(), asyncio.get_running_loop()
        microphone = FileMicrophone(read_sound(shared / "data/speech/en_jfk.flac"), clock)
        same = True
        async for _ in microphone.blocks():
            same = same and clock.now_s() == loop.time()
            if microphone.over:
                microphone.close()
        return same

    assert run(main(), fast=True)
