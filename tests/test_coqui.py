"""Coqui: a random VITS shows that voices load, speak, stop and fail as they should; its sound means nothing."""

import json
import math
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tiny_models

from assistant.backends import load, no_torchaudio
from assistant.backends.coqui import Coqui
from assistant.errors import ConfigError, EngineError, WeightsError

CLAUSE = "Hello there, this is a clause of some length."


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_voice(tmp_path_factory.mktemp("voice"))


@pytest.fixture(scope="module")
def voice(folder: Path) -> Coqui:
    return Coqui(str(folder))


def test_a_clause_becomes_finite_float_sound(voice: Coqui) -> None:
    speech = voice.synthesise(CLAUSE, "en", never)
    assert speech.rate_hz == 22_050
    assert speech.pcm.dtype == np.float32
    assert np.isfinite(speech.pcm).all()
    assert 0 < np.abs(speech.pcm).max() <= 1
    assert voice.languages == ("en",)


def test_words_are_timed_by_the_durations_of_their_letters(voice: Coqui) -> None:
    speech = voice.synthesise(CLAUSE, "en", never)
    assert [CLAUSE[:end].split()[-1] for end, _ in speech.marks] == CLAUSE.split()
    samples = [sample for _, sample in speech.marks]
    assert samples == sorted(samples) and samples[0] > 0 and samples[-1] == len(speech.pcm)
    # the same clause with its third word first: that word is over sooner
    assert voice.synthesise("this hello there", "en", never).marks[0][1] < samples[2]


def test_words_that_cannot_be_told_apart_have_no_times(voice: Coqui) -> None:
    assert voice.synthesise("a & b", "en", never).marks == ()


def test_more_text_is_more_sound_and_no_silence_is_put_behind_it(voice: Coqui) -> None:
    word, clause = (voice.synthesise(text, "en", never).pcm for text in ("Hello.", CLAUSE))
    assert len(clause) > 2 * len(word)
    assert np.abs(clause[-2000:]).max() > 0


def test_a_seed_makes_the_sound_repeatable(folder: Path, voice: Coqui) -> None:
    seeded = load("voice", "coqui", model=str(folder), seed=3)
    once, again = (seeded.synthesise(CLAUSE, "en", never).pcm for _ in range(2))
    assert np.array_equal(once, again)
    free, other = (voice.synthesise(CLAUSE, "en", never).pcm for _ in range(2))
    assert not np.array_equal(free, other)


@pytest.mark.parametrize("text", ["", "   ", "…", "?!"])
def test_nothing_to_say_is_no_sound(voice: Coqui, text: str) -> None:
    assert len(voice.synthesise(text, "en", never).pcm) == 0


def test_letters_the_voice_does_not_have_are_an_error_of_ours(voice: Coqui) -> None:
    with pytest.raises(EngineError, match="wanted '你好' spoken, this voice has none of its letters"):
        voice.synthesise("你好", "en", never)


def test_stop_is_asked_all_along(voice: Coqui) -> None:
    asked = list[int]()

    def stop() -> bool:
        asked.append(1)
        return len(asked) >= 5

    assert len(voice.synthesise(CLAUSE, "en", stop).pcm) == 0
    assert len(asked) == 5
    assert len(voice.synthesise(CLAUSE, "en", never).pcm) > 0


def test_speakers_are_chosen_by_name(tmp_path: Path) -> None:
    folder = str(tiny_models.random_voice(tmp_path, speakers=3))
    sounds = [
        Coqui(folder, speaker=name, seed=1).synthesise(CLAUSE, "en", never).pcm
        for name in (None, "speaker 0", "speaker 2")
    ]
    assert np.array_equal(sounds[0], sounds[1])
    assert not np.array_equal(sounds[0], sounds[2])
    with pytest.raises(ConfigError, match=r"got 'speaker2'; did you mean 'speaker \d'\?"):
        Coqui(folder, speaker="speaker2")


def test_a_voice_without_speakers_takes_none(folder: Path) -> None:
    with pytest.raises(ConfigError, match="one voice only"):
        Coqui(str(folder), speaker="anna")


def test_a_language_it_does_not_speak_is_refused(voice: Coqui) -> None:
    with pytest.raises(EngineError, match="wanted to speak 'zh', this voice speaks en"):
        voice.synthesise("你好", "zh", never)


def test_phonemes_are_read_through_espeak(tmp_path: Path) -> None:
    if not (shutil.which("espeak-ng") or shutil.which("espeak")):
        pytest.skip("needs the espeak-ng program: apt install espeak-ng")
    voice = Coqui(str(tiny_models.random_voice(tmp_path, phonemes=True)))
    assert len(voice.synthesise(CLAUSE, "en", never).pcm) > 0


