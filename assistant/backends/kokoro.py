"""Text to sound by Kokoro (82 M parameters, English and Chinese) through onnxruntime, by `kokoro-onnx`.

English is read by espeak-ng, Chinese by `misaki`; both come with the extra `kokoro`. Word times come out of the
durations of phonemes, for files that give them. The weights are Apache-2.0; they are not fetched here. Source:
https://huggingface.co/hexgrad/Kokoro-82M. Knows no streaming: a clause is one run of the network.
"""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from assistant.backends import Speech, Stop
from assistant.backends.vits import text_ends, word_begins
from assistant.errors import ConfigError, EngineError, WeightsError, nearest
from assistant.models import advice

RATE_HZ = 24_000
SOURCE = "https://github.com/thewh1teagle/kokoro-onnx/releases/tag/model-files-v1.0"
EXTRA = "pip install 'assistant[kokoro]'"


class Kokoro:
    """The `Voice` seam. `folder` holds the model (`.onnx`), the voices (`.bin`) and, for a model with an alphabet of
    its own such as v1.1-zh, its `config.json`.

    `english` and `chinese` are names of voices. `speed` is 0.5 to 2. Raises WeightsError where the weights are missing
    or damaged, EngineError without the extra `kokoro`, ConfigError for a voice that is not there.
    """

    languages = ("en", "zh")

    def __init__(
        self,
        folder: str = "kokoro",
        english: str = "af_heart",
        chinese: str = "zf_xiaobei",
        speed: float = 1.0,
        threads: int = 1,
    ) -> None:
        from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, RuntimeException

        self._failures = (Fail, InvalidArgument, RuntimeException, RuntimeError, ValueError)
        if not 0.5 <= speed <= 2:
            raise ConfigError(f"wanted a speed from 0.5 to 2, got {speed:g}; correct voice.kokoro.speed")
        model, voices, config = _files(Path(folder).expanduser())
        self._engine = _loaded(model, config, voices, threads)
        self._speed = speed
        self._styles = _styles(voices, {"en": english, "zh": chinese})
        self._english = "en-gb" if english.startswith("b") else "en-us"  # names begin with where a voice is from
        self._read_chinese: Callable[[str], str] | None = None
        self._own_alphabet = config is not None

    def synthesise(self, text: str, language: str, stop: Stop) -> Speech:
        """The sound of a text, float32 mono; no samples for no words. `stop` is asked once, before the network runs.

        A mark ends each word where the next one begins, if the model gives durations and makes as many words of the
        text as there are in it. Raises EngineError for another language, and where the network fails.
        """
        if language not in self.languages:
            raise EngineError(f"wanted to speak '{language}', this voice speaks en, zh; choose another voice")
        if stop() or not any(map(str.isalnum, text)):
            return Speech(np.zeros(0, np.float32), RATE_HZ)
        chinese = language == "zh"
        told = {"is_phonemes": True} if chinese else {"lang": self._english}
        try:
            said = self._chinese(text) if chinese else text
            pcm, rate_hz, timings = self._engine.create_timed(said, self._styles[language], self._speed, **told)
        except self._failures as error:  # among them a text without any phoneme
            raise EngineError(f"wanted '{text}' spoken, kokoro failed with '{error}'; choose another voice") from error
        pcm = np.clip(np.asarray(pcm, np.float32), -1.0, 1.0)
        return Speech(pcm, rate_hz, _marks(text, timings, len(pcm)))

    def _chinese(self, text: str) -> str:
        """The phonemes of a Chinese text. The reader is loaded with the first one: that takes a second or two."""
        if self._read_chinese is None:
            try:
                with redirect_stdout(StringIO()):  # it warns of English words, which are read to it as letters
                    from misaki.zh import ZHG2P  # type: ignore[import-not-found]

                    logging.getLogger("jieba").setLevel(logging.ERROR)
                    read: Any = ZHG2P(version="1.1" if self._own_alphabet else None)
            except ImportError as error:
                raise EngineError(f"wanted misaki to read Chinese for kokoro, got '{error}'; {EXTRA}") from error
            self._read_chinese = lambda text: read(text)[0]
        return self._read_chinese(text)


def _marks(text: str, timings: Sequence[Any], samples: int) -> tuple[tuple[int, int], ...]:
    symbols = [timing.phoneme for timing in timings]
    lasts = [timing.end - timing.start for timing in timings]
    begins = [round(begin * RATE_HZ) for begin in word_begins(symbols, lasts, "")]
    begins = [begin + round(timings[0].start * RATE_HZ) for begin in begins]
    exact, ends = text_ends(text, begins, samples)
    return tuple(zip(ends, [*begins[1:], samples], strict=True)) if exact else ()


# ---------------------------------------------------------------- weights


def _files(folder: Path) -> tuple[Path, Path, Path | None]:
    """The model, the voices and, where there is one, the alphabet."""
    models, voices = sorted(folder.glob("*.onnx")), sorted(folder.glob("*.bin"))
    if len(models) != 1 or len(voices) != 1:
        found = "no such folder" if not folder.is_dir() else f"{len(models)} and {len(voices)} of them"
        cure = advice("voice", "kokoro", f"put those of {SOURCE} there")
        raise WeightsError(
            f"wanted one .onnx and one .bin of Kokoro in '{folder}', got {found}; {cure}, or set voice.kokoro.folder"
        )
    config = folder / "config.json"
    return models[0], voices[0], config if config.is_file() else None


def _styles(voices: Path, wanted: dict[str, str]) -> dict[str, Any]:
    """What makes the network speak as each of the wanted voices does."""
    styles = dict[str, Any]()
    with np.load(voices) as kept:
        for language, name in wanted.items():
            if name not in kept:
                hint = nearest(name, kept, f"it has {', '.join(kept)}")
                raise ConfigError(f"wanted a voice of this Kokoro, got '{name}'; {hint}")
            try:
                styles[language] = kept[name]
            except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
                raise WeightsError(f"wanted Kokoro's voice '{name}', got '{error}'; fetch '{voices}' again") from error
    return styles


def _loaded(model: Path, config: Path | None, voices: Path, threads: int) -> Any:
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument, InvalidGraph, InvalidProtobuf

    try:
        import kokoro_onnx  # type: ignore[import-not-found]
    except ImportError as error:
        raise EngineError(f"wanted kokoro-onnx for the voice kokoro, got '{error}'; {EXTRA}") from error
    logging.getLogger("kokoro_onnx").setLevel(logging.ERROR)
    if not zipfile.is_zipfile(voices):
        raise WeightsError(f"wanted Kokoro's voices, '{voices}' is no archive of them; fetch it again")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 4
    try:
        alphabet = json.loads(config.read_text(encoding="utf-8")) if config is not None else None
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        engine: Any = kokoro_onnx.Kokoro.from_session(session, str(voices), vocab_config=alphabet)
    except (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf) as error:
        raise WeightsError(f"wanted Kokoro's network, '{model}' is none: '{error}'; fetch it again") from error
    except (OSError, ValueError, KeyError) as error:  # its alphabet, for the most part
        raise WeightsError(f"wanted Kokoro's weights in '{model.parent}', got '{error}'; fetch them again") from error
    engine.voices.close()  # they are read by `_styles`
    return engine
