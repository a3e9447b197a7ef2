"""Speech to words by OpenAI's Whisper, a recording at a time; `transcribing` makes it stream.

One pass of the encoder serves language, words and word times. Decoding is greedy (temperature 0), without the ladder of
retries. Whisper pads every recording to 30 s, and that is most of its cost; where `context` is `trimmed`, the encoder's
window ends a margin behind the sound, and what its guards doubt is heard again in full. Knows nothing of what was heard
before but the prompt. Sources: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision, 2022; the
package `openai-whisper`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from assistant.backends import Hypothesis, Stop, hub
from assistant.backends.cores import free_threads
from assistant.backends.precision import Compute, Precision, cast, choose_precision
from assistant.backends.whisper_weights import load_weights
from assistant.errors import ConfigError, EngineError
from assistant.events import HEARING_RATE_HZ, Samples, Word, Words
from assistant.guards import doubt

LONGEST_S = 30.0
"""the encoder's window"""
SHORTEST_S = 0.1
"""Nothing can be said in less; Whisper would fill it with words all the same."""
CONTEXT = 320
"""samples (20 ms) that one position of the encoder hears"""
MARGIN = 128
"""Positions behind the sound in a trimmed window (2.6 s). With as many, word error on Earnings-22 was 17.5 % in place
of 15.3 with large-v3, 62.9 in place of 15.4 with turbo, and 15.6 with a turbo that had been tuned for it: so a window
is trimmed only where that is asked for. Source: https://huggingface.co/MahmoudAshraf/acft-whisper-large-v3-turbo"""
STEP = 32
"""windows are as long as a multiple of so many positions"""
TOKENS, TOKENS_A_S = 32, 20
"""Tokens that can be said, and per second more; a quick speaker of Chinese says about fifteen. Who needs more repeats
himself, and would be let to for seconds."""

_log = logging.getLogger(__name__)


class _StoppedError(Exception):
    """Nobody wants the words any more."""


