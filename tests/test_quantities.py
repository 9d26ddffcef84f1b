"""Bytes and seconds for a reader."""

import math

from rnnjax.quantities import in_bytes, in_time, number_of


def test_three_digits_of_the_unit_that_suits():
    sizes = {0: "0 B", 12: "12 B", 999.4: "999 B", 999.6: "1 kB", 85_300: "85.3 kB", 12_345_678: "12.3 MB", 8e9: "8 GB"}
    sizes |= {3.2e12: "3.2 TB", 4.56e19: "45.6 EB"}
    assert {size: in_bytes(size) for size in sizes} == sizes
    times = {0: "0 s", 8.5e-5: "85 µs", 0.0012345: "1.23 ms", 1.234: "1.23 s", 99.94: "99.9 s", 99.96: "1 min 40 s"}
    times |= {250: "4 min 10 s", 7_300: "2 h 01 min", 90_000: "25 h 00 min", 39 * 86_400: "39 days"}
    times |= {4_000 * 365 * 86_400: "4,000 years"}
    assert {time: in_time(time) for time in times} == times
    assert [number_of(count, "run") for count in (0, 1, 1200)] == ["0 runs", "1 run", "1,200 runs"]
    assert in_bytes(math.nan) == in_time(math.nan) == "–"
