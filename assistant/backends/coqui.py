"""Text to sound by Coqui (`coqui-tts`): one clause in, its sound out, whole or piece by piece.

A voice is a folder with `config.json` and weights, or a name of Coqui's catalogue. VITS (`vits`) and XTTS (`xtts`) come
in pieces; any other model of the library speaks in one, and its speech carries no marks.
"""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from assistant.backends import Speech, Stop
from assistant.backends.hub import quiet
from assistant.backends.no_torchaudio import stand_in
from assistant.backends.vits import Vits
from assistant.backends.xtts import Xtts, check_licence
from assistant.errors import ConfigError, EngineError, WeightsError, nearest
from assistant.models import advice


class Coqui:
    """The `Voice` seam, and `Streams`. `model` is a folder, or a name such as `tts_models/en/ljspeech/vits`, fetched
    unless `offline`.

    `speaker` is one of a model with several (default: its first); `voice_sample` a recording of the voice to have, for
    models that clone one. `accept_licence` is the user's word that the model's licence is agreed to, where that is
    asked for. `windows`: VITS sounds after its first words; else after its last. `seed` makes the melody, which is
    drawn anew for every clause, repeatable. Raises WeightsError where weights are missing or damaged or their licence
    is not accepted, EngineError without espeak-ng where a model reads phonemes.
    """

    def __init__(
        self,
        model: str = "tts_models/en/ljspeech/vits",
        speaker: str | None = None,
        voice_sample: str | None = None,
        accept_licence: bool = False,
        windows: bool = True,
        device: str = "auto",
        seed: int | None = None,
        offline: bool = False,
        threads: int = 1,
    ) -> None:
        import torch

        torch.set_num_threads(threads)
        logging.getLogger("TTS").setLevel(logging.CRITICAL)  # it logs every clause; its failures reach us as exceptions
        cuda = torch.cuda.is_available() if device == "auto" else device != "cpu"
        named = model.startswith("tts_models/")
        with _loading(model), stand_in(), quiet():
            api = _named(model, offline, accept_licence) if named else _folder(Path(model).expanduser(), accept_licence)
            engine: Any = api.synthesizer
            engine.to("cuda" if cuda else "cpu")
            engine.use_cuda = cuda
        self._names = _languages(model, engine)
        self.languages = tuple(self._names)
        self._many = engine.tts_config.model == "xtts" or engine.tts_model.language_manager.num_languages > 1
        self._windows, self._seed = windows, seed
        self._rate_hz = int(engine.output_sample_rate)
        speaker = None if voice_sample else _speaker(speaker, api.speakers or [])
        self._how = {"speaker": speaker, "speaker_wav": voice_sample}
        self._speaks = _speaks(engine, self._rate_hz, speaker, voice_sample)
        tokenizer = engine.tts_model.tokenizer
        characters = getattr(tokenizer, "characters", None)  # XTTS takes any text
        self._letters: set[str] = (
            set() if characters is None or tokenizer.use_phonemes else set(filter(str.isalnum, characters.vocab))
        )
        self._stop: Stop = lambda: False
        for part in engine.modules():
            if isinstance(part, (torch.nn.Conv1d, torch.nn.LayerNorm)):  # what it is made of: each takes milliseconds
                part.register_forward_pre_hook(lambda *_: self._ask())

    def synthesise(self, text: str, language: str, stop: Stop) -> Speech:
        """The sound of a text, float32 mono; no samples for no words, or once `stop` is true. VITS marks its words.

        Raises EngineError for a language or letters that the voice does not have, and where the model fails.
        """
        pieces = [speech for _, speech in self._pieces(text, language, stop, whole=True)]
        return pieces[0] if pieces else Speech(np.zeros(0, np.float32), self._rate_hz)

    def stream(self, text: str, language: str, stop: Stop) -> Iterator[tuple[int, Speech]]:
        """The same piece by piece, as `Streams` has it. The pieces of a VITS are of whole words."""
        yield from self._pieces(text, language, stop, whole=not self._windows)

    def _pieces(self, text: str, language: str, stop: Stop, *, whole: bool) -> Iterator[tuple[int, Speech]]:
        import torch

        if language not in self._names:
            known = ", ".join(self.languages)
            raise EngineError(f"wanted to speak '{language}', this voice speaks {known}; choose another voice")
        if stop() or not any(letter.isalnum() for letter in text):
            return
        if self._letters and not self._letters.intersection(text + text.lower()):
            raise EngineError(f"wanted '{text}' spoken, this voice has none of its letters; choose another voice")
        if self._seed is not None:
            torch.manual_seed(self._seed)
        self._stop = stop
        name = self._names[language] if self._many else None
        pieces = self._speaks.speak(text, whole=whole, language=name, **self._how)
        while True:
            try:
                with torch.no_grad():
                    piece = next(pieces, None)
            except _Stopped:
                return
            except ImportError as error:  # XTTS reads Chinese by a package of its own
                raise EngineError(f"wanted '{text}' spoken, got '{error}'; install what it names") from error
            except (RuntimeError, ValueError, IndexError) as error:  # out of memory; too little sound to shape
                why = f"wanted '{text}' spoken, coqui failed with '{error}'; choose another voice"
                raise EngineError(why) from error
            if piece is None:
                return
            yield piece

    def _ask(self) -> None:
        if self._stop():
            raise _Stopped


