"""The sound card's microphone and loudspeaker through PortAudio.

Its callbacks, on threads of its own, copy and count; everything else is done on the event loop. The microphone's
samples are the audio clock; the loudspeaker's callback renders the time line it finds, and notes when that will be
heard. A card that was away for a moment goes on where it was (the loudspeaker), or leaves silence (the microphone), and
`on_gap` tells; one that is lost is waited for (`portaudio`), and `on_lost` and `on_back` tell. Knows nothing of what is
said.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from assistant.backends.gaps import Pace
from assistant.backends.portaudio import BLOCKS_HZ, CALLED, LOST_S, Stream
from assistant.backends.rates import Converted
from assistant.backends.timeline import LineSpeaker
from assistant.errors import DeviceError
from assistant.events import HEARING_RATE_HZ, Block, Samples
from assistant.pacing import Clock

BLOCK = HEARING_RATE_HZ // 100
"""samples of a microphone block: 10 ms"""
PLAYING_RATE_HZ = 48_000
"""what sound cards do by themselves"""
STALLED_S = 0.03
"""a loudspeaker whose callback is late by more has perhaps stopped: what it was given counts as heard no further"""
CONVERTED_BLOCKS = 3
"""soxr swallows up to two of our blocks before anything comes out: a callback may need three for one of the card's"""
GIVEN_BLOCKS = 2 * BLOCKS_HZ["output"]
"""how much of what was played is kept for an echo canceller that does not come"""
LOOK_S = 0.25
"""whoever waits for sound looks this often whether the microphone is still there"""
SILENCE_S = 0.05
"""the silence of a microphone that is gone comes in pieces of this length"""
BEHIND_S = 0.25
"""and so far behind the machine's time: the first sound of one that is back was heard before it came"""


def _gone(kind: str, name: str) -> str:
    return f"the {CALLED[kind]} '{name}' is gone; plug it in, it is waited for"


@dataclass(frozen=True, slots=True, eq=False)
class _Arrived:
    """Mono sound of the card: its first sample was heard at `began_at`, all of it was there at `came_at`, both by the
    machine's time. `take` counts how often the card was opened again.
    """

    pcm: Samples
    rate_hz: int
    began_at: float
    came_at: float
    take: int


