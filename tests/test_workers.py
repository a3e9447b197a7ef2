"""Workers: cancelling never waits for a thread, and in virtual time work costs what its table says."""

import asyncio
import threading
import time

import pytest

from assistant import pacing
from assistant.workers import Worker


def run(main, fast=False):
    return pacing.run(main, fast=fast)


def test_a_job_runs_on_the_workers_own_thread_and_its_result_comes_back():
    async def main():
        worker = await Worker.start("mind", threading.get_ident)
        assert worker.model == await worker.call(threading.get_ident) != threading.get_ident()
        worker.close()

    run(main())


def test_each_piece_of_work_is_noted_under_its_entry_in_the_cost_table():
    async def main():
        worker, noted = Worker("mind"), []
        worker.note = lambda cost, began_s, ended_s: noted.append((cost, ended_s - began_s))
        await worker.call(lambda: 1, cost="prefill")
        assert [piece async for piece in worker.stream(lambda stop: iter("abc"), cost="reply")] == ["a", "b", "c"]
        worker.close()
        assert [cost for cost, _ in noted] == ["mind.prefill", "mind.reply.first", "mind.reply.next", "mind.reply.next"]
        assert all(0 <= took_s < 5 for _, took_s in noted)

    run(main())


def test_an_error_comes_out_where_the_job_was_asked_for():
    async def main():
        worker = Worker("mind")
        with pytest.raises(ZeroDivisionError):
            await worker.call(lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            async for _ in worker.stream(lambda stop: (1 / n for n in (1, 0))):
                pass
        assert await worker.call(lambda: "goes on") == "goes on"

    run(main())


def test_cancelling_does_not_wait_for_a_stuck_job_and_drops_queued_ones():
    async def main():
        worker, release, ran = Worker("mind"), threading.Event(), []
        stuck = asyncio.create_task(worker.call(release.wait, 30))
        await asyncio.sleep(0)
        queued = asyncio.create_task(worker.call(ran.append, "queued"))
        await asyncio.sleep(0.05)  # let the thread take the first job: this is about a real thread
        began = time.monotonic()
        stuck.cancel()
        queued.cancel()
        await asyncio.wait({stuck, queued})
        took_s = time.monotonic() - began
        release.set()
        assert await worker.call(lambda: "next") == "next"
        assert ran == []
        assert took_s < 5

    run(main())


def test_a_stream_that_is_left_is_told_to_stop_and_closed_on_its_own_thread():
    closed = []

    def count(stop):
        try:
            n = 0
            while not stop():
                yield n
                n += 1
        finally:
            closed.append(threading.current_thread().name)

    async def main():
        worker = Worker("mind")
        stream = worker.stream(count)
        assert [await anext(stream) for _ in range(3)] == [0, 1, 2]
        await stream.aclose()
        await worker.call(lambda: None)  # the thread is free again
        assert closed == ["assistant-mind"]

    run(main())


@pytest.mark.parametrize("cost", [0.0, 0.25])
def test_in_virtual_time_work_costs_what_the_table_says(cost):
    async def main():
        worker = Worker("mind", {"mind.call": cost, "mind.stream.first": 2 * cost, "mind.stream.next": cost})
        loop = asyncio.get_running_loop()
        await worker.call(lambda: None)
        called_s = loop.time()
        times = [loop.time() async for _ in worker.stream(lambda stop: iter("abc"))]
        return called_s, times, worker.busy_s

    called_s, times, busy_s = run(main(), fast=True)
    assert called_s == pytest.approx(cost)
    assert times == pytest.approx([3 * cost, 4 * cost, 5 * cost])
    assert busy_s == pytest.approx(6 * cost)


def test_virtual_time_stands_still_while_work_is_done_and_jumps_when_idle():
    async def main():
        began, loop = time.monotonic(), asyncio.get_running_loop()
        await asyncio.gather(*(asyncio.sleep(s) for s in (600.0, 1200.0, 0.5)))
        return loop.time(), time.monotonic() - began

    virtual_s, real_s = run(main(), fast=True)
    assert virtual_s == pytest.approx(1200)
    assert real_s < 60
