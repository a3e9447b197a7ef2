"""Voice activity by Silero VAD v6, through onnxruntime alone; the model comes with the `silero-vad` wheel.

Source: https://github.com/snakers4/silero-vad, MIT. Each window of 512 new samples (32 ms at 16 kHz) is preceded by the
64 samples before it; the recurrent state is an explicit value.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from assistant.errors import EngineError
from assistant.events import Samples

CONTEXT = 64


class Silero:
    """The `VoiceActivity` seam."""

    window = 512

    def __init__(self) -> None:
        import onnxruntime

        spec = find_spec("silero_vad")  # finding it does not import it: that would import torch
        where = spec.submodule_search_locations if spec else None
        file = Path(where[0]) / "data" / "silero_vad_16k_op15.onnx" if where else None
        if file is None or not file.is_file():
            raise EngineError("wanted the voice activity model of silero-vad, found none; run: pip install silero-vad")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self._rate = np.array(16_000, dtype=np.int64)

    def start(self) -> tuple[Any, Any]:
        """The state before the first window: the network's own, and the context of zeros."""
        return np.zeros((2, 1, 128), dtype=np.float32), np.zeros(CONTEXT, dtype=np.float32)

    def voice(self, state: tuple[Any, Any], pcm: Samples) -> tuple[tuple[Any, Any], float]:
        """The next state, and the probability of speech in 512 samples at 16 kHz."""
        memory, context = state
        heard = np.concatenate((context, pcm)).astype(np.float32, copy=False)
        p, memory = self._session.run(None, {"input": heard[None], "state": memory, "sr": self._rate})
        return (memory, heard[-CONTEXT:]), float(np.asarray(p).reshape(-1)[0])
