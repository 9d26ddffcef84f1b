"""Temporal order: two or three symbols X or Y stand far apart among others that mean nothing, and the class is their
order (Hochreiter & Schmidhuber, 1997, "Long short-term memory", experiments 6a and 6b).

A sequence of T to T + T/10 steps begins with E and ends with B, at which the class is asked for. Between them are
letters a to d, but for X or Y at a step drawn from T/10 … 2T/10, and from 5T/10 … 6T/10; with three, at one drawn from
T/10 … 2T/10, 33T/100 … 43T/100 and 66T/100 … 76T/100. These are the paper's at T = 100. The 2ⁿ classes are equally
frequent, so that an answer without memory loses n ln 2.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp

from rnnjax.data.known.problem import Problem, Sequence, at, draw_length, longest

Array = jax.Array

INPUTS = "EBabcdXY"
LETTERS = (2, 6)
"""Ids of a to d: the first, and one past the last."""

X = 6
CLASSES = {2: "QRSU", 3: "QRSUVABC"}
"""Letters of the classes, in the order XX, XY, YX, YY, and XXX, XXY, XYX, XYY, YXX, YXY, YYX, YYY."""

PLACES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}
"""Places of the symbols, in hundredths of T, both ends included."""

TOLERANCE = 0.3
"""Error of each probability below which an answer is right (1997)."""


def problem(T: int, n: int) -> Problem:
    """n = 2 or 3 relevant symbols, T >= 10 steps."""
    floor = n * math.log(2)
    return Problem(partial(draw, T, n), longest(T), INPUTS, CLASSES[n], floor, "any class alike", TOLERANCE)


def draw(T: int, n: int, key: Array) -> Sequence:
    ends, letters, symbols, places = jax.random.split(key, 4)
    S, t = longest(T), jnp.arange(longest(T))
    length = draw_length(ends, T)
    is_y = jax.random.randint(symbols, (n,), 0, 2, jnp.int32)
    low, high = (jnp.array([T * place[end] // 100 for place in PLACES[n]], jnp.int32) for end in (0, 1))
    steps = jax.random.randint(places, (n,), low, high + 1, jnp.int32)
    x = jax.random.randint(letters, (S,), *LETTERS, jnp.int32).at[0].set(0).at[steps].set(X + is_y)
    x = jnp.where(t == length - 1, 1, jnp.where(t < length, x, 0))
    answer = jnp.sum(is_y * 2 ** jnp.arange(n - 1, -1, -1, dtype=jnp.int32), dtype=jnp.int32)
    last = at(length - 1, S)
    return Sequence(x, jnp.where(last > 0, answer, 0), last, t < length)
