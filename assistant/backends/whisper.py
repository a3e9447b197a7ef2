"""Speech to words by OpenAI's Whisper, in whole recordings: sound is kept until `finish`, then transcribed.

One pass of the encoder per 30 s window serves language, words and word times. Decoding is greedy (temperature 0),
without the ladder of retries: what the guards reject is no speech. Knows nothing of streaming or cut encoder windows.
Source: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022; the package `openai-whisper`.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from assistant.errors import ConfigError, EngineError, WeightsError
from assistant.events import HEARING_RATE_HZ, Samples, Word, Words

NO_SPEECH_P = 0.9
"""Above it nobody spoke, whatever the words (ufal/whisper_streaming). The next two are `whisper.transcribe`'s."""
LEAST_MEAN_LOGP = -1.0
MOST_COMPRESSION = 2.4
"""Text that gzip packs tighter than this repeats itself: the model is in a loop."""
SHORTEST_S = 0.1
"""Nothing can be said in less; Whisper would fill it with words all the same."""


@dataclass(slots=True)
class Recording:
    """A segment being heard: its language (or auto), its sound so far, and whether it is finished."""

    language: str
    blocks: list[Samples] = field(default_factory=list[Samples])
    over: bool = False


class Whisper:
    """The `Recogniser` seam. `model` is a name (`base`, `small`, `turbo`, …) or the path of a checkpoint (`.pt`).

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

    def start(self, language: str) -> Recording:
        """A new segment. `language` is one of `languages` or auto."""
        if language not in ("auto", *self.languages):
            known = ", ".join(self.languages)
            raise EngineError(f"wanted to hear '{language}', whisper was set up for {known}; change its languages")
        return Recording(language)

    def feed(self, segment: Recording, pcm: Samples) -> Words | None:
        """Keep 16 kHz sound; nothing is known before `finish`. Raises EngineError for a segment that is finished."""
        _check(segment)
        segment.blocks.append(pcm)
        return None

    def finish(self, segment: Recording) -> Words:
        """What was said, with word times in seconds; empty for silence and noise."""
        import torch

        _check(segment)
        segment.over = True
        pcm = np.concatenate([np.zeros(0, np.float32), *segment.blocks]).astype(np.float32, copy=False)
        try:
            with torch.no_grad():
                return self._transcribe(pcm, segment.language)
        except RuntimeError as error:  # torch's: out of memory, a lost GPU
            raise EngineError(f"wanted words, whisper failed with '{error}'; try a smaller model") from error

    def _transcribe(self, pcm: Samples, language: str) -> Words:
        from whisper.audio import N_SAMPLES

        chosen = language if language != "auto" else self.languages[0] if len(self.languages) == 1 else ""
        text, words, began = "", list[Word](), 0
        while len(pcm) - began >= SHORTEST_S * HEARING_RATE_HZ:
            window = pcm[began : began + N_SAMPLES]
            features = self._encode(window)
            chosen = chosen or self._detect(features)
            piece, heard, used = self._decode(features, chosen, len(window), last=began + N_SAMPLES >= len(pcm))
            text += piece
            words += Words("", tuple(heard)).shifted(began / HEARING_RATE_HZ).words
            began += used
        return Words(text.strip(), tuple(words), chosen or self.languages[0])

    def _encode(self, pcm: Samples) -> Any:
        """Features (1, contexts, width) of up to 30 s of sound."""
        from whisper.audio import log_mel_spectrogram, pad_or_trim

        mel = log_mel_spectrogram(pad_or_trim(pcm), self._model.dims.n_mels).to(self._device)
        return self._model.embed_audio((mel.half() if self._half else mel)[None])

    def _detect(self, features: Any) -> str:
        """The likeliest of our languages; Whisper knows 99 and would choose among them all."""
        _, found = self._model.detect_language(features)
        return max(self.languages, key=lambda language: found[0][language])

    def _decode(self, features: Any, language: str, samples: int, last: bool) -> tuple[str, list[Word], int]:
        """Text and words of one window, and how many of its samples they account for."""
        from whisper.decoding import DecodingOptions, decode
        from whisper.tokenizer import get_tokenizer

        options = DecodingOptions(language=language, temperature=0.0, fp16=self._half)
        result: Any = decode(self._model, features[0], options)
        if not _is_speech(result):
            return "", [], samples
        tokenizer = get_tokenizer(
            self._model.is_multilingual, num_languages=self._model.num_languages, language=language, task="transcribe"
        )
        tokens, used = result.tokens, samples
        if not last:
            tokens, used = _complete(tokens, tokenizer.timestamp_begin, samples)
        tokens = [token for token in tokens if token < tokenizer.eot]
        return tokenizer.decode(tokens), self._align(features, tokenizer, tokens, samples), used

    def _align(self, features: Any, tokenizer: Any, tokens: list[int], samples: int) -> list[Word]:
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
        return words


def _check(segment: Recording) -> None:
    if segment.over:
        raise EngineError("wanted a segment that is open, got one that was finished; start a new one")


class _Encoded:
    """A model whose encoder has already run: alignment asks for logits by spectrogram and would run it again."""

    def __init__(self, model: Any, features: Any) -> None:
        self.device, self.dims, self.decoder = model.device, model.dims, model.decoder
        self.alignment_heads = model.alignment_heads
        self._features = features

    def __call__(self, mel: Any, tokens: Any) -> Any:
        return self.decoder(tokens, self._features)


def _is_speech(result: Any) -> bool:
    """Whether a window's words can be believed; `nan` cannot."""
    sure = result.avg_logprob >= LEAST_MEAN_LOGP
    return sure and result.compression_ratio <= MOST_COMPRESSION and result.no_speech_prob <= NO_SPEECH_P


def _complete(tokens: list[int], first_stamp: int, samples: int) -> tuple[list[int], int]:
    """The tokens before the window's last closed sentence, and the samples up to there; all where none is closed.

    A closed sentence ends in two time stamps; the words behind it are heard again in the next window.
    """
    ends = [i for i in range(1, len(tokens)) if tokens[i - 1] >= first_stamp and tokens[i] >= first_stamp]
    if not ends:
        return tokens, samples
    used = round((tokens[ends[-1] - 1] - first_stamp) * 0.02 * HEARING_RATE_HZ)  # a stamp is 20 ms
    return (tokens[: ends[-1]], used) if used > 0 else (tokens, samples)


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
