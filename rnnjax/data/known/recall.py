"""Delayed recall: one of K letters is shown, and asked for so many steps later, with nothing but blanks between them.

    x   s  _ … _ (lag - 1)  ?
    y                       s

The one answer takes ln K nats without memory, and none with it. It is the smallest task in which a gradient must reach
back lag steps, and no further: one that is cut after k steps sees the letter if k > lag. The same as a text, without an
end, is `data.path: recall`.
"""

import math
import string
from functools import partial

import jax
import jax.numpy as jnp

from rnnjax.data.known.problem import Problem, Sequence, at

Array = jax.Array

LETTERS = string.ascii_lowercase
BLANK, QUESTION = "_", "?"


def problem(lag: int, K: int) -> Problem:
    """One of K letters, lag >= 1 steps ago."""
    letters = LETTERS[:K]
    floor = math.log(K)
    return Problem(partial(draw, lag, K), lag + 1, letters + BLANK + QUESTION, letters, floor, "any letter alike")


def draw(lag: int, K: int, key: Array) -> Sequence:
    letter = jax.random.randint(key, (), 0, K, jnp.int32)
    x = jnp.full(lag + 1, K, jnp.int32).at[0].set(letter).at[lag].set(K + 1)
    last = at(lag, lag + 1)
    return Sequence(x, jnp.where(last > 0, letter, 0), last)
