"""Files as microphone and loudspeaker, and a loudspeaker that is not there.

A recording is heard at the speed of sound. What is spoken is laid on a time line whose sample 0 is the microphone's,
and written as it passes, so that the file is whole at any moment. At `--pace fast` the same code runs in virtual time.
Pictures and videos are in `pictures`. Knows nothing of what is said.
"""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from assistant.backends.timeline import FADE_S, LineSpeaker, resampled
from assistant.errors import OutputError, SourceError
from assistant.events import HEARING_RATE_HZ, Block, Phrase, Samples
from assistant.pacing import Clock

if TYPE_CHECKING:
    import soundfile

BLOCK = HEARING_RATE_HZ // 100
"""samples of a microphone block: 10 ms"""
SPEAKING_RATE_HZ = 24_000
"""the rate of a time line: all that voices have, half of what they would take at 48 kHz"""
STEP_S = 0.5
"""a time line is written this often while something sounds"""
MINUTE = 60 * SPEAKING_RATE_HZ
"""samples that are rendered at once: a long silence takes little memory"""


# ---------------------------------------------------------------- hearing


def read_sound(path: str | os.PathLike[str]) -> Samples:
    """A sound file as float32 mono at 16 kHz, -1 to 1: channels are averaged, what is no number is silence.

    Reads what libsndfile does (WAV, FLAC, OGG, MP3, AIFF, ...) at any rate and depth. Raises SourceError for a file
    that is missing, cannot be read, is no sound, or is empty.
    """
    import soundfile

    path = Path(path)
    if path.is_dir():
        raise SourceError(f"wanted a sound file, got the folder {path}; name a file in it")
    try:
        with path.open("rb") as file, soundfile.SoundFile(file) as sound:
            pcm = _heard(sound)
    except FileNotFoundError as error:
        raise SourceError(f"wanted the sound file {path}, there is none; check the name") from error
    except OSError as error:
        raise SourceError(f"wanted to read {path}, {error.strerror or error}; check its permissions") from error
    except soundfile.LibsndfileError as error:
        what = "an empty file" if path.stat().st_size == 0 else "none that can be read"
        raise SourceError(
            f"wanted a sound file in {path}, got {what} ({error.error_string.rstrip('.')}); "
            "convert it to WAV or FLAC, for example with ffmpeg"
        ) from error
    except TypeError as error:  # soundfile's way to ask for the rate of a .raw file
        raise SourceError(f"wanted a sound file, {path} does not say its rate; convert it to WAV or FLAC") from error
    if not len(pcm):
        raise SourceError(f"wanted sound in {path}, got 0 samples; record it again")
    return pcm


