"""Speech to words by OpenAI's Whisper, a recording at a time; `transcribing` makes it stream.

One pass of the encoder serves language, words and word times. Decoding is greedy (temperature 0), without the ladder of
retries. Knows nothing of what was heard before but the prompt, of whether to believe itself (`guards`), and of cut
encoder windows. Source: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022; the package
`openai-whisper`.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.backends import Hypothesis, Stop
from assistant.errors import ConfigError, EngineError, WeightsError
from assistant.events import HEARING_RATE_HZ, Samples, Word, Words

LONGEST_S = 30.0
"""the encoder's window"""
SHORTEST_S = 0.1
"""Nothing can be said in less; Whisper would fill it with words all the same."""


class _StoppedError(Exception):
    """Nobody wants the words any more."""


class Whisper:
    """The `Decodes` seam. `model` is a name (`base`, `small`, `turbo`, …) or the path of a checkpoint (`.pt`).

    `languages` are the ones to choose among; `folder` is where weights lie (default: Whisper's own cache). A name is
    downloaded on first use unless `offline`. Raises WeightsError where weights are missing or damaged.
    """

    def __init__(
        self,
        model: str = "base",
        device: str = "auto",
        languages: Sequence[str] = ("en", "zh"),
        folder: str | None = None,
        offline: bool = False,
        threads: int = 1,
    ) -> None:
        import torch
        from whisper.timing import dtw

        torch.set_num_threads(threads)  # token by token, two threads on two busy cores are three times slower than one
        self._device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._half = self._device.startswith("cuda")
        self._model = _load(model, self._device, folder, offline)
        self.languages = _languages(languages, self._model.is_multilingual)
        dtw(torch.zeros(2, 8, device=self._device))  # compiles for seconds on its first call: better now than mid-talk
        self._stop: Stop = _never
        for block in (*self._model.encoder.blocks, *self._model.decoder.blocks):
            block.register_forward_pre_hook(self._look_whether_to_stop)

    def decode(self, pcm: Samples, language: str, prompt: str, stop: Stop) -> Hypothesis:
        """What is said in up to 30 s of 16 kHz sound; no words for a tenth of a second or less.

        `language` is one of `languages`, or auto: the likeliest of them. `stop` is asked before every layer. Raises
        EngineError for another language, longer sound, and where Whisper fails.
        """
        import torch

        if language not in ("auto", *self.languages):
            known = ", ".join(self.languages)
            raise EngineError(f"wanted to hear '{language}', whisper was set up for {known}; change its languages")
        length_s = len(pcm) / HEARING_RATE_HZ
        if length_s > LONGEST_S:
            raise EngineError(f"wanted at most {LONGEST_S:g} s of sound at a time, got {length_s:.1f} s; cut it")
        chosen = language if language != "auto" else self.languages[0] if len(self.languages) == 1 else ""
        if length_s < SHORTEST_S:
            return Hypothesis(Words("", (), chosen or self.languages[0]))
        self._stop = stop
        try:
            with torch.no_grad():
                features = self._encode(pcm)
                return self._decode(features, chosen or self._detect(features), prompt, len(pcm))
        except _StoppedError:
            return Hypothesis(Words("", (), chosen or self.languages[0]))
        except RuntimeError as error:  # torch's: out of memory, a lost GPU
            raise EngineError(f"wanted words, whisper failed with '{error}'; try a smaller model") from error
        finally:
            self._stop = _never

    def _look_whether_to_stop(self, *_: Any) -> None:
        if self._stop():
            raise _StoppedError

    def _encode(self, pcm: Samples) -> Any:
        """Features (1, contexts, width) of up to 30 s of sound."""
        from whisper.audio import log_mel_spectrogram, pad_or_trim

        mel = log_mel_spectrogram(pad_or_trim(pcm), self._model.dims.n_mels).to(self._device)
        return self._model.embed_audio((mel.half() if self._half else mel)[None])

    def _detect(self, features: Any) -> str:
        """The likeliest of our languages; Whisper knows 99 and would choose among them all."""
        _, found = self._model.detect_language(features)
        return max(self.languages, key=lambda language: found[0][language])

    def _decode(self, features: Any, language: str, prompt: str, samples: int) -> Hypothesis:
        from whisper.decoding import DecodingOptions, decode
        from whisper.tokenizer import get_tokenizer

        options = DecodingOptions(language=language, temperature=0.0, fp16=self._half, prompt=prompt or None)
        result: Any = decode(self._model, features[0], options)
        tokenizer = get_tokenizer(
            self._model.is_multilingual, num_languages=self._model.num_languages, language=language, task="transcribe"
        )
        tokens = [token for token in result.tokens if token < tokenizer.eot]
        self._stop = _never  # short, and Whisper's alignment would leave its hooks in the model
        words = Words(tokenizer.decode(tokens).strip(), self._align(features, tokenizer, tokens, samples), language)
        return Hypothesis(words, float(result.avg_logprob), float(result.no_speech_prob))

    def _align(self, features: Any, tokenizer: Any, tokens: list[int], samples: int) -> tuple[Word, ...]:
        """The words and when they were said, by dynamic time warping over cross-attention."""
        from whisper.audio import HOP_LENGTH
        from whisper.timing import add_word_timestamps

        length_s = samples / HEARING_RATE_HZ
        piece = {"seek": 0, "start": 0.0, "end": length_s, "tokens": tokens}
        add_word_timestamps(
            segments=[piece],
            model=_Encoded(self._model, features),  # type: ignore[arg-type]  # stands in for the model
            tokenizer=tokenizer,
            mel=features[0],
            num_frames=samples // HOP_LENGTH,
            last_speech_timestamp=0.0,
        )
        words = list[Word]()
        for found in piece.get("words", ()):
            began_s = min(max(float(found["start"]), words[-1].ended_s if words else 0.0), length_s)
            ended_s = min(max(float(found["end"]), began_s), length_s)
            words.append(Word(found["word"].strip(), began_s, ended_s, float(found["probability"])))
        return tuple(words)


