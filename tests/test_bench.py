"""How latency is read off sound, and what a corpus that cannot be used is told."""

import numpy as np
import pytest
import soundfile

from assistant.errors import SourceError
from assistant.sessions.turns import demo_recordings, first_sound_s, short_recordings, voice_end_s

RATE_HZ = 16_000


def voice(seconds, level=0.3):
    return (level * np.sin(np.arange(int(seconds * RATE_HZ)) * 0.3)).astype(np.float32)


@pytest.mark.parametrize(("level", "heard"), [(0.3, 2.0), (0.02, 2.0), (0.005, 1.0)])
def test_speech_ends_with_its_last_frame_above_three_percent_of_the_loudest(level, heard):
    quiet = np.zeros(RATE_HZ // 2, np.float32)
    pcm = np.concatenate((voice(1.0), voice(1.0, level), quiet))
    assert voice_end_s(pcm) == pytest.approx(heard, abs=0.011)


def test_the_first_sound_is_the_first_sample_above_minus_fifty_decibels():
    pcm = np.zeros(3 * RATE_HZ, np.float32)
    assert first_sound_s(pcm, RATE_HZ) is None
    pcm[RATE_HZ] = 0.9 * 10 ** (-50 / 20)
    assert first_sound_s(pcm, RATE_HZ) is None
    pcm[2 * RATE_HZ] = -1.1 * 10 ** (-50 / 20)
    assert first_sound_s(pcm, RATE_HZ) == pytest.approx(2.0)


@pytest.mark.parametrize("pcm", [np.zeros(0, np.float32), np.zeros(RATE_HZ, np.float32)])
def test_silence_is_no_speech(pcm):
    with pytest.raises(SourceError, match="silence"):
        voice_end_s(pcm)


def test_only_short_english_recordings_are_questions(tmp_path):
    for name, seconds in (("short", 1.0), ("long", 5.0), ("zh", 1.0)):
        soundfile.write(tmp_path / f"{name}.wav", voice(seconds), RATE_HZ)
    (tmp_path / "transcripts.tsv").write_text("file\tlang\nshort.wav\ten\nlong.wav\ten\nzh.wav\tzh\n")
    assert [r.name for r in short_recordings(tmp_path)] == ["short.wav"]
    (tmp_path / "transcripts.tsv").write_text("file\tlang\nlong.wav\ten\n")
    with pytest.raises(SourceError, match="up to 4 s"):
        short_recordings(tmp_path)


@pytest.mark.parametrize("table", [None, "name\nshort.wav\n", "file\nmissing.wav\n"])
def test_a_corpus_that_cannot_be_read_is_told(tmp_path, table):
    if table is not None:
        (tmp_path / "transcripts.tsv").write_text(table)
    with pytest.raises(SourceError):
        short_recordings(tmp_path)


def test_the_demos_questions_are_voices_with_the_picture_they_are_about():
    recordings = demo_recordings()
    assert len(recordings) >= 4
    for recording in recordings:
        assert voice_end_s(recording.pcm) == pytest.approx(len(recording.pcm) / RATE_HZ, abs=0.1)
    assert len({r.picture.tobytes() for r in recordings}) == 2
