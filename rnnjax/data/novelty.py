"""The longest stretch of a generated text that is copied from the training text."""

import numpy as np

from rnnjax.data.vocabulary import code_points

SEED_LENGTH = 8
"""Least length of a copy that is found by its hashes, in a few passes over a source of any size."""

BLOCK = 1 << 20
MULTIPLIER = 0x9E3779B97F4A7C15


def longest_copied(text: str, source: str) -> str:
    """The longest substring of a text that stands in the source, the first of its length."""
    codes, written = code_points(source), code_points(text)
    longest = place = 0
    for start in range(0, len(codes), BLOCK):
        found = _longest_from(codes[start : start + BLOCK + len(written) - 1], written)
        longest, place = max((longest, place), found, key=lambda one: (one[0], -one[1]))
    if longest and (copied := text[place : place + longest]) in source:
        return copied
    # No copy is as long as the seed, or two stretches shared a hash.
    shorter = range(min(longest or SEED_LENGTH, len(text)), 0, -1)
    return next((piece for length in shorter if (piece := _first(text, source, length))), "")


def _longest_from(codes: np.ndarray, written: np.ndarray) -> tuple[int, int]:
    """The length of the longest shared stretch, and its first place in the text; 0, 0 if it is below SEED_LENGTH.

    A stretch that is shared has shared beginnings of every smaller length. So the length doubles until nothing is
    shared, and then the interval is halved, each time among the places of the source that are left.
    """
    source, own = _Hashes(codes), _Hashes(written)
    low, high, places, first = 0, min(len(codes), len(written)) + 1, np.arange(len(codes)), 0
    length = SEED_LENGTH
    while low < length < high:
        candidates = places[places + length <= len(codes)]
        known = own.at(np.arange(len(written) - length + 1), length)
        hashes = source.at(candidates, length)
        shared = np.isin(hashes, known)
        if shared.any():
            low, places = length, candidates[shared]
            first = int(np.argmax(np.isin(known, hashes[shared])))
        else:
            high = length
        length = min(2 * low, (low + high) // 2) if low else 0
    return low, first


class _Hashes:
    """Polynomial hashes of all stretches of a text, modulo 2^64, from running sums."""

    def __init__(self, codes: np.ndarray) -> None:
        mixed = codes.astype(np.uint64) * np.uint64(MULTIPLIER)
        mixed ^= mixed >> np.uint64(29)
        self._sums = np.append(np.uint64(0), np.cumsum(mixed * _powers(pow(MULTIPLIER, -1, 1 << 64), len(codes))))
        self._powers = _powers(MULTIPLIER, len(codes))

    def at(self, places: np.ndarray, length: int) -> np.ndarray:
        """The hashes of the stretches of a length that begin at some places."""
        return (self._sums[places + length] - self._sums[places]) * self._powers[places]


def _powers(base: int, count: int) -> np.ndarray:
    return np.cumprod(np.append(np.uint64(1), np.full(max(count - 1, 0), base, np.uint64)))[:count]


def _first(text: str, source: str, length: int) -> str | None:
    """The first substring of a length that stands in the source."""
    pieces = (text[start : start + length] for start in range(len(text) - length + 1))
    return next((piece for piece in pieces if piece in source), None)
