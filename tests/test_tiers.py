"""What a machine is, what a tier is made of, and what fits into one memory."""

from __future__ import annotations

import inspect
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.backends import find
from assistant.config import Assistant
from assistant.models import known
from assistant.models.machine import Machine, _left_in_container, measure
from assistant.models.tiers import (
    KEPT_FREE_MB,
    KEPT_FREE_VRAM_MB,
    Rung,
    fit,
    ladders_of,
    names,
    needs,
    obstacle,
    reason,
    tier_of,
    tiers,
)

LAPTOP = Machine(ram_mb=8_000, cores=4)
CARD = Machine(ram_mb=32_000, vram_mb=7_600, cores=16)
MAC = Machine(ram_mb=12_000, cores=10, apple=True)


def nowhere(name: str) -> bool:
    return False


def everywhere(name: str) -> bool:
    return True


# ---------------------------------------------------------------- the machine


def test_this_machine_has_some_memory_and_cores():
    import psutil

    machine = measure()
    assert 0 < machine.ram_mb <= psutil.virtual_memory().total / 1e6
    assert 1 <= machine.cores <= (psutil.cpu_count() or 1)


@pytest.mark.parametrize("version", [1, 2])
def test_what_a_container_may_use_is_its_limit_less_what_it_uses(tmp_path, version):
    names = ("memory.max", "memory.current", "memory.stat", "inactive_file")
    if version == 1:
        names = (
            *("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
            *("memory/memory.stat", "total_inactive_file"),
        )
    for name, text in zip(names, ("4000000000\n", "1500000000\n", f"anon 1\n{names[3]} 500000000\n"), strict=False):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="ascii")
    assert _left_in_container(tmp_path) == 3_000_000_000


@pytest.mark.parametrize("text", [None, "max\n", "a riddle"])
def test_a_container_without_a_limit_leaves_everything(tmp_path, text):
    if text is not None:
        (tmp_path / "memory.max").write_text(text, encoding="ascii")
    assert _left_in_container(tmp_path) == float("inf")


def test_a_machine_is_told_in_words():
    assert str(LAPTOP) == "8.0 GB of memory free, 4 cores, no graphics card"
    assert str(CARD) == "32.0 GB of memory free, 16 cores, 7.6 GB free on the graphics card"
    assert "1 core, Apple silicon" in str(Machine(1, cores=1, apple=True))


# ---------------------------------------------------------------- the tiers


def test_the_tiers_are_those_of_the_configuration():
    assert {"auto", *tiers()} == set(get_args(Assistant.model_fields["tier"].annotation))


@pytest.mark.parametrize("tier", tiers())
def test_every_model_of_a_tier_is_in_the_catalogue_in_its_slot_and_needs_no_consent(tier):
    for slot, ladder in ladders_of(tier, CARD, "auto", nowhere).items():
        for rung in ladder:
            weights = known(rung.name)
            assert (weights.slot, weights.accept, weights.commercial) == (slot, False, True)
            assert weights.needs.ram_mb or weights.needs.vram_mb
    assert names(tier, 2)[-2:] == ("smollm2-135m-instruct-q4_1", "smart-turn-v3.2")
    for name in names(tier, 2):
        known(name)


@pytest.mark.parametrize("tier", tiers())
def test_what_the_models_of_a_tier_tell_their_engines_is_known_to_them(tier):
    for slot, ladder in ladders_of(tier, CARD, "auto", nowhere).items():
        for rung in ladder:
            weights = known(rung.name)
            told = {*weights.options, *weights.paths, *rung.options}
            assert told and told <= set(inspect.signature(find(slot, weights.engine)).parameters), weights.name


@pytest.mark.parametrize(
    ("machine", "tier"),
    [
        (LAPTOP, "cpu"),
        (CARD, "8gb"),
        (Machine(32_000, 2_000, 8), "cpu"),
        (Machine(64_000, 25_000, 16), "24gb"),
        (Machine(64_000, 80_000, 16), "24gb"),
        (MAC, "apple"),
    ],
)
def test_the_tier_follows_from_the_card(machine, tier):
    assert tier_of(machine) == tier


