"""PortAudio's streams: opened as the card takes them, watched, and taken back when a card that went away returns.

PortAudio lists the devices once, and to list them again every stream must be closed. So one thread, the keeper, watches
all streams there are. One that ended, or whose callback stayed away for three seconds, is lost, and is opened again
when its owner asks for it. Where the old list leads nowhere, a process of its own looks whether a new one would, and
only then are all streams closed, the list renewed and all opened again, which takes about 50 ms. Knows nothing of what
is heard or said.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from assistant.backends.quiet import quiet
from assistant.errors import DeviceError

LOST_S = 3.0
"""a device whose callback stays away for so long is lost; one was seen to come back after 1.8 s"""
STARTING_S = 5.0
"""in the beginning it may take longer: a software sound card was seen to pause for 1.9 s after its first callback"""
CHECK_S = 0.25
"""the keeper looks at every stream this often"""
AGAIN_S = 1.0
"""a lost stream is tried again this often"""
LIST_S = 3.0
"""and this often a process (0.3 s of processor time) looks whether a new list of devices would have it"""
PROBE_S = 8.0
"""a device that does not call back within this time is not there"""
AHEAD = 0.001
"""so much of a change between PortAudio's time and the machine's is believed per callback"""
BLOCKS_HZ = {"input": 50, "output": 100}
"""callbacks a second: hearing every 10 ms would cost half as much processor again, stopping every 20 ms be later"""
LATENCY_S = {"input": "low", "output": 0.05}
"""what is wanted of the card: hear at once; speak with so much in hand that a busy interpreter makes no gaps"""
COMMON_HZ = (48_000, 44_100)
"""what cards do that do not do what they call their own; all rates here are whole hundreds of hertz"""
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


# ---------------------------------------------------------------- one stream


def find(device: int | str | None, kind: str) -> dict[str, Any]:
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


def shapes(found: dict[str, Any], kind: str, wanted_hz: int) -> Iterator[tuple[int, int]]:
    """The rates (Hz) and channels to try on a device, the best first: what is wanted, its own, what cards have.

    Mono first; a card that has only all of its channels together is opened with all of them. What it does inside (16
    bit, 24 bit, float) is PortAudio's to convert.
    """
    most = int(found[f"max_{kind}_channels"])
    for rate_hz in dict.fromkeys((wanted_hz, int(found["default_samplerate"]), *COMMON_HZ)):
        for channels in dict.fromkeys((1, 2, most)):
            if channels <= most:
                yield rate_hz, channels


class Stream:
    """A sound card's input or output, float32, by number, name or default; not started.

    `callback` is PortAudio's: (samples, frames, times, flags), on a thread of its own. `on_change` is called, on the
    keeper's thread, when the stream is lost and when it is back; a lost one comes back once `take_back` was called, at
    any rate that the card takes then (`rate_hz`). Raises DeviceError where the card is missing or refuses.
    """

    def __init__(
        self,
        kind: str,
        device: int | str | None,
        wanted_hz: int,
        callback: Callable[[Any, int, Any, Any], None],
        patience_s: float = LOST_S,
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.lost = False
        self.take = -1
        """how often it was opened again"""
        self._kind, self._callback, self._patience_s = kind, callback, patience_s
        self._device: int | str | None = device
        self._wanted_back = self._open_now = False
        self._open(wanted_hz)
        self._wanted_hz = self.rate_hz

    def start(self) -> None:
        """Let the card call back from now on, and have it watched. Raises DeviceError."""
        self._start()
        _keeper.watch(self)

    def close(self) -> None:
        """Stop at once and let the card go."""
        _keeper.leave(self)

    def take_back(self) -> None:
        """Open it again as soon as the card is there."""
        self._wanted_back = True

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

    # ------------------------------------------------------------ the keeper's side

    def check(self, step_s: float) -> None:
        """Note whether it is lost, or back; called every `step_s`, so that a machine that slept loses nothing."""
        if not self._open_now:
            return
        called = self.beat_at != self._seen_at
        self._seen_at = self.beat_at
        self._silent_s = 0.0 if called else self._silent_s + step_s
        steady = self.beat_at - self._started_at > STARTING_S
        if self._ended.is_set() or self._silent_s > (self._patience_s if steady else max(self._patience_s, STARTING_S)):
            self.shut()
            self._change(lost=True)
        elif called:
            self._change(lost=False)

    def shut(self) -> None:
        """Close it here; it may be opened again."""
        if self._open_now:
            self._open_now = False
            self._stream.abort(ignore_errors=True)
            self._stream.close(ignore_errors=True)

    def again(self) -> None:
        """Open and start it again, as far as PortAudio's list of devices goes; it is back once it calls back."""
        try:
            self._open(self._wanted_hz)
            self._start()
        except DeviceError:
            self._change(lost=True)

    @property
    def waiting(self) -> bool:
        """It is gone and wanted back."""
        return not self._open_now and (self._wanted_back or not self.lost)

    def there(self) -> bool:
        """Whether a process with a new list of devices can open it."""
        ask = "import sys; from assistant.backends.portaudio import probe; sys.exit(not probe(*sys.argv[1:]))"
        command = [sys.executable, "-c", ask, self._kind, "" if self._device is None else str(self._device)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=PROBE_S + 5, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.returncode == 0

    def _change(self, *, lost: bool) -> None:
        if self.lost != lost:
            self.lost, self._wanted_back = lost, False
            self.on_change()

    def _open(self, wanted_hz: int) -> None:
        portaudio = _portaudio()
        found = _known(self._device, self._kind)
        check = portaudio.check_input_settings if self._kind == "input" else portaudio.check_output_settings
        make = portaudio.InputStream if self._kind == "input" else portaudio.OutputStream
        trouble: Exception | None = None
        for rate_hz, channels in shapes(found, self._kind, wanted_hz):
            ended = threading.Event()
            options = {"device": found["index"], "samplerate": rate_hz, "channels": channels, "dtype": "float32"}
            more = {"blocksize": rate_hz // BLOCKS_HZ[self._kind], "latency": LATENCY_S[self._kind]}
            try:
                with quiet():
                    check(**options)
                    stream = make(**options, **more, callback=self._callback, finished_callback=ended.set)
            except portaudio.PortAudioError as error:
                trouble = error
                continue
            self._stream, self._ended, self._open_now = stream, ended, True
            self.name = str(found["name"])
            self.take += 1
            self.rate_hz, self.latency_s = int(stream.samplerate), float(stream.latency)
            if self._device is not None:  # numbers are given anew with every list
                self._device = f"{self.name}, {portaudio.query_hostapis(found['hostapi'])['name']}"
            self._revive()
            return
        raise DeviceError(
            f"wanted sound through the {CALLED[self._kind]} '{found['name']}', PortAudio says '{trouble}'; is another "
            f"program using it? {INSTEAD[self._kind]}"
        ) from trouble

    def _start(self) -> None:
        self._revive()
        try:
            with quiet():
                self._stream.start()
        except _portaudio().PortAudioError as error:
            self.shut()
            raise DeviceError(
                f"wanted sound through '{self.name}', PortAudio says '{error}'; plug it in again"
            ) from error

    def _revive(self) -> None:
        self._started_at = self.beat_at = self._seen_at = time.monotonic()
        self._silent_s = 0.0
        self._ahead_s: float | None = None
        """how far the machine's time is ahead of PortAudio's, which a callback that waits for the interpreter misses"""


def _known(device: int | str | None, kind: str) -> dict[str, Any]:
    """`find`, also where ALSA has put the card into another slot, which its name tells: `USB Audio: - (hw:2,0)`."""
    try:
        return find(device, kind)
    except DeviceError:
        card = re.sub(r"\(hw:\d+,\d+\),", "", str(device))
        if card == str(device):
            raise
        return find(card, kind)


def probe(kind: str, device: str) -> bool:
    """Whether a device (`""`: the default) can be opened and calls back, by a new list of devices. Raises nothing."""
    called = threading.Event()

    def callback(sound: Any, frames: int, when: Any, status: Any) -> None:
        if kind == "output":
            sound[:] = 0
        called.set()

    try:
        stream = Stream(kind, device or None, 48_000 if kind == "output" else 16_000, callback)
        stream.start()
    except DeviceError:
        return False
    came = called.wait(PROBE_S)
    stream.close()
    return came


# ---------------------------------------------------------------- all streams


class Keeper:
    """The thread that watches all streams of this process; it runs while there are any."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self._tried_at = self._listed_at = 0.0
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, stream: Stream) -> None:
        """Watch a stream that was started."""
        with self._lock:
            self.streams.append(stream)
            self._left.clear()  # also where the thread has yet to see that the last stream left
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="assistant-portaudio", daemon=True)
                self._thread.start()

    def leave(self, stream: Stream) -> None:
        """Close a stream and watch it no more."""
        with self._lock:
            if stream in self.streams:
                self.streams.remove(stream)
            stream.shut()
            if not self.streams:
                self._left.set()

    def step(self) -> None:
        """Look at every stream once, and try those again that are gone and wanted back."""
        with self._lock:
            for stream in self.streams:
                stream.check(CHECK_S)
            if time.monotonic() - self._tried_at > AGAIN_S:
                for stream in self.streams:
                    if stream.waiting:
                        stream.again()
                        self._tried_at = time.monotonic()
            gone = [stream for stream in self.streams if stream.waiting]
        if gone and time.monotonic() - self._listed_at > LIST_S:
            if any(stream.there() for stream in gone):
                self.renew()
            self._listed_at = time.monotonic()

    def _run(self) -> None:
        while True:
            self._left.wait(CHECK_S)
            with self._lock:
                if not self.streams:
                    self._thread = None
                    return
            self.step()

    def renew(self) -> None:
        """Close all streams, have PortAudio list the devices anew, and open all again."""
        portaudio = _portaudio()
        with self._lock, quiet():
            for stream in self.streams:
                stream.shut()
            portaudio._terminate()
            portaudio._initialize()
            for stream in self.streams:
                if stream.waiting:
                    stream.again()


_keeper = Keeper()
