"""Kokoro: a random network of its inputs and outputs shows that it loads, speaks and fails; its sound means nothing."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from assistant.backends import load
from assistant.backends.kokoro import RATE_HZ, Kokoro
from assistant.errors import ConfigError, EngineError, WeightsError
from assistant.speaking import speakable

pytest.importorskip("kokoro_onnx", reason="needs the extra kokoro")

CLAUSE = "Hello there, this is a clause of some length."


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_kokoro(tmp_path_factory.mktemp("kokoro"))


@pytest.fixture(scope="module")
def voice(folder: Path) -> Kokoro:
    return load("voice", "kokoro", folder=str(folder))


def test_a_clause_becomes_finite_float_sound(voice: Kokoro) -> None:
    speech = voice.synthesise(CLAUSE, "en", never)
    assert speech.rate_hz == RATE_HZ and speech.pcm.dtype == np.float32
    assert np.isfinite(speech.pcm).all() and 0 < np.abs(speech.pcm).max() <= 1
    assert len(speech.pcm) > 2 * len(voice.synthesise("Hello.", "en", never).pcm)


def test_words_are_timed_by_the_durations_of_their_phonemes(voice: Kokoro) -> None:
    text = "hello there my friend"
    speech = voice.synthesise(text, "en", never)
    assert [text[:end].split()[-1] for end, _ in speech.marks] == text.split()
    samples = [sample for _, sample in speech.marks]
    assert samples == sorted(samples) and samples[-1] == len(speech.pcm)
    last = samples[-1] - samples[-2]
    friend = len(voice.synthesise("friend", "en", never).pcm)
    assert abs(last - friend) < 2 * 600, "the last word is as long as it is alone"


def test_chinese_is_read_from_its_characters(voice: Kokoro) -> None:
    text = speakable("一共 3 kg。", "zh").text
    speech = voice.synthesise(text, "zh", never)
    assert len(speech.pcm) > len(voice.synthesise("一。", "zh", never).pcm) > 0


def test_each_language_has_its_voice(folder: Path) -> None:
    emma = Kokoro(str(folder), english="bf_emma")
    heart = Kokoro(str(folder))
    loud = [np.abs(voice.synthesise("you", "en", never).pcm).mean() for voice in (heart, emma)]
    assert loud[1] > loud[0]
    with pytest.raises(ConfigError, match="got 'zf_xiaobe'; did you mean 'zf_xiaobei'"):
        Kokoro(str(folder), chinese="zf_xiaobe")


@pytest.mark.parametrize("text", ["", "…", "?!"])
def test_nothing_to_say_is_no_sound(voice: Kokoro, text: str) -> None:
    assert len(voice.synthesise(text, "en", never).pcm) == 0


def test_who_is_not_wanted_does_not_begin(voice: Kokoro) -> None:
    assert len(voice.synthesise(CLAUSE, "en", lambda: True).pcm) == 0


def test_another_language_is_refused(voice: Kokoro) -> None:
    with pytest.raises(EngineError, match="wanted to speak 'de', this voice speaks en, zh"):
        voice.synthesise("Hallo", "de", never)


def test_a_speed_out_of_range_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"from 0\.5 to 2, got 3"):
        Kokoro(str(folder), speed=3.0)


def test_missing_weights_are_told_with_where_to_get_them(tmp_path: Path) -> None:
    for place, found in ((tmp_path, "0 and 0 of them"), (tmp_path / "nope", "no such folder")):
        with pytest.raises(WeightsError, match=f"{found}; get it with: assistant models pull kokoro-82m, or set"):
            Kokoro(str(place))


@pytest.mark.parametrize(("file", "what"), [("kokoro.onnx", "network"), ("voices.bin", "voices")])
@pytest.mark.parametrize("content", [b"", b"no weights", b"PK\x03\x04 no zip"])
def test_damaged_files_are_named(tmp_path: Path, file: str, what: str, content: bytes) -> None:
    tiny_models.random_kokoro(tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(WeightsError, match=f"wanted Kokoro's {what}.*{file}"):
        Kokoro(str(tmp_path))


def test_a_voice_that_is_cut_short_is_named(tmp_path: Path) -> None:
    tiny_models.random_kokoro(tmp_path)
    whole = (tmp_path / "voices.bin").read_bytes()
    (tmp_path / "voices.bin").write_bytes(whole[:200] + bytes(100) + whole[300:])
    with pytest.raises(WeightsError, match=r"wanted Kokoro's voice 'af_heart'.*voices\.bin"):
        Kokoro(str(tmp_path))


def test_an_alphabet_of_its_own_is_taken_and_checked(tmp_path: Path) -> None:
    tiny_models.random_kokoro(tmp_path)
    (tmp_path / "config.json").write_text('{"vocab": {"h": 3}}')
    assert len(Kokoro(str(tmp_path)).synthesise("Hello hello", "en", never).pcm) > 0
    (tmp_path / "config.json").write_text('{"vocab": {"h": 999}}')
    with pytest.raises(EngineError, match="wanted 'Hello' spoken, kokoro failed"):
        Kokoro(str(tmp_path)).synthesise("Hello", "en", never)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match=r"wanted Kokoro's weights.*vocab"):
        Kokoro(str(tmp_path))


def test_without_the_extra_it_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kokoro_onnx", None)
    with pytest.raises(EngineError, match=r"wanted kokoro-onnx.*pip install 'assistant\[kokoro\]'"):
        Kokoro(str(folder))


def test_it_prints_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    voice = Kokoro(str(folder))
    voice.synthesise(CLAUSE, "en", never)
    voice.synthesise("你好，世界。", "zh", never)
    assert capfd.readouterr() == ("", "")
