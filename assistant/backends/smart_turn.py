"""Whether a turn is over, by its sound: Smart Turn v3.2 through onnxruntime alone; a wheel carries the model.

Source: https://huggingface.co/pipecat-ai/smart-turn-v3, BSD-2-Clause: Whisper tiny's encoder with a classifier, trained
in 23 languages, Chinese among them. It hears how something is said and no words. What it is fed is Whisper's log-mel
spectrogram, made here with numpy, so that neither torch nor transformers is imported.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from assistant.errors import EngineError, WeightsError
from assistant.events import HEARING_RATE_HZ, Samples
from assistant.models import StoreSettings, fetch, known

BUILT_IN = "smart-turn-v3.2"
HEARD_S = 8
"""how much sound it was trained on"""
N_FFT, HOP = 400, 160
"""Whisper's frames: 25 ms every 10 ms, in samples at 16 kHz"""


class SmartTurn:
    """The `EndOfTurn` seam. About 55 ms of one thread each time, whatever the length of the sound.

    Raises WeightsError where the model is missing and cannot be had, or is damaged, OutputError where it cannot be
    kept, and EngineError where the filters of Whisper's spectrogram are missing.
    """

    def __init__(self, store: StoreSettings | None = None) -> None:
        import onnxruntime

        path = fetch(BUILT_IN, store)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != known(BUILT_IN).sha256:  # what a damaged model makes of the sound would go unnoticed
            raise WeightsError(
                f"wanted the weights '{BUILT_IN}' in {path}, got a damaged file; delete it, and it is fetched anew"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._filters = mel_filters()
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.over(np.zeros(0, np.float32))  # the first run makes room for the others: better now than mid-talk

    def over(self, pcm: Samples) -> float:
        """The probability, 0 to 1, that the turn is over: `pcm` is 16 kHz, its last 8 s count. The less of the pause
        they hold, the better it tells a pause from an end.
        """
        features = log_mel(pcm, self._filters)[None]
        (p,) = self._session.run(None, {"input_features": features})
        return float(np.asarray(p).reshape(-1)[0])


def mel_filters() -> NDArray[np.float32]:
    """Whisper's mel filters, of shape (80, 201), from the file in its package. Raises EngineError without it."""
    spec = find_spec("whisper")  # finding it does not import it: that would import torch
    where = spec.submodule_search_locations if spec else None
    file = Path(where[0]) / "assets" / "mel_filters.npz" if where else None
    if file is None or not file.is_file():
        raise EngineError("wanted the mel filters of openai-whisper, found none; run: pip install openai-whisper")
    with np.load(file, allow_pickle=False) as filters:
        return filters["mel_80"]


def log_mel(pcm: Samples, filters: NDArray[np.float32]) -> NDArray[np.float32]:
    """The last 8 s as Whisper hears them: float32 of shape (80, 800), frames of 10 ms, shorter sound behind zeros.

    Brought to mean 0 and variance 1 with the zeros counted in, which is how the model was trained: transformers'
    `WhisperFeatureExtractor(chunk_length=8)` with `do_normalize=True`. The base of the logarithm is 10, what is below
    a hundred millionth of the loudest is cut off.
    """
    size = HEARD_S * HEARING_RATE_HZ
    heard = np.zeros(size)
    if len(pcm):
        heard[-min(size, len(pcm)) :] = pcm[-size:]
    heard = (heard - heard.mean()) / np.sqrt(heard.var() + 1e-7)
    framed = np.lib.stride_tricks.sliding_window_view(np.pad(heard, N_FFT // 2, mode="reflect"), N_FFT)[:-1:HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    power = np.abs(np.fft.rfft(framed * window)) ** 2
    # not by a matrix product: its library's second thread would spin for 30 ms on a core that others need
    mel = np.log10(np.maximum(np.einsum("mf,tf->mt", filters, power), 1e-10))
    return ((np.maximum(mel, mel.max() - 8) + 4) / 4).astype(np.float32)
