"""How far a measured share, rate or median can be trusted: 95 % intervals. Pure.

Shares: Wilson's score interval (Wilson, Probable inference, 1927). Rates: the exact interval of a Poisson count
(Garwood, Fiducial limits for the Poisson distribution, 1936). Medians and other statistics: the percentile bootstrap
(Efron, Bootstrap methods, 1979).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import numpy as np

LEVEL = 0.95
RESAMPLES = 2000

Interval = tuple[float, float]


def wilson(hits: int, n: int, level: float = LEVEL) -> Interval:
    """Bounds of a share, 0 to 1, of which `hits` of `n` were seen; all of it where nothing was."""
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, z2 = hits / n, z * z / n
    middle = (share + z2 / 2) / (1 + z2)
    half = z / (1 + z2) * math.sqrt(share * (1 - share) / n + z2 / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def poisson_rate(count: int, exposure: float, level: float = LEVEL) -> Interval:
    """Bounds of a rate, in events per unit of `exposure`, of which `count` were seen; (0, inf) without exposure."""
    if exposure <= 0:
        return 0.0, math.inf
    tail = (1 - level) / 2
    lower = 0.0 if count == 0 else _solved(lambda mean: 1 - _at_most(count - 1, mean) - tail, count)
    upper = _solved(lambda mean: tail - _at_most(count, mean), count + 1)
    return lower / exposure, upper / exposure


def bootstrap(
    values: Sequence[float], statistic: Callable[..., np.ndarray], level: float = LEVEL, seed: int = 0
) -> Interval | None:
    """Bounds of a statistic that takes `axis`, as numpy's do; None for less than two values."""
    if len(values) < 2:
        return None
    rng = np.random.default_rng(seed)
    samples = np.asarray(values, float)[rng.integers(len(values), size=(RESAMPLES, len(values)))]
    low, high = np.quantile(statistic(samples, axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _at_most(count: int, mean: float) -> float:
    """The probability of no more than `count` events where `mean` are expected."""
    if mean <= 0:
        return 1.0
    return math.fsum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1))


def _solved(rising: Callable[[float], float], guess: float) -> float:
    """Where a function that rises from below 0 comes to 0, by halving."""
    low, high = 0.0, 4.0 * guess + 20.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
