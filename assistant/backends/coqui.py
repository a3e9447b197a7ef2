"""Text to sound by Coqui (`coqui-tts`), VITS above all: one clause in, its sound out.

A voice is a folder with `config.json` and weights, or a name of Coqui's catalogue. Word times come out of the durations
that VITS predicts for each of its letters or phonemes; other models give none, and their speech carries no marks.
"""

from __future__ import annotations

import logging
import pickle
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from assistant.backends import Speech, Stop
from assistant.backends.no_torchaudio import stand_in
from assistant.errors import ConfigError, EngineError, WeightsError


class Coqui:
    """The `Voice` seam. `model` is a folder, or a name such as `tts_models/en/ljspeech/vits`, fetched unless `offline`.

    `speaker` is one of a model with several (default: its first). `seed` makes the melody, which is drawn anew for
    every clause, repeatable. Digits are best written out: the first one costs the library seconds. Raises WeightsError
    where weights are missing or damaged, EngineError without espeak-ng where a model reads phonemes.
    """

    def __init__(
        self,
        model: str = "tts_models/en/ljspeech/vits",
        speaker: str | None = None,
        device: str = "auto",
        seed: int | None = None,
        offline: bool = False,
        threads: int = 1,
    ) -> None:
        import torch

        torch.set_num_threads(threads)
        logging.getLogger("TTS").setLevel(logging.CRITICAL)  # it logs every clause; its failures reach us as exceptions
        cuda = torch.cuda.is_available() if device == "auto" else device != "cpu"
        with _loading(model), stand_in():
            api = _named(model, offline) if model.startswith("tts_models/") else _folder(Path(model).expanduser())
            self._engine: Any = api.synthesizer
            self._engine.to("cuda" if cuda else "cpu")
            self._engine.use_cuda = cuda
        self._names = _languages(model, self._engine)
        self.languages = tuple(self._names)
        self._many = self._engine.tts_model.language_manager.num_languages > 1
        self._speaker = _speaker(speaker, api.speakers or [])
        self._seed = seed
        tokenizer = self._engine.tts_model.tokenizer
        self._letters: set[str] = (
            set() if tokenizer.use_phonemes else set(filter(str.isalnum, tokenizer.characters.vocab))
        )
        self._inferred: tuple[list[int], dict[str, Any]] | None = None
        self._note_inference()
        self._stop: Stop = lambda: False
        for part in self._engine.modules():
            if isinstance(part, torch.nn.Conv1d):  # what it is made of: each takes milliseconds
                part.register_forward_pre_hook(lambda *_: self._ask())

    def synthesise(self, text: str, language: str, stop: Stop) -> Speech:
        """The sound of a text, float32 mono; no samples for no words, or once `stop` is true.

        A mark ends each word where the next one begins, if the model has a duration for each of its symbols and makes
        as many words of the text as there are in it; else there are none.
        """
        import torch
        from TTS.utils.synthesizer import PAD_SILENCE_SAMPLES

        if language not in self._names:
            known = ", ".join(self.languages)
            raise EngineError(f"wanted to speak '{language}', this voice speaks {known}; choose another voice")
        rate_hz = int(self._engine.output_sample_rate)
        nothing = Speech(np.zeros(0, np.float32), rate_hz)
        if stop() or not any(letter.isalnum() for letter in text):
            return nothing
        if self._letters and not self._letters.intersection(text + text.lower()):
            raise EngineError(f"wanted '{text}' spoken, this voice has none of its letters; choose another voice")
        if self._seed is not None:
            torch.manual_seed(self._seed)
        self._stop, self._inferred = stop, None
        try:
            with torch.no_grad():
                made = self._engine.tts(
                    text,
                    speaker_name=self._speaker,
                    language_name=self._names[language] if self._many else None,
                    split_sentences=False,
                )
        except _Stopped:
            return nothing
        except (RuntimeError, ValueError, IndexError) as error:  # out of memory; too little sound to shape
            raise EngineError(f"wanted '{text}' spoken, coqui failed with '{error}'; choose another voice") from error
        pcm = np.asarray(made, np.float32)[:-PAD_SILENCE_SAMPLES]  # half a second between sentences: not ours to add
        return Speech(np.clip(pcm, -1.0, 1.0), rate_hz, self._marks(text, len(pcm)))

    def _note_inference(self) -> None:
        """Keep what the model makes of a text besides its sound: the library drops it."""
        model = self._engine.tts_model
        infer = model.inference

        def noting(symbols: Any, *args: Any, **options: Any) -> Any:
            made = infer(symbols, *args, **options)
            self._inferred = (symbols[0].tolist(), made)
            return made

        model.inference = noting

    def _marks(self, text: str, samples: int) -> tuple[tuple[int, int], ...]:
        symbols, made = self._inferred or ([], {})
        durations = made.get("durations") if isinstance(made, dict) else None
        if durations is None or durations.numel() != len(symbols):
            return ()
        letters = self._engine.tts_model.tokenizer.characters
        lasts: list[float] = durations.flatten().tolist()
        begins = list(_begins([letters.id_to_char(symbol) for symbol in symbols], lasts, letters.blank))
        ends = [word.end() for word in re.finditer(r"\S+", text) if any(map(str.isalnum, word[0]))]
        if len(begins) != len(ends):
            return ()
        per_step = samples / sum(lasts)
        return tuple((end, round(begin * per_step)) for end, begin in zip(ends, [*begins[1:], sum(lasts)], strict=True))

    def _ask(self) -> None:
        if self._stop():
            raise _Stopped