def test_a_tier_is_made_of_what_suits_the_cores():
    assert "whisper-base" in names("cpu", 2) and "whisper-small" not in names("cpu", 2)
    assert "whisper-small" in names("cpu", 8) and "whisper-base" not in names("cpu", 8)


def test_what_a_model_needs_depends_on_where_it_runs():
    whisper, gguf = known("whisper-small"), known("qwen3-vl-4b-gguf")
    assert needs(whisper, LAPTOP) == (whisper.needs.ram_mb, 0)
    assert needs(whisper, CARD) == (0, whisper.needs.vram_mb)
    assert needs(whisper, CARD, {"device": "cpu"}) == (whisper.needs.ram_mb, 0)
    assert needs(gguf, CARD) == (gguf.needs.ram_mb, 0), "llama.cpp's wheel has no CUDA"
    assert needs(whisper, MAC) == (max(whisper.needs.ram_mb, whisper.needs.vram_mb), 0)


def test_a_model_that_is_run_with_fewer_bits_needs_less():
    (qwen,) = [rung for rung in ladders_of("8gb", CARD, "auto", nowhere)["mind"] if rung.name == "qwen3-vl-4b"]
    assert qwen.vram_mb < known("qwen3-vl-4b").needs.vram_mb
    assert qwen.options


def test_a_model_that_wants_an_extra_is_not_fit_without_it(monkeypatch):
    installed = {"bitsandbytes": None}
    monkeypatch.setattr("assistant.models.tiers.find_spec", installed.get)
    wanted = next(rung for rung in ladders_of("8gb", CARD, "auto", everywhere)["mind"] if rung.name == "qwen3-vl-4b")
    assert wanted.unfit == "wants: pip install 'assistant[quantised]'"
    assert "qwen3-vl-4b" not in names("8gb", 8)
    installed["bitsandbytes"] = "a module"  # type: ignore[assignment]
    assert "qwen3-vl-4b" in names("8gb", 8)


def test_what_cannot_hear_or_speak_the_language_is_not_fit():
    ladders = ladders_of("cpu", LAPTOP, "zh", everywhere)
    assert all("knows no 'zh'" in rung.unfit for rung in ladders["voice"] if "vits" in rung.name)
    assert not ladders_of("cpu", LAPTOP, "auto", everywhere)["voice"][0].unfit


def test_things_are_named_in_every_language_that_is_spoken():
    assert not any(rung.unfit for rung in ladders_of("cpu", LAPTOP, "zh", everywhere)["detector"])


@pytest.mark.parametrize("tier", ["cpu", "8gb", "24gb", "apple"])
def test_a_tier_gets_the_best_of_what_it_offers_in_each_slot_that_it_offers_something_in(tier):
    got = names(tier, 2)
    for slot, ladder in ladders_of(tier, CARD, "auto", everywhere).items():
        mine = [name for name in got if known(name).slot == slot]
        assert set(mine) <= {rung.name for rung in ladder if rung.offered} | {got[-1], got[-2]}, slot
        assert bool(mine) == any(rung.offered for rung in ladder) or slot == "mind"
    assert ("siglip2-base" in got) == (tier == "24gb")
    assert any(known(name).slot == "detector" for name in got)


# ---------------------------------------------------------------- one memory


def ladder(*ram_mb: int, here: bool = True) -> tuple[Rung, ...]:
    return tuple(Rung(f"{size} MB", size, here=here) for size in ram_mb)


def test_all_engines_share_one_memory():
    wants = {"recogniser": ladder(2_000, 500), "mind": ladder(4_000, 1_000), "voice": ladder(700)}
    assert fit(wants, Machine(6_700 + KEPT_FREE_MB)) == {"recogniser": 0, "mind": 0, "voice": 0}
    assert fit(wants, Machine(6_699 + KEPT_FREE_MB)) == {"recogniser": 0, "mind": 1, "voice": 0}
    assert fit(wants, Machine(2_200 + KEPT_FREE_MB)) == {"recogniser": 1, "mind": 1, "voice": 0}
    assert fit(wants, Machine(500 + KEPT_FREE_MB)) == {"recogniser": 1, "mind": 2, "voice": 1}
    assert fit(wants, Machine(100)) == {"recogniser": 2, "mind": 2, "voice": 1}