class Microphone:
    """A microphone by number, name or default: 16 kHz mono, 10 ms a block, on the event loop.

    Its samples are the audio clock; where some went missing there is silence instead, and `on_gap` is told how long, in
    seconds. While the card is gone (`lost`) there is silence too, as it passes. Opened at once, started by `blocks`.
    Raises DeviceError: at the start where it is missing or refused, from `blocks` where nothing ever comes.
    """

    over = False
    delay_s = 0.0
    """how long ago the newest block began when it came"""

    def __init__(self, device: int | str | None, clock: Clock, patience_s: float = LOST_S) -> None:
        self.on_gap: Callable[[float], None] = lambda _: None
        self.on_lost: Callable[[str], None] = lambda _: None
        self.on_back: Callable[[], None] = lambda: None
        self.lost = False
        self._clock = clock
        self._arrived: asyncio.Queue[_Arrived | None] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stream = Stream("input", device, HEARING_RATE_HZ, self._heard, patience_s)
        self.name, self.rate_hz = self._stream.name, self._stream.rate_hz

    async def blocks(self) -> AsyncIterator[Block]:
        """Blocks of 10 ms as they come."""
        self._loop = asyncio.get_running_loop()
        self._stream.start()
        pace, resampler, take = Pace(self.rate_hz), _resampler(self.rate_hz), 0
        waiting, begin = np.zeros(0, np.float32), 0
        while (arrived := await self._next(pace, take)) is not None:
            pcm, due_at = arrived.pcm, pace.due_at
            self._clock.start(arrived.began_at)
            if arrived.take != take:
                take, resampler, pace = arrived.take, _resampler(arrived.rate_hz), Pace(arrived.rate_hz)
                pace.gap_s(arrived.began_at, len(pcm))
                lost_s = max(0.0, arrived.began_at - (due_at or arrived.began_at))
            elif lost_s := pace.gap_s(arrived.began_at, len(pcm)):
                self.on_gap(lost_s)
            if lost_s:
                pcm = np.concatenate([np.zeros(round(lost_s * arrived.rate_hz), np.float32), pcm])
            waiting = np.concatenate([waiting, resampler.resample_chunk(pcm) if resampler else pcm])
            if not self.lost:
                self._clock.heard((begin + len(waiting)) / HEARING_RATE_HZ, arrived.came_at)
                self.delay_s = arrived.came_at - arrived.began_at
            while len(waiting) >= BLOCK:
                yield Block(begin / HEARING_RATE_HZ, waiting[:BLOCK])
                waiting, begin = waiting[BLOCK:], begin + BLOCK

    def close(self) -> None:
        """Stop listening; ends `blocks`."""
        self._stream.close()
        self._arrived.put_nowait(None)

    async def _next(self, pace: Pace, take: int) -> _Arrived | None:
        """What came next; while the card is gone, silence as it passes. Raises DeviceError where nothing ever came."""
        while True:
            self._notice()
            try:
                async with asyncio.timeout(SILENCE_S if self.lost else LOOK_S):
                    return await self._arrived.get()
            except TimeoutError:
                if not self.lost:
                    continue
            if pace.due_at is None:
                raise DeviceError(
                    f"wanted sound through the microphone '{self.name}', none ever came; plug it in again, or choose "
                    "another that `assistant devices` lists"
                )
            now = time.monotonic()
            if (missing := int((now - BEHIND_S - pace.due_at) * self.rate_hz)) > 0:
                return _Arrived(np.zeros(missing, np.float32), self.rate_hz, pace.due_at, now, take)

    def _notice(self) -> None:
        """Tell that it is gone, or back."""
        if self._stream.lost and not self.lost:
            self.lost = True
            self.on_lost(_gone("input", self.name))
            self._stream.take_back()
        elif self.lost and not self._stream.lost:
            self.lost, self.name = False, self._stream.name
            self.on_back()

    def _heard(self, pcm: Any, frames: int, when: Any, status: Any) -> None:
        """PortAudio's callback."""
        if self._loop is None:
            return
        stream = self._stream
        began_at = stream.beat(when.currentTime, when.inputBufferAdcTime)
        came_at = stream.beat_at
        if began_at is None:
            began_at = came_at - frames / stream.rate_hz
        mono = pcm[:, 0].copy() if pcm.shape[1] == 1 else pcm[:, :2].mean(axis=1)
        arrived = _Arrived(mono, stream.rate_hz, began_at, came_at, stream.take)
        try:
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, arrived)
        except RuntimeError:  # the loop was closed in between: nobody listens
            pass


def _resampler(rate_hz: int) -> Any:
    if rate_hz == HEARING_RATE_HZ:
        return None
    import soxr

    return soxr.ResampleStream(rate_hz, HEARING_RATE_HZ, 1, dtype="float32")


@dataclass(frozen=True, slots=True)
class _Given:
    """The samples before `end` were given to the card; sample `begin` is heard at `heard_at` of the machine's time."""

    begin: int
    end: int
    heard_at: float


