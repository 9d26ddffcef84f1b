"""Numbers below a million, in digits and in English words, and the pairs of both."""

from typing import Any, NamedTuple

import numpy as np

from rnnjax.data.padding import Padded, pad
from rnnjax.data.vocabulary import Vocabulary

MOST = 1_000_000

END = "\n"
"""Character after the last one of a written number, and before its first."""

CHARACTERS = "".join(sorted(set(f"{END} -0123456789abcdefghijklmnopqrstuvwxyz")))

DIRECTIONS = ("digits to words", "words to digits")

TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", *TEENS)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
WORDS = frozenset((*UNITS, *TENS, "hundred", "thousand", "and"))


def in_words(number: int) -> str:
    """Writes a number in British English, as 407: four hundred and seven.

    Args:
      number: in [0, 1,000,000).

    Raises:
      ValueError: for a number outside.
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
    """Draws different numbers below a million, in random order [count].

    Half are uniform; half have a uniform number of digits, or hardly any would be below a thousand.
    """
    rng = np.random.default_rng(seed)
    found = np.zeros(0, int)
    while len(found) < count:
        uniform = rng.integers(MOST, size=count)
        digits = rng.integers(1, 7, size=count)
        sized = rng.integers(np.where(digits == 1, 0, 10 ** (digits - 1)), 10**digits)
        found = np.unique(np.concatenate([found, uniform, sized]))
    return rng.permutation(found)[:count]


STEPS = len(in_words(777_777))
"""Characters of the longest number in words."""


class Pairs(NamedTuple):
    """Numbers, each written in two ways: ids of the source and of the target [N, STEPS], and their lengths [N]."""

    source: Any
    source_length: Any
    target: Any
    target_length: Any


def pairs(numbers: np.ndarray) -> list[tuple[str, str]]:
    """Source and target of each number in both DIRECTIONS, number by number."""
    both = [(str(number), in_words(number)) for number in numbers.tolist()]
    return [pair for digits, words in both for pair in ((digits, words), (words, digits))]


def encode_pairs(numbers: np.ndarray) -> Pairs:
    """The ids of `pairs`."""
    source, target = (encode_texts(list(side)) for side in zip(*pairs(numbers), strict=True))
    return Pairs(source.ids, source.length, target.ids, target.length)


def encode_texts(texts: list[str]) -> Padded:
    """Texts of at most STEPS characters as padded ids."""
    ids = Vocabulary(CHARACTERS).encode("".join(texts))
    return pad(np.split(ids, np.cumsum([len(text) for text in texts])[:-1]), STEPS)


def decode_texts(ids: np.ndarray) -> list[str]:
    """Texts of ids [N, T], each up to its END, whose id is also that of padding."""
    texts = Vocabulary(CHARACTERS).decode(ids.reshape(-1))
    return [texts[first : first + ids.shape[1]].split(END)[0] for first in range(0, ids.size, ids.shape[1])]
