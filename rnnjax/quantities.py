"""Bytes and seconds as people read them, in three digits; and counts."""

import math

UNKNOWN = "–"

BYTES = ("B", "kB", "MB", "GB", "TB", "PB", "EB")

SPANS = {"years": 365 * 86_400, "days": 86_400}
"""Seconds of the units that are counted from two on."""


def in_bytes(count: float) -> str:
    """Such as 12.3 MB, a megabyte being 1e6 bytes; UNKNOWN for nan."""
    if math.isnan(count):
        return UNKNOWN
    power = 0
    while count >= 999.5 and power < len(BYTES) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.3g} {BYTES[power]}"


def number_of(count: int, noun: str) -> str:
    """Such as 1 run, 1,200 runs."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def in_time(seconds: float) -> str:
    """Such as 85 µs, 1.23 ms, 21 s, 4 min 10 s, 2 h 01 min, 39 days; UNKNOWN for nan."""
    if math.isnan(seconds):
        return UNKNOWN
    for unit, length in SPANS.items():
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    if seconds >= 99.95:
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
    unit, scale = ("s", 1) if seconds >= 1 or not seconds else ("ms", 1e3) if seconds >= 1e-3 else ("µs", 1e6)
    return f"{scale * seconds:.3g} {unit}"
