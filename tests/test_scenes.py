"""Scenes: drawn by a seed, with pauses where people make them; and the recordings that they are made from."""

from collections import Counter

import numpy as np
import pytest
import soundfile

from assistant.errors import SourceError
from assistant.events import HEARING_RATE_HZ as RATE
from assistant.sessions.corpus import SPEECH_DB, listens, make_clip, read_corpus, shared_corpus
from assistant.sessions.interjections import interjections
from assistant.sessions.levels import pauses_s, rms_db, voice_span_s
from assistant.sessions.noises import cough, knock, looped, own_tone, room_tone
from assistant.sessions.scenes import (
    COUPLINGS_DB,
    PAUSE_MEDIAN_S,
    PAUSE_P90_S,
    PAUSED,
    SHARES,
    SNR_DB,
    draw,
    kind_of,
    make_scene,
    pause_s,
    paused,
    quiet_talk,
)


@pytest.fixture(scope="module")
def corpus():
    """The demo's questions: they come with the package."""
    return read_corpus(None)


# ---------------------------------------------------------------- drawing


def test_scenes_come_by_their_shares_however_many_there_are():
    for count in (60, 240):
        kinds = Counter(kind_of(n)[0] for n in range(count))
        assert all(abs(kinds[kind] - share * count) <= 1 for kind, share in SHARES.items())
    assert {kind_of(n)[0] for n in range(40)} == set(SHARES)
    assert [kind_of(n)[1] for n in range(40) if kind_of(n)[0] == "turns"] == list(range(12))


def test_a_scene_is_the_same_for_the_same_seed_and_another_for_another(corpus):
    for number in range(0, 40, 3):
        one, same, other = (make_scene(corpus, number, seed) for seed in (7, 7, 8))
        assert (one.kind, one.room, one.replies, one.noise, one.snr_db) == (
            same.kind,
            same.room,
            same.replies,
            same.noise,
            same.snr_db,
        )
        assert np.array_equal(one.background, same.background)
        for a, b in zip(one.sounds, same.sounds, strict=True):
            assert np.array_equal(a.pcm, b.pcm)
            assert (a.name, a.cue, a.after_s, a.pauses) == (b.name, b.cue, b.after_s, b.pauses)
        assert other.replies != one.replies


def test_each_kind_of_scene_has_what_it_is_named_for(corpus):
    rng = np.random.default_rng(0)
    for kind in SHARES:
        scene = draw(corpus, kind, rng, coupling_db=-10.0)
        kinds = [sound.kind for sound in scene.sounds]
        if kind == "silence":
            assert kinds == []
            assert scene.seconds >= 60
        elif kind == "turns":
            assert kinds == ["turn"] * 3
        elif kind.startswith("own speech"):
            assert kinds == ["turn"]
            assert len(scene.replies[0].split()) >= 300
        else:
            assert kinds[0] == "turn"
            assert kinds.count(kind) >= 2
            assert all(sound.cue == "answer" for sound in scene.sounds if sound.kind == kind)
            assert scene.room.coupling_db == -10.0 or kind in ("backchannel", "cough", "knock")
    assert draw(corpus, "own speech, echo", rng).room.coupling_db == 0.0
    assert draw(corpus, "own speech, noise", rng).room.coupling_db is None
    assert draw(corpus, "own speech, noise", rng).noise
    with pytest.raises(ValueError, match="opera"):
        draw(corpus, "opera", rng)


def test_interruptions_come_in_all_rooms(corpus):
    rooms = [make_scene(corpus, n, 0).room.coupling_db for n in range(60) if kind_of(n)[0] == "interruption"]
    assert {r: rooms.count(r) for r in COUPLINGS_DB} == {None: 6, -10.0: 6, 0.0: 6}


def test_noise_lies_below_speech_by_as_much_as_is_said(corpus):
    noisy = [s for s in (draw(corpus, "turns", np.random.default_rng(n)) for n in range(40)) if s.noise]
    assert 10 <= len(noisy) <= 30
    for scene in noisy:
        assert scene.snr_db is not None
        assert SNR_DB[0] <= scene.snr_db <= SNR_DB[1]
        assert SPEECH_DB - rms_db(scene.background) == pytest.approx(scene.snr_db, abs=1.0)
    assert all(not quiet_talk(corpus, n, 0).noise for n in range(20))


# ---------------------------------------------------------------- pauses


