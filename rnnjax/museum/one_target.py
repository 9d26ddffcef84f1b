"""On-line learning of sequences that have one target, at their end, as experiments 4 to 6 of Hochreiter & Schmidhuber,
1997, "Long short-term memory", have it: a new sequence for each change of the weights, until the last 2,000 were all
answered rightly, and with a small error on average; then a test on 2,560 new ones.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.museum import lstm_1997
from rnnjax.museum.lstm_1997 import Shape, Weights
from rnnjax.museum.trials import until_solved

Array = jax.Array
Tree = Any

RECENT, TEST = 2000, 2560


class Sequence(NamedTuple):
    """Inputs [T, I], the number of steps that belong to the sequence, and its target [K]."""

    xs: Array
    length: Array
    target: Array


class Rule(NamedTuple):
    """Settings of a trial.

    Attributes:
      rate: learning rate.
      reach: weights begin in [-reach, reach].
      input_bias: bias with which the input gate of each block begins.
      right: largest error of an output unit of a sequence that is answered rightly.
      mean_error: the mean squared error of the last sequences must be below.
    """

    rate: float
    reach: float
    input_bias: tuple[float, ...]
    right: float
    mean_error: float


def learn(
    seeds: np.ndarray, draw: Callable[[Array], Sequence], shape: Shape, rule: Rule, budget: int
) -> dict[str, np.ndarray]:
    """Trains a trial a seed, which draws the weights and the sequences.

    Returns:
      solved; sequences until then, the last 2,000 among them; wrong answers to 2,560 new sequences, and their mean
      squared error; and wrong answers at the end of every trial, solved or not.
    """
    trials = {
        **jax.vmap(lambda seed: begin(seed, shape, rule.reach, rule.input_bias))(jnp.asarray(seeds)),
        "right": jnp.zeros(len(seeds), int),
        "errors": jnp.zeros(len(seeds)),
        "solved_at": jnp.zeros(len(seeds), int),
    }
    found = until_solved(
        trials,
        lambda trial, number: update(trial, number, draw, shape, rule),
        lambda trial: trial["solved_at"] > 0,
        budget=budget,
        every=500,
    )
    sequences = np.where(found.solved, found.states["solved_at"], np.nan)
    wrong, error = jax.jit(jax.vmap(lambda trial: test(trial, draw, shape, rule.right)))(found.states)
    kept = lambda values: np.where(found.solved, values, np.nan)
    return {
        "solved": found.solved,
        "sequences": sequences,
        "wrong of 2,560": kept(wrong),
        "test error": kept(error),
        "wrong at the end": np.asarray(wrong),
    }


def begin(
    seed: Array, shape: Shape, reach: float, input_bias: tuple[float, ...] = (), output_bias: tuple[float, ...] = ()
) -> Tree:
    """A trial before its first sequence: its weights, the key of its sequences and how many it has seen."""
    to_weights, to_sequences = jax.random.split(jax.random.key(seed))
    return {
        "weights": lstm_1997.draw_weights(to_weights, shape, reach, input_bias, output_bias),
        "key": jax.random.key_data(to_sequences),
        "presented": jnp.int32(0),
    }


def update(trial: Tree, number: Array, draw: Callable[[Array], Sequence], shape: Shape, rule: Rule) -> Tree:
    """One sequence. A trial that has solved the task is left as it is."""
    key = jax.random.fold_in(jax.random.wrap_key_data(trial["key"]), number)
    weights, (answer, gradient, target) = trial["weights"], answered(trial["weights"], draw(key), shape)
    is_right = jnp.max(jnp.abs(answer - target)) < rule.right
    right = jnp.where(is_right, trial["right"] + 1, 0)
    errors = jnp.where(is_right, trial["errors"] + jnp.mean((answer - target) ** 2), 0)
    now = (right >= RECENT) & (errors < rule.mean_error * right)
    changed = {
        **trial,
        "weights": jax.tree.map(lambda w, d: w - rule.rate * d, weights, gradient),
        "right": right,
        "errors": errors,
        "solved_at": jnp.where(now, number + 1, 0).astype(jnp.int32),
    }
    return jax.tree.map(lambda old, new: jnp.where(trial["solved_at"] > 0, old, new), trial, changed)


def answered(weights: Weights, sequence: Sequence, shape: Shape) -> tuple[Array, Weights, Array]:
    """The outputs after a sequence, the gradient of their error, cut at the gates, and the target."""
    memory, seen = lstm_1997.read_to_end(shape, weights, sequence.xs, sequence.length)
    gradient = lstm_1997.gradient(shape, weights, memory, seen, sequence.target)
    return lstm_1997.output(shape, weights, seen), gradient, sequence.target


def test(trial: Tree, draw: Callable[[Array], Sequence], shape: Shape, right: float) -> tuple[Array, Array]:
    """Wrong answers to 2,560 new sequences, off by `right` or more, and their mean squared error."""
    key = jax.random.fold_in(jax.random.wrap_key_data(trial["key"]), 2**31 - 1)
    errors = errors_on(trial["weights"], draw, shape, key, TEST)
    return jnp.sum(jnp.max(jnp.abs(errors), axis=-1) >= right), jnp.mean(errors**2)


def errors_on(weights: Weights, draw: Callable[[Array], Sequence], shape: Shape, key: Array, count: int) -> Array:
    """Outputs minus targets [count, K] of a set of sequences."""

    def error(key: Array) -> Array:
        answer, _, target = answered(weights, draw(key), shape)
        return answer - target

    return jax.lax.map(error, jax.random.split(key, count), batch_size=32)
