"""Sound files as microphone and loudspeaker, on virtual time: every sample where contract.md says it is."""

import asyncio
import resource
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.backends import Speaker
from assistant.backends.devices import open_microphone, open_speaker
from assistant.backends.files import FileMicrophone, FileSpeaker, NoMicrophone, SilentSpeaker, read_sound
from assistant.backends.timeline import DUCKED, FADE_S, RAMP_S, TimeLine
from assistant.errors import DeviceError, OutputError, SourceError
from assistant.events import Phrase, Samples
from assistant.pacing import Clock, run

RATE_HZ = 24_000
STEADY = settings(max_examples=60, deadline=None)


def tone(seconds: float, rate_hz: int = 16_000, hz: float = 440.0, level: float = 0.5) -> Samples:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def phrase(seconds: float, rate_hz: int = RATE_HZ, level: float = 0.5) -> Phrase:
    return Phrase("some words", np.full(round(seconds * rate_hz), level, np.float32), rate_hz, ())


def spoken(path: Path) -> Samples:
    """What a FileSpeaker has written."""
    pcm, rate_hz = soundfile.read(path)
    assert rate_hz == RATE_HZ
    assert soundfile.info(path).subtype == "PCM_16"
    return np.asarray(pcm, dtype=np.float32)


def with_speaker(path: Path, script: Callable[[Speaker, Clock], Awaitable[None]], *, fast: bool = True) -> None:
    async def main() -> None:
        clock = Clock()
        clock.start()
        speaker = FileSpeaker(path, clock)
        try:
            await script(speaker, clock)
        finally:
            speaker.close()

    run(main(), fast=fast)


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_and_depth_is_heard_alike(tmp_path: Path, rate_hz: int, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.5, rate_hz), rate_hz, subtype=subtype)
    pcm = read_sound(tmp_path / "a.wav")
    assert pcm.dtype == np.float32
    assert pcm.ndim == 1
    assert abs(len(pcm) - 8000) <= 1
    middle = slice(800, 7200)  # filters ring at the ends
    assert np.abs(pcm[middle] - tone(0.5)[middle]).max() < 0.02


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.WAV"])
def test_formats(tmp_path: Path, name: str) -> None:
    soundfile.write(tmp_path / name, tone(1.0), 16_000, format=name.split(".")[1].upper())
    pcm = read_sound(tmp_path / name)
    spectrum = np.abs(np.fft.rfft(pcm[:16_000]))
    assert abs(int(spectrum.argmax()) - 440) <= 1


@pytest.mark.parametrize("channels", [2, 3, 6])
def test_channels_are_averaged(tmp_path: Path, channels: int) -> None:
    parts = np.stack([tone(0.3, level=0.6 / (i + 1)) for i in range(channels)], axis=1)
    soundfile.write(tmp_path / "a.flac", parts, 16_000)
    assert np.abs(read_sound(tmp_path / "a.flac") - parts.mean(axis=1)).max() < 1e-3


def test_what_is_no_number_is_silence_and_what_is_too_loud_is_cut(tmp_path: Path) -> None:
    pcm = tone(0.1)
    pcm[10], pcm[20], pcm[30], pcm[40] = np.nan, np.inf, -np.inf, 7.0
    soundfile.write(tmp_path / "a.wav", pcm, 16_000, subtype="FLOAT")
    heard = read_sound(tmp_path / "a.wav")
    assert (heard[10], heard[20], heard[30], heard[40]) == (0, 0, 0, 1)
    assert np.array_equal(np.delete(heard, [10, 20, 30, 40]), np.delete(pcm, [10, 20, 30, 40]))


def test_real_recordings_are_read_at_their_length(shared: Path) -> None:
    clips = sorted((shared / "data" / "speech").glob("*.flac"))[:8]
    assert clips
    for clip in clips:
        pcm = read_sound(clip)
        assert abs(len(pcm) / 16_000 - soundfile.info(clip).duration) < 0.001
        assert 0.01 < np.abs(pcm).max() <= 1


def no_file(folder: Path) -> Path:
    return folder / "missing.wav"