def test_what_others_take_is_not_there():
    wants = {"mind": ladder(4_000, 1_000)}
    machine = Machine(4_000 + KEPT_FREE_MB)
    assert (fit(wants, machine)["mind"], fit(wants, machine, (1, 0))["mind"]) == (0, 1)


def test_what_can_be_done_without_gets_what_the_others_leave():
    wants = {"detector": ladder(600, 300), "encoder": ladder(1_000), "mind": ladder(4_000, 1_000)}
    assert fit(wants, Machine(5_600 + KEPT_FREE_MB)) == {"mind": 0, "detector": 0, "encoder": 0}
    assert fit(wants, Machine(5_300 + KEPT_FREE_MB)) == {"mind": 0, "detector": 1, "encoder": 0}
    assert fit(wants, Machine(4_000 + KEPT_FREE_MB)) == {"mind": 0, "detector": 2, "encoder": 1}
    assert fit(wants, Machine(1_299 + KEPT_FREE_MB)) == {"mind": 1, "detector": 2, "encoder": 1}


def test_the_card_has_a_memory_of_its_own():
    wants = {"recogniser": (Rung("on the card", vram_mb=2_000, here=True),), "mind": ladder(2_000)}
    assert fit(wants, Machine(2_000 + KEPT_FREE_MB, 2_000 + KEPT_FREE_VRAM_MB)) == {"recogniser": 0, "mind": 0}
    assert fit(wants, Machine(2_000 + KEPT_FREE_MB, 1_999 + KEPT_FREE_VRAM_MB)) == {"recogniser": 1, "mind": 0}
    assert fit(wants, Machine(1_999 + KEPT_FREE_MB, 2_000 + KEPT_FREE_VRAM_MB)) == {"recogniser": 0, "mind": 1}


def test_what_is_not_here_or_not_fit_does_not_run():
    missing, unfit = Rung("missing", 1), Rung("unfit", 1, here=True, unfit="wants 8 cores")
    assert fit({"mind": (missing, unfit, Rung("there", 1, here=True))}, LAPTOP) == {"mind": 2}
    assert fit({}, LAPTOP) == {}


RUNGS = st.builds(Rung, st.just("any"), st.integers(0, 6_000), st.integers(0, 6_000), st.booleans())


@given(
    st.dictionaries(
        st.sampled_from(["recogniser", "mind", "voice", "detector", "encoder"]), st.lists(RUNGS, max_size=4)
    ),
    st.builds(Machine, st.integers(0, 16_000), st.integers(0, 16_000)),
)
def test_what_runs_is_here_fits_and_leaves_no_better_engine_out(wants, machine):
    def room_is_enough(steps):
        rungs = [wants[slot][at] for slot, at in steps.items() if at < len(wants[slot])]
        used = (sum(rung.ram_mb for rung in rungs), sum(rung.vram_mb for rung in rungs))
        free = (max(0, machine.ram_mb - KEPT_FREE_MB), max(0, machine.vram_mb - KEPT_FREE_VRAM_MB))
        return used[0] <= free[0] and used[1] <= free[1]

    steps = fit(wants, machine)
    assert steps.keys() == wants.keys() and room_is_enough(steps)
    for slot, at in steps.items():
        assert at == len(wants[slot]) or wants[slot][at].here
        better = [up for up in range(at) if wants[slot][up].here]
        assert not any(room_is_enough({**steps, slot: up}) for up in better)
    needed = {slot: ladder for slot, ladder in wants.items() if slot not in ("detector", "encoder")}
    assert {slot: steps[slot] for slot in needed} == fit(needed, machine), "they do not notice the others"


def test_reasons_say_what_is_free_and_what_gets_it():
    assert reason(Rung("a", 600), LAPTOP) == "8.0 GB are free and it is here"
    assert reason(Rung("a", vram_mb=600), CARD) == "7.6 GB are free on the graphics card and it is here"
    assert obstacle(Rung("a", 600), LAPTOP) == "is not here: assistant models pull a"
    assert obstacle(Rung("a", 9_000, here=True), LAPTOP) == "needs 9.0 GB beside the others, 8.0 GB are free"
    assert "on the graphics card" in obstacle(Rung("a", vram_mb=9_000, here=True), CARD)
    assert obstacle(Rung("a", here=True, unfit="wants 8 cores"), LAPTOP) == "wants 8 cores"