def test_without_espeak_a_voice_of_phonemes_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, voice: Coqui
) -> None:
    from TTS.tts.utils.text.phonemizers import espeak_wrapper

    folder = tiny_models.random_voice(tmp_path)
    config = json.loads((folder / "config.json").read_text()) | {"use_phonemes": True, "phonemizer": "espeak"}
    (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(espeak_wrapper, "_DEF_ESPEAK_LIB", None)  # looked up once, at the library's import
    with pytest.raises(EngineError, match=r"wanted espeak-ng.*apt install espeak-ng"):
        Coqui(str(folder))


def test_it_prints_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    Coqui(str(folder)).synthesise(CLAUSE, "en", never)
    with pytest.raises(WeightsError):
        Coqui("tts_models/en/ljspeech/vits", offline=True)
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------- weights


def test_offline_a_named_voice_that_is_not_here_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="got none; get it with: assistant models pull coqui-vits-ljspeech"):
        Coqui("tts_models/en/ljspeech/vits", offline=True)


def test_a_voice_that_the_network_fails_to_give_is_told_how_to_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from TTS.utils.manage import ModelManager

    def fail(self: ModelManager, name: str) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(ModelManager, "download_model", fail)
    with pytest.raises(WeightsError, match="got 'no route to host'; get it with: assistant models pull coqui-vits-"):
        Coqui("tts_models/en/ljspeech/vits")


def test_a_name_nearly_right_is_corrected() -> None:
    with pytest.raises(WeightsError, match="did you mean 'tts_models/en/ljspeech/vits'"):
        Coqui("tts_models/en/ljspeach/vits")


def test_a_licence_is_never_agreed_to_silently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("COQUI_TOS_AGREED", raising=False)
    with pytest.raises(WeightsError, match=r"licence is not agreed to.*no commercial use.*accept_licence = true"):
        Coqui("tts_models/multilingual/multi-dataset/xtts_v2")


def test_a_folder_without_a_voice_is_told_so(tmp_path: Path) -> None:
    for place, found in ((tmp_path, "a folder without them"), (tmp_path / "nope", "no such folder")):
        with pytest.raises(WeightsError, match=found):
            Coqui(str(place))


@pytest.mark.parametrize(("file", "content"), [("model.pth", b"no weights"), ("config.json", b"{}")])
def test_damaged_files_are_told_so(folder: Path, tmp_path: Path, file: str, content: bytes) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(WeightsError, match="wanted the voice"):
        Coqui(str(tmp_path))


# ---------------------------------------------------------------- the stand-in for torchaudio


@pytest.fixture
def torchaudio(voice: Coqui):
    try:
        import torchaudio  # type: ignore[import-not-found]
    except (ImportError, OSError):
        pass
    else:
        pytest.skip(f"the real torchaudio {torchaudio.__version__} is here")
    with no_torchaudio.stand_in():
        yield sys.modules["torchaudio"]


def test_the_stand_in_is_taken_back(torchaudio: object) -> None:
    with no_torchaudio.stand_in():
        assert find_spec("torchaudio") and find_spec("torchcodec")
    assert find_spec("torchaudio"), "the outer one is still lent"


def test_after_loading_a_voice_nothing_pretends_to_be_torchaudio(voice: Coqui) -> None:
    assert getattr(sys.modules.get("torchaudio"), "__version__", "") != "0"


def test_the_stand_in_resamples_a_tone_to_the_same_tone(torchaudio: object) -> None:
    import torch

    seconds = torch.arange(22_050) / 22_050
    tone = torch.sin(2 * torch.pi * 440 * seconds)[None]
    turned = sys.modules["torchaudio.transforms"].Resample(22_050, 16_000)(tone)
    assert turned.shape == (1, 16_000)
    assert int(torch.fft.rfft(turned[0]).abs().argmax()) == 440


@pytest.mark.parametrize("hz", [300, 1000, 4000])
def test_the_stand_in_finds_a_tone_in_its_mel_band(torchaudio: object, hz: int) -> None:
    import torch

    bands, rate_hz = 40, 16_000
    mel = sys.modules["torchaudio.transforms"].MelSpectrogram(rate_hz, n_fft=1024, hop_length=256, n_mels=bands)
    tone = torch.sin(2 * torch.pi * hz * torch.arange(rate_hz) / rate_hz)[None]
    measured = mel(tone)
    assert measured.shape == (1, bands, rate_hz // 256 + 1)

    def mels(f: float) -> float:  # O'Shaughnessy's formula, as HTK has it
        return 2595 * math.log10(1 + f / 700)

    expected = mels(hz) / mels(rate_hz / 2) * (bands + 1) - 1
    assert abs(int(measured[0].mean(dim=1).argmax()) - expected) <= 0.5


def test_the_stand_in_reads_sound_files(torchaudio: object, tmp_path: Path) -> None:
    stereo = np.random.default_rng(0).uniform(-0.5, 0.5, (100, 2)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", stereo, 8000, subtype="FLOAT")
    pcm, rate_hz = sys.modules["torchaudio"].load(tmp_path / "a.wav")
    assert rate_hz == 8000
    assert np.array_equal(pcm.numpy(), stereo.T)
