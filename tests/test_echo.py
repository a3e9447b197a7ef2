"""The echo of the assistant's own voice is taken out of what the microphone hears."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from assistant.backends.devices import without_echo
from assistant.backends.files import FileMicrophone, SilentSpeaker, read_sound, resampled
from assistant.echo import EchoCanceller, EchoFreeMicrophone
from assistant.events import Samples
from assistant.pacing import Clock, run

RATE_HZ = 16_000


def babble(seconds: float, seed: int) -> Samples:
    """Noise with the rhythm and the slope of speech, peak 0.5."""
    rng = np.random.default_rng(seed)
    noise = np.convolve(rng.standard_normal(round(seconds * RATE_HZ)), 0.7 ** np.arange(30), "same")
    syllables = np.repeat(rng.uniform(0, 1, round(seconds * 5) + 1) ** 2, RATE_HZ // 5)[: len(noise)]
    pcm = noise * np.convolve(syllables, np.ones(400) / 400, "same")
    return (0.5 * pcm / np.abs(pcm).max()).astype(np.float32)


def real(shared: Path, name: str) -> Samples:
    pcm = read_sound(shared / "data" / "speech" / name)
    return 0.5 * pcm / np.abs(pcm).max()


def echo(played: Samples, delay_s: float = 0.08, seed: int = 5) -> Samples:
    """What a microphone hears of a loudspeaker in a living room (reverberation 0.3 s), a little noise added."""
    rng = np.random.default_rng(seed)
    length = round(0.25 * RATE_HZ)
    room = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / (0.3 * RATE_HZ))
    room[0] = 8.0
    heard = np.convolve(np.tanh(played), np.concatenate([np.zeros(round(delay_s * RATE_HZ)), room]))[: len(played)]
    heard *= np.abs(played).max() / np.abs(heard).max()
    return (heard + 10 ** (-65 / 20) * rng.standard_normal(len(heard))).astype(np.float32)


def whole(pcm: Samples) -> Samples:
    return pcm[: len(pcm) // 160 * 160]


def cancel(heard: Samples, played: Samples, rate_hz: int = RATE_HZ, lump: int = 1) -> Samples:
    """Run the canceller frame by frame; what was played comes in lumps of so many frames, early."""
    canceller = EchoCanceller(rate_hz)
    step, out = rate_hz // 100, []
    for i, frame in enumerate(whole(heard).reshape(-1, 160)):
        reference = played[i * step : (i + lump) * step] if i % lump == 0 else played[:0]
        out.append(canceller.cancel(frame, reference))
    return np.concatenate(out)


def db(pcm: Samples) -> float:
    return float(10 * np.log10(np.mean(np.square(pcm, dtype=np.float64)) + 1e-12))


def settled(pcm: Samples) -> Samples:
    return pcm[3 * RATE_HZ :]


@pytest.mark.parametrize("delay_s", [0.02, 0.12, 0.3])
@pytest.mark.parametrize(("rate_hz", "lump"), [(16_000, 1), (48_000, 4), (44_100, 1)])
def test_20_db_of_the_echo_are_gone_after_3_s(delay_s: float, rate_hz: int, lump: int) -> None:
    played = babble(8.0, seed=3)
    heard = echo(played, delay_s)
    clean = cancel(heard, resampled(played, RATE_HZ, rate_hz), rate_hz, lump)
    assert len(clean) == len(whole(heard))
    assert db(settled(whole(heard))) - db(settled(clean)) > 20


@pytest.mark.parametrize("name", ["en_jfk.flac", "en_lj2.flac", "zh_kejiguan.flac"])
def test_20_db_of_a_real_voice_are_gone_after_3_s(shared: Path, name: str) -> None:
    played = np.tile(real(shared, name), 4)[: 8 * RATE_HZ]
    heard = echo(played)
    assert db(settled(heard)) - db(settled(cancel(heard, played))) > 20


def test_where_nothing_is_played_nothing_is_taken_away(shared: Path) -> None:
    voice = whole(real(shared, "en_jfk.flac"))
    clean = cancel(voice, np.zeros(len(voice), np.float32))
    assert db(clean) == pytest.approx(db(voice), abs=2)
    lag = int(np.argmax(np.correlate(clean[RATE_HZ:], voice[RATE_HZ : 4 * RATE_HZ], "valid")[:400]))
    both = np.corrcoef(clean[RATE_HZ + lag : 4 * RATE_HZ + lag], voice[RATE_HZ : 4 * RATE_HZ])
    assert both[0, 1] > 0.85  # the high-pass filter turns phases


def test_only_whole_frames_are_taken() -> None:
    with pytest.raises(ValueError, match="160"):
        EchoCanceller().cancel(np.zeros(150, np.float32), np.zeros(0, np.float32))


class _Card:
    """A loudspeaker that has given a tenth of a second's worth ahead of the microphone, and goes on in lumps."""

    rate_hz = RATE_HZ

    def __init__(self, played: Samples):
        self._played = played
        self._calls = -1

    def given(self) -> Samples:
        self._calls += 1
        begin = (self._calls - 1) * 160
        return self._played[begin : begin + 160] if self._calls else self._played[:0]


def test_a_microphone_beside_a_loudspeaker_does_not_hear_it() -> None:
    played = babble(8.0, seed=4)

    async def main() -> tuple[Samples, list[float]]:
        clock = Clock()
        microphone = EchoFreeMicrophone(FileMicrophone(echo(played), clock), _Card(played))
        blocks = []
        async for block in microphone.blocks():
            blocks.append(block)
            if microphone.over:
                microphone.close()
        return np.concatenate([b.pcm for b in blocks]), [b.at_s for b in blocks]

    heard, at_s = run(main(), fast=True)
    assert np.allclose(np.diff(at_s), 0.01)
    assert db(settled(echo(played))) - db(settled(heard[: len(played)])) > 20


def test_files_hear_no_echo_and_are_left_alone() -> None:
    async def main() -> None:
        clock = Clock()
        microphone = FileMicrophone(np.zeros(160, np.float32), clock)
        assert without_echo(microphone, SilentSpeaker(clock)) is microphone

    asyncio.run(main())
