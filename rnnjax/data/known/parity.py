"""Parity: 1 where the number of ones read so far is odd.

Classic (Bengio, Simard & Frasconi, 1994, "Learning long-term dependencies with gradient descent is difficult"; guessed
at by random weights in Hochreiter & Schmidhuber, 1997): asked once, after T to T + T/10 bits. One bit says nothing of
the parity of two or more: without memory the loss is ln 2.

Modern: asked at each of T steps. The first answer is the first bit itself, so that without memory the mean is

    (T - 1)/T ln 2
"""

import math
from functools import partial

import jax
import jax.numpy as jnp

from rnnjax.data.known.problem import Problem, Sequence, at, draw_length, longest

Array = jax.Array

BITS = "01"


def modern(T: int) -> Problem:
    """T >= 2 bits, and as many answers."""
    floor = (T - 1) / T * math.log(2)
    return Problem(partial(draw_modern, T), T, BITS, BITS, floor, "the first bit, then either alike")


def classic(T: int) -> Problem:
    """T to T + T/10 bits, T >= 2, and one answer."""
    return Problem(partial(draw_classic, T), longest(T), BITS, BITS, math.log(2), "either alike")


def draw_modern(T: int, key: Array) -> Sequence:
    bits = jax.random.randint(key, (T,), 0, 2, jnp.int32)
    return Sequence(bits, jnp.cumsum(bits, dtype=jnp.int32) % 2)


def draw_classic(T: int, key: Array) -> Sequence:
    numbers, ends = jax.random.split(key)
    S, length = longest(T), draw_length(ends, T)
    within = jnp.arange(S) < length
    bits = jnp.where(within, jax.random.randint(numbers, (S,), 0, 2, jnp.int32), 0)
    last = at(length - 1, S)
    return Sequence(bits, jnp.where(last > 0, jnp.sum(bits, dtype=jnp.int32) % 2, 0), last, within)
