"""Whisper's shortcuts: a window as long as the turn, fewer bits, other formats of weights.

The fixture is no recogniser, and the checkpoints are random: what is shown is that shortcuts lead to the same place,
never how well words are heard.
"""

import csv
import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_models
from hypothesis import given
from hypothesis import strategies as st

from assistant.backends import load
from assistant.backends.precision import Compute, Precision, abilities, choose_precision
from assistant.backends.whisper import CONTEXT, MARGIN, STEP, Whisper, contexts_for
from assistant.errors import ConfigError, EngineError, WeightsError
from assistant.events import HEARING_RATE_HZ, Samples

RATE = HEARING_RATE_HZ
WHOLE = 1500


def never() -> bool:
    return False


def noise(seconds: float) -> Samples:
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_whisper(tmp_path_factory.mktemp("whisper") / "random.pt")


@pytest.fixture(scope="module")
def memorised(shared: Path) -> Path:
    return shared / "weights/whisper_fixture/whisper_fixture.pt"


def known_by_heart(shared: Path, every: int) -> list[tuple[Samples, str]]:
    with (shared / "data/speech/transcripts.tsv").open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["lang"] in ("en", "zh")]
    files = [(row["file"], row["transcript"]) for row in rows if row["file"] != "en_230pm.flac"]  # known wrong
    return [
        (np.asarray(soundfile.read(shared / "data/speech" / file, dtype="float32")[0], np.float32), text)
        for file, text in files[::every]
    ]


def encoded_lengths(engine: Whisper) -> list[int]:
    """How many positions each pass of the encoder takes, filled as it runs."""
    lengths = list[int]()
    engine._model.encoder.ln_post.register_forward_hook(lambda _, __, made: lengths.append(made.shape[1]))
    return lengths


# ---------------------------------------------------------------- a window as long as the turn


@given(st.integers(1, 30 * RATE))
def test_a_window_holds_the_sound_and_its_margin_and_never_more_than_whisper_has(samples: int) -> None:
    contexts = contexts_for(samples, WHOLE)
    assert contexts == WHOLE or contexts * CONTEXT >= samples + MARGIN * CONTEXT
    assert contexts == WHOLE or contexts % STEP == 0
    assert contexts <= WHOLE and contexts * CONTEXT >= samples
    assert contexts_for(max(1, samples - 1), WHOLE) <= contexts


def test_trimmed_it_hears_what_it_hears_in_full(shared: Path, memorised: Path) -> None:
    engine = load("recogniser", "whisper", model=str(memorised), context="trimmed", compute="fp32")
    lengths = encoded_lengths(engine)
    for pcm, transcript in known_by_heart(shared, 12):
        lengths.clear()
        words = engine.decode(pcm, "auto", "", never).words
        assert words.text == transcript
        assert lengths == [contexts_for(len(pcm), WHOLE)] and lengths[0] < WHOLE
        assert all(0 <= word.began_s <= word.ended_s <= len(pcm) / RATE for word in words.words)


def test_in_full_it_encodes_thirty_seconds_once(checkpoint: Path) -> None:
    engine = Whisper(str(checkpoint))
    lengths = encoded_lengths(engine)
    engine.decode(noise(2), "auto", "", never)
    assert lengths == [WHOLE]


