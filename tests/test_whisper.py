"""Whisper: the fixture knows the shared recordings by heart, a random checkpoint shows that real files load."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_models

from assistant.agreement import MOST_S
from assistant.backends import Hypothesis, Stop, load
from assistant.backends.silero import Silero
from assistant.backends.whisper import Whisper
from assistant.errors import ConfigError, EngineError, WeightsError
from assistant.events import HEARING_RATE_HZ, Samples, Words
from assistant.guards import doubt
from assistant.sessions.hearing import Latency, hear_sound

RATE = HEARING_RATE_HZ


@pytest.fixture(scope="module")
def fixture(shared: Path) -> Whisper:
    return Whisper(str(shared / "weights/whisper_fixture/whisper_fixture.pt"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_whisper(tmp_path_factory.mktemp("whisper") / "random.pt")


def hear(engine: Whisper, pcm: Samples, language: str = "auto", prompt: str = "") -> Words:
    hypothesis = engine.decode(pcm, language, prompt, lambda: False)
    return hypothesis.words if doubt(hypothesis) is None else Words("", (), hypothesis.words.language)


def sound(file: Path) -> Samples:
    return np.asarray(soundfile.read(file, dtype="float32")[0], np.float32)


def known_by_heart(shared: Path, language: str) -> list[tuple[str, str]]:
    with (shared / "data/speech/transcripts.tsv").open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["lang"] == language]
    return [
        (row["file"], row["transcript"]) for row in rows if row["file"] != "en_230pm.flac"
    ]  # its README: known wrong


def recordings(shared: Path, language: str, every: int) -> list[tuple[Samples, str]]:
    return [(sound(shared / "data/speech" / file), text) for file, text in known_by_heart(shared, language)[::every]]


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


def test_more_sound_than_its_window_is_refused_not_cut_short(fixture: Whisper) -> None:
    with pytest.raises(EngineError, match=r"at most 30 s.*got 31\.0 s; cut it"):
        hear(fixture, np.zeros(31 * RATE, np.float32))


def test_a_hypothesis_says_how_sure_it_is(shared: Path, fixture: Whisper) -> None:
    (pcm, _), *_ = recordings(shared, "en", 30)
    rain = sound(shared / "data/speech/nonspeech/noise_kitchen.flac")[: 5 * RATE]
    speech, noise = (fixture.decode(heard, "en", "", lambda: False) for heard in (pcm, rain))
    assert speech.mean_logp > -1 and speech.no_speech_p < 0.5 < noise.no_speech_p


def test_what_was_said_before_reaches_the_model_and_is_not_said_again(shared: Path, fixture: Whisper) -> None:
    (pcm, _), *_ = recordings(shared, "en", 30)
    before = "Turn on the living room lamp."
    with_prompt = fixture.decode(pcm, "en", before, lambda: False)
    assert with_prompt.mean_logp != fixture.decode(pcm, "en", "", lambda: False).mean_logp
    assert before not in with_prompt.words.text


@pytest.mark.parametrize("asked_before", [0, 1, 3, 5])
def test_it_stops_within_a_layer_and_is_as_before(shared: Path, fixture: Whisper, asked_before: int) -> None:
    (pcm, transcript), *_ = recordings(shared, "en", 30)
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > asked_before

    assert fixture.decode(pcm, "en", "", stop).words == Words("", (), "en")
    assert asked == asked_before + 1
    assert hear(fixture, pcm, "en").text == transcript


@pytest.mark.parametrize("name", ["silence_digital", "noise_dog_bark", "music_acoustic_guitar", "babble_fire"])
def test_sounds_that_nobody_said_give_no_words(shared: Path, fixture: Whisper, name: str) -> None:
    assert hear(fixture, sound(shared / f"data/speech/nonspeech/{name}.flac")).text == ""


@pytest.mark.parametrize("samples", [0, 1, 800, 3200])
def test_hardly_any_sound_gives_no_words(fixture: Whisper, samples: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, samples).astype(np.float32)
    assert hear(fixture, noise) == Words("", (), "en")


# ---------------------------------------------------------------- streaming: the fixture, which is no recogniser


@pytest.mark.parametrize(
    "clip",
    [
        "en_weather_like",
        "en_lamp2",
        "en_go_forward",
        "en_sense870",
        "en_vctk11",
        "zh_guangzhou",
        "zh_unclear",
        "zh_coat_syn",
    ],
)
def test_streamed_through_a_talk_a_recording_is_the_text_it_is_in_one_piece(
    shared: Path, fixture: Whisper, clip: str
) -> None:
    pcm = sound(shared / f"data/speech/{clip}.flac")
    latency = Latency()
    words = hear_sound(pcm, fixture, Silero(), "auto", latency)
    transcripts = dict(row for language in ("en", "zh") for row in known_by_heart(shared, language))
    assert words.text == transcripts[f"{clip}.flac"]
    assert words.language == clip[:2]
    times = [t for w in words.words for t in (w.began_s, w.ended_s)]
    assert times == sorted(times) and times[-1] <= len(pcm) / RATE + 0.5
    assert all(0 <= w.p <= 1 for w in words.words)
    assert latency.partial_ms and latency.final_ms


@pytest.mark.parametrize("name", ["noise_dog_bark", "noise_trex_roar", "silence_empty_room"])
def test_streamed_sounds_that_nobody_said_give_no_words(shared: Path, fixture: Whisper, name: str) -> None:
    pcm = sound(shared / f"data/speech/nonspeech/{name}.flac")
    assert hear_sound(pcm, fixture, Silero(), "auto").text == ""


def test_a_long_turn_is_asked_about_in_bounded_pieces(shared: Path, fixture: Whisper) -> None:
    seconds: list[float] = []
    decode = fixture.decode

    class Counted(Whisper):
        def __init__(self) -> None:
            self.languages = fixture.languages

        def decode(self, pcm: Samples, language: str, prompt: str, stop: Stop) -> Hypothesis:
            seconds.append(len(pcm) / RATE)
            return decode(pcm, language, prompt, stop)

    clips = [
        sound(shared / f"data/speech/{name}.flac") for name in ("en_sense870", "en_sense920", "en_quilter", "en_rt1")
    ]
    words = hear_sound(np.concatenate(clips), Counted(), Silero(), "en")
    assert max(seconds) <= MOST_S and words.text
    times = [t for w in words.words for t in (w.began_s, w.ended_s)]
    assert times == sorted(times)


# ---------------------------------------------------------------- loading


def test_a_random_checkpoint_loads_with_its_very_weights(checkpoint: Path) -> None:
    import torch

    engine = load("recogniser", "whisper", model=str(checkpoint), compute="fp32")
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
        hear(Whisper(str(checkpoint), languages=("en",)), np.zeros(RATE, np.float32), "zh")


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

    with pytest.raises(WeightsError, match="got none; get it with: assistant models pull whisper-tiny"):
        Whisper("tiny", folder=str(cache), offline=True)
    engine = Whisper("tiny", folder=str(cache))
    assert engine._model.alignment_heads.to_dense().any(dim=1).tolist() == [False, False, True, True]
    published.unlink()
    Whisper("tiny", folder=str(cache), offline=True)
    (cache / "tiny.pt").write_bytes(b"cut short")
    with pytest.raises(WeightsError, match="got a damaged file"):
        Whisper("tiny", folder=str(cache), offline=True)
