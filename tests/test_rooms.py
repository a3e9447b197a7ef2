"""The simulated room: what is heard of a loudspeaker, when somebody speaks, and what stays known of it."""

import asyncio

import numpy as np
import pytest

from assistant.backends.espeak import Espeak
from assistant.events import Phrase
from assistant.pacing import Clock, run
from assistant.sessions.levels import rms_db
from assistant.sessions.rooms import PATIENCE_S, RATE, Room, RoomMicrophone, RoomSpeaker, Sound

VOICE_DB = -24.0


def speechlike(seconds, seed=1, level_db=VOICE_DB):
    """Noise with the slope of speech."""
    white = np.random.default_rng(seed).standard_normal(int(seconds * RATE))
    noise = np.asarray(np.convolve(white, np.logspace(0, np.log10(0.82) * 59, 60), "same"), np.float32)
    return (noise * 10 ** ((level_db - rms_db(noise)) / 20)).astype(np.float32)


def sound(seconds, cue, after_s, kind="turn"):
    pcm = np.full(round(seconds * RATE), 0.25, np.float32)
    return Sound(kind, cue, pcm, 0.0, seconds, cue=cue, after_s=after_s)


async def listen(room, sounds=(), played=(), seconds=0.0, do=lambda at_s, speaker: None, **options):
    """Play sounds at their times into a room; what the microphone hears, the microphone and the loudspeaker."""
    clock = Clock()
    speaker = RoomSpeaker(clock, room.drift_ppm)
    microphone = RoomMicrophone(clock, room, speaker, sounds, seconds=seconds, **options)
    heard, waiting = [], list(played)
    async for block in microphone.blocks():
        heard.append(block.pcm)
        while waiting and waiting[0][0] <= block.end_s:
            await speaker.play(Phrase("", waiting.pop(0)[1], RATE, ()))
        do(block.end_s, speaker)
        if microphone.over and not waiting and not speaker.sounding:
            break
    return np.concatenate(heard), microphone, speaker


def hear(*args, **kwargs):
    return run(listen(*args, **kwargs), fast=True)


def lag_s(speaker, heard, at_s, seconds=1.0, most_s=0.3):
    """How much later than the loudspeaker's the microphone's samples are, by cross-correlation."""
    begin, size, most = round(at_s * RATE), round(seconds * RATE), round(most_s * RATE)
    whole = np.correlate(speaker.between(begin - most, begin + size), heard[begin : begin + size], "valid")
    return (most - int(np.argmax(np.abs(whole)))) / RATE


# ---------------------------------------------------------------- echo


@pytest.mark.parametrize("coupling_db", [-25.0, -10.0, 0.0])
@pytest.mark.parametrize(("delay_s", "tail_s"), [(0.02, 0.15), (0.12, 0.45)])
def test_the_echo_comes_as_late_and_as_loud_as_asked(coupling_db, delay_s, tail_s):
    room = Room(coupling_db, delay_s, tail_s, drive=0.0, seed=4)
    heard, _, speaker = hear(room, played=[(0.5, speechlike(4.0))], seconds=4.5)
    assert lag_s(speaker, heard, 2.0) == pytest.approx(delay_s, abs=0.001)
    begin, end = RATE, 4 * RATE
    assert rms_db(heard[begin:end]) - rms_db(speaker.between(begin, end)) == pytest.approx(coupling_db, abs=1.0)


def test_a_real_voice_comes_back_about_as_loud_as_asked():
    speech = Espeak().synthesise("The garden lies behind the house, and nobody goes there.", "en", lambda: False)
    clock_phrase = np.interp(
        np.arange(0, len(speech.pcm), speech.rate_hz / RATE), np.arange(len(speech.pcm)), speech.pcm
    ).astype(np.float32)
    levels = []
    for seed in range(4):
        heard, _, speaker = hear(Room(-10.0, 0.05, 0.3, seed=seed), played=[(0.1, clock_phrase)], seconds=4.0)
        levels.append(rms_db(heard) - rms_db(speaker.between(0, speaker.settled)))
    assert np.mean(levels) == pytest.approx(-10, abs=2.0)


def test_headphones_have_no_echo():
    heard, _, speaker = hear(Room(None), played=[(0.1, speechlike(1.0))], seconds=1.2)
    assert not heard.any()
    assert rms_db(speaker.between(0, speaker.settled)) > -30


def test_the_echo_drifts_with_the_loudspeakers_clock():
    room = Room(0.0, 0.05, 0.2, drive=0.0, drift_ppm=100.0)
    heard, _, speaker = hear(room, played=[(0.1, speechlike(21.0))], seconds=21.0)
    early_s, late_s = lag_s(speaker, heard, 1.0), lag_s(speaker, heard, 20.0)
    assert early_s - late_s == pytest.approx(19 * 100e-6, abs=0.0002)
    assert speaker.settled == pytest.approx(len(heard) * (1 + 100e-6), abs=2)
    assert rms_db(heard[2 * RATE : 20 * RATE]) == pytest.approx(VOICE_DB, abs=1.0)


