"""Repetitions in short."""

from typing import NamedTuple

import numpy as np


class Spread(NamedTuple):
    """Median, quartiles, extremes and the number of values."""

    median: float
    quartile_1: float
    quartile_3: float
    low: float
    high: float
    count: int


def spread(values: list[float]) -> Spread:
    low, first, median, third, high = (float(value) for value in np.percentile(values, [0, 25, 50, 75, 100]))
    return Spread(median, first, third, low, high, len(values))
