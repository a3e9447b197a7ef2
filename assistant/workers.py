"""Worker: one thread that owns one model; asyncio on this side, plain blocking code on the other.

A job that nobody waits for any more costs nothing further: queued it is dropped, running it is told to stop (engines
look at `stop()` per token and per prefill chunk), its late results are discarded, and a generator is closed on the
thread it ran on. Cancelling never waits for the thread. In virtual time there is no thread: a job runs where it stands
and then takes what the cost table says, or what it really took where that is to be measured. Knows nothing about what
the jobs do.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from assistant.pacing import Costs, is_virtual

T = TypeVar("T")
M = TypeVar("M")
_END = object()

Note = Callable[[str, float, float], None]
"""told of each piece of work: its entry in the cost table, when it began and when it was done (`time.monotonic`)"""


@dataclass(eq=False)
class _Job:
    work: Callable[[], Any]
    cost: str
    loop: asyncio.AbstractEventLoop
    results: asyncio.Queue[tuple[Any, BaseException | None]] = field(default_factory=asyncio.Queue[Any])
    stopped: threading.Event = field(default_factory=threading.Event)

    def put(self, value: Any, error: BaseException | None = None) -> None:
        if not self.stopped.is_set() and not self.loop.is_closed():
            try:
                self.loop.call_soon_threadsafe(self.results.put_nowait, (value, error))
            except RuntimeError:  # the loop was closed in between: nobody is left to tell
                self.stopped.set()


class Worker(Generic[M]):
    """One thread, one model. `name` is the slot, and the prefix of its entries in the cost table.

    `busy_s` is what its jobs cost so far: processor seconds of its thread, or in virtual time the cost table's. `note`,
    where it is set, is called on the worker's thread after each piece of work, not in virtual time.
    `measured`: in virtual time a job takes the seconds it really took, so that a recording can be worked through at
    full speed and its latency still be measured.
    """

    model: M
    note: Note | None = None

    def __init__(self, name: str, costs: Costs | None = None, *, measured: bool = False) -> None:
        self.name = name
        self.busy_s = 0.0
        self._measured = measured
        self._costs = costs or {}
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls, name: str, make: Callable[[], M], costs: Costs | None = None) -> Worker[M]:
        """A worker whose model is made by `make` on the worker's own thread."""
        worker = cls(name, costs)
        try:
            worker.model = await worker.call(make, cost="load")
        except BaseException:
            worker.close()
            raise
        return worker

    async def call(self, job: Callable[..., T], *args: Any, cost: str = "call") -> T:
        """Run `job(*args)` and return its result. Raises what the job raises."""
        if is_virtual():
            async with self._turn:
                began = time.perf_counter()
                result = job(*args)
                await self._pay(cost, time.perf_counter() - began)
                return result
        order = self._submit(lambda: job(*args), cost, iterate=False)
        try:
            value, error = await order.results.get()
        finally:
            order.stopped.set()
        if error is not None:
            raise error
        return value

    async def stoppable(self, job: Callable[..., T], *args: Any, cost: str = "call") -> T:
        """Like `call`, for a job that takes `stop` as its last argument and looks at it while it works."""
        stopped = threading.Event()
        try:
            return await self.call(job, *args, stopped.is_set, cost=cost)
        finally:
            stopped.set()

    async def stream(self, job: Callable[..., Iterator[T]], *args: Any, cost: str = "stream") -> AsyncGenerator[T]:
        """Iterate over `job(*args, stop)` on the worker's thread; `stop` as for `stoppable`."""
        stopped = threading.Event()
        if is_virtual():
            async with self._turn:
                pieces = job(*args, stopped.is_set)
                try:
                    which = "first"
                    while True:
                        began = time.perf_counter()
                        piece = next(pieces, _END)
                        await self._pay(f"{cost}.{which}", time.perf_counter() - began)
                        if piece is _END:
                            return
                        yield piece  # type: ignore  # _END is out of the way
                        which = "next"
                finally:
                    stopped.set()
                    getattr(pieces, "close", lambda: None)()
        order = self._submit(lambda: job(*args, stopped.is_set), cost, iterate=True)
        try:
            while True:
                value, error = await order.results.get()
                if error is not None:
                    raise error
                if value is _END:
                    return
                yield value
        finally:
            stopped.set()
            order.stopped.set()

    def close(self) -> None:
        """Let the thread end after what it is at; does not wait for it."""
        if self._thread is not None:
            self._jobs.put(None)

    async def _pay(self, cost: str, took_s: float) -> None:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        try:
            await asyncio.sleep(took_s if self._measured else self._costs.get(f"{self.name}.{cost}", 0.0))
        finally:  # whoever cancels a job pays for it until then
            self.busy_s += loop.time() - began_s

    def _noted(self, cost: str, began_s: float) -> None:
        if self.note is not None:
            self.note(f"{self.name}.{cost}", began_s, time.monotonic())

    def _submit(self, work: Callable[[], Any], cost: str, *, iterate: bool) -> _Job:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"assistant-{self.name}", daemon=True)
            self._thread.start()
        job = _Job(lambda: (work(), iterate), cost, asyncio.get_running_loop())
        self._jobs.put(job)
        return job

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.stopped.is_set():
                continue
            began, began_s = time.thread_time(), time.monotonic()
            try:
                value, iterate = job.work()
                if iterate:
                    self._iterate(job, value)
                else:
                    self._noted(job.cost, began_s)
                    job.put(value)
            except BaseException as error:  # it belongs to whoever waits for the job, not to this thread
                job.put(None, error)
            self.busy_s += time.thread_time() - began

    def _iterate(self, job: _Job, pieces: Iterator[Any]) -> None:
        which, began_s = "first", time.monotonic()
        try:
            for piece in pieces:
                self._noted(f"{job.cost}.{which}", began_s)
                if job.stopped.is_set():
                    return
                job.put(piece)
                which, began_s = "next", time.monotonic()
            job.put(_END)
        finally:
            getattr(pieces, "close", lambda: None)()