def _never() -> bool:
    return False


class _Encoded:
    """A model whose encoder has already run: alignment asks for logits by spectrogram and would run it again."""

    def __init__(self, model: Any, features: Any) -> None:
        self.device, self.dims, self.decoder = model.device, model.dims, model.decoder
        self.alignment_heads = model.alignment_heads
        self._features = features

    def __call__(self, mel: Any, tokens: Any) -> Any:
        return self.decoder(tokens, self._features)


def _languages(wanted: Sequence[str], multilingual: bool) -> tuple[str, ...]:
    from whisper.tokenizer import LANGUAGES

    for language in wanted:
        if language not in LANGUAGES:
            raise ConfigError(f"wanted languages that Whisper knows, got '{language}'; write codes such as en, zh")
    usable = tuple(language for language in wanted if multilingual or language == "en")
    if not usable:
        raise ConfigError(f"wanted languages this model hears, got '{', '.join(wanted)}'; take one without '.en'")
    return usable


# ---------------------------------------------------------------- weights


def _load(model: str, device: str, folder: str | None, offline: bool) -> Any:
    """A checkpoint as `whisper.model.Whisper`, with the alignment heads of its name where it has one."""
    import whisper

    file = _file(model, folder, offline)
    try:
        loaded = whisper.load_model(str(file), device=device)
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, pickle.UnpicklingError) as error:
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"wanted a Whisper checkpoint in '{file}', got '{what}'; fetch the file again") from error
    if heads := whisper._ALIGNMENT_HEADS.get(model):  # loading by path leaves the last layers' heads, right for none
        loaded.set_alignment_heads(heads)
    return loaded


def _file(model: str, folder: str | None, offline: bool) -> Path:
    """Where a checkpoint lies, after fetching it where that is allowed."""
    import whisper

    if model not in whisper._MODELS:
        file = Path(model).expanduser()
        if not file.is_file():
            known = ", ".join(whisper.available_models())
            raise WeightsError(f"wanted a Whisper model, got '{model}'; name a .pt file or one of {known}")
        return file
    url = whisper._MODELS[model]
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    root = Path(folder or f"{cache}/whisper").expanduser()
    file = root / Path(url).name
    if file.is_file() and _sha256(file) == Path(url).parent.name:
        return file
    wanted = f"wanted the weights of Whisper '{model}' in '{root}'"
    if offline:
        found = "a damaged file" if file.is_file() else "none"
        raise WeightsError(f"{wanted}, got {found}; run once without --offline")
    try:
        return Path(str(whisper._download(url, str(root), in_memory=False)))
    except (OSError, RuntimeError, TypeError) as error:  # TypeError: a proxy answers without a length
        raise WeightsError(f"{wanted}, the download ended in '{error}'; put {url} there") from error


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
