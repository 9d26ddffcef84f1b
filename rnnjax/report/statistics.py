"""Intervals over seeds, paired tests, and their correction for multiple comparisons."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Values = Sequence[float] | np.ndarray
"""One number for each seed, `[n]`."""

RESAMPLES = 9999
"""Resamples of the bootstrap, enough to keep its own noise below the last digit shown."""

LEAST_SEEDS = 5
"""Fewest seeds from which an interval says much and skewness can be told from chance."""

SAME = 1e-12
"""Relative difference below which values differ by rounding alone."""


class Interval(NamedTuple):
    """Ends of an interval; nan if the values do not allow one."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


NO_INTERVAL = Interval(float("nan"), float("nan"))


def t_interval(values: Values, confidence: float = 0.95) -> Interval:
    """Student's interval mean ± t s / √n, for values `[n]` whose mean is about normal.

    Its ends are nan for fewer than two values, or for values without spread.

    Student (1908). The probable error of a mean. Biometrika 6.
    """
    from scipy import stats

    if not has_spread(values):
        return NO_INTERVAL
    ends = stats.t.interval(confidence, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    return Interval(*map(float, ends))


def t_test(differences: Values) -> float:
    """Two-sided p of the paired t-test of differences `[n]` against mean zero; nan where `t_interval` has no ends.

    Student (1908). The probable error of a mean. Biometrika 6.
    """
    from scipy import stats

    if not has_spread(differences):
        return float("nan")
    return float(stats.ttest_1samp(differences, 0).pvalue)


def has_spread(values: Values) -> bool:
    """True if there are at least two values, and they differ by more than rounding."""
    return len(values) > 1 and float(np.ptp(values)) > SAME * float(np.abs(values).max())


def bca_interval(values: Values, confidence: float = 0.95, statistic: Callable[..., np.ndarray] = np.mean) -> Interval:
    """Bias-corrected and accelerated bootstrap interval, for values `[n]` that are skewed.

    The resamples come from a fixed seed, so every call gives the same interval.

    Efron (1987). Better bootstrap confidence intervals. Journal of the American Statistical Association 82.

    Args:
      statistic: (values `[..., n]`, axis) -> `[...]`, over the last axis.
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
    return Interval(*map(float, found.confidence_interval))


def proportion_interval(successes: int, n: int) -> Interval:
    """Exact 95% interval of a share, from its successes among n; no shorter than it must be even at 0 and n.

    Clopper & Pearson (1934). The use of confidence or fiducial limits. Biometrika 26.
    """
    from scipy import stats

    found = stats.binomtest(successes, n).proportion_ci(0.95, method="exact")
    return Interval(float(found.low), float(found.high))


def skewness(values: Values) -> float:
    """Skewness g = m₃ / m₂^(3/2), from the central moments of values `[n]`; 0 without spread."""
    from scipy import stats

    return float(stats.skew(values)) if has_spread(values) else 0.0


def is_skewed(values: Values) -> bool:
    """True if the skewness g is more than two standard errors from 0; never for fewer than 5 values.

    Under a normal distribution the standard error of g is √(6(n-2) / ((n+1)(n+3))).

    Cramér (1946). Mathematical methods of statistics, section 29.3.
    """
    n = len(values)
    return n >= LEAST_SEEDS and abs(skewness(values)) > 2 * (6 * (n - 2) / ((n + 1) * (n + 3))) ** 0.5


def holm(p: Values) -> np.ndarray:
    """Corrects p values `[m]` for all m tests; a test that could not be made (nan) counts too, and stays nan.

    The k-th smallest p is multiplied by m - k + 1, and raised to the one before it if it is below. Holm (1979). A
    simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6.
    """
    order = np.argsort(p, kind="stable")  # nan comes last
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1, np.maximum.accumulate(np.asarray(p, float)[order] * np.arange(len(p), 0, -1)))
    return corrected


def holm_confidences(p: Values, alpha: float = 0.05) -> np.ndarray:
    """Confidences `[m]` of the intervals that exclude zero exactly where `holm(p)` is below alpha.

    The k-th smallest p has 1 - alpha / (m - k + 1). From the first p that is not below alpha on, all have its
    confidence.

    Ludbrook (2000). Multiple inferences using confidence intervals. Clinical and Experimental Pharmacology and
    Physiology 27.
    """
    rejected = int(np.sum(holm(p) < alpha))
    rank = np.empty(len(p), int)
    rank[np.argsort(p, kind="stable")] = np.arange(len(p))
    return 1 - alpha / (len(p) - np.minimum(rank, rejected))