class Whisper:
    """The `Decodes` seam. `model` is a name (`base`, `small`, `turbo`, …), a checkpoint (`.pt`), a folder of one, or a
    name on the Hugging Face hub (see `whisper_weights.load_weights`).

    `languages` are the ones to choose among; `folder` is where weights lie (default: Whisper's own cache). A name is
    downloaded on first use unless `offline`. `threads` are for decoding, `encoder_threads` for the encoder (0: all
    cores but one). `precision` says what it computes in and why. Raises WeightsError where weights are missing or
    damaged, EngineError where the device is.
    """

    def __init__(
        self,
        model: str = "base",
        device: str = "auto",
        compute: Compute = "auto",
        context: Literal["full", "trimmed"] = "full",
        languages: Sequence[str] = ("en", "zh"),
        folder: str | None = None,
        offline: bool = False,
        threads: int = 1,
        encoder_threads: int = 0,
    ) -> None:
        import torch
        from whisper.audio import N_FFT, log_mel_spectrogram
        from whisper.timing import dtw

        self._threads, self._encoder_threads = threads, encoder_threads or free_threads()[0]
        torch.set_num_threads(threads)  # token by token, two threads on two busy cores are three times slower than one
        self._device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self._trimmed = context == "trimmed"
        self.precision = choose_precision(compute, self._device)
        _log.info("whisper: %s in %s, because %s", model, self.precision.name, self.precision.why)
        self._model = _placed(load_weights(model, folder, offline), self.precision, self._device)
        self._heard, self._said = _kinds(self.precision.name, self._device)
        self.languages = _languages(languages, self._model.is_multilingual)
        self._stop: Stop = _never
        # what takes long the first time, better now than in a talk: dtw is compiled, vocabulary and filters are read
        dtw(torch.zeros(2, 8, device=self._device))
        self._tokenizer(self.languages[0])
        log_mel_spectrogram(np.zeros(N_FFT, np.float32), self._model.dims.n_mels)
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
                return self._hear(pcm, chosen, prompt)
        except _StoppedError:
            return Hypothesis(Words("", (), chosen or self.languages[0]))
        except RuntimeError as error:  # torch's: out of memory, a lost GPU
            raise EngineError(f"wanted words, whisper failed with '{error}'; try a smaller model") from error
        finally:
            self._stop = _never

    def encode(self, pcm: Samples, *, trimmed: bool) -> Any:
        """Features (1, positions, width) of up to 30 s of 16 kHz sound, in a window cut to it or in the whole one."""
        import torch

        whole = self._model.dims.n_audio_ctx
        with torch.no_grad():
            return self._encode(pcm, contexts_for(len(pcm), whole) if trimmed else whole)

    def _look_whether_to_stop(self, *_: Any) -> None:
        if self._stop():
            raise _StoppedError

    def _hear(self, pcm: Samples, language: str, prompt: str) -> Hypothesis:
        """The words of up to 30 s; `language` "" is to be found out."""
        whole = self._model.dims.n_audio_ctx
        contexts = contexts_for(len(pcm), whole) if self._trimmed else whole
        if contexts < whole:
            hypothesis = self._hear_in(contexts, pcm, language, prompt)
            if (why := doubt(hypothesis)) is None:
                return hypothesis
            _log.info("whisper: heard again in full, because in a trimmed window: %s", why)
        return self._hear_in(whole, pcm, language, prompt)

    def _hear_in(self, contexts: int, pcm: Samples, language: str, prompt: str) -> Hypothesis:
        features = self._encode(pcm, contexts)
        return self._decode(features, language or self._detect(features), prompt, len(pcm))

    def _encode(self, pcm: Samples, contexts: int) -> Any:
        """Features (1, contexts, width) of the sound, silence behind it: what `contexts` positions hear."""
        import torch
        from torch.func import functional_call
        from whisper.audio import log_mel_spectrogram, pad_or_trim

        encoder, name = self._model.encoder, "positional_embedding"
        mel = log_mel_spectrogram(pad_or_trim(pcm, contexts * CONTEXT), self._model.dims.n_mels)
        torch.set_num_threads(self._encoder_threads)
        try:
            window = {name: getattr(encoder, name)[:contexts]}
            return functional_call(encoder, window, (mel.to(self._device, self._heard)[None],)).to(self._said)
        finally:
            torch.set_num_threads(self._threads)

    def _detect(self, features: Any) -> str:
        """The likeliest of our languages; Whisper knows 99 and would choose among them all."""
        import torch

        tokenizer = self._tokenizer(self.languages[0])
        begin = torch.tensor([[tokenizer.sot]], device=self._device)
        logits = self._model.logits(begin, features)[0, 0]
        return max(self.languages, key=lambda language: float(logits[tokenizer.to_language_token(language)]))

    def _decode(self, features: Any, language: str, prompt: str, samples: int) -> Hypothesis:
        from whisper.decoding import DecodingOptions, DecodingTask

        most = min(self._model.dims.n_text_ctx // 2, TOKENS + TOKENS_A_S * samples // HEARING_RATE_HZ)
        options = DecodingOptions(language=language, temperature=0.0, sample_len=most, prompt=prompt or None)
        task: Any = DecodingTask(self._model, options)
        task._get_audio_features = lambda mel: mel  # they are features already, whatever their length and type
        result = task.run(features)[0]
        tokenizer = self._tokenizer(language)
        tokens = [token for token in result.tokens if token < tokenizer.eot]
        stop, self._stop = self._stop, _never  # short, and Whisper's alignment would leave its hooks in the model
        words = Words(tokenizer.decode(tokens).strip(), self._align(features, tokenizer, tokens, samples), language)
        self._stop = stop
        return Hypothesis(words, float(result.avg_logprob), float(result.no_speech_prob))

    def _tokenizer(self, language: str) -> Any:
        from whisper.tokenizer import get_tokenizer

        model = self._model
        return get_tokenizer(
            model.is_multilingual, num_languages=model.num_languages, language=language, task="transcribe"
        )

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


def contexts_for(samples: int, whole: int) -> int:
    """How many positions hear so many samples and the margin behind them; at most `whole`."""
    needed = -(-samples // CONTEXT) + MARGIN
    return min(whole, -(-needed // STEP) * STEP)


def _placed(model: Any, precision: Precision, device: str) -> Any:
    """The model in its precision and on its device. Raises EngineError where the device is not there, or too small."""
    import torch

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise EngineError(f"wanted whisper on '{device}', this machine has no GPU that torch can use; take device cpu")
    try:
        return cast(model, precision, device)
    except RuntimeError as error:
        advice = "take a smaller model or device cpu"
        raise EngineError(f"wanted whisper on '{device}', got '{hub.line(error)}'; {advice}") from error


def _kinds(precision: str, device: str) -> tuple[Any, Any]:
    """The types of number that the encoder and the decoder take."""
    import torch

    encoder = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision, torch.float32)
    return encoder, encoder if device.startswith("cuda") else torch.float32
