"""The language of n a's and then n b's, which takes counting (Gers & Schmidhuber, 2001, "LSTM recurrent networks learn
simple context-free and context-sensitive languages").

The network reads S aⁿ bⁿ, n uniform in 1 … N, and predicts at each b the next symbol, b or the end E. Nothing is asked
at S, after which there is always an a, nor at an a, after which either may follow. A word is accepted when all n
answers are right. An answer without memory knows only that one b in (N + 1)/2 is the last: with p = 2/(N + 1) its loss
is

    -p ln p - (1 - p) ln (1 - p)
"""

import math
from functools import partial

import jax
import jax.numpy as jnp

from rnnjax.data.known.problem import Problem, Sequence

Array = jax.Array

INPUTS = "Sab"
CLASSES = "bE"


def problem(N: int) -> Problem:
    """Words of up to N >= 2 a's."""
    p = 2 / (N + 1)
    floor = -p * math.log(p) - (1 - p) * math.log(1 - p)
    return Problem(partial(draw, N), 2 * N + 1, INPUTS, CLASSES, floor, "how often a b is the last")


def draw(N: int, key: Array) -> Sequence:
    n = jax.random.randint(key, (), 1, N + 1, jnp.int32)
    t = jnp.arange(2 * N + 1, dtype=jnp.int32)
    within, is_b = t <= 2 * n, t > n
    x = jnp.where(t == 0, 0, jnp.where(is_b, 2, 1))
    is_end = (t == 2 * n).astype(jnp.int32)
    return Sequence(jnp.where(within, x, 0), is_end, (is_b & within).astype(jnp.float32), within)
