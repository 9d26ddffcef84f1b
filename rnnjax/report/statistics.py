"""Intervals over seeds, paired tests, and their correction for how many there are."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Values = Sequence[float] | np.ndarray
"""One number a seed, [n]."""

RESAMPLES = 9999
"""Of the bootstrap: so many that its own noise is below the last digit shown."""

LEAST_SEEDS = 5
"""Below this an interval says little, and skewness cannot be told from chance."""

SAME = 1e-12
"""Values that differ by less than this share of the largest differ by rounding alone."""


class Interval(NamedTuple):
    """Its ends; nan where the values do not allow one."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


NO_INTERVAL = Interval(float("nan"), float("nan"))


def t_interval(values: Values, confidence: float = 0.95) -> Interval:
    """mean ± t s / √n, for values [n] whose mean is about normal. None for fewer than 2, or without any spread.

    Student (1908). The probable error of a mean. Biometrika 6.
    """
    from scipy import stats

    if not has_spread(values):
        return NO_INTERVAL
    mean, error = standard_error(values)
    reach = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * error
    return Interval(mean - reach, mean + reach)


def t_test(differences: Values) -> float:
    """Two-sided p of the paired test: how often differences [n] of mean zero would lie so far from it. nan where there
    is no interval either.

    Student (1908). The probable error of a mean. Biometrika 6.
    """
    from scipy import stats

    if not has_spread(differences):
        return float("nan")
    mean, error = standard_error(differences)
    return float(2 * stats.t.sf(abs(mean) / error, len(differences) - 1))


def standard_error(values: Values) -> tuple[float, float]:
    """The mean of values [n] and its standard error s / √n."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) / len(values) ** 0.5


def has_spread(values: Values) -> bool:
    """Whether there are two values, and not all the same."""
    return len(values) > 1 and float(np.ptp(values)) > SAME * float(np.abs(values).max())


def bca_interval(values: Values, confidence: float = 0.95, statistic: Callable[..., np.ndarray] = np.mean) -> Interval:
    """The bootstrap's interval with bias and acceleration corrected, for values [n] that are skewed. The same at every
    call: its resamples come from a fixed seed.

    Efron (1987). Better bootstrap confidence intervals. Journal of the American Statistical Association 82.

    Args:
      statistic: of values [..., n] over the last axis, named `axis`.
    """
    from scipy import stats

    if not has_spread(values):
        return NO_INTERVAL
    found = stats.bootstrap(
        (np.asarray(values, float),),
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="BCa",
        vectorized=True,
        rng=np.random.default_rng(0),
    )
    return Interval(float(found.confidence_interval.low), float(found.confidence_interval.high))


def skewness(values: Values) -> float:
    """g = m₃ / m₂^(3/2), of the central moments of values [n]; 0 without spread."""
    if not has_spread(values):
        return 0.0
    centred = np.asarray(values, float) - np.mean(values)
    return float(np.mean(centred**3) / np.mean(centred**2) ** 1.5)


def is_skewed(values: Values) -> bool:
    """Whether g is more than two of its standard errors from 0, which under a normal distribution are
    √(6(n-2) / ((n+1)(n+3))); of fewer than 5 values none can be.

    Cramér (1946). Mathematical methods of statistics, section 29.3.
    """
    n = len(values)
    return n >= LEAST_SEEDS and abs(skewness(values)) > 2 * (6 * (n - 2) / ((n + 1) * (n + 3))) ** 0.5


def holm(p: Values) -> np.ndarray:
    """p [m], each corrected for all m tests. A test that could not be made (nan) counts among the m, and stays nan.

    The k-th smallest p is multiplied by m - k + 1, and none may be below one before it. Holm (1979). A simple
    sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6.
    """
    order = np.argsort(p, kind="stable")  # nan comes last
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1, np.maximum.accumulate(np.asarray(p, float)[order] * np.arange(len(p), 0, -1)))
    return corrected


def holm_confidences(p: Values, alpha: float = 0.05) -> np.ndarray:
    """The confidence [m] of each difference's interval with which it excludes zero just where `holm(p)` is below alpha:
    1 - alpha / (m - k + 1) for the k-th smallest p, and for all after the first that is not below.

    Ludbrook (2000). Multiple inferences using confidence intervals. Clinical and Experimental Pharmacology and
    Physiology 27.
    """
    rejected = int(np.sum(holm(p) < alpha))
    rank = np.empty(len(p), int)
    rank[np.argsort(p, kind="stable")] = np.arange(len(p))
    return 1 - alpha / (len(p) - np.minimum(rank, rejected))
