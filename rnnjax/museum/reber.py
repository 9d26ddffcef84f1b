"""The embedded Reber grammar (Smith & Zipser, 1989, "Learning sequential structure with the real-time recurrent
learning algorithm"; Cleeremans, Servan-Schreiber & McClelland, 1989, "Finite state automata and simple recurrent
networks")."""

from typing import NamedTuple

import numpy as np

SYMBOLS = "BTPSXVE"

REBER = ({"B": 1}, {"T": 2, "P": 3}, {"S": 2, "X": 4}, {"T": 3, "V": 5}, {"X": 3, "S": 6}, {"P": 4, "V": 6}, {"E": 7})
"""The edges of each state: symbol and next state; 7 is the end."""


class Strings(NamedTuple):
    """Strings side by side.

    Attributes:
      symbols: index of each symbol [n, L], 0 after the end.
      allowed: symbols that may follow [n, L, 7]; none at the last symbol and after it.
      length: [n].
    """

    symbols: np.ndarray
    allowed: np.ndarray
    length: np.ndarray


def draw(rng: np.random.Generator) -> str:
    """One string: B, T or P, a Reber string, the same letter again, E; every choice of two edges is even."""
    letter, state, inner = rng.choice(["T", "P"]), 0, ""
    while state < 7:
        symbol = rng.choice(sorted(REBER[state]))
        inner, state = inner + symbol, REBER[state][symbol]
    return f"B{letter}{inner}{letter}E"


def draw_sets(rng: np.random.Generator, size: int) -> tuple[list[str], list[str]]:
    """Training strings, and test strings of which none is a training string."""
    training = [draw(rng) for _ in range(size)]
    used = set(training)
    test: list[str] = []
    while len(test) < size:
        string = draw(rng)
        test += [] if string in used else [string]
    return training, test


def allowed(string: str) -> list[str]:
    """The symbols that may follow each symbol of a string but its last."""
    letter, state, found = string[1], 0, ["TP", "B"]
    for symbol in string[2:-2]:
        state = REBER[state][symbol]
        found.append("".join(REBER[state]) if state < 7 else letter)
    return [*found, "E"]


def table(strings: list[str], longest: int) -> Strings:
    """Strings as arrays of L = `longest`."""
    symbols = np.zeros((len(strings), longest), np.int32)
    may = np.zeros((len(strings), longest, len(SYMBOLS)), bool)
    for row, string in enumerate(strings):
        symbols[row, : len(string)] = [SYMBOLS.index(symbol) for symbol in string]
        for t, following in enumerate(allowed(string)):
            may[row, t, [SYMBOLS.index(symbol) for symbol in following]] = True
    return Strings(symbols, may, np.array([len(string) for string in strings], np.int32))
