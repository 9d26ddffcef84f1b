"""How much of a generated text is copied from the training text."""

import numpy as np

SEED_LENGTH = 8
"""Copies this long or longer are found in one pass over the source, whatever its size."""

BLOCK = 1 << 20
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def longest_copied(text: str, source: str) -> str:
    """The longest substring of a text that stands in the source, the first of its length.

    A rolling hash finds every place of the source that starts with SEED_LENGTH characters of the text; these few are
    then followed, one character at a time, until none is left.
    """
    longest = 0
    codes = _code_points(source)
    song = _code_points(text)
    for start in range(0, max(len(codes) - SEED_LENGTH + 1, 0), BLOCK):
        longest = max(longest, _longest_from(np.arange(start, min(start + BLOCK, len(codes))), codes, song))
    if longest == 0:  # no copy is as long as the seed
        longest = next((k for k in range(min(SEED_LENGTH, len(text)), 0, -1) if _first(text, source, k) is not None), 0)
    return _first(text, source, longest) or ""


def _longest_from(places: np.ndarray, codes: np.ndarray, song: np.ndarray) -> int:
    """The longest copy that begins at one of some places of the source; 0 where none is as long as the seed."""
    longest, length = 0, 0
    hashes = np.zeros(len(places), np.uint64)
    song_places = np.arange(len(song))
    song_hashes = np.zeros(len(song), np.uint64)
    while True:
        inside = places + length < len(codes)
        places, hashes = places[inside], hashes[inside]
        song_inside = song_places + length < len(song)
        song_places, song_hashes = song_places[song_inside], song_hashes[song_inside]
        if not len(places) or not len(song_places):
            return longest
        hashes = hashes * MULTIPLIER + codes[places + length]
        song_hashes = song_hashes * MULTIPLIER + song[song_places + length]
        length += 1
        if length < SEED_LENGTH:
            continue
        known = np.sort(song_hashes)
        found = known[np.minimum(np.searchsorted(known, hashes), len(known) - 1)] == hashes
        places, hashes = places[found], hashes[found]
        if len(places):
            longest = length


def _first(text: str, source: str, length: int) -> str | None:
    """The first substring of a length that stands in the source."""
    pieces = (text[start : start + length] for start in range(len(text) - length + 1))
    return next((piece for piece in pieces if piece in source), None)


def _code_points(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