def test_one_turn_in_four_has_a_pause(corpus):
    turns = [sound for n in range(150) for sound in quiet_talk(corpus, n, 1).sounds]
    before = {clip.name: len(clip.pcm) for clip in corpus.clips}
    longer = sum(len(turn.pcm) > before[turn.name] for turn in turns)
    assert longer / len(turns) == pytest.approx(PAUSED, abs=0.07)


def test_pauses_are_log_normal():
    rng = np.random.default_rng(5)
    lengths = np.array([pause_s(rng) for _ in range(4000)])
    assert np.median(lengths) == pytest.approx(PAUSE_MEDIAN_S, rel=0.05)
    assert np.quantile(lengths, 0.9) == pytest.approx(PAUSE_P90_S, rel=0.05)
    logarithms = np.log(lengths)
    assert np.mean(((logarithms - logarithms.mean()) / logarithms.std()) ** 3) == pytest.approx(0, abs=0.15)


def test_a_pause_is_put_in_between_two_words_and_filled_with_the_rooms_own_tone(corpus):
    rng = np.random.default_rng(11)
    for clip in corpus.clips:
        assert clip.words is not None
        turn = paused(rng, clip, "begin", 0.0)
        length = len(turn.pcm) - len(clip.pcm)
        assert turn.ended_s == pytest.approx(clip.ended_s + length / RATE, abs=1e-4)
        same = np.flatnonzero(turn.pcm[: len(clip.pcm)] != clip.pcm)
        cut_s = same[0] / RATE  # up to the soft edge the sound is the recording's
        assert any(
            before.ended_s - 0.04 <= cut_s <= after.began_s + 0.04
            for before, after in zip(clip.words, clip.words[1:], strict=False)
        )
        cut = round(cut_s * RATE) + RATE // 50
        assert np.array_equal(turn.pcm[cut + length :], clip.pcm[cut:])
        assert rms_db(turn.pcm[cut : cut + length - RATE // 50]) < SPEECH_DB - 15
        if length >= 0.25 * RATE:
            assert any(a - 0.02 <= cut_s and cut_s + length / RATE <= b + 0.05 for a, b in turn.pauses)


def test_what_cannot_be_aligned_gets_no_pause(corpus):
    clip = corpus.backchannels[0]
    assert clip.words is None
    turn = paused(np.random.default_rng(0), clip, "begin", 0.0)
    assert np.array_equal(turn.pcm, clip.pcm)


def test_a_pause_in_a_pause_makes_it_longer(corpus):
    quiet = np.zeros(RATE, np.float32)
    one, two = (next(c for c in corpus.clips if c.name.startswith(name)).pcm for name in ("what is my", "when does"))
    clip = make_clip("joined", np.concatenate([one, quiet, two]), "what is my name when does it expire", "en", None)
    assert [round(b - a, 1) for a, b in clip.pauses] == [pytest.approx(1.2, abs=0.3)]


# ---------------------------------------------------------------- sounds


@pytest.mark.parametrize("make", [cough, knock])
def test_sounds_that_are_no_speech_are_short_and_as_loud_as_asked(make):
    for seed in range(8):
        pcm = make(np.random.default_rng(seed), SPEECH_DB)
        assert 0.2 < len(pcm) / RATE < 2.5
        assert SPEECH_DB - 8 < rms_db(pcm) < SPEECH_DB + 0.1
        assert np.abs(pcm).max() <= 1


def test_a_recordings_own_tone_is_as_loud_as_its_quiet_parts(corpus):
    rng = np.random.default_rng(0)
    hiss = room_tone(rng, 3.0, -50.0)
    hiss[RATE : 2 * RATE] += corpus.clips[0].pcm[:RATE]
    assert rms_db(own_tone(rng, hiss, 1.0)) == pytest.approx(-52, abs=3)


def test_a_noise_that_is_repeated_has_no_seam():
    rng = np.random.default_rng(0)
    tone = looped(rng, np.sin(np.arange(RATE) * 0.05).astype(np.float32), 5.0)
    assert len(tone) == 5 * RATE
    assert np.abs(np.diff(tone)).max() < 0.12


def test_what_is_said_over_an_answer_comes_with_the_package():
    lines = interjections()
    assert {"yeah", "mhm", "嗯"} <= {line.text for line in lines if line.kind == "backchannel"}
    assert {"stop", "hold on"} <= {line.text for line in lines if line.kind == "stop"}
    for line in lines:
        began_s, ended_s = voice_span_s(line.pcm)
        assert began_s < 0.05
        assert ended_s > len(line.pcm) / RATE - 0.05
        assert 0.1 < ended_s - began_s < 1.5


@pytest.mark.parametrize(
    ("text", "is_one"), [("Yes.", True), ("Okay, right.", True), ("Yes, it is.", False), ("", False)]
)
def test_a_recording_that_only_says_that_somebody_listens_is_a_backchannel(text, is_one):
    assert listens(text) is is_one


# ---------------------------------------------------------------- corpora


def test_real_recordings_are_cut_to_their_speech_and_their_words_are_found(shared):
    corpus = read_corpus(shared / "data" / "speech")
    aligned = [clip for clip in corpus.clips if clip.words]
    assert len(aligned) >= 0.8 * len(corpus.clips) >= 16
    for clip in aligned:
        assert clip.words is not None
        assert all(a.ended_s <= b.began_s + 1e-6 for a, b in zip(clip.words, clip.words[1:], strict=False))
        assert clip.words[0].began_s == pytest.approx(clip.began_s, abs=0.3)
        assert clip.words[-1].ended_s == pytest.approx(clip.ended_s, abs=0.3)
    for clip in corpus.clips:
        assert rms_db(clip.pcm[round(clip.began_s * RATE) : round(clip.ended_s * RATE)]) == pytest.approx(
            SPEECH_DB, abs=6
        )
    assert {name for name, _ in corpus.noises} >= {"noise_kitchen", "babble_fire"}
    assert all("zh" not in clip.name for clip in corpus.clips)


def test_the_shared_recordings_are_the_corpus_where_they_are(shared, monkeypatch, tmp_path):
    monkeypatch.setenv("ASSISTANT_SHARED", str(shared))
    assert shared_corpus() == shared / "data" / "speech"
    monkeypatch.setenv("ASSISTANT_SHARED", str(tmp_path))
    assert shared_corpus() is None


def voice(seconds):
    return (0.3 * np.sin(np.arange(int(seconds * RATE)) * 0.3)).astype(np.float32)


def write_table(folder, rows):
    folder.mkdir(exist_ok=True)
    (folder / "transcripts.tsv").write_text("\n".join(["file\tlang\ttranscript", *rows]) + "\n")


def test_only_recordings_of_a_turns_length_in_a_language_that_is_heard_are_used(tmp_path):
    for name, seconds in (("short", 1.0), ("long", 9.0), ("zh", 1.0)):
        soundfile.write(tmp_path / f"{name}.wav", voice(seconds), RATE)
    rows = ["short.wav\ten\tone two", "long.wav\ten\tone two", "zh.wav\tzh\t一二"]
    write_table(tmp_path, rows)
    assert [clip.name for clip in read_corpus(tmp_path).clips] == ["short"]
    assert [clip.name for clip in read_corpus(tmp_path, ("en", "zh")).clips] == ["short", "zh"]
    write_table(tmp_path, rows[1:])
    with pytest.raises(SourceError, match="up to 8 s"):
        read_corpus(tmp_path)


@pytest.mark.parametrize("rows", [None, ["short.wav\ten"], ["missing.wav\ten\tone two"], ["silent.wav\ten\tone"]])
def test_a_corpus_that_cannot_be_read_is_told(tmp_path, rows):
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE, np.float32), RATE)
    if rows is not None:
        write_table(tmp_path, rows)
    with pytest.raises(SourceError):
        read_corpus(tmp_path)


def test_noises_are_found_without_a_list_and_silence_is_none(tmp_path):
    soundfile.write(tmp_path / "one.wav", voice(1.0), RATE)
    write_table(tmp_path, ["one.wav\ten\tone two"])
    (tmp_path / "nonspeech").mkdir()
    soundfile.write(tmp_path / "nonspeech" / "hum.wav", voice(2.0), RATE)
    soundfile.write(tmp_path / "nonspeech" / "nothing.wav", np.zeros(2 * RATE, np.float32), RATE)
    soundfile.write(tmp_path / "nonspeech" / "click.wav", voice(0.1), RATE)
    assert [name for name, _ in read_corpus(tmp_path).noises] == ["hum"]


def test_silences_inside_speech_are_found():
    pcm = np.concatenate([voice(0.5), np.zeros(RATE // 2, np.float32), voice(0.5), np.zeros(RATE // 10, np.float32)])
    assert pauses_s(np.concatenate([pcm, voice(0.3)])) == (pytest.approx((0.5, 1.0), abs=0.011),)