def a_folder(folder: Path) -> Path:
    (folder / "sounds").mkdir()
    return folder / "sounds"


def zero_bytes(folder: Path) -> Path:
    (folder / "zero.wav").touch()
    return folder / "zero.wav"


def no_samples(folder: Path) -> Path:
    soundfile.write(folder / "none.wav", np.zeros(0), 16_000)
    return folder / "none.wav"


def no_sound(folder: Path) -> Path:
    (folder / "letter.raw").write_text("dear reader\n" * 100)
    return folder / "letter.raw"


def broken_flac(folder: Path) -> Path:
    soundfile.write(folder / "cut.flac", tone(1), 16_000)
    (folder / "cut.flac").write_bytes((folder / "cut.flac").read_bytes()[:30])
    return folder / "cut.flac"


@pytest.mark.parametrize("make", [no_file, a_folder, zero_bytes, no_samples, no_sound, broken_flac])
def test_bad_sound_is_one_clear_line(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    with pytest.raises(SourceError) as told:
        FileMicrophone(path, Clock())
    line = str(told.value)
    assert line.startswith("wanted ")
    assert str(path) in line
    assert "; " in line
    assert "\n" not in line


# ---------------------------------------------------------------- hearing


def hear(pcm: Samples, seconds: float, late_s: float = 0.0) -> tuple[Samples, list[float], list[float], list[bool]]:
    """What a microphone gives in that time, and per block when it began, when it came and whether it was over; the
    listener takes `late_s` over every fiftieth block.
    """

    async def main() -> tuple[Samples, list[float], list[float], list[bool]]:
        clock = Clock()
        microphone = FileMicrophone(pcm, clock)
        blocks, came, over = [], [], []
        async for block in microphone.blocks():
            blocks.append(block)
            came.append(clock.now_s())
            over.append(microphone.over)
            if late_s and len(blocks) % 50 == 0:
                await asyncio.sleep(late_s)
            if len(blocks) >= seconds * 100:
                microphone.close()
        return np.concatenate([b.pcm for b in blocks]), [b.at_s for b in blocks], came, over

    return run(main(), fast=True)


@STEADY
@given(samples=st.integers(0, 3000), late_s=st.sampled_from([0.0, 0.03, 0.7]))
def test_every_sample_comes_once_and_when_it_is_due(samples: int, late_s: float) -> None:
    pcm = np.linspace(-1, 1, samples, dtype=np.float32)
    heard, began, came, over = hear(pcm, 1.2, late_s)
    assert np.array_equal(heard[:samples], pcm)
    assert not heard[samples:].any()
    assert np.allclose(began, np.arange(120) / 100)
    ended = np.array(began) + 0.01
    assert all(came >= ended - 1e-6)
    if not late_s:
        assert np.allclose(came, ended)
    assert over == [b >= samples / 16_000 for b in began]


def test_a_late_listener_catches_up_without_losing_anything() -> None:
    heard, began, came, _ = hear(tone(5), 5, late_s=0.3)
    assert np.array_equal(heard, tone(5))
    assert came[50] > 0.79  # it was away for 0.3 s from 0.5 s on
    assert came[90] == pytest.approx(began[90] + 0.01)


def test_real_pace_is_the_speed_of_sound() -> None:
    async def main() -> float:
        microphone = FileMicrophone(tone(0.2), Clock())
        began = time.monotonic()
        async for _ in microphone.blocks():
            if microphone.over:
                microphone.close()
        return time.monotonic() - began

    assert 0.2 <= run(main(), fast=False) < 1.5


def test_ten_minutes_pass_in_a_moment() -> None:
    began = time.process_time()
    _, began_s, _, _ = hear(tone(1), 600)
    assert began_s[-1] == pytest.approx(599.99)
    assert time.process_time() - began < 10  # about one on an idle machine


def test_no_microphone_is_silent_and_never_over() -> None:
    async def main() -> None:
        microphone = NoMicrophone(Clock())
        count = 0
        async for block in microphone.blocks():
            assert not block.pcm.any()
            assert not microphone.over
            count += 1
            if count == 300:
                microphone.close()

    run(main(), fast=True)


# ---------------------------------------------------------------- the time line


@STEADY
@given(
    lengths=st.lists(st.integers(0, 300), max_size=5),
    cuts=st.lists(st.integers(0, 1500), max_size=6),
    stop_at=st.integers(0, 1500),
    duck_at=st.integers(0, 1500),
)
def test_a_time_line_sounds_the_same_in_whatever_pieces_it_is_rendered(
    lengths: list[int], cuts: list[int], stop_at: int, duck_at: int
) -> None:
    line = TimeLine(1000)
    for i, length in enumerate(lengths):
        pcm = np.linspace(0.1, 0.9, length, dtype=np.float32)
        line, begin = line.put(Phrase(str(i), pcm, 1000, ()), pcm, 100 * i)
        assert begin >= 100 * i
    line = line.to_gain(DUCKED, duck_at)
    edges = [0, *sorted(cuts), 1500]
    pieces = [line.render(a, b) for a, b in pairwise(edges)]
    whole = line.render(0, 1500)
    assert np.array_equal(np.concatenate(pieces), whole)
    assert int((whole > 0).sum()) == sum(lengths)

    played = line.played(stop_at)
    assert [p.phrase.text for p in played] == [str(i) for i in range(len(lengths))]
    assert sum(p.samples for p in played) == int((whole[:stop_at] > 0).sum())
    stopped = line.stop(stop_at)
    assert not stopped.render(stop_at + 5, 1505).any()
    assert not stopped.played(1500)
    assert np.all(stopped.render(stop_at, 1500) <= 0.9)


def test_what_was_played_is_counted_in_the_phrases_own_samples() -> None:
    line, _ = TimeLine(24_000).put(phrase(1.0, 22_050), np.zeros(24_000, np.float32), 2_400)
    counts = [line.played(at)[0].samples for at in (0, 2_400, 14_400, 26_399, 26_400, 99_000)]
    assert counts == [0, 0, 11_025, 22_049, 22_050, 22_050]


# ---------------------------------------------------------------- speaking


def test_the_file_is_the_time_line_of_the_session(tmp_path: Path) -> None:
    began: list[float] = []

    async def script(speaker: Speaker, clock: Clock) -> None:
        await clock.until(1.5)
        began.append(await speaker.play(phrase(0.5, 16_000)))
        began.append(await speaker.play(phrase(0.25, 48_000)))
        assert speaker.sounding
        await speaker.drain()
        assert clock.now_s() == pytest.approx(2.25, abs=1e-3)
        assert not speaker.sounding
        assert [p.samples for p in speaker.stop()] == [8_000, 12_000]
        assert speaker.stop() == ()
        await clock.until(4.0)
        began.append(await speaker.play(phrase(0.5)))
        await speaker.drain()
        await clock.until(6.0)

    with_speaker(tmp_path / "reply.wav", script)
    pcm = spoken(tmp_path / "reply.wav")
    assert began == pytest.approx([1.5, 2.0, 4.0])
    assert len(pcm) == 6 * RATE_HZ
    loud = np.abs(pcm) > 0.1
    assert np.array_equal(loud[:36_001], np.arange(36_001) >= 36_000)
    assert int(loud[:48_000].sum()) == pytest.approx(12_000, abs=12)  # the resampler rounds edges
    assert int(loud.sum()) == pytest.approx(1.25 * RATE_HZ, abs=40)
    assert not pcm[int(2.26 * RATE_HZ) : 4 * RATE_HZ].any()


def test_stop_is_at_once_and_fades(tmp_path: Path) -> None:
    async def script(speaker: Speaker, clock: Clock) -> None:
        await speaker.play(phrase(2.0, 16_000))
        await speaker.play(phrase(2.0, 16_000))
        await clock.until(0.5)
        speaker.duck()
        await clock.until(1.0)
        assert [p.samples for p in speaker.stop()] == [16_000, 0]
        assert not speaker.sounding
        await clock.until(1.5)
        await speaker.play(phrase(0.2))
        await speaker.drain()

    with_speaker(tmp_path / "a.wav", script)
    pcm = spoken(tmp_path / "a.wav")
    end = RATE_HZ + round(FADE_S * RATE_HZ)
    assert pcm[RATE_HZ - 1] == pytest.approx(0.5 * DUCKED, abs=0.01)
    assert not pcm[end : round(1.5 * RATE_HZ)].any()
    assert np.abs(np.diff(pcm[RATE_HZ - 2 : end + 2])).max() < 0.01  # no click
    assert pcm[round(1.5 * RATE_HZ)] == pytest.approx(0.5, abs=1e-3)  # ducking is undone


def test_ducking_is_15_db_within_20_ms_and_can_be_taken_back(tmp_path: Path) -> None:
    async def script(speaker: Speaker, clock: Clock) -> None:
        await speaker.play(phrase(3.0))
        await clock.until(1.0)
        speaker.duck()
        await clock.until(1.5)
        speaker.duck()
        await clock.until(2.0)
        speaker.restore()
        speaker.restore()
        await speaker.drain()

    with_speaker(tmp_path / "a.wav", script)
    pcm = spoken(tmp_path / "a.wav")
    ramp = round(RAMP_S * RATE_HZ)
    low = pcm[RATE_HZ + ramp : 2 * RATE_HZ]
    assert 20 * np.log10(low / 0.5) == pytest.approx(np.full(len(low), -15.0), abs=0.05)
    assert np.allclose(pcm[:RATE_HZ], 0.5, atol=1e-3)
    assert np.allclose(pcm[2 * RATE_HZ + ramp : 3 * RATE_HZ], 0.5, atol=1e-3)
    assert np.abs(np.diff(pcm[: 3 * RATE_HZ])).max() < 0.002


def test_play_holds_back_above_six_seconds_and_can_be_cancelled(tmp_path: Path) -> None:
    async def script(speaker: Speaker, clock: Clock) -> None:
        for _ in range(3):
            await speaker.play(phrase(4.0, 16_000))
        assert clock.now_s() == pytest.approx(2.0)  # 8 s were waiting at 0 s
        waiting = asyncio.ensure_future(speaker.play(phrase(1.0)))
        await clock.until(3.0)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        assert len(speaker.stop()) == 3
        assert await speaker.play(phrase(0.1)) == pytest.approx(3.0)
        await speaker.drain()

    with_speaker(tmp_path / "a.wav", script)


def test_drain_ends_when_somebody_stops_the_sound() -> None:
    async def main() -> None:
        clock = Clock()
        clock.start()
        speaker = SilentSpeaker(clock)
        await speaker.play(phrase(5.0))
        draining = asyncio.ensure_future(speaker.drain())
        await clock.until(1.0)
        assert [p.samples for p in speaker.stop()] == [RATE_HZ]
        await draining
        assert clock.now_s() == pytest.approx(1.0)

    run(main(), fast=True)


def test_a_silent_speaker_takes_the_same_time_as_a_file(tmp_path: Path) -> None:
    async def talk(speaker: Speaker, clock: Clock) -> list[float]:
        told = [await speaker.play(phrase(s, hz)) for s, hz in ((0.3, 16_000), (5, 22_050), (4, 48_000), (0, 16_000))]
        await clock.until(4.0)
        told += [float(p.samples) for p in speaker.stop()]
        await speaker.drain()
        return [*told, clock.now_s()]

    async def main() -> list[list[float]]:
        results = []
        for make in (lambda c: SilentSpeaker(c), lambda c: FileSpeaker(tmp_path / "a.wav", c)):
            clock = Clock()
            clock.start()
            speaker = make(clock)
            results.append(await talk(speaker, clock))
            speaker.close()
        return results

    silent, file = run(main(), fast=True)
    assert silent == pytest.approx(file)


def test_the_file_is_whole_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    lengths: list[int] = []

    async def script(speaker: Speaker, clock: Clock) -> None:
        await clock.until(1.0)
        await speaker.play(phrase(4.0))
        for at_s in (2.0, 3.0, 4.0):
            await clock.until(at_s + 0.01)
            pcm = spoken(path)  # what a crash would leave
            lengths.append(len(pcm))
            assert np.allclose(pcm[RATE_HZ:], 0.5, atol=1e-3)
            assert not pcm[:RATE_HZ].any()

    with_speaker(path, script)
    assert lengths == pytest.approx([2 * RATE_HZ, 3 * RATE_HZ, 4 * RATE_HZ], abs=RATE_HZ // 2)
    assert len(spoken(path)) == pytest.approx(4.01 * RATE_HZ, abs=RATE_HZ * FADE_S + 1)  # closed while it sounded


def test_cancelling_a_talk_keeps_what_was_said(tmp_path: Path) -> None:
    async def script(speaker: Speaker, clock: Clock) -> None:
        await speaker.play(phrase(5.0))
        talk = asyncio.current_task()
        assert talk is not None
        asyncio.get_running_loop().call_later(2.0, talk.cancel)  # as Ctrl-C does
        await speaker.drain()

    with pytest.raises(asyncio.CancelledError):
        with_speaker(tmp_path / "a.wav", script)
    pcm = spoken(tmp_path / "a.wav")
    assert np.allclose(pcm[: 2 * RATE_HZ], 0.5, atol=1e-3)
    assert len(pcm) <= (2 + FADE_S) * RATE_HZ + 1


# ---------------------------------------------------------------- bad output


@pytest.mark.parametrize("name", ["nowhere/reply.wav", "folder", "/proc/reply.wav"])
def test_a_file_that_cannot_be_written_is_told_at_the_start(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=r"^wanted to write .*; ") as told:
        FileSpeaker(tmp_path / name, Clock())
    assert name in str(told.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_at_the_start() -> None:
    with pytest.raises(OutputError, match="/dev/full, No space left on device"):
        FileSpeaker("/dev/full", Clock())


@pytest.fixture
def room() -> Iterator[int]:
    """No file may grow beyond these bytes: the disk is full for whoever writes more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = 2_000_001
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    yield size
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("told_by", ["play", "drain", "close"])
def test_a_disk_that_fills_up_is_told_once_and_keeps_what_was_written(tmp_path: Path, room: int, told_by: str) -> None:
    path = tmp_path / "a.wav"
    until_s = room / 2 / RATE_HZ

    async def script(speaker: Speaker, clock: Clock) -> None:
        await clock.until(until_s - 2)
        await speaker.play(phrase(4.0))
        if told_by == "drain":
            await speaker.drain()
        await clock.until(until_s + 3)
        assert speaker.stop()[0].samples == 4 * RATE_HZ
        if told_by == "play":
            await speaker.play(phrase(1.0))

    with pytest.raises(OutputError, match=r"a\.wav, File too large"):
        with_speaker(path, script)
    pcm = spoken(path)
    assert len(pcm) == (room - 44) // 2
    assert np.allclose(pcm[-RATE_HZ:], 0.5, atol=1e-3)


# ---------------------------------------------------------------- which device a word means


def test_words_for_devices(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0.1), 16_000)
    clock = Clock()
    assert isinstance(open_microphone("none", clock), NoMicrophone)
    assert isinstance(open_microphone(str(tmp_path / "a.wav"), clock), FileMicrophone)
    assert isinstance(open_speaker("None", clock), SilentSpeaker)
    speaker = open_speaker(str(tmp_path / "b.WAV"), clock)
    assert isinstance(speaker, FileSpeaker)
    speaker.close()
    with pytest.raises(SourceError, match=r"missing\.flac"):
        open_microphone(str(tmp_path / "missing.flac"), clock)
    with pytest.raises(SourceError, match="folder"):
        open_microphone(str(tmp_path), clock)


@pytest.mark.parametrize("word", ["no such card", "9999"])
def test_a_device_that_is_not_there_is_one_clear_line(word: str) -> None:
    for open_device in (open_microphone, open_speaker):
        with pytest.raises(DeviceError) as told:
            open_device(word, Clock())
        assert str(told.value).startswith("wanted ")
        assert "; " in str(told.value)
        assert "\n" not in str(told.value)
