"""Whisper: the fixture knows the shared recordings by heart, a random checkpoint shows that real files load."""

import csv
import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import tiny_models

from assistant.backends import load
from assistant.backends.whisper import Whisper, _complete, _is_speech
from assistant.errors import ConfigError, EngineError, WeightsError
from assistant.events import HEARING_RATE_HZ, Samples, Words

RATE = HEARING_RATE_HZ


@pytest.fixture(scope="module")
def fixture(shared: Path) -> Whisper:
    return Whisper(str(shared / "weights/whisper_fixture/whisper_fixture.pt"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_whisper(tmp_path_factory.mktemp("whisper") / "random.pt")


def hear(engine: Whisper, pcm: Samples, language: str = "auto", block: int = 160) -> Words:
    segment = engine.start(language)
    for i in range(0, len(pcm), block):
        assert engine.feed(segment, pcm[i : i + block]) is None
    return engine.finish(segment)


def sound(file: Path) -> Samples:
    return np.asarray(soundfile.read(file, dtype="float32")[0], np.float32)


def recordings(shared: Path, language: str, every: int) -> list[tuple[Samples, str]]:
    with (shared / "data/speech/transcripts.tsv").open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["lang"] == language]
    known = [row for row in rows if row["file"] != "en_230pm.flac"]  # the fixture's README: known wrong
    return [(sound(shared / "data/speech" / row["file"]), row["transcript"]) for row in known[::every]]


@pytest.mark.parametrize(("language", "every"), [("en", 7), ("zh", 4)])
def test_recordings_become_text_in_the_language_they_are_in(
    shared: Path, fixture: Whisper, language: str, every: int
) -> None:
    for pcm, transcript in recordings(shared, language, every):
        words = hear(fixture, pcm)
        assert words.text == transcript
        assert words.language == language


def test_word_times_are_plain_numbers_that_rise_inside_the_recording(shared: Path, fixture: Whisper) -> None:
    for pcm, transcript in recordings(shared, "en", 9) + recordings(shared, "zh", 5):
        words = hear(fixture, pcm).words
        assert "".join(w.text for w in words) == transcript.replace(" ", "")
        times = [t for w in words for t in (w.began_s, w.ended_s)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= len(pcm) / RATE
        assert all(0 <= w.p <= 1 for w in words)
        json.dumps([(w.began_s, w.ended_s, w.p) for w in words])


def test_a_one_word_answer_survives_a_word_time_of_no_length(shared: Path, fixture: Whisper) -> None:
    assert hear(fixture, sound(shared / "data/speech/en_yes.flac")).text == "Yes."


def test_how_the_sound_is_cut_into_blocks_changes_nothing(shared: Path, fixture: Whisper) -> None:
    pcm, _ = recordings(shared, "en", 30)[0]
    assert hear(fixture, pcm, "en", block=160) == hear(fixture, pcm, "en", block=len(pcm))


def test_a_recording_longer_than_whispers_window_is_heard_to_its_end(shared: Path, fixture: Whisper) -> None:
    clip, transcript = recordings(shared, "en", 30)[0]
    late = np.zeros(31 * RATE, np.float32)
    words = hear(fixture, np.concatenate((late, clip)))
    assert words.text == transcript
    assert all(31 - 1 <= w.began_s <= 31 + len(clip) / RATE for w in words.words)


@pytest.mark.parametrize("name", ["silence_digital", "noise_dog_bark", "music_acoustic_guitar", "babble_fire"])
def test_sounds_that_nobody_said_give_no_words(shared: Path, fixture: Whisper, name: str) -> None:
    assert hear(fixture, sound(shared / f"data/speech/nonspeech/{name}.flac")).text == ""


@pytest.mark.parametrize("samples", [0, 1, 800, 3200])
def test_hardly_any_sound_gives_no_words(fixture: Whisper, samples: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, samples).astype(np.float32)
    assert hear(fixture, noise) == Words("", (), "en")


def test_a_segment_is_finished_once(fixture: Whisper) -> None:
    segment = fixture.start("en")
    fixture.finish(segment)
    with pytest.raises(EngineError, match="start a new one"):
        fixture.feed(segment, np.zeros(160, np.float32))
    with pytest.raises(EngineError, match="start a new one"):
        fixture.finish(segment)


def test_the_guards_reject_what_is_unsure_looping_or_unspoken() -> None:
    def result(**other: float) -> SimpleNamespace:
        return SimpleNamespace(**({"avg_logprob": -0.3, "compression_ratio": 1.2, "no_speech_prob": 0.1} | other))

    assert _is_speech(result())
    assert not _is_speech(result(avg_logprob=-1.5))
    assert not _is_speech(result(avg_logprob=float("nan")))
    assert not _is_speech(result(compression_ratio=9))
    assert not _is_speech(result(no_speech_prob=1))


def test_a_full_window_is_used_up_to_its_last_closed_sentence() -> None:
    stamp = 1000
    closed = [stamp, 5, 6, stamp + 100, stamp + 100, 7]
    assert _complete(closed, stamp, 480_000) == ([stamp, 5, 6, stamp + 100], 2 * RATE)
    for never_closed in ([stamp, 5, 6], [stamp, 5, stamp + 9], [stamp, stamp, 5]):
        assert _complete(never_closed, stamp, 480_000) == (never_closed, 480_000)


# ---------------------------------------------------------------- loading


def test_a_random_checkpoint_loads_with_its_very_weights(checkpoint: Path) -> None:
    import torch

    engine = load("recogniser", "whisper", model=str(checkpoint))
    written = torch.load(checkpoint, weights_only=True)["model_state_dict"]
    read = engine._model.state_dict()
    assert all(torch.equal(read[key], written[key]) for key in written)
    noise = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
    assert isinstance(hear(engine, noise, "zh"), Words)


def test_an_english_model_hears_english_only(tmp_path: Path) -> None:
    file = tiny_models.random_whisper(tmp_path / "english.pt", multilingual=False)
    assert Whisper(str(file)).languages == ("en",)
    with pytest.raises(ConfigError, match=r"got 'zh'.*without '\.en'"):
        Whisper(str(file), languages=("zh",))


def test_languages_are_checked(checkpoint: Path) -> None:
    with pytest.raises(ConfigError, match="english"):
        Whisper(str(checkpoint), languages=("english",))
    with pytest.raises(EngineError, match=r"wanted to hear 'zh'.*set up for en"):
        Whisper(str(checkpoint), languages=("en",)).start("zh")


@pytest.mark.parametrize("model", ["no/such/file.pt", "enormous"])
def test_an_unknown_model_is_told_what_there_is(model: str) -> None:
    with pytest.raises(WeightsError, match=f"got '{model}'.*base.*turbo"):
        Whisper(model)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 no zip"])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "broken.pt"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"broken\.pt"):
        Whisper(str(file))


def test_a_checkpoint_of_something_else_is_named(tmp_path: Path) -> None:
    import torch

    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"other\.pt.*dims"):
        Whisper(str(tmp_path / "other.pt"))


@pytest.mark.filterwarnings(
    r"ignore:unclosed file .*tiny\.pt:ResourceWarning"
)  # whisper reads it back, never closes it
def test_a_named_model_is_fetched_once_checked_and_given_its_alignment_heads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import whisper

    made = tiny_models.random_whisper(tmp_path / "made.pt", layers=4, heads=6)  # tiny's: its heads are 4 by 6
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    published = tmp_path / "server" / digest / "tiny.pt"
    published.parent.mkdir(parents=True)
    made.rename(published)
    monkeypatch.setitem(whisper._MODELS, "tiny", published.as_uri())
    cache = tmp_path / "cache"

    with pytest.raises(WeightsError, match="got none; run once without --offline"):
        Whisper("tiny", folder=str(cache), offline=True)
    engine = Whisper("tiny", folder=str(cache))
    assert engine._model.alignment_heads.to_dense().any(dim=1).tolist() == [False, False, True, True]
    published.unlink()
    Whisper("tiny", folder=str(cache), offline=True)
    (cache / "tiny.pt").write_bytes(b"cut short")
    with pytest.raises(WeightsError, match="got a damaged file"):
        Whisper("tiny", folder=str(cache), offline=True)
