"""The sound card's microphone and loudspeaker through PortAudio.

Its callbacks, on threads of its own, copy and count; everything else is done on the event loop. The microphone's
samples are the audio clock; the loudspeaker's callback renders the time line it finds, and notes when that will be
heard. A card that was away for a moment goes on where it was (the loudspeaker), or leaves silence (the microphone), and
`on_gap` tells; one that stays away for three seconds is lost. Knows nothing of what is said.
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
from assistant.backends.quiet import quiet
from assistant.backends.timeline import LineSpeaker
from assistant.errors import DeviceError
from assistant.events import HEARING_RATE_HZ, Block, Samples
from assistant.pacing import Clock

BLOCK = HEARING_RATE_HZ // 100
"""samples of a microphone block: 10 ms"""
BLOCKS_HZ = {"input": 50, "output": 100}
"""callbacks a second: hearing every 10 ms would cost half as much processor again, stopping every 20 ms be later"""
PLAYING_RATE_HZ = 48_000
"""what sound cards do by themselves"""
LOST_S = 3.0
"""a device whose callback stays away for so long is lost; one was seen to come back after 1.8 s"""
AHEAD = 0.001
"""so much of a change between PortAudio's time and the machine's is believed per callback"""
STALLED_S = 0.03
"""a loudspeaker whose callback is late by more has perhaps stopped: what it was given counts as heard no further"""
STARTING_S = 5.0
"""in the beginning it may take longer: a software sound card was seen to pause for 1.9 s after its first callback"""
LATENCY_S = {"input": "low", "output": 0.05}
"""what is wanted of the card: hear at once; speak with so much in hand that a busy interpreter makes no gaps"""
GIVEN_BLOCKS = 2 * BLOCKS_HZ["output"]
"""how much of what was played is kept for an echo canceller that does not come"""
INSTEAD = {
    "input": "plug one in, or speak from a recording: --microphone FILE.wav",
    "output": "plug one in, or let it speak into a file: --speaker FILE.wav, or --speaker none",
}
CALLED = {"input": "microphone", "output": "loudspeaker"}


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """A sound card as PortAudio sees it. `inputs` and `outputs` count channels; `default` says for what it is that."""

    number: int
    name: str
    host: str
    inputs: int
    outputs: int
    rate_hz: int
    default: tuple[str, ...]


def list_devices() -> list[SoundDevice]:
    """All sound devices, by number. Raises DeviceError where PortAudio is missing."""
    portaudio = _portaudio()
    hosts = [host["name"] for host in portaudio.query_hostapis()]
    defaults = list(zip(("microphone", "loudspeaker"), portaudio.default.device, strict=True))
    return [
        SoundDevice(
            number=number,
            name=found["name"],
            host=hosts[found["hostapi"]],
            inputs=found["max_input_channels"],
            outputs=found["max_output_channels"],
            rate_hz=int(found["default_samplerate"]),
            default=tuple(what for what, default in defaults if default == number),
        )
        for number, found in enumerate(portaudio.query_devices())
    ]


def _portaudio() -> Any:
    try:
        with quiet():  # ALSA tells of every card that is not there
            import sounddevice
    except OSError as error:
        raise DeviceError(
            f"wanted the PortAudio library, got '{error}'; apt install libportaudio2, or use files: "
            "--microphone FILE.wav --speaker FILE.wav"
        ) from error
    return sounddevice


def _find(device: int | str | None, kind: str) -> dict[str, Any]:
    """PortAudio's description of a device by number, name or default. Raises DeviceError."""
    portaudio = _portaudio()
    try:
        found = portaudio.query_devices(device, kind)
    except (ValueError, portaudio.PortAudioError) as error:
        if device is None:
            raise DeviceError(f"wanted a {CALLED[kind]}, this machine has none; {INSTEAD[kind]}") from error
        why = "there is none" if "No " in str(error) or "Error querying" in str(error) else str(error).splitlines()[0]
        raise DeviceError(
            f"wanted the {CALLED[kind]} '{device}', {why}; choose one that `assistant devices` lists"
        ) from error
    return found


