"""Rounded numbers: as many digits as their uncertainty leaves a meaning."""

import math

from rnnjax.quantities import UNKNOWN
from rnnjax.report.statistics import Interval


def number(value: float, spread: Interval) -> str:
    """A mean to two digits of half its interval's length, or with four digits if there is no interval."""
    half = (spread.high - spread.low) / 2
    if not math.isfinite(half) or half <= 0:
        return four_digits(value)
    return _fixed(value, half)


def interval(ends: Interval) -> str:
    """An interval as [low, high], with the digits of its length; UNKNOWN if there is none, or all values are one."""
    half = (ends.high - ends.low) / 2
    if not math.isfinite(half) or half <= 0:
        return UNKNOWN
    return f"[{_fixed(ends.low, half)}, {_fixed(ends.high, half)}]"


def _fixed(value: float, half: float) -> str:
    places = 1 - math.floor(math.log10(half))
    if not -6 <= places <= 6:
        return four_digits(value)
    text = f"{round(value, places):,.{max(0, places)}f}"
    return text.removeprefix("-") if not any(digit in text for digit in "123456789") else text


def four_digits(value: float) -> str:
    """Such as 0.01234, 1.5, 43,210 and 7e+10."""
    if not 1e4 <= abs(value) < 1e9:
        return f"{value:.4g}"
    return f"{float(f'{value:.4g}'):,.0f}"


def small(p: float) -> str:
    """A p value with two digits; UNKNOWN if there is none."""
    if math.isnan(p):
        return UNKNOWN
    return "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def rounded(value: object) -> str:
    """A whole number, from a table that holds it as a float."""
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)
