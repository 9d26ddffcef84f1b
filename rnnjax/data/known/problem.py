"""A task with a known answer: one formula draws its sequences, another gives the best loss without memory."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array


class Sequence(NamedTuple):
    """Sequence of S steps, or N of them, with an axis N in front.

    Attributes:
      x: input ids, integer [S], or real vectors [S, I].
      y: target ids, integer [S], or real targets [S]; 0 where no answer is asked for.
      weight: [S], 1 where an answer is asked for, else 0; None: at every step.
      valid: bool [S], False after the end of a shorter sequence; None: all are of S steps.
    """

    x: Any
    y: Any
    weight: Any = None
    valid: Any = None


class Problem(NamedTuple):
    """Task with a known answer. Its only randomness is the key that draws a sequence.

    Attributes:
      draw: key -> Sequence, its reals in float32.
      steps: S.
      inputs: a character for each input id; None where a sequence is of real vectors.
      classes: a character for each target id; None where targets are real, and the loss is the squared error.
      floor: least loss of an answer without memory, mean over the asked steps, nats or squared.
      floor_is: description of the answer without memory.
      tolerance: error of an answer, or of each of its probabilities, below which it is right; 0: it is right where the
        target is the likeliest class.
      width: I, size of the real vectors.
    """

    draw: Callable[[Array], Sequence]
    steps: int
    inputs: str | None
    classes: str | None
    floor: float
    floor_is: str
    tolerance: float = 0
    width: int = 0

    @property
    def is_real(self) -> bool:
        """True where targets are real."""
        return self.classes is None


def draw_many(problem: Problem, key: Array, count: int) -> Sequence:
    """Draws sequences side by side, each leaf [count, S, ...]."""
    return jax.vmap(problem.draw)(jax.random.split(key, count))


def at(step: Array | int, steps: int) -> Array:
    """Indicator of one step [S]: 1 there, 0 elsewhere."""
    return (jnp.arange(steps) == step).astype(jnp.float32)


def draw_length(key: Array, shortest: int) -> Array:
    """Draws a length from T to T + T/10, both included, as in 1997."""
    return jax.random.randint(key, (), shortest, longest(shortest) + 1, jnp.int32)


def longest(shortest: int) -> int:
    """Longest length, T + T/10."""
    return shortest + shortest // 10
