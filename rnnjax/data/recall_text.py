"""Delayed recall as a text without an end, whose least loss is known."""

import math
import string

import numpy as np

SYMBOLS = "abcdefgh"
FILLER = string.digits + string.ascii_lowercase[len(SYMBOLS) :] + string.ascii_uppercase[len(SYMBOLS) :]
MOST_LAG = len(FILLER) + 1


def recall_text(lag: int, lines: int, seed: int) -> str:
    """Delayed recall: each line shows a random letter, counts, and asks for the letter again, as `C0123456789?c`.

    Every character but the two letters follows from the one before it. The first letter cannot be known; the second
    can, by a network that has carried it through `lag` steps.

    Args:
      lag: steps between reading the letter and predicting it, in [1, MOST_LAG].
    """
    letters = np.random.default_rng(seed).integers(len(SYMBOLS), size=lines)
    between = FILLER[: lag - 1] + "?"
    return "".join(f"{SYMBOLS[letter].upper()}{between}{SYMBOLS[letter]}\n" for letter in letters)


def recall_floor(lag: int, remembers: bool) -> float:
    """Least loss on a recall text of a network that remembers the letter or does not, nats per character."""
    return (1 if remembers else 2) * math.log(len(SYMBOLS)) / (lag + 3)
