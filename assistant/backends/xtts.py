"""XTTS: a voice that is cloned from a few seconds of somebody's, and streams.

Its weights are under the Coqui Public Model License, which allows no commercial use, and neither does it for what they
say; whoever uses them has to have accepted it. Its speech has no word times: where in the text a piece ends is an
estimate, on the late side of which is what was heard. Source: Casanova et al., XTTS: a Massively Multilingual Zero-Shot
Text-to-Speech Model, 2024. Knows a model of coqui-tts, and nothing of how it came to be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from assistant.backends import Speech
from assistant.errors import ConfigError, WeightsError

LICENCE = "the Coqui Public Model License (no commercial use, https://coqui.ai/cpml)"
LETTERS_A_S, HAN_A_S = 11.0, 3.0
"""A slow speaker's: words of a piece that may not have been said yet are left to the next."""
_WORD = re.compile(r"[\u3400-\u9fff][^\w\s]*|[^\s\u3400-\u9fff]+")


class Xtts:
    """An XTTS of coqui-tts, as pieces of speech. `sample` is a recording of the voice to have, three seconds or more;
    else the voice is the speaker's. Raises ConfigError where there is neither, and for a recording that cannot be used.
    """

    def __init__(self, model: Any, rate_hz: int, speaker: str | None, sample: str | None) -> None:
        self._model, self._rate_hz = model, rate_hz
        settings = model.config
        if sample is not None:
            self._voice = _cloned(model, Path(sample).expanduser())
        elif speaker is not None:
            self._voice = tuple(model.speaker_manager.speakers[speaker].values())
        else:
            raise ConfigError("wanted a voice for XTTS, got none; name a recording of one (voice_sample = FILE.wav)")
        self._tuning = {
            key: settings[key] for key in ("temperature", "length_penalty", "repetition_penalty", "top_k", "top_p")
        }

    def speak(self, text: str, *, whole: bool, language: str | None, **_: Any) -> Iterator[tuple[int, Speech]]:
        """The sound of a text piece by piece, or whole: see `Streams.stream`."""
        if whole:
            made = self._model.inference(text, language, *self._voice, **self._tuning)["wav"]
            yield len(text), self._speech(made)
            return
        chunks = self._model.inference_stream(text, language, *self._voice, **self._tuning)
        said_s, made = 0.0, next(chunks)
        for following in chunks:
            said_s += len(made) / self._rate_hz
            yield said_by(text, said_s), self._speech(made)
            made = following
        yield len(text), self._speech(made)

    def _speech(self, made: Any) -> Speech:
        pcm = made if isinstance(made, np.ndarray) else made.float().cpu().numpy()
        return Speech(np.clip(pcm.astype(np.float32).reshape(-1), -1.0, 1.0), self._rate_hz)


def said_by(text: str, seconds: float) -> int:
    """Where the last word ends that has surely been begun after so long: a slow speaker's."""
    end, needed_s = 0, 0.0
    for word in _WORD.finditer(text):
        needed_s += sum(1 / HAN_A_S if c >= "\u3400" else 1 / LETTERS_A_S for c in word[0] if c.isalnum())
        if needed_s > seconds:
            break
        end = word.end()
    return end


def check_licence(accepted: bool, model: str) -> None:
    """Raise WeightsError where the licence was not accepted."""
    if not accepted:
        raise WeightsError(
            f"wanted '{model}', its licence is not agreed to: {LICENCE}; read it and set "
            "voice.coqui.accept_licence = true"
        )


def _cloned(model: Any, sample: Path) -> tuple[Any, Any]:
    """What XTTS takes from a recording."""
    settings = model.config
    if not sample.is_file():
        raise ConfigError(f"wanted a recording of a voice, got no file '{sample}'; correct voice.coqui.voice_sample")
    try:
        return model.get_conditioning_latents(
            audio_path=[str(sample)],
            gpt_cond_len=settings.gpt_cond_len,
            gpt_cond_chunk_len=settings.gpt_cond_chunk_len,
            max_ref_length=settings.max_ref_len,
            sound_norm_refs=settings.sound_norm_refs,
        )
    except (RuntimeError, ValueError) as error:  # no sound file; hardly any sound
        raise ConfigError(
            f"wanted a recording of a voice in '{sample}', got '{error}'; take three seconds or more of speech (wav)"
        ) from error