def _open(kind: str, device: int | str | None, wanted_hz: int, callback: Any) -> tuple[Any, str]:
    """A stream that is not started, mono where the device takes that, and its name. Raises DeviceError."""
    portaudio = _portaudio()
    found = _find(device, kind)
    check = portaudio.check_input_settings if kind == "input" else portaudio.check_output_settings
    make = portaudio.InputStream if kind == "input" else portaudio.OutputStream
    own_hz = int(found["default_samplerate"])
    trouble: Exception | None = None
    for rate_hz, channels in ((wanted_hz, 1), (wanted_hz, 2), (own_hz, 1), (own_hz, 2)):
        options = {"device": found["index"], "samplerate": rate_hz, "channels": channels, "dtype": "float32"}
        try:
            with quiet():
                check(**options)
                stream = make(
                    **options, blocksize=rate_hz // BLOCKS_HZ[kind], latency=LATENCY_S[kind], callback=callback
                )
            return stream, found["name"]
        except portaudio.PortAudioError as error:
            trouble = error
    raise DeviceError(
        f"wanted sound through the {CALLED[kind]} '{found['name']}', PortAudio says '{trouble}'; is another program "
        f"using it? {INSTEAD[kind]}"
    ) from trouble


def _start(stream: Any, name: str) -> None:
    try:
        with quiet():
            stream.start()
    except _portaudio().PortAudioError as error:
        raise DeviceError(f"wanted sound through '{name}', PortAudio says '{error}'; plug it in again") from error


class _Pulse:
    """When a device was started and last called back, by the machine's time, in seconds."""

    def __init__(self, kind: str, name: str, patience_s: float) -> None:
        self._kind, self._name, self._patience_s = kind, name, patience_s
        self.started_at = self.beat_at = time.monotonic()
        self._ahead_s: float | None = None
        """how far the machine's time is ahead of PortAudio's, which a callback that waits for the interpreter misses"""

    def beat(self, stream_s: float, begins_s: float) -> float | None:
        """It called back: at `stream_s` of PortAudio's time, for a block that begins at `begins_s` of it.

        Returns when the block begins by the machine's time; None where a driver leaves its times empty.
        """
        self.beat_at = time.monotonic()
        if not stream_s or not abs(begins_s - stream_s) < 10:
            return None
        ahead_s = self.beat_at - stream_s
        before_s = ahead_s if self._ahead_s is None else self._ahead_s
        self._ahead_s = min(ahead_s, before_s + AHEAD * (ahead_s - before_s))
        return begins_s + self._ahead_s

    def check(self) -> None:
        """Raise DeviceError where it has stayed away too long."""
        steady = self.beat_at - self.started_at > STARTING_S
        silent_s = time.monotonic() - self.beat_at
        if silent_s > (self._patience_s if steady else max(self._patience_s, STARTING_S)):
            raise DeviceError(
                f"wanted sound through the {CALLED[self._kind]} '{self._name}', it has been gone for {silent_s:.1f} s; "
                "plug it in and start again"
            )


class Microphone:
    """A microphone by number, name or default: 16 kHz mono, 10 ms a block, on the event loop.

    Its samples are the audio clock; where some went missing there is silence instead, and `on_gap` is told how long, in
    seconds. Opened at once, started by `blocks`. Raises DeviceError: at the start where it is missing or refused, from
    `blocks` when nothing has come for `patience_s`.
    """

    over = False
    delay_s = 0.0
    """how long ago the newest block began when it came"""

    def __init__(self, device: int | str | None, clock: Clock, patience_s: float = LOST_S) -> None:
        self.on_gap: Callable[[float], None] = lambda _: None
        self._clock = clock
        self._patience_s = patience_s
        self._pulse: _Pulse | None = None
        self._arrived: asyncio.Queue[tuple[Samples, float, float] | None] = asyncio.Queue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stream, self.name = _open("input", device, HEARING_RATE_HZ, self._heard)
        self.rate_hz = int(self._stream.samplerate)

    async def blocks(self) -> AsyncIterator[Block]:
        """Blocks of 10 ms as they come."""
        self._loop = asyncio.get_running_loop()
        self._pulse = pulse = _Pulse("input", self.name, self._patience_s)
        _start(self._stream, self.name)
        resampler, pace = self._resampler(), Pace(self.rate_hz)
        waiting, begin = np.zeros(0, np.float32), 0
        while (arrived := await self._next(pulse)) is not None:
            pcm, began_at, came_at = arrived
            self._clock.start(began_at)
            if lost_s := pace.gap_s(began_at, len(pcm)):
                self.on_gap(lost_s)
                pcm = np.concatenate([np.zeros(round(lost_s * self.rate_hz), np.float32), pcm])
            waiting = np.concatenate([waiting, resampler.resample_chunk(pcm) if resampler else pcm])
            self._clock.heard((begin + len(waiting)) / HEARING_RATE_HZ, came_at)
            self.delay_s = came_at - began_at
            while len(waiting) >= BLOCK:
                yield Block(begin / HEARING_RATE_HZ, waiting[:BLOCK])
                waiting, begin = waiting[BLOCK:], begin + BLOCK

    def close(self) -> None:
        """Stop listening; ends `blocks`."""
        self._stream.close()
        self._arrived.put_nowait(None)

    def _resampler(self) -> Any:
        if self.rate_hz == HEARING_RATE_HZ:
            return None
        import soxr

        return soxr.ResampleStream(self.rate_hz, HEARING_RATE_HZ, 1, dtype="float32")

    async def _next(self, pulse: _Pulse) -> tuple[Samples, float, float] | None:
        while True:
            try:
                async with asyncio.timeout(self._patience_s):
                    return await self._arrived.get()
            except TimeoutError:  # the loop may have been away, and not the device: the callback knows
                pulse.check()

    def _heard(self, pcm: Any, frames: int, when: Any, status: Any) -> None:
        """PortAudio's callback."""
        if self._loop is None or self._pulse is None:
            return
        began_at = self._pulse.beat(when.currentTime, when.inputBufferAdcTime)
        came_at = self._pulse.beat_at
        if began_at is None:
            began_at = came_at - frames / self.rate_hz
        mono = pcm[:, 0].copy() if pcm.shape[1] == 1 else pcm.mean(axis=1)
        try:
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, (mono, began_at, came_at))
        except RuntimeError:  # the loop was closed in between: nobody listens
            pass


