"""The built-in voice: espeak-ng 1.52 through `espeakng-loader`, which carries the library and its data.

It is quick (seconds of speech in milliseconds), robotic, and says when each word begins. Knows nothing of phrases.
espeak-ng is GPL-3.0 and loaded at run time only.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from assistant.backends import Speech, Stop
from assistant.errors import EngineError
from assistant.events import Samples

RATE_HZ = 22_050
LEAD_S = 0.005
"""silence left before the first sound: more is latency, none would click"""
QUIET = 0.003
"""amplitude below which sound is silence (-50 dBFS)"""

_SYNCHRONOUS, _DONT_EXIT, _UTF8, _END_PAUSE, _WORD = 2, 0x8000, 1, 0x1000, 1
_RATE, _VOLUME, _PITCH = 1, 2, 3
_BUFFER_MS = 50
_LONGEST_PATH = 150
"""espeak-ng keeps the path of its data in 160 characters and fails on a longer one"""
_HAN = r"\u3007\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff"
_TOKEN = re.compile(rf"[{_HAN}]|[^\s{_HAN}]+")
_PAUSES = tuple(".!?,;:。！？，；：、")
_UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_ONE_AT_A_TIME = threading.Lock()
"""the library is one machine for the whole process"""


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_void_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("message", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak:
    """Speaks English and Chinese. Any number of these work side by side, one call at a time.

    The library's state goes on from call to call: the n-th text of a process sounds the same in every run, but the same
    text said again differs by a few samples.

    `english` and `chinese` are names of espeak-ng voices (`en-us`, `en-gb`, `en-us+f3`, `cmn`, `yue`); `speed` is in
    words a minute (80 to 450), `pitch` 0 to 99, `volume` 0 to 100 (above 75 some
    Chinese syllables are clipped). Raises EngineError where the library cannot be
    loaded, a voice is not known or a value is out of range.
    """

    languages: tuple[str, ...] = ("en", "zh")

    def __init__(
        self, english: str = "en-us", chinese: str = "cmn", speed: int = 165, pitch: int = 50, volume: int = 65
    ) -> None:
        for name, value, low, high in (
            ("speed", speed, 80, 450),
            ("pitch", pitch, 0, 99),
            ("volume", volume, 0, 100),
        ):
            if not low <= value <= high:
                raise EngineError(f"espeak: wanted {name} from {low} to {high}, got {value}; set voice.espeak.{name}")
        self._parameters = {_RATE: speed, _PITCH: pitch, _VOLUME: volume}
        self._voices = {"en": english, "zh": chinese}
        self._library = _library()
        with _ONE_AT_A_TIME:
            for language in self._voices:
                self._select(language)

    def synthesise(self, text: str, language: str, stop: Stop) -> Speech:
        """Speak a text, as text: markup and control characters are not obeyed. Empty text is empty sound.

        The sound begins at most `LEAD_S` before the first audible sample. Behind the last lies the pause that belongs
        to the punctuation there: 0.15 s for a comma, 0.3 s for a full stop, 7 ms for none. A mark ends each word
        where the next one begins, pauses included. Ends early, with what there is, once `stop`.
        """
        spoken = _UNSPEAKABLE.sub(" ", text)
        if not spoken.strip():
            return Speech(np.zeros(0, np.float32), RATE_HZ)
        with _ONE_AT_A_TIME:
            self._select(language)
            for parameter, value in self._parameters.items():
                self._library.espeak_SetParameter(parameter, value, 0)
            pcm, onsets = _speak(self._library, spoken, stop)
        cut = _lead(pcm)
        return Speech(pcm[cut:], RATE_HZ, tuple(_marks(spoken, onsets, pcm, cut)))

    def _select(self, language: str) -> None:
        if language not in self._voices:
            raise EngineError(f"espeak: wanted a text in en or zh, got '{language}'; choose another voice for it")
        voice = self._voices[language]
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise EngineError(f"espeak: wanted a voice it has, got '{voice}'; `espeak-ng --voices` lists them")


@cache
def _library() -> Any:
    """The library, loaded and initialised once for the process."""
    import espeakng_loader

    try:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path()
    except (OSError, RuntimeError) as error:
        raise EngineError(
            f"wanted espeak-ng's library, got: {error}; reinstall espeakng-loader or choose another voice"
        ) from error
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
        ctypes.c_void_p, ctypes.c_void_p,
    ]  # fmt: skip
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, os.fsencode(_short(data)), _DONT_EXIT)
    if rate_hz != RATE_HZ:
        raise EngineError(f"wanted espeak-ng's voices in {data}, got none (error {rate_hz}); reinstall espeakng-loader")
    return library


def _short(path: str) -> str:
    """The path, or a link to it from the folder for temporary files where it is too long for espeak-ng."""
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        return path
    folder = tempfile.TemporaryDirectory(prefix="espeak-")  # as long as the process: voices are read when first used
    atexit.register(folder.cleanup)
    link = Path(folder.name) / "espeak-ng-data"
    link.symlink_to(path, target_is_directory=True)
    return str(link)


def _speak(library: Any, text: str, stop: Stop) -> tuple[Samples, dict[int, int]]:
    """The sound, and the sample at which each word begins that espeak-ng tells of, by the word's place in the text."""
    chunks: list[np.ndarray] = []
    onsets: dict[int, int] = {}
    raised: list[BaseException] = []

    def take(wav: Any, count: int, events: Any) -> int:
        try:
            if wav and count > 0:
                chunks.append(np.ctypeslib.as_array(wav, (count,)).astype(np.float32))
            for event in _listed(events):
                if event.type == _WORD:
                    onsets.setdefault(event.text_position - 1, event.sample)
            return int(stop())
        except BaseException as error:  # must not pass through the library; raised again behind it
            raised.append(error)
            return 1

    callback = _Callback(take)
    library.espeak_SetSynthCallback(callback)
    data = text.encode()
    flags = _UTF8 | (_END_PAUSE if text.rstrip().endswith(_PAUSES) else 0)
    failed = library.espeak_Synth(data, len(data) + 1, 0, 1, 0, flags, None, None)
    if raised:
        raise raised[0]
    if failed:
        raise EngineError(f"espeak: wanted to speak {len(text)} characters, got error {failed}; try a shorter text")
    return np.concatenate([np.zeros(0, np.float32), *chunks]) / np.float32(32768), onsets