def test_what_a_trimmed_window_makes_is_heard_again_in_full_where_it_is_doubted(
    checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trimmed = Whisper(str(checkpoint), context="trimmed", compute="fp32")  # random: it goes round in circles
    lengths = encoded_lengths(trimmed)
    with caplog.at_level(logging.INFO, "assistant.backends.whisper"):
        again = trimmed.decode(noise(2), "en", "", never)
    assert lengths == [contexts_for(2 * RATE, WHOLE), WHOLE]
    assert "heard again in full" in caplog.text and "repeats itself" in caplog.text
    assert again == Whisper(str(checkpoint), compute="fp32").decode(noise(2), "en", "", never)


def test_a_turn_that_fills_the_window_is_not_heard_twice(checkpoint: Path) -> None:
    engine = Whisper(str(checkpoint), context="trimmed")
    lengths = encoded_lengths(engine)
    engine.decode(noise(29), "en", "", never)
    assert lengths == [WHOLE]


def test_after_a_trimmed_pass_the_model_is_whole(checkpoint: Path) -> None:
    engine = Whisper(str(checkpoint), context="trimmed")
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    engine.decode(noise(2), "en", "", stop)
    assert asked == 2
    assert engine._model.encoder.positional_embedding.shape[0] == WHOLE


def test_who_repeats_himself_is_cut_short(checkpoint: Path) -> None:
    engine = Whisper(str(checkpoint))  # random: it never comes to an end of its own
    steps = list[int]()
    engine._model.decoder.ln.register_forward_hook(lambda *_: steps.append(1))
    engine.decode(noise(1), "en", "", never)
    assert 0 < len(steps) <= 32 + 20 + 2  # and one for the alignment


def test_threads_of_the_encoder_are_given_back(checkpoint: Path) -> None:
    import torch

    engine = Whisper(str(checkpoint), threads=1, encoder_threads=2)
    seen = list[int]()
    engine._model.encoder.ln_post.register_forward_hook(lambda *_: seen.append(torch.get_num_threads()))
    engine.decode(noise(0.5), "en", "", never)
    assert seen == [2] and torch.get_num_threads() == 1


# ---------------------------------------------------------------- fewer bits


@pytest.mark.parametrize(
    ("wanted", "device", "able", "name"),
    [
        ("auto", "cuda", set(), "fp16"),
        ("auto", "cuda:1", {"bf16"}, "fp16"),
        ("auto", "cpu", {"bf16", "vnni"}, "bf16"),
        ("auto", "cpu", {"vnni"}, "int8"),
        ("auto", "cpu", set(), "fp32"),
        ("fp32", "cpu", {"bf16"}, "fp32"),
        ("int8", "cpu", set(), "int8"),
        ("bf16", "cuda", set(), "bf16"),
    ],
)
def test_precision_follows_the_machine_and_says_why(wanted: Compute, device: str, able: set[str], name: str) -> None:
    chosen = choose_precision(wanted, device, frozenset(able))
    assert chosen.name == name and chosen.why


@pytest.mark.parametrize(("wanted", "device"), [("int8", "cuda"), ("fp16", "cpu")])
def test_a_precision_that_a_device_does_not_have_is_refused(wanted: Compute, device: str) -> None:
    with pytest.raises(ConfigError, match=f"wanted to compute in {wanted} on '{device}'.*take fp32"):
        choose_precision(wanted, device)


def test_the_processor_is_asked_what_it_can() -> None:
    assert abilities() <= {"bf16", "vnni"}


def test_the_reason_is_logged(checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "assistant.backends.whisper"):
        engine = Whisper(str(checkpoint), compute="fp32")
    assert engine.precision == Precision("fp32", "asked for")
    assert "in fp32, because asked for" in caplog.text


@pytest.mark.parametrize("compute", ["bf16", "int8"])
@pytest.mark.parametrize("context", ["full", "trimmed"])
def test_with_fewer_bits_it_hears_the_same_words(shared: Path, memorised: Path, compute: str, context: str) -> None:
    engine = load("recogniser", "whisper", model=str(memorised), compute=compute, context=context)
    for pcm, transcript in known_by_heart(shared, 15):
        words = engine.decode(pcm, "auto", "", never).words
        assert words.text == transcript
        assert all(0 <= word.p <= 1 for word in words.words)


@pytest.mark.parametrize(("compute", "close"), [("bf16", 0.05), ("int8", 0.15)])
def test_fewer_bits_leave_the_features_nearly_as_they_are(checkpoint: Path, compute: Compute, close: float) -> None:
    import torch

    whole, fewer = (Whisper(str(checkpoint), compute=name) for name in ("fp32", compute))
    with torch.no_grad():
        wanted, got = (engine._encode(noise(3), 320) for engine in (whole, fewer))
    assert got.dtype == torch.float32 and got.shape == wanted.shape
    error = float((got - wanted).norm() / wanted.norm())
    assert 0 < error < close


def test_in_bf16_matrices_are_halved_and_normalisation_is_not(checkpoint: Path) -> None:
    import torch

    model = Whisper(str(checkpoint), compute="bf16")._model
    kinds = {type(layer).__name__: layer.weight.dtype for layer in model.encoder.modules() if hasattr(layer, "weight")}
    assert kinds == {"Conv1d": torch.bfloat16, "Linear": torch.bfloat16, "LayerNorm": torch.float32}
    assert {p.dtype for p in model.decoder.parameters()} == {torch.float32}


def test_in_int8_every_matrix_is_quantised_and_it_stops_within_a_layer(checkpoint: Path) -> None:
    engine = Whisper(str(checkpoint), compute="int8")
    linear = [layer for layer in engine._model.modules() if type(layer).__name__ == "Linear"]
    assert linear and all("quantized" in type(layer).__module__ for layer in linear)
    asked = list[int]()

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 3

    assert engine.decode(noise(1), "en", "", stop).words.text == ""
    assert len(asked) == 3


def test_a_gpu_that_is_not_there_is_told_so(checkpoint: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(EngineError, match="no GPU that torch can use; take device cpu"):
        Whisper(str(checkpoint), device="cuda")


# ---------------------------------------------------------------- other formats and places


@pytest.fixture(scope="module")
def hub_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_hub_whisper(tmp_path_factory.mktemp("hub"))


def test_weights_of_the_hub_compute_what_transformers_computes(hub_folder: Path) -> None:
    import torch
    import transformers

    engine = Whisper(str(hub_folder), compute="fp32")
    theirs: Any = transformers.WhisperForConditionalGeneration.from_pretrained(hub_folder).eval()
    mel = torch.randn(1, 80, 3000, generator=torch.Generator().manual_seed(0))
    tokens = torch.tensor([[50258, 50259, 50359, 50363, 11]])
    with torch.no_grad():
        assert torch.allclose(engine._model(mel, tokens), theirs(mel, decoder_input_ids=tokens).logits, atol=1e-4)
    heads = engine._model.alignment_heads.to_dense().nonzero().tolist()
    assert heads == [[1, 0], [2, 1]]


def test_a_folder_that_is_no_whisper_is_told_so(hub_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(hub_folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(WeightsError, match=r"wanted the recogniser .*a model of type llama, no whisper"):
        Whisper(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"\xff" * 100])
def test_damaged_weights_of_the_hub_are_told_so(hub_folder: Path, tmp_path: Path, content: bytes) -> None:
    shutil.copytree(hub_folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="wanted the recogniser"):
        Whisper(str(tmp_path))


def test_offline_a_model_on_the_hub_that_is_not_here_is_told_so() -> None:
    with pytest.raises(WeightsError, match=r"wanted the recogniser 'nobody/whisper'.*run once without --offline"):
        Whisper("nobody/whisper", offline=True)


def test_a_models_folder_is_looked_into(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copy(checkpoint, tmp_path / "tuned.pt")
    for model, folder in (("tuned", str(tmp_path)), ("tuned.pt", str(tmp_path)), (str(tmp_path), None)):
        assert Whisper(model, folder=folder).languages == ("en", "zh")
    shutil.copy(checkpoint, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="a folder with one model"):
        Whisper(str(tmp_path))
