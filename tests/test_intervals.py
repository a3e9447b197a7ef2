"""Intervals against published values, and what they do where next to nothing was seen."""

import math

import numpy as np
import pytest

from assistant.sessions.intervals import bootstrap, poisson_rate, wilson


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [  # Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_shares_have_wilsons_bounds(hits, n, low, high):
    assert wilson(hits, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize(
    ("count", "low", "high"),
    [  # Garwood 1936; the table is in every handbook of epidemiology
        (0, 0.0, 3.6889),
        (1, 0.0253, 5.5716),
        (5, 1.6235, 11.6683),
        (30, 20.2409, 42.8269),
        (100, 81.3640, 121.6266),
    ],
)
def test_rates_have_the_exact_bounds_of_a_poisson_count(count, low, high):
    assert poisson_rate(count, 1.0) == (pytest.approx(low, abs=2e-4), pytest.approx(high, abs=2e-4))
    assert poisson_rate(count, 4.0) == pytest.approx((low / 4, high / 4), abs=1e-4)


def test_what_was_never_looked_at_can_be_anything():
    assert wilson(0, 0) == (0.0, 1.0)
    assert poisson_rate(0, 0.0) == (0.0, math.inf)
    assert bootstrap([1.0], np.median) is None


def test_a_median_lies_in_its_bounds_nineteen_times_of_twenty():
    rng = np.random.default_rng(3)
    inside = 0
    for seed in range(100):
        low, high = bootstrap(rng.lognormal(size=60).tolist(), np.median, seed=seed) or (0.0, 0.0)
        inside += low <= 1.0 <= high
    assert 88 <= inside <= 100