def _listed(events: Any) -> Iterator[_Event]:
    at = 0
    while events[at].type != 0:
        yield events[at]
        at += 1


def _lead(pcm: Samples) -> int:
    """How many samples of silence to cut off the beginning."""
    loud = np.flatnonzero(np.abs(pcm) > QUIET)
    return max(0, int(loud[0]) - round(LEAD_S * RATE_HZ)) if len(loud) else 0


def _marks(text: str, onsets: dict[int, int], pcm: Samples, cut: int) -> Iterator[tuple[int, int]]:
    """(end of the word, sample at which the next begins) for each word or Chinese character of what was spoken.

    Short words that espeak-ng runs together ("of the") have one onset: the others share the sound up to the next
    silence or onset by letters, each counted half a word late, so as not to be early.
    """
    tokens = [token for token in _TOKEN.finditer(text) if any(c.isalnum() for c in token[0])]
    told = [min((s for at, s in onsets.items() if t.start() <= at < t.end()), default=None) for t in tokens]
    begins = _filled([0, *told[1:]], [len(token[0]) for token in tokens], pcm) if tokens else []
    for token, begin in zip(tokens, [*begins[1:], len(pcm)], strict=False):
        yield token.end(), max(0, begin - cut)


def _filled(told: list[int | None], letters: list[int], pcm: Samples) -> list[int]:
    """The onsets, rising, with the unknown ones estimated."""
    loud = np.flatnonzero(np.abs(pcm) > QUIET)
    begins: list[int] = []
    at = 0
    while at < len(told):
        after = next((i for i in range(at + 1, len(told)) if told[i] is not None), len(told))
        begin = max(told[at] or 0, begins[-1] + 1 if begins else 0)
        until = told[after] if after < len(told) else None
        voiced = loud[: np.searchsorted(loud, len(pcm) if until is None else until)]
        end = max(begin, int(voiced[-1]) if len(voiced) else begin)
        for i in range(at, after):
            done = sum(letters[at:i]) + (letters[i] / 2 if i > at else 0)
            begins.append(round(begin + (end - begin) * done / sum(letters[at:after])))
        at = after
    return begins
