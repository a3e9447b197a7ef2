"""What `assistant bench engines` measures, on real engines with tiny random weights, each in its own process."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import pytest
import tiny_models
from typer.testing import CliRunner

from assistant.commands import app
from assistant.config import load_config
from assistant.errors import ConfigError
from assistant.models import catalogue
from assistant.models.machine import Machine
from assistant.models.tiers import ladders_of
from assistant.sessions.engines import Case, chosen_cases, measure_case, measure_cases
from assistant.sessions.random_engines import SHAPELESS, SHAPES, Shape, measure_random

KEYS = ["slot", "engine", "model", "weights", "load_s", "first_ms", "rate", "unit", "memory_mb"]
"""of the contract"""


@pytest.mark.parametrize(
    ("slot", "engine", "unit"),
    [("voice", "espeak", "x real time"), ("activity", "silero", "windows/s"), ("eyes", "ocr", "pictures/s")],
)
def test_an_engine_that_is_built_in_is_measured(slot: str, engine: str, unit: str) -> None:
    (row,) = measure_case(Case(slot, engine, engine))
    assert list(row.told()) == KEYS
    assert (row.slot, row.weights, row.unit) == (slot, "real", unit)
    assert row.first_ms and row.first_ms > 0 and row.rate and row.rate > 0


def test_an_engine_that_cannot_be_loaded_is_a_row_and_not_the_end(tmp_path: Path) -> None:
    missing = Case("mind", "llama", "missing", {"model": str(tmp_path / "missing.gguf")})
    bad, good = measure_cases([missing, Case("voice", "espeak", "espeak")])
    assert "got no file" in bad.told()["error"] and bad.load_s is None
    assert not good.error and good.memory_mb is not None and good.memory_mb > 0


def test_a_process_that_dies_is_a_row_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from assistant.sessions import engines

    monkeypatch.setattr(engines, "measure_case", _die)
    (row,) = engines.measure_cases([Case("voice", "espeak", "espeak")])
    assert "terminated abruptly" in row.error


def _die(case: Case) -> None:
    os._exit(1)


def test_whispers_encoder_is_quicker_in_a_cut_window(tmp_path: Path) -> None:
    file = tiny_models.random_whisper(tmp_path / "tiny.pt", layers=4, heads=8)
    case = Case("recogniser", "whisper", "tiny", {"model": str(file), "compute": "fp32"}, "random", "encoder")
    rows = {row.model: row for row in measure_case(case)}
    full, cut = rows["tiny, encoder, 3 s in 30 s"], rows["tiny, encoder, 3 s trimmed"]
    assert full.first_ms and cut.first_ms and full.first_ms > 1.5 * cut.first_ms
    assert {row.weights for row in rows.values()} == {"random"} and len(rows) == 4


def test_random_weights_are_made_and_named_as_random() -> None:
    shape = Shape(partial(_tiny_voice, 3), {"whole": {"windows": False}})
    (row,) = measure_random(["coqui-vits-ljspeech"], known_shapes={"coqui-vits-ljspeech": shape})
    assert not row.error and row.weights == "random" and row.model == "coqui-vits-ljspeech, whole"


def _tiny_voice(_: int, folder: Path) -> Path:
    return tiny_models.random_voice(folder)


def test_what_does_not_fit_into_the_memory_is_refused_in_a_line() -> None:
    (row,) = measure_random(["qwen3-vl-8b"], machine=Machine(ram_mb=1_000))
    assert row.error == (
        "wanted 19.0 GB for 'qwen3-vl-8b', got 1.0 GB of free memory; close programs, or name a smaller model"
    )


def test_unknown_names_are_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match="got 'whisper-bse'; did you mean 'whisper-base'"):
        measure_random(["whisper-bse"])
    with pytest.raises(ConfigError, match="got 'espeek'; did you mean 'espeak'"):
        chosen_cases(load_config(), ["espeek"])


def test_every_model_of_the_catalogue_has_a_shape_or_a_reason_why_not() -> None:
    assert set(SHAPES) | set(SHAPELESS) == set(catalogue())
    assert not set(SHAPES) & set(SHAPELESS)


def test_what_the_tier_for_processors_makes_of_pictures_can_be_measured() -> None:
    ladder = ladders_of("cpu", Machine(ram_mb=8_000, cores=4), "auto", lambda name: False)["mind"]
    ways = {rung.name: [dict(way) for way in SHAPES[rung.name].variants.values()] for rung in ladder}
    assert any(rung.options for rung in ladder)
    for rung in ladder:
        assert any(rung.options.items() <= way.items() for way in ways[rung.name])


@pytest.mark.parametrize("name", SHAPELESS)
def test_what_has_no_shape_says_why_and_what_to_do(name: str) -> None:
    with pytest.raises(ConfigError) as told:
        measure_random([name])
    assert str(told.value) == f"wanted a model that can be made, got '{name}'; {SHAPELESS[name]}"


def test_the_command_prints_the_contracts_keys() -> None:
    done = CliRunner().invoke(app, ["bench", "engines", "--offline", "--tier", "builtin", "--json", "espeak"])
    (row,) = json.loads(done.stdout)
    assert list(row) == KEYS
