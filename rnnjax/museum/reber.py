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


class Stream(NamedTuple):
    """The grammar of string after string without a mark between them, as a table of its 20 states.

    State 0 is that between two strings, state 1 that after the first symbol of a string.

    Attributes:
      symbols: index of each of the two symbols that may be next [20, 2], twice the same where there is one.
      following: the state after each [20, 2].
      allowed: the same as `symbols`, a 1 for each that may be next [20, 7].
    """

    symbols: np.ndarray
    following: np.ndarray
    allowed: np.ndarray


def stream() -> Stream:
    """The table of the states: 0 and 1, then those of a Reber string, its letter and E for T, and the same for P."""
    edges = [{"B": 1}, {"T": 2, "P": 11}]
    for letter, first in (("T", 2), ("P", 11)):
        edges += [{symbol: first + state for symbol, state in of.items()} for of in REBER]
        edges += [{letter: first + 8}, {"E": 0}]
    pairs = [sorted(of.items()) * (2 // len(of)) for of in edges]
    symbols = np.array([[SYMBOLS.index(symbol) for symbol, _ in of] for of in pairs], np.int32)
    following = np.array([[state for _, state in of] for of in pairs], np.int32)
    return Stream(symbols, following, np.eye(len(SYMBOLS), dtype=np.float32)[symbols].max(axis=1))
