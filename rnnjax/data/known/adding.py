"""The adding problem: two of many numbers are marked, and their sum is asked for at the end.

Classic (Hochreiter & Schmidhuber, 1997, "Long short-term memory", experiment 4): numbers uniform in [-1, 1], lengths T
to T + T/10; one of the first ten pairs has marker 1, and another of the first T/2 - 1; the first and the last pair have
marker -1, and where the first is drawn its number is 0. The target is 0.5 + (x₁ + x₂)/4. X is 0 on average and of
variance 1/3, or 0 where the first pair was drawn, so that the constant 0.5 loses

    Var y = ((1 - p₁)/3 + (1 - p₂)/3) / 16,      p₁ = 1/10,    p₂ = 9/10 · 1/(T/2 - 2)

Modern (Arjovsky, Shah & Bengio, 2016, "Unitary evolution recurrent neural networks"; Le, Jaitly & Hinton, 2015, "A
simple way to initialize recurrent networks of rectified linear units"): T numbers uniform in [0, 1], one marked in each
half. The target is their sum, so that the constant 1 loses 2 · 1/12 = 1/6.
"""

from functools import partial

import jax
import jax.numpy as jnp

from rnnjax.data.known.problem import Problem, Sequence, at, draw_length, longest

Array = jax.Array

FIRST = 10
"""Number of first pairs of which the classic form marks one."""

TOLERANCE = 0.04
"""Error below which an answer is right (1997)."""


def modern(T: int) -> Problem:
    """T >= 2 numbers."""
    return Problem(partial(draw_modern, T), T, None, None, 1 / 6, "the constant 1", TOLERANCE, width=2)


def classic(T: int) -> Problem:
    """T to T + T/10 numbers, T >= 22."""
    p1, p2 = 1 / FIRST, (1 - 1 / FIRST) / (T // 2 - 2)
    floor = (2 - p1 - p2) / 3 / 16
    return Problem(partial(draw_classic, T), longest(T), None, None, floor, "the constant 0.5", TOLERANCE, width=2)


def draw_modern(T: int, key: Array) -> Sequence:
    numbers, first, second = jax.random.split(key, 3)
    x = jax.random.uniform(numbers, (T,), jnp.float32)
    i = jax.random.randint(first, (), 0, T // 2, jnp.int32)
    j = jax.random.randint(second, (), T // 2, T, jnp.int32)
    marker = at(i, T) + at(j, T)
    last = at(T - 1, T)
    return Sequence(jnp.stack([x, marker], axis=-1).astype(jnp.float32), (x[i] + x[j]) * last, last)


def draw_classic(T: int, key: Array) -> Sequence:
    numbers, ends, first, second = jax.random.split(key, 4)
    S, t = longest(T), jnp.arange(longest(T))
    length = draw_length(ends, T)
    i = jax.random.randint(first, (), 0, FIRST, jnp.int32)
    j = jax.random.randint(second, (), 0, T // 2 - 2, jnp.int32)
    j = j + (j >= i)  # of the others
    x = jax.random.uniform(numbers, (S,), jnp.float32, -1, 1)
    x = jnp.where((t >= length) | ((t == 0) & ((i == 0) | (j == 0))), 0, x)
    marker = jnp.where((t == 0) | (t == length - 1), -1, at(i, S) + at(j, S))
    last = at(length - 1, S)
    pairs = jnp.stack([x, jnp.where(t < length, marker, 0)], axis=-1).astype(jnp.float32)
    return Sequence(pairs, (0.5 + (x[i] + x[j]) / 4) * last, last, t < length)
