"""A card's gap is told from its lateness, its bursts and its drift."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.backends.gaps import GAP_S, Pace

RATE_HZ = 48_000
BLOCK = 480


def gaps(begins: list[float]) -> list[float]:
    pace = Pace(RATE_HZ)
    return [pace.gap_s(at, BLOCK) for at in begins]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 8), st.floats(-200, 200), st.floats(0, 0.015), st.integers(0, 999))
def test_neither_bursts_nor_drift_nor_jitter_are_gaps(burst: int, ppm: float, jitter_s: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    begins = [(i // burst * burst) * 0.01 * (1 + ppm / 1e6) + rng.uniform(0, jitter_s) for i in range(2000)]
    assert not any(gaps(begins))


@pytest.mark.parametrize("ppm", [-300, 300])
def test_an_hour_of_drift_is_no_gap(ppm: float) -> None:
    assert not any(gaps([i * 0.01 * (1 + ppm / 1e6) for i in range(360_000)]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), st.floats(GAP_S + 0.02, 5)), min_size=1, max_size=6), st.integers(0, 99))
def test_every_gap_is_told_once_with_its_length(parts: list[tuple[int, float]], seed: int) -> None:
    rng, at, begins = np.random.default_rng(seed), 100.0, list[float]()
    for blocks, away_s in parts:
        for _ in range(blocks):
            begins.append(at + rng.uniform(0, 0.01))
            at += BLOCK / RATE_HZ
        at += away_s
    begins.append(at)
    told = [gap_s for gap_s in gaps(begins) if gap_s]
    assert told == pytest.approx([away_s for _, away_s in parts], abs=0.02)
