"""Sounds that are no speech, made of noise: a room's own tone, coughs, knocks at a door. All synthetic, and named so.

Everything is drawn from the generator that is handed in. 16 kHz, float32. Knows no scene.
"""

from __future__ import annotations

import numpy as np

from assistant.events import HEARING_RATE_HZ, Samples
from assistant.sessions.levels import leveled, rms_db

ROOM_DB = -66.0
"""dBFS, RMS: a quiet room and its microphone"""
ROOM_TILT = 0.95
"""pole of the low-pass that makes noise sound like a room: fans and traffic are low"""
QUIETEST = 0.1
"""this share of a recording's frames, the quietest, is its room"""
WINDOW = 512
FADE_S = 0.005


def room_tone(rng: np.random.Generator, seconds: float, level_db: float = ROOM_DB) -> Samples:
    """Low, steady noise at `level_db` dBFS; its end leads into its beginning, so that it can be repeated."""
    size = max(1, round(seconds * HEARING_RATE_HZ))
    spectrum = np.fft.rfft(rng.standard_normal(size))
    spectrum /= 1 - ROOM_TILT * np.exp(-2j * np.pi * np.arange(len(spectrum)) / size)
    spectrum[0] = 0.0
    low = np.fft.irfft(spectrum, size)
    return np.asarray(low * (10 ** (level_db / 20) / max(1e-12, float(np.sqrt((low**2).mean())))), np.float32)


def own_tone(rng: np.random.Generator, pcm: Samples, seconds: float, most_db: float = 0.0) -> Samples:
    """Noise with the spectrum and the level of the quietest frames of a recording: what is left when nobody speaks.

    Not louder than `most_db` dBFS: where a recording has no silence, its quietest frames are speech.
    """
    size = max(1, round(seconds * HEARING_RATE_HZ))
    hop = WINDOW // 2
    padded = np.pad(pcm, (0, max(0, WINDOW - len(pcm))))
    window = np.hanning(WINDOW)
    spectra = np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::hop] * window, axis=1)) ** 2
    order = np.argsort(spectra.sum(1))
    power = spectra[order[: max(1, round(QUIETEST * len(order)))]].mean(0)
    count = size // hop + 2
    white = np.fft.rfft(rng.standard_normal((count, WINDOW)) * window, axis=1)
    shaped = np.fft.irfft(white * np.sqrt(power / (window**2).sum()), WINDOW, axis=1) * window
    tone = np.zeros(hop * (count + 1))
    for number, part in enumerate(shaped):
        tone[number * hop : number * hop + WINDOW] += part
    weight = np.zeros(len(tone))
    for number in range(count):
        weight[number * hop : number * hop + WINDOW] += window**4
    even = np.asarray(tone[hop : hop + size] / np.sqrt(np.maximum(weight[hop : hop + size], 1e-9)), np.float32)
    return even * np.float32(10 ** (min(0.0, most_db - rms_db(even)) / 20))


def cough(rng: np.random.Generator, level_db: float) -> Samples:
    """One to three coughs at `level_db`: a burst of air, then a second, rougher and lower part (Korpas et al., Analysis
    of the cough sound: an overview, 1996, tell these phases).
    """
    parts: list[Samples] = []
    for _ in range(int(rng.integers(1, 4))):
        burst = _burst(rng, rng.uniform(0.04, 0.08), (300.0, 5000.0), 0.004, 0.03)
        tail = _burst(rng, rng.uniform(0.12, 0.28), (200.0, 2200.0), 0.02, 0.1)
        tail *= (0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(60, 110) * np.arange(len(tail)) / HEARING_RATE_HZ)) * 0.6
        parts += [burst, tail.astype(np.float32), _silence(rng.uniform(0.1, 0.3))]
    return leveled(np.concatenate(parts[:-1]), level_db)


def knock(rng: np.random.Generator, level_db: float) -> Samples:
    """Two to five knocks at a door, peaks about 12 dB above `level_db`: short clicks that ring low in the wood."""
    ring_hz = rng.uniform(90, 260, 3)
    step_s = rng.uniform(0.14, 0.3)
    parts: list[Samples] = []
    for _ in range(int(rng.integers(2, 6))):
        time = np.arange(round(step_s * HEARING_RATE_HZ)) / HEARING_RATE_HZ
        wood = sum(np.sin(2 * np.pi * hz * time + rng.uniform(0, 6)) for hz in ring_hz) * np.exp(-time / 0.03)
        click = rng.standard_normal(len(time)) * np.exp(-time / 0.004)
        parts.append(np.asarray(rng.uniform(0.6, 1.0) * (wood / 3 + 0.4 * click), np.float32))
    return leveled(np.concatenate(parts), level_db)


def looped(rng: np.random.Generator, pcm: Samples, seconds: float) -> Samples:
    """A recording repeated to `seconds`, from a random place on, its ends laid over each other."""
    fade = min(len(pcm) // 4, HEARING_RATE_HZ // 10)
    size = round(seconds * HEARING_RATE_HZ)
    if fade:
        rise = np.sqrt(np.linspace(0, 1, fade, dtype=np.float32))
        seam = pcm[-fade:] * rise[::-1] + pcm[:fade] * rise
        pcm = np.concatenate([seam, pcm[fade:-fade]])
    begin = int(rng.integers(len(pcm)))
    return np.resize(np.roll(pcm, -begin), size).astype(np.float32)


def faded(pcm: Samples, *, begin: bool = True, end: bool = True) -> Samples:
    """The sound with soft ends: a cut edge clicks."""
    size = min(len(pcm) // 2, round(FADE_S * HEARING_RATE_HZ))
    soft, rise = pcm.copy(), np.linspace(0, 1, size, dtype=np.float32)
    if begin:
        soft[:size] *= rise
    if end:
        soft[len(soft) - size :] *= rise[::-1]
    return soft


def _burst(
    rng: np.random.Generator, seconds: float, band_hz: tuple[float, float], rise_s: float, fall_s: float
) -> Samples:
    """Noise of a band that rises fast and dies away."""
    size = round(seconds * HEARING_RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    hz = np.fft.rfftfreq(size, 1 / HEARING_RATE_HZ)
    low, high = band_hz
    spectrum *= (hz > low) / (1 + (hz / high) ** 4)
    time = np.arange(size) / HEARING_RATE_HZ
    shape = np.minimum(1, time / rise_s) * np.exp(-np.maximum(0, time - rise_s) / fall_s)
    return np.asarray(np.fft.irfft(spectrum, size) * shape, np.float32)


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * HEARING_RATE_HZ), np.float32)
