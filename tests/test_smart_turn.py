"""Smart Turn: it is fed what it was trained on, hears the end of real questions, and a talk does without it."""

import sys
from pathlib import Path
from subprocess import run

import numpy as np
import pytest
import soundfile
from transformers import WhisperFeatureExtractor

from assistant import pacing
from assistant.backends.smart_turn import SmartTurn, log_mel, mel_filters
from assistant.choosing import JUDGES_WORSE
from assistant.config import Config, load_config
from assistant.errors import WeightsError
from assistant.events import HEARING_RATE_HZ, Samples
from assistant.hiring import Engines, load_engines, prepare
from assistant.models import StoreSettings, known

RATE = HEARING_RATE_HZ


@pytest.fixture(scope="module")
def smart_turn() -> SmartTurn:
    try:
        return SmartTurn()
    except WeightsError as reason:
        pytest.skip(f"needs the weights of smart_turn: {reason}")


def recording(shared: Path, name: str) -> Samples:
    return np.asarray(soundfile.read(shared / f"data/speech/{name}.flac", dtype="float32")[0], np.float32)


@pytest.mark.parametrize("seconds", [0.0, 0.0001, 0.5, 3.7, 8.0, 11.0])
def test_its_spectrogram_is_whispers(seconds):
    rng = np.random.default_rng(0)
    time = np.arange(int(seconds * RATE)) / RATE
    pcm = (0.3 * np.sin(2 * np.pi * 300 * time * (1 + time)) + 0.01 * rng.standard_normal(len(time))).astype(np.float32)
    padded = np.pad(pcm[-8 * RATE :], (max(0, 8 * RATE - len(pcm)), 0))
    extractor = WhisperFeatureExtractor(chunk_length=8)
    wanted = extractor(padded, sampling_rate=RATE, return_tensors="np", do_normalize=True).input_features[0]
    made = log_mel(pcm, mel_filters())
    assert made.shape == (80, 800) and made.dtype == np.float32
    np.testing.assert_allclose(made, wanted, atol=1e-4)


def test_it_tells_whole_sentences_from_their_beginnings(smart_turn, shared):
    whole, begun = [], []
    for name in ("en_brooklyn", "en_what_time", "en_lamp", "en_lamp2", "en_quilter", "en_sense870", "en_rt1"):
        pcm = recording(shared, name)
        loud = np.flatnonzero(np.abs(pcm) > 0.1 * np.abs(pcm).max())
        begin, end = loud[0], loud[-1] + RATE // 10
        whole.append(smart_turn.over(pcm[:end]))
        begun += [smart_turn.over(pcm[: begin + int(f * (end - begin))]) for f in (0.4, 0.5, 0.6)]
    assert min(whole) > 0.8
    assert np.mean(begun) < np.mean(whole) - 0.3


def test_what_was_said_more_than_8_s_ago_does_not_count(smart_turn, shared):
    pcm = recording(shared, "en_two_cities")
    assert smart_turn.over(np.concatenate((pcm, pcm))) == smart_turn.over(pcm)


def test_it_imports_neither_torch_nor_transformers():
    code = (
        "import sys\n"
        "from assistant.backends.smart_turn import log_mel, mel_filters, SmartTurn\n"
        "log_mel(mel_filters()[0], mel_filters())\n"
        "import onnxruntime\n"
        "assert not {'torch', 'transformers', 'whisper'} & set(sys.modules)\n"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0


# ---------------------------------------------------------------- without it


def scripted(folder: Path, *sets: str) -> Config:
    engines = [f"{slot}.engine=scripted" for slot in ("activity", "recogniser", "mind", "eyes", "voice")]
    return load_config(sets=[*engines, f"models.folder={folder}", "assistant.offline=true", *sets], environ={})


def loaded(config: Config, *, fast: bool = False) -> Engines:
    prepare(config)
    engines = pacing.run(load_engines(config), fast=fast)
    engines.close()
    return engines


@pytest.mark.parametrize("fast", [False, True])
def test_a_talk_begins_without_it_and_says_so(tmp_path, fast):
    engines = loaded(scripted(tmp_path), fast=fast)
    choice = engines.chosen["endpointing"]
    assert choice.name == "words"
    assert choice.why.startswith(f"{JUDGES_WORSE}, in place of smart_turn: ") and "while offline" in choice.why
    assert engines.endpointing.model.over(np.zeros(RATE, np.float32)) is None


def test_a_damaged_model_is_done_without_and_told(tmp_path):
    weights = known("smart-turn-v3.2")
    file = tmp_path / weights.name / weights.file
    file.parent.mkdir()
    file.write_bytes(bytes(weights.size_bytes))
    with pytest.raises(WeightsError, match="a damaged file; delete it"):
        SmartTurn(StoreSettings(tmp_path))
    choice = loaded(scripted(tmp_path)).chosen["endpointing"]
    assert choice.name == "words" and str(file) in choice.why


def test_it_is_left_out_where_that_is_asked_for_and_the_price_is_told(tmp_path):
    choice = loaded(scripted(tmp_path, "endpointing.engine=words")).chosen["endpointing"]
    assert (choice.name, choice.why) == ("words", f"asked for; {JUDGES_WORSE}")
    assert "judges worse" in choice.why


def test_it_is_built_in(smart_turn):
    engines = [f"{slot}.engine=scripted" for slot in ("activity", "recogniser", "mind", "eyes", "voice")]
    engines = loaded(load_config(sets=engines, environ={}))
    choice = engines.chosen["endpointing"]
    assert (choice.name, choice.why) == ("smart_turn", "built in")
    assert isinstance(engines.endpointing.model, SmartTurn)
