"""Repetitions: the time of one, and many in short."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np


def seconds(run: Callable[[], Any]) -> float:
    """Seconds that a function takes, its arrays computed."""
    began = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - began


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