class Speaker(LineSpeaker):
    """A loudspeaker by number, name or default, mono, at 48 kHz or the card's own rate. Runs from the start.

    `rate_hz` stays what it was at first: a card that comes back at another rate gets its sound converted.

    What was heard is what was given to the card less what is still on its way. A card that pauses goes on where it was;
    `on_gap` is then told how long it was, in seconds, if something was to sound. One that is gone (`lost`) is waited
    for. Made on a running event loop. Raises DeviceError: at the start where it is missing or refused, from `play` and
    `drain` where it went away in what was sounding.
    """

    delay_s = 0.0
    """how long from a sample being given to the card until it is heard"""

    def __init__(self, device: int | str | None, clock: Clock, patience_s: float = LOST_S) -> None:
        self.on_gap: Callable[[float], None] = lambda _: None
        self.on_lost: Callable[[str], None] = lambda _: None
        self.on_back: Callable[[], None] = lambda: None
        self._gaps: deque[float] = deque()
        self._clock = clock
        self._kept: deque[Samples] = deque(maxlen=GIVEN_BLOCKS)
        self._stream = stream = Stream("output", device, PLAYING_RATE_HZ, self._render, patience_s)
        self._loop = asyncio.get_running_loop()
        self.name = stream.name
        super().__init__(stream.rate_hz)
        self._block = self.rate_hz // BLOCKS_HZ["output"]
        self._take = 0
        self._pace, self._to_card = self._opened()
        self._given = _Given(0, 0, stream.beat_at + stream.latency_s)
        stream.on_change = self._changed_over
        stream.start()

    def given(self) -> Samples:
        """What was given to the card since the last call (2 s at most), silence included: an echo's reference.

        For a time that the card was away there is nothing in it. Zeros instead would cost the canceller up to 25 dB for
        seconds, as they come when the gap is over; without them it goes on with the delay it knows.
        """
        parts: list[Samples] = []
        while self._kept:
            parts.append(self._kept.popleft())
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def close(self) -> None:
        """Stop at once and let the card go."""
        self.stop()
        self._stream.close()

    def _changed_over(self) -> None:
        """The card is gone, or back; told on the keeper's thread."""
        try:
            self._loop.call_soon_threadsafe(self._notice)
        except RuntimeError:  # the loop was closed in between: nobody speaks
            pass

    def _notice(self) -> None:
        if self._stream.lost and not self.lost:
            self._lose()
            self.on_lost(_gone("output", self.name))
            self._stream.take_back()
        elif self.lost and not self._stream.lost:
            self.name = self._stream.name
            self._regain()
            self.on_back()

    def _render(self, out: Any, frames: int, when: Any, status: Any) -> None:
        """PortAudio's callback."""
        begin = end = self._given.end
        stream = self._stream
        if stream.take != self._take:
            self._take = stream.take
            self._pace, self._to_card = self._opened()
        pending_s = self._to_card.pending_s
        while self._to_card.ready < frames:
            sound = self._line.render(end, end + self._block)
            self._kept.append(sound)
            self._to_card.put(sound)
            end += self._block
        out[:] = self._to_card.take(frames)[:, None]
        heard_at = stream.beat(when.currentTime, when.outputBufferDacTime)
        if heard_at is None:
            heard_at = stream.beat_at + stream.latency_s
        self.delay_s = heard_at + pending_s - stream.beat_at
        gap_s = self._pace.gap_s(heard_at, frames)
        if gap_s and self._line.end > begin:
            self._gaps.append(gap_s)
        self._given = _Given(begin, end, heard_at + pending_s)

    def _opened(self) -> tuple[Pace, Converted]:
        """What goes with a stream that was opened, at whatever rate."""
        return Pace(self._stream.rate_hz), Converted(self.rate_hz, self._stream.rate_hz)

    def _sounded(self) -> int:
        given = self._given
        now = min(time.monotonic(), self._stream.beat_at + STALLED_S)
        return max(0, min(given.end, given.begin + int((now - given.heard_at) * self.rate_hz)))

    def _next(self) -> int:
        blocks = 1 if self._stream.rate_hz == self.rate_hz else CONVERTED_BLOCKS
        return self._given.end + blocks * self._block  # a callback may be rendering what comes before

    def _when(self, sample: int) -> float:
        given = self._given
        heard_at = given.heard_at + (sample - given.begin) / self.rate_hz
        return self._clock.now_s() + max(0.0, heard_at - time.monotonic())

    def _check(self) -> None:
        while self._gaps:
            self.on_gap(self._gaps.popleft())
        super()._check()
