"""Numbers below a million, in digits and in English words."""

import numpy as np

MOST = 1_000_000

TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", *TEENS)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def in_words(number: int) -> str:
    """The number in British English, as 407: four hundred and seven.

    Args:
      number: in [0, 1,000,000).

    Raises:
      ValueError: for another.
    """
    if not 0 <= number < MOST:
        raise ValueError(f"{number} is not in [0, {MOST:,})")
    if number < 20:
        return UNITS[number]
    if number < 100:
        return TENS[number // 10 - 2] + (f"-{UNITS[number % 10]}" if number % 10 else "")
    if number < 1000:
        tens = f" and {in_words(number % 100)}" if number % 100 else ""
        return f"{UNITS[number // 100]} hundred{tens}"
    rest = number % 1000
    joined = "" if not rest else f" and {in_words(rest)}" if rest < 100 else f" {in_words(rest)}"
    return f"{in_words(number // 1000)} thousand{joined}"


def draw_numbers(count: int, seed: int) -> np.ndarray:
    """Different numbers below a million, in random order [count]: half of them uniform, half with their number of
    digits uniform, or there would be hardly one below a thousand."""
    rng = np.random.default_rng(seed)
    found = np.zeros(0, int)
    while len(found) < count:
        uniform = rng.integers(MOST, size=count)
        digits = rng.integers(1, 7, size=count)
        sized = rng.integers(np.where(digits == 1, 0, 10 ** (digits - 1)), 10**digits)
        found = np.unique(np.concatenate([found, uniform, sized]))
    return rng.permutation(found)[:count]
