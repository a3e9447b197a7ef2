"""VITS, decoded in windows: the first words sound while the last are still numbers.

Text encoder, durations and flow run once; they settle when every word is said. The decoder (HiFi-GAN) makes the sound
of a stretch of frames from those frames and a few on either side, so decoding stretch by stretch gives the same sound
as all at once. A stretch is of whole words, so that no word is torn where the decoder is late. Sources: Kim et al.,
Conditional Variational Autoencoder with Adversarial Learning for End-to-End Text-to-Speech, 2021; Kong et al.,
HiFi-GAN, 2020. Knows a model of coqui-tts, and nothing of how it came to be.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from assistant.backends import Speech

FIRST = 24
"""frames (of about 12 ms) that the first stretch has at least; each one after it twice as many as the one before"""
MOST = 192
"""and at most so many are asked for"""


class Vits:
    """A VITS of coqui-tts, as pieces of speech."""

    def __init__(self, model: Any, rate_hz: int) -> None:
        self._model, self._rate_hz = model, rate_hz
        _settle(model)
        decoder = model.waveform_decoder
        self._decoder, self._reach = decoder.forward, reach(decoder)
        self._latents: Any = None
        decoder.forward = self._keep

    def speak(self, text: str, *, whole: bool, **how: Any) -> Iterator[tuple[int, Speech]]:
        """The sound of a text piece by piece, or whole: see `Streams.stream`. `how` chooses speaker and language.

        A mark ends each word where the next one begins, if the model makes as many words of the text as there are in
        it; else there are none, and where in the text a piece ends is estimated by letters.
        """
        made = self._model.synthesize(text, use_griffin_lim=True, **how)
        z, g = self._latents
        symbols, lasts = made["text_inputs"][0].tolist(), made["outputs"]["durations"].flatten().tolist()
        letters = self._model.tokenizer.characters
        names = [letters.id_to_char(symbol) for symbol in symbols]
        frames: int = z.shape[-1]
        stretch = frames / (sum(lasts) or 1)  # 1, but for models that work at two rates
        begins = [round(begin * stretch) for begin in word_begins(names, lasts, letters.blank)]
        exact, ends = text_ends(text, begins, frames)
        cuts = [(len(begins), frames)] if whole else list(stretches(begins, frames))
        done = said = word = 0
        for upto, end in cuts:
            pcm = self._decode(z, g, done, end)
            hop = len(pcm) // (end - done)
            last = upto == len(begins)
            text_end = len(text) if last else ends[upto - 1]
            marks = tuple(
                (ends[k] - said, ((begins[k + 1] if k + 1 < len(begins) else frames) - done) * hop)
                for k in range(word, upto if exact else word)
            )
            yield text_end, Speech(np.clip(pcm, -1.0, 1.0), self._rate_hz, marks)
            done, said, word = end, text_end, upto

    def _keep(self, z: Any, g: Any = None) -> Any:
        """Stands in for the decoder when the model runs: what it would have made into sound is kept."""
        self._latents = z, g
        return z.new_zeros(1, 1, 1)

    def _decode(self, z: Any, g: Any, begin: int, end: int) -> np.ndarray:
        """The sound of the frames from `begin` to `end`, bit-close to the same stretch of all of it decoded at once."""
        first, last = max(0, begin - self._reach), min(z.shape[-1], end + self._reach)
        pcm = self._decoder(z[:, :, first:last], g=g)[0, 0].float().cpu().numpy()
        hop = len(pcm) // (last - first)
        return pcm[(begin - first) * hop : (end - first) * hop]


def reach(decoder: Any) -> int:
    """How many frames on either side of one a HiFi-GAN listens to, at most."""
    frames, rate = float(_half(decoder.conv_pre)), 1.0
    blocks = len(decoder.resblocks) // len(decoder.ups)
    for i, up in enumerate(decoder.ups):
        frames += math.ceil(up.kernel_size[0] / up.stride[0]) / rate
        rate *= up.stride[0]
        layer = decoder.resblocks[i * blocks : (i + 1) * blocks]
        frames += (
            max(sum(_half(part) for part in block.modules() if hasattr(part, "dilation")) for block in layer) / rate
        )
    return math.ceil(frames + _half(decoder.conv_post) / rate)


def _half(conv: Any) -> int:
    return (conv.kernel_size[0] - 1) * conv.dilation[0] // 2


def _settle(model: Any) -> None:
    """Work out once what the weights are: in training each is a direction and a length, multiplied at every use."""
    from torch.nn.utils import parametrize

    for part in model.modules():
        if parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight")


# ---------------------------------------------------------------- words


def word_begins(symbols: Sequence[str], lasts: Sequence[float], blank: str) -> Iterator[float]:
    """Where each word begins, in the steps that durations count: at its first letter or phoneme behind a space."""
    at, fresh = 0.0, True
    for symbol, last in zip(symbols, lasts, strict=True):
        if symbol == " ":
            fresh = True
        elif fresh and symbol != blank and symbol.isalpha():
            yield at
            fresh = False
        at += last


def stretches(begins: Sequence[int], frames: int) -> Iterator[tuple[int, int]]:
    """What to decode at a time, as (words, frames) up to its end: whole words, more and more of them."""
    done, size = 0, FIRST
    for word, begin in enumerate(begins):
        if word and begin - done >= size and frames - begin >= size // 2:
            yield word, begin
            done, size = begin, min(2 * size, MOST)
    yield len(begins), frames


def text_ends(text: str, begins: Sequence[int], frames: int) -> tuple[bool, list[int]]:
    """Where in the text each word that is heard ends, and whether that is known.

    It is where there are as many words in the text; else a word is taken to last as long as it has letters, and to be
    over where the next heard one begins.
    """
    words = [word for word in re.finditer(r"\S+", text) if any(map(str.isalnum, word[0]))]
    ends = [word.end() for word in words]
    if len(begins) == len(ends):
        return True, ends
    letters = [sum(map(str.isalnum, word[0])) for word in words]
    shares = [sum(letters[:k]) / sum(letters) for k in range(len(words))]
    begun = [sum(share * frames < begin for share in shares) for begin in (*begins[1:], frames)]
    return False, [ends[max(count, 1) - 1] for count in begun]
