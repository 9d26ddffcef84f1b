"""The verdict on an exhibit, computed from its criteria and the numbers of all seeds."""

from collections import Counter
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rnnjax.museum.exhibit import Criterion, Exhibit, Results
from rnnjax.report.statistics import (
    LEAST_SEEDS,
    NO_INTERVAL,
    Interval,
    bca_interval,
    has_spread,
    is_skewed,
    proportion_interval,
    t_interval,
)

REPRODUCED, REFUTED, NOT_SETTLED = "reproduced", "refuted", "not settled"


class Estimate(NamedTuple):
    """The mean of a measure over n seeds, and its 95% interval."""

    mean: float
    interval: Interval
    n: int


class Judgement(NamedTuple):
    """Verdict on one criterion, and its estimate; None where the run lacks an arm of the criterion."""

    criterion: Criterion
    estimate: Estimate | None
    verdict: str


def judge(exhibit: Exhibit, results: Results, quick: bool = False) -> list[Judgement]:
    """Judges each criterion of an exhibit, in a quick run as one cut short where its arm is smaller than the full
    run's."""
    shrunk = exhibit.shrunk().keys() if quick else set()
    return [
        (of_shrunk if {criterion.arm, criterion.than} & shrunk else of_criterion)(criterion, results)
        for criterion in exhibit.criteria
    ]


def of_shrunk(criterion: Criterion, results: Results) -> Judgement:
    """Judges a criterion by arms that were cut short of the full run's; a difference between such arms may turn."""
    judged = of_criterion(replace(criterion, cut_short=True), results)
    return judged._replace(verdict=NOT_SETTLED) if criterion.than else judged


def verdict(judgements: list[Judgement]) -> str:
    """Reproduced if every criterion is, refuted if any is, else not settled; other readings of the paper left out."""
    found = {judgement.verdict for judgement in judgements if not judgement.criterion.reading}
    return REFUTED if REFUTED in found else NOT_SETTLED if NOT_SETTLED in found or not found else REPRODUCED


def other_readings(judgements: list[Judgement]) -> dict[str, str]:
    """The number of criteria of each verdict, in words, for each other reading of the paper."""
    found: dict[str, Counter[str]] = {}
    for criterion, _, judged in judgements:
        if criterion.reading:
            found.setdefault(criterion.reading, Counter())[judged] += 1
    return {reading: in_words(counts) for reading, counts in found.items()}


def in_words(counts: Counter[str]) -> str:
    """The number of each verdict, such as 1 reproduced, 0 refuted, 2 not settled."""
    return ", ".join(f"{counts[word]} {word}" for word in (REPRODUCED, REFUTED, NOT_SETTLED))


def of_criterion(criterion: Criterion, results: Results) -> Judgement:
    """Judges one criterion: its estimate's interval lies inside the range, outside of it, or across an end."""
    measures = [results.get(arm, {}).get(criterion.measure) for arm in (criterion.arm, criterion.than) if arm]
    there = [values for values in measures if values is not None]
    if len(there) < len(measures):
        return Judgement(criterion, None, NOT_SETTLED)
    found = difference(*there) if criterion.than else estimate(*there)
    low, high = found.interval
    censored = (criterion.until or criterion.cut_short) and found.n < len(there[0])
    if low >= criterion.low and high <= criterion.high:
        settled = not censored and not (criterion.cut_short and criterion.fails)
        return Judgement(criterion, found, REPRODUCED if settled else NOT_SETTLED)
    outside = low > criterion.high or (high < criterion.low and not censored)
    settled = outside and (criterion.fails or not criterion.cut_short)
    return Judgement(criterion, found, REFUTED if settled else NOT_SETTLED)


def estimate(values: np.ndarray) -> Estimate:
    """The mean of values `[n]`, nan left out, and its 95% interval.

    It is the exact interval of a share for booleans, BCa for skewed values, and else Student's t. Values that are all
    the same have an interval of no length. Fewer than 5 values have none, nor have values that are infinite in part.
    """
    if values.dtype == bool:
        return Estimate(float(np.mean(values)), proportion_interval(int(values.sum()), len(values)), len(values))
    if np.isinf(values).any():
        return Estimate(float("inf"), NO_INTERVAL, len(values))
    found = values[~np.isnan(values)]
    if len(found) == 0:
        return Estimate(float("nan"), NO_INTERVAL, 0)
    mean = float(np.mean(found))
    if len(found) < LEAST_SEEDS:
        return Estimate(mean, NO_INTERVAL, len(found))
    if not has_spread(found):
        return Estimate(mean, Interval(mean, mean), len(found))
    return Estimate(mean, bca_interval(found) if is_skewed(found) else t_interval(found), len(found))


def difference(values: np.ndarray, others: np.ndarray) -> Estimate:
    """The difference of two arms with the same seeds: of shares by Newcombe's interval, else that of the pairs.

    Newcombe (1998). Interval estimation for the difference between independent proportions. Statistics in Medicine 17.
    """
    if values.dtype != bool:
        return estimate(values.astype(float) - others.astype(float))
    one, other = estimate(values), estimate(others)
    mean = one.mean - other.mean
    below = np.hypot(one.mean - one.interval.low, other.interval.high - other.mean)
    above = np.hypot(one.interval.high - one.mean, other.mean - other.interval.low)
    return Estimate(mean, Interval(mean - float(below), mean + float(above)), one.n)
