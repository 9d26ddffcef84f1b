"""Copy memory: symbols are read, then nothing for T steps, then a signal, at which they are to be written again (after
Hochreiter & Schmidhuber, 1997; as in Arjovsky, Shah & Bengio, 2016, "Unitary evolution recurrent neural networks").

    x   s₁ … sₙ  _ … _ (T - 1)  :  _ … _ (n)
    y   _ … _ (T + n)              s₁ … sₙ

Blanks are known in advance, and each of the n symbols is one of K: without memory the mean over all T + 2n steps is

    n ln K / (T + 2n)
"""

import math
import string
from functools import partial

import jax
import jax.numpy as jnp

from rnnjax.data.known.problem import Problem, Sequence

Array = jax.Array

SYMBOLS = string.ascii_lowercase
BLANK, SIGNAL = "_", ":"


def problem(T: int, K: int, n: int) -> Problem:
    """n of K symbols, to be kept for T >= 1 steps."""
    steps = T + 2 * n
    floor = n * math.log(K) / steps
    symbols = SYMBOLS[:K]
    inputs = symbols + BLANK + SIGNAL
    return Problem(partial(draw, T, K, n), steps, inputs, symbols + BLANK, floor, "blanks, then symbols at random")


def draw(T: int, K: int, n: int, key: Array) -> Sequence:
    symbols = jax.random.randint(key, (n,), 0, K, jnp.int32)
    blanks = jnp.full(T + n, K, jnp.int32)
    y = jnp.concatenate([blanks, symbols])
    return Sequence(jnp.concatenate([symbols, blanks]).at[T + n - 1].set(K + 1), y)
