"""The statistics of a study's report, against values from tables, from published examples, and by enumeration."""

import itertools

import numpy as np
from scipy import stats

from rnnjax.report.statistics import (
    bca_interval,
    has_spread,
    holm,
    holm_confidences,
    is_skewed,
    skewness,
    t_interval,
    t_test,
)

SLEEP = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SLEEP_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
"""Hours of sleep gained by ten patients under two drugs: Student's own example (1908)."""

SPATIAL = [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]
"""The spatial test data of Efron & Tibshirani (1993), An introduction to the bootstrap, table 14.1."""

SKEWED = [1.0, 1.1, 1.2, 1.3, 9.0]


def test_t_interval_by_hand():
    """1 to 5 has mean 3 and s² = 2.5; the table's t for 4 degrees of freedom and 95% is 2.776, for 99% 4.604."""
    for confidence, t in ((0.95, 2.776), (0.99, 4.604)):
        expected = 3 + np.array([-1, 1]) * t * (2.5 / 5) ** 0.5
        np.testing.assert_allclose(t_interval([1, 2, 3, 4, 5], confidence), expected, atol=5e-4)


def test_students_own_example():
    differences = np.subtract(SLEEP_2, SLEEP)
    np.testing.assert_allclose(t_interval(differences), [0.7001, 2.4599], atol=1e-4)
    np.testing.assert_allclose(t_test(differences), 0.002833, atol=1e-6)
    np.testing.assert_allclose(t_test(differences), stats.ttest_rel(SLEEP, SLEEP_2).pvalue, rtol=1e-12)


def test_the_interval_ends_where_the_test_turns():
    """With confidence 1 - p, one end of the interval is zero."""
    differences = np.subtract(SLEEP_2, SLEEP)
    low, high = t_interval(differences, 1 - t_test(differences))
    np.testing.assert_allclose(low, 0, atol=1e-12)
    assert high > 1


def test_bca_of_the_spatial_test_data():
    """The book's interval for the variance is (115.8, 259.6) with 90% and 2000 resamples; its percentile interval is
    (100.8, 233.9), which is far off."""
    np.testing.assert_allclose(np.var(SPATIAL), 171.5, atol=0.05)
    np.testing.assert_allclose(bca_interval(SPATIAL, 0.9, np.var), [115.8, 259.6], rtol=0.02)


def test_bca_of_the_mean_by_enumeration():
    """All 5⁵ resamples of five values can be listed, and a = Σd³ / (6 (Σd²)^1.5) is the acceleration of a mean."""
    means = np.sort([np.mean(drawn) for drawn in itertools.product(SKEWED, repeat=5)])
    d = np.array(SKEWED) - np.mean(SKEWED)
    a = np.sum(d**3) / (6 * np.sum(d**2) ** 1.5)
    below = np.mean(means < np.mean(SKEWED) - 1e-9)
    equal = np.mean(np.abs(means - np.mean(SKEWED)) <= 1e-9)
    z = stats.norm.ppf(below + equal / 2)
    ends = []
    for share in (0.025, 0.975):
        w = z + stats.norm.ppf(share)
        ends.append(np.quantile(means, stats.norm.cdf(z + w / (1 - a * w))))
    np.testing.assert_allclose(bca_interval(SKEWED), ends, rtol=0.01)
    assert bca_interval(SKEWED) == bca_interval(SKEWED)
    assert bca_interval(SKEWED).low > 1 > t_interval(SKEWED).low  # t reaches below every value


def test_holm_on_a_textbook_example():
    """0.01, 0.04, 0.03, 0.005: sorted, times 4, 3, 2, 1, is 0.02, 0.03, 0.06, 0.04, and the last may not be below the
    third."""
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_holm_never_passes_one_and_counts_what_could_not_be_tested():
    np.testing.assert_allclose(holm([0.6, 0.7]), [1, 1])
    np.testing.assert_allclose(holm([np.nan, 0.02]), [np.nan, 0.04])
    assert len(holm([])) == 0


def test_the_corrected_interval_agrees_with_holm():
    """The two smallest are rejected at 0.05/4 and 0.05/3; the third, 0.03, is not at 0.05/2, nor is any after it."""
    confidences = holm_confidences([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(confidences, 1 - 0.05 / np.array([3, 2, 2, 4]))
    draw = np.random.default_rng(0)
    decided = set()
    for _ in range(50):
        differences = [draw.normal(shift, 1, 6) for shift in (0, 0.5, 1.5, 3)]
        p = [t_test(row) for row in differences]
        confidences = holm_confidences(p)
        excludes = [t_interval(row, level).excludes_zero for row, level in zip(differences, confidences, strict=True)]
        assert excludes == list(holm(p) < 0.05)
        decided.add(tuple(excludes))
    assert len(decided) > 5


def test_skewness_is_told_from_chance():
    np.testing.assert_allclose(skewness(SPATIAL), stats.skew(SPATIAL), rtol=1e-12)
    assert is_skewed(SKEWED)
    assert is_skewed([-value for value in SKEWED])
    assert not is_skewed([1.0, 2.0, 3.0, 4.0, 8.0])  # 0.9, and its standard error is 0.61
    assert not is_skewed([1.0, 1.0, 1.0, 9.0])  # the most that four values can be


def test_without_spread_there_is_no_interval_and_no_test():
    for values in [[], [1.0], [2.0, 2.0, 2.0], [0.3 - 0.1, 0.4 - 0.2, 0.9 - 0.7], [0.0, 0.0]]:
        assert not has_spread(values)
        for found in (*t_interval(values), *bca_interval(values), t_test(values)):
            assert np.isnan(found)
        assert skewness(values) == 0
        assert not is_skewed(values)