def _heard(sound: soundfile.SoundFile) -> Samples:
    pcm = sound.read(dtype="float32", always_2d=True)
    np.nan_to_num(pcm, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(resampled(pcm.mean(axis=1), sound.samplerate, HEARING_RATE_HZ), -1, 1)


class FileMicrophone:
    """Hears a recording (a sound file, or float32 mono at 16 kHz), then silence until it is closed.

    Block k comes when its last sample would have been heard: the clock paces it and is not set by it. Nothing is
    dropped or repeated: whoever was away too long gets what was missed at once. `over` is True from the first block on
    that holds nothing of the recording. Raises SourceError as `read_sound` does.
    """

    in_room = False
    """no loudspeaker of ours can be heard in it"""
    _ends = True

    def __init__(self, sound: str | os.PathLike[str] | Samples, clock: Clock) -> None:
        self.over = False
        self.rate_hz = HEARING_RATE_HZ
        self._pcm = sound if isinstance(sound, np.ndarray) else read_sound(sound)
        self._clock = clock
        self._closed = False

    async def blocks(self) -> AsyncIterator[Block]:
        """Blocks of 10 ms; the last of the recording is filled up with silence."""
        self._clock.start()
        silence = np.zeros(BLOCK, np.float32)
        begin = 0
        while not self._closed:
            await self._clock.until((begin + BLOCK) / HEARING_RATE_HZ)
            pcm = self._pcm[begin : begin + BLOCK]
            self.over = self._ends and not len(pcm)
            if len(pcm) < BLOCK:
                pcm = np.concatenate([pcm, silence[len(pcm) :]]) if len(pcm) else silence
            yield Block(begin / HEARING_RATE_HZ, pcm)
            begin += BLOCK

    def close(self) -> None:
        """End after the block that is under way."""
        self._closed = True


class NoMicrophone(FileMicrophone):
    """Hears silence, for ever; it is never `over`."""

    _ends = False

    def __init__(self, clock: Clock) -> None:
        super().__init__(np.zeros(0, np.float32), clock)


# ---------------------------------------------------------------- speaking


class SilentSpeaker(LineSpeaker):
    """A loudspeaker that makes no sound and takes its time: whatever is played counts as heard."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(SPEAKING_RATE_HZ)
        self._clock = clock

    def close(self) -> None:
        """Stop."""
        self.stop()

    def _sounded(self) -> int:
        return round(self._clock.now_s() * self.rate_hz)

    def _next(self) -> int:
        return self._sounded()

    def _when(self, sample: int) -> float:
        return sample / self.rate_hz

    def _sound(self, phrase: Phrase) -> Samples:
        length = round(len(phrase.pcm) * self.rate_hz / phrase.rate_hz)
        return np.broadcast_to(np.float32(0), (length,))


class FileSpeaker(SilentSpeaker):
    """A loudspeaker that is a WAV file: 16 bit, mono, 24 kHz, silence where nothing sounded; sample / rate is the time.

    Written every half second while something sounds, and whole at any moment. Raises OutputError at the start where the
    file cannot be written, later out of `play`, `drain` or `close`, once; what was written until
    then stays readable.
    """

    def __init__(self, path: str | os.PathLike[str], clock: Clock) -> None:
        super().__init__(clock)
        self._file = WavFile(Path(path), self.rate_hz)
        self._trouble: OutputError | None = None
        self._told = False
        self._step_due: asyncio.TimerHandle | None = None

    async def play(self, phrase: Phrase) -> float:
        """As every loudspeaker; raises OutputError."""
        began_s = await super().play(phrase)
        if self._step_due is None:
            self._step()
        return began_s

    def close(self) -> None:
        """Stop, fill the file up to now, and close it. Raises OutputError."""
        if self._file.closed:
            return
        if self._step_due is not None:
            self._step_due.cancel()
        fade = round(FADE_S * self.rate_hz) if self.sounding else 0
        self.stop()
        self._settle(fade)
        self._file.close()
        self._complain()

    def _sound(self, phrase: Phrase) -> Samples:
        return resampled(phrase.pcm, phrase.rate_hz, self.rate_hz)

    def _check(self) -> None:
        super()._check()
        self._settle()
        self._complain()

    def _step(self) -> None:
        self._settle()
        self._step_due = asyncio.get_running_loop().call_later(STEP_S, self._step) if self.sounding else None

    def _settle(self, beyond: int = 0) -> None:
        """Write what has sounded by now: from here on it cannot change."""
        begin, end = self._file.samples, self._sounded() + beyond
        if self._trouble is not None or self._file.closed:
            return
        try:
            for at in range(begin, end, MINUTE):
                self._file.write(self._line.render(at, min(end, at + MINUTE)))
        except OutputError as error:
            self._trouble = error

    def _complain(self) -> None:
        """Raise what went wrong with the file, once."""
        if self._trouble is not None and not self._told:
            self._told = True
            raise self._trouble


class WavFile:
    """A 16-bit mono WAV file that is whole after every write, whatever happens next. Raises OutputError.

    (Python's `wave` buffers, and leaves a header that does not fit where the disk is full; libsndfile writes it last.)
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        self.samples = 0
        self._path = path
        self._rate_hz = rate_hz
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            if not path.parent.is_dir():
                raise OutputError(f"wanted to write {path}, there is no folder {path.parent}; create it") from error
            raise self._error(error) from error
        self._header()

    @property
    def closed(self) -> bool:
        """No more can be written."""
        return self._file.closed

    def write(self, pcm: Samples) -> None:
        """Append float32 sound, -1 to 1. What fits on the disk is kept, and the header agrees with it."""
        data = memoryview((np.clip(pcm, -1, 1) * 32767).round().astype("<i2").tobytes())
        done = 0
        try:
            self._file.seek(44 + 2 * self.samples)
            while done < len(data):
                done += self._file.write(data[done:]) or 0
        except OSError as error:
            raise self._error(error) from error
        finally:
            self.samples += done // 2
            self._header()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _header(self) -> None:
        size = min(2 * self.samples, 0xFFFF_FFFF - 36)
        rate = self._rate_hz
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
        head = struct.pack("<4sI4s", b"RIFF", 36 + size, b"WAVE") + form + struct.pack("<4sI", b"data", size)
        try:
            self._file.seek(0)
            self._file.write(head)
        except OSError as error:
            self._file.close()
            raise self._error(error) from error

    def _error(self, error: OSError) -> OutputError:
        return OutputError(
            f"wanted to write {self._path}, {error.strerror or error}; make room or permit it, or name another file"
        )
