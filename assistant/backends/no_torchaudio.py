"""What coqui-tts uses of torchaudio, for machines where the real one is missing or does not load.

`stand_in()` lends it out while coqui is imported and built, and takes it back: other libraries that look for it find
what is really there. coqui also insists that torchcodec is installed, and never imports it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any


@contextmanager
def stand_in() -> Iterator[None]:
    """`import torchaudio` and `find_spec("torchcodec")` work inside; the real ones are used where they do."""
    made: list[str] = []
    if not _imports("torchaudio"):
        made += _install(_torchaudio())
    if find_spec("torchcodec") is None:
        made += _install({"torchcodec": _module("torchcodec")})
    try:
        yield
    finally:
        for name in made:
            sys.modules.pop(name, None)


def _imports(name: str) -> bool:
    try:
        import_module(name)
    except (ImportError, OSError):  # OSError: built for another torch, its library does not load
        for broken in [m for m in sys.modules if m == name or m.startswith(f"{name}.")]:
            del sys.modules[broken]
        return False
    return True


def _install(modules: dict[str, ModuleType]) -> list[str]:
    sys.modules.update(modules)
    return list(modules)


def _module(name: str, **content: Any) -> ModuleType:
    made = ModuleType(name)
    made.__spec__ = ModuleSpec(name, None, is_package=True)  # find_spec refuses a module without one
    made.__dict__.update(content)
    return made


def _torchaudio() -> dict[str, ModuleType]:
    functional = _module("torchaudio.functional", resample=resample)
    resampler, mel = _transforms()
    transforms = _module("torchaudio.transforms", Resample=resampler, MelSpectrogram=mel)
    top = _module("torchaudio", functional=functional, transforms=transforms, load=read, __version__="0")
    return {module.__name__: module for module in (top, functional, transforms)}


def read(file: Any, **options: Any) -> tuple[Any, int]:
    """A sound file as a float tensor (channels, samples), and its rate in Hz."""
    import soundfile
    import torch

    pcm, rate_hz = soundfile.read(file, dtype="float32", always_2d=True)
    return torch.from_numpy(pcm.T.copy()), rate_hz


def resample(waveform: Any, orig_freq: int, new_freq: int, **options: Any) -> Any:
    """Sound (…, samples) at another rate."""
    import numpy as np
    import soxr
    import torch

    if orig_freq == new_freq:
        return waveform
    rows = waveform.detach().cpu().numpy().reshape(-1, waveform.shape[-1])
    turned = np.stack([soxr.resample(row, orig_freq, new_freq) for row in rows])
    return torch.from_numpy(turned).reshape(*waveform.shape[:-1], -1).to(waveform)


def _transforms() -> tuple[type[Any], type[Any]]:
    """`Resample` and `MelSpectrogram`, as modules of torch."""
    import torch

    class Resample(torch.nn.Module):
        def __init__(self, orig_freq: int = 16_000, new_freq: int = 16_000, **options: Any) -> None:
            super().__init__()
            self.rates = orig_freq, new_freq

        def forward(self, waveform: Any) -> Any:
            return resample(waveform, *self.rates)

    class MelSpectrogram(torch.nn.Module):
        window: Any
        bank: Any

        def __init__(
            self,
            sample_rate: int = 16_000,
            n_fft: int = 400,
            win_length: int | None = None,
            hop_length: int | None = None,
            f_min: float = 0.0,
            f_max: float | None = None,
            n_mels: int = 128,
            window_fn: Any = torch.hann_window,
            power: float = 2.0,
            normalized: bool = False,
            wkwargs: dict[str, Any] | None = None,
            norm: Any = None,
            mel_scale: str = "htk",
            **options: Any,
        ) -> None:
            import librosa

            super().__init__()
            length = win_length or n_fft
            self.settings: dict[str, Any] = {
                "n_fft": n_fft,
                "hop_length": hop_length or length // 2,
                "win_length": length,
            }
            self.power, self.normalized = power, normalized
            self.register_buffer("window", window_fn(length, **(wkwargs or {})))
            bank = librosa.filters.mel(
                sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=f_min, fmax=f_max, htk=mel_scale == "htk", norm=norm
            )
            self.register_buffer("bank", torch.as_tensor(bank))

        def forward(self, waveform: Any) -> Any:
            flat = waveform.reshape(-1, waveform.shape[-1])
            spectrum = torch.stft(flat, **self.settings, window=self.window, return_complex=True).abs()
            if self.normalized:
                spectrum = spectrum / self.window.square().sum().sqrt()
            mel = self.bank @ spectrum**self.power
            return mel.reshape(*waveform.shape[:-1], *mel.shape[-2:])

    return Resample, MelSpectrogram