class _Stopped(Exception):
    """Nobody wants the rest."""


def _begins(symbols: Sequence[str], lasts: Sequence[float], blank: str) -> Iterator[float]:
    """Where each word begins, in the steps that durations count: at its first letter or phoneme behind a space."""
    at, fresh = 0.0, True
    for symbol, last in zip(symbols, lasts, strict=True):
        if symbol == " ":
            fresh = True
        elif fresh and symbol != blank and symbol.isalpha():
            yield at
            fresh = False
        at += last


def _languages(model: str, engine: Any) -> dict[str, str]:
    """Our codes (en, zh) -> the model's own (en-us, zh-cn)."""
    names = list(engine.tts_model.language_manager.language_names)
    if len(names) < 2:
        told = model.split("/")[1] if model.startswith("tts_models/") else None
        names = [told or engine.tts_config.phoneme_language or (names[0] if names else "en")]
    return {name.lower().replace("_", "-").split("-")[0]: name for name in reversed(names)}


def _speaker(wanted: str | None, names: list[str]) -> str | None:
    if wanted is not None and wanted not in names:
        near = get_close_matches(wanted, names, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(names) or 'one voice only: leave it out'}"
        raise ConfigError(f"wanted a speaker of this voice, got '{wanted}'; {hint}")
    return wanted or (names[0] if names else None)


# ---------------------------------------------------------------- weights


@contextmanager
def _loading(model: str) -> Iterator[None]:
    """The library's many ways to say that a voice cannot be had, as ours."""
    try:
        yield
    except FileNotFoundError as error:
        if "espeak" not in str(error):
            raise WeightsError(f"wanted the voice '{model}', got '{error}'; fetch it again") from error
        advice = "install it (apt install espeak-ng) or choose another voice"
        raise EngineError(f"wanted espeak-ng for the phonemes of '{model}', found none; {advice}") from error
    except ImportError as error:
        raise EngineError(f"wanted coqui-tts, got '{error}'; install what it names") from error
    except OSError as error:  # requests' own errors among them
        raise WeightsError(f"wanted the voice '{model}', got '{error}'; check the network") from error
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        what = next(iter(str(error).splitlines()), type(error).__name__)
        raise WeightsError(f"wanted the voice '{model}', got '{what}'; fetch it again") from error


def _folder(folder: Path) -> Any:
    """A voice from a folder with config.json and one file of weights."""
    from TTS.api import TTS

    weights = sorted(folder.glob("*.pth"))
    if not (folder / "config.json").is_file() or not weights:
        found = "no such folder" if not folder.is_dir() else "a folder without them"
        raise WeightsError(f"wanted config.json and model.pth in '{folder}', got {found}; name a voice's folder")
    best = folder / "model.pth"
    file = best if best in weights else weights[0]
    return TTS(model_path=str(file), config_path=str(folder / "config.json"), progress_bar=False)


def _named(model: str, offline: bool) -> Any:
    """A voice of Coqui's catalogue, fetched where that is allowed."""
    from TTS.api import TTS
    from TTS.utils.manage import ModelManager

    manager = ModelManager(progress_bar=True)
    known: list[str] = manager.list_tts_models()
    if model not in known:
        near = get_close_matches(model, known, 1)
        raise WeightsError(f"wanted a voice of Coqui's, got '{model}'; did you mean '{near[0] if near else known[0]}'?")
    item, full_name, _ = manager._set_model_item(model)
    kept = manager.output_prefix / full_name
    if offline and not kept.is_dir():
        raise WeightsError(f"wanted the voice '{model}' in '{kept}', got none; run once without --offline")
    if not manager.tos_agreed(item, kept):  # it would ask on the terminal
        raise WeightsError(f"wanted '{model}', its licence is not agreed to; read it and set COQUI_TOS_AGREED=1")
    return TTS(model_name=model, progress_bar=True)