def test_a_loudspeaker_that_is_driven_bends_the_sound():
    time = np.arange(RATE) / RATE
    tone = (0.5 * np.sin(2 * np.pi * 500 * time)).astype(np.float32)

    def third_harmonic(drive):
        heard, _, _ = hear(Room(0.0, 0.02, 0.15, drive=drive), played=[(0.1, tone)], seconds=1.2)
        spectrum = np.abs(np.fft.rfft(heard[RATE // 4 : RATE] * np.hanning(RATE * 3 // 4)))
        return spectrum[round(1500 * 0.75)] / spectrum[round(500 * 0.75)]

    assert third_harmonic(0.0) < 1e-4
    assert 1e-3 < third_harmonic(1.0) < third_harmonic(2.0) < 0.5


# ---------------------------------------------------------------- the loudspeaker


def test_what_is_told_between_two_blocks_changes_what_sounds_from_then_on():
    tone = np.full(2 * RATE, 0.5, np.float32)

    async def main():
        clock = Clock()
        clock.start()
        speaker = RoomSpeaker(clock)
        await speaker.play(Phrase("", tone, RATE, ()))
        for at_s, tell in ((0.1033, speaker.duck), (0.5171, speaker.hold), (0.7, speaker.go_on), (0.9, speaker.stop)):
            await clock.until(at_s)
            tell()
        await clock.until(1.2)
        speaker.settle()
        return speaker

    speaker = run(main(), fast=True)
    sounded = speaker.between(0, speaker.settled)

    def at(seconds):
        return float(sounded[round(seconds * RATE)])

    ducked = 0.5 * 10 ** (-15 / 20)
    assert at(0.103) == 0.5
    assert at(0.13) == pytest.approx(ducked)
    assert at(0.516) == pytest.approx(ducked)
    assert at(0.523) == 0.0
    assert at(0.73) == 0.5
    assert at(0.91) == 0.0
    assert [t.what for t in speaker.told] == ["play", "duck", "hold", "go_on", "stop"]
    assert [t.left_s for t in speaker.told][1:4] == pytest.approx([2 - 0.1033, 2 - 0.5171, 2.0], abs=0.001)


def test_what_was_given_is_all_that_sounded():
    room, given = Room(0.0), []
    _, _, speaker = hear(
        room, played=[(0.1, speechlike(0.5))], seconds=0.7, do=lambda _, speaker: given.append(speaker.given())
    )
    assert np.array_equal(np.concatenate(given), speaker.between(0, speaker.settled))


def test_a_loudspeaker_that_forgets_takes_no_more_memory():
    async def main():
        clock = Clock()
        clock.start()
        speaker, sizes = RoomSpeaker(clock, keep_s=1.0), []
        for minute in range(1, 5):
            await speaker.play(Phrase("", speechlike(1.0), RATE, ()))
            for step in range(600):
                await clock.until(60 * (minute - 1) + step / 10)
                speaker.settle()
            sizes.append(speaker._sound_kept.nbytes)
        newest = speaker.between(speaker.settled - RATE // 2, speaker.settled)
        return sizes, len(newest), speaker.told

    sizes, kept, told = run(main(), fast=True)
    assert len(set(sizes)) == 1
    assert kept == RATE // 2
    assert told == []


# ---------------------------------------------------------------- cues


def test_sounds_come_on_their_cues():
    answer = speechlike(2.0)
    sounds = [sound(0.5, "begin", 1.0), sound(0.2, "answer", 0.7), sound(0.3, "quiet", 0.4)]
    _, microphone, _ = hear(Room(0.0), sounds, played=[(2.0, answer)])
    began = [heard.at_s for heard in microphone.heard]
    assert began == pytest.approx([1.0, 2.7, 4.4], abs=0.03)
    planned = microphone.heard[1].planned
    assert planned is not None
    begin = round(microphone.heard[1].at_s * RATE)
    assert np.array_equal(planned.render(begin, begin + RATE), answer[begin - 2 * RATE :][:RATE])


def test_a_cue_that_never_comes_ends_the_scene():
    heard, microphone, _ = hear(Room(0.0), [sound(0.5, "begin", 0.2), sound(0.5, "answer", 0.5)])
    assert len(microphone.heard) == 1
    assert len(heard) / RATE == pytest.approx(0.7 + PATIENCE_S, abs=0.1)


def test_the_microphone_ends_whatever_goes_on():
    heard, microphone, _ = hear(Room(0.0), [sound(0.5, "begin", 5.0)], limit_s=2.0)
    assert len(heard) == 2 * RATE
    assert not microphone.over


def test_a_background_goes_on_and_on():
    background = speechlike(0.7, level_db=-40)
    heard, _, _ = hear(Room(None), seconds=3.0, background=background)
    assert np.array_equal(heard[: 3 * RATE], np.resize(background, 3 * RATE))


def test_blocks_come_in_real_time_as_well():
    heard, microphone, speaker = asyncio.run(
        listen(Room(0.0, 0.02, 0.15), [sound(0.1, "begin", 0.05)], played=[(0.05, speechlike(0.3))], seconds=0.5)
    )
    assert len(heard) >= RATE // 2
    assert microphone.heard[0].at_s == pytest.approx(0.05, abs=0.011)
    assert rms_db(speaker.between(0, speaker.settled)) > -40
