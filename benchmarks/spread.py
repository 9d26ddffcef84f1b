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


def duration(seconds: float) -> str:
    """In a unit that suits it, three digits."""
    units = (("s", 1.0), ("ms", 1e3), ("µs", 1e6))
    unit, scale = next((pair for pair in units if seconds * pair[1] >= 1), units[-1])
    value = seconds * scale
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f} {unit}"