@dataclass(frozen=True, slots=True)
class _Given:
    """The samples before `end` were given to the card; sample `begin` is heard at `heard_at` of the machine's time."""

    begin: int
    end: int
    heard_at: float


class Speaker(LineSpeaker):
    """A loudspeaker by number, name or default, mono, at 48 kHz or the card's own rate. Runs from the start.

    What was heard is what was given to the card less what is still on its way. A card that pauses goes on where it was;
    `on_gap` is then told how long it was, in seconds, if something was to sound. Raises DeviceError: at the start where
    it is missing or refused, from `play` and `drain` when it has taken nothing for `patience_s`.
    """

    delay_s = 0.0
    """how long from a sample being given to the card until it is heard"""

    def __init__(self, device: int | str | None, clock: Clock, patience_s: float = LOST_S) -> None:
        self.on_gap: Callable[[float], None] = lambda _: None
        self._gaps: deque[float] = deque()
        self._clock = clock
        self._kept: deque[Samples] = deque(maxlen=GIVEN_BLOCKS)
        self._stream, self.name = _open("output", device, PLAYING_RATE_HZ, self._render)
        super().__init__(int(self._stream.samplerate))
        self._block = self.rate_hz // BLOCKS_HZ["output"]
        self._pace = Pace(self.rate_hz)
        self._pulse = _Pulse("output", self.name, patience_s)
        self._given = _Given(0, 0, self._pulse.started_at + self._stream.latency)
        _start(self._stream, self.name)

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
        self._stream.abort()
        self._stream.close()

    def _render(self, out: Any, frames: int, when: Any, status: Any) -> None:
        """PortAudio's callback."""
        begin = self._given.end
        sound = self._line.render(begin, begin + frames)
        out[:] = sound[:, None]
        self._kept.append(sound)
        heard_at = self._pulse.beat(when.currentTime, when.outputBufferDacTime)
        if heard_at is None:
            heard_at = self._pulse.beat_at + self._stream.latency
        self.delay_s = heard_at - self._pulse.beat_at
        gap_s = self._pace.gap_s(heard_at, frames)
        if gap_s and self._line.end > begin:
            self._gaps.append(gap_s)
        self._given = _Given(begin, begin + frames, heard_at)

    def _sounded(self) -> int:
        given = self._given
        now = min(time.monotonic(), self._pulse.beat_at + STALLED_S)
        return max(0, min(given.end, given.begin + int((now - given.heard_at) * self.rate_hz)))

    def _next(self) -> int:
        return self._given.end + self._block  # a callback may be rendering what comes before

    def _when(self, sample: int) -> float:
        given = self._given
        heard_at = given.heard_at + (sample - given.begin) / self.rate_hz
        return self._clock.now_s() + max(0.0, heard_at - time.monotonic())

    def _check(self) -> None:
        while self._gaps:
            self.on_gap(self._gaps.popleft())
        self._pulse.check()