class _Stopped(Exception):
    """Nobody wants the rest."""


class _Whole:
    """Any model of the library, and its vocoder: all of the sound at once."""

    def __init__(self, engine: Any, rate_hz: int) -> None:
        self._engine, self._rate_hz = engine, rate_hz

    def speak(
        self, text: str, *, speaker: str | None, language: str | None, **how: Any
    ) -> Iterator[tuple[int, Speech]]:
        from TTS.utils.synthesizer import PAD_SILENCE_SAMPLES

        told = {"speaker_name": speaker, "language_name": language, "speaker_wav": how["speaker_wav"]}
        made = self._engine.tts(text, split_sentences=False, **told)
        pcm = np.asarray(made, np.float32)[:-PAD_SILENCE_SAMPLES]  # half a second between sentences: not ours to add
        yield len(text), Speech(np.clip(pcm, -1.0, 1.0), self._rate_hz)


def _speaks(engine: Any, rate_hz: int, speaker: str | None, sample: str | None) -> Vits | Xtts | _Whole:
    """Who makes a text sound, by the kind of model."""
    if engine.tts_config.model == "xtts":
        return Xtts(engine.tts_model, rate_hz, speaker, sample)
    if engine.tts_config.model == "vits":
        return Vits(engine.tts_model, rate_hz)
    return _Whole(engine, rate_hz)


def _languages(model: str, engine: Any) -> dict[str, str]:
    """Our codes (en, zh) -> the model's own (en-us, zh-cn)."""
    names = list(engine.tts_model.language_manager.language_names)
    if len(names) < 2:
        told = model.split("/")[1] if model.startswith("tts_models/") else None
        names = [told or engine.tts_config.phoneme_language or (names[0] if names else "en")]
    return {name.lower().replace("_", "-").split("-")[0]: name for name in reversed(names)}


def _speaker(wanted: str | None, names: list[str]) -> str | None:
    if wanted is not None and wanted not in names:
        hint = nearest(wanted, names, f"it has {', '.join(names) or 'one voice only: leave it out'}")
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
        raise EngineError(
            f"wanted espeak-ng for the phonemes of '{model}', found none; install it (apt install espeak-ng) or choose "
            "another voice"
        ) from error
    except ImportError as error:
        raise EngineError(f"wanted coqui-tts, got '{error}'; install what it names") from error
    except OSError as error:  # requests' own errors among them
        raise WeightsError(
            f"wanted the voice '{model}', got '{error}'; {advice('voice', model, 'check the network')}"
        ) from error
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        what = next(iter(str(error).splitlines()), type(error).__name__)
        raise WeightsError(f"wanted the voice '{model}', got '{what}'; fetch it again") from error


def _folder(folder: Path, accepted: bool) -> Any:
    """A voice from a folder with config.json and one file of weights."""
    from TTS.api import TTS
    from TTS.config import load_config

    weights = sorted(folder.glob("*.pth"))
    if not (folder / "config.json").is_file() or not weights:
        found = "no such folder" if not folder.is_dir() else "a folder without them"
        raise WeightsError(f"wanted config.json and model.pth in '{folder}', got {found}; name a voice's folder")
    best = folder / "model.pth"
    file = best if best in weights else weights[0]
    config: Any = load_config(str(folder / "config.json"))
    if config.model == "xtts":
        check_licence(accepted, str(folder))
        file = folder  # its vocabulary and its speakers lie beside its weights
    return TTS(model_path=str(file), config_path=str(folder / "config.json"), progress_bar=False)


def _named(model: str, offline: bool, accepted: bool) -> Any:
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
        cure = advice("voice", model, "run once without --offline")
        raise WeightsError(f"wanted the voice '{model}' in '{kept}', got none; {cure}")
    if not manager.tos_agreed(item, kept):
        check_licence(accepted, model)
    with _agreed(accepted):
        return TTS(model_name=model, progress_bar=True)


@contextmanager
def _agreed(accepted: bool) -> Iterator[None]:
    """Tell the library that its licence is agreed to, in the one way it has; else it asks on the terminal."""
    name = "COQUI_TOS_AGREED"
    before = os.environ.get(name)
    if accepted:
        os.environ[name] = "1"
    try:
        yield
    finally:
        if before is not None:
            os.environ[name] = before
        elif accepted:
            del os.environ[name]
