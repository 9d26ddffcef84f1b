"""Training on examples: whole sequences of unequal lengths, padded, all on the device at once.

An epoch reads every example at most once, in an order that follows from seed and epoch alone. Examples that do not fill
a batch wait for the next epoch. So the batch is a function of seed and step, and resuming needs one integer.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.build import make_way
from rnnjax.config import Config
from rnnjax.errors import UserError
from rnnjax.gradients import layer_over_time
from rnnjax.gradients.effort import Noted
from rnnjax.gradients.method import Spent
from rnnjax.model import rnn
from rnnjax.model.cells import Hyper
from rnnjax.model.rnn import Unroll
from rnnjax.training.randomness import random_key
from rnnjax.training.shuffle import shuffled
from rnnjax.training.state import TrainState
from rnnjax.training.step import Learn, Learned

Array = jax.Array

UNROLLS: dict[str, Unroll] = {"autodiff": rnn.unroll, "manual": layer_over_time.unroll}
"""Functions that run a layer over time, by gradient.method; the other methods need a window of a stream."""

ROWS = 256
"""Number of examples that are measured side by side, which bounds the memory."""


class Surprise(NamedTuple):
    """Surprise of each example: -log p in nats, summed over its outputs, `[B]`, and the number of outputs, `[B]`."""

    nats: Array
    outputs: Array


SurpriseOf = Callable[[Any, Hyper, Any, Array | None, Unroll], Surprise]
"""(params, hyper, examples `[B, ...]`, key, unroll) -> Surprise; key is for dropout, None in evaluation."""


def size(examples: Any) -> int:
    """Number of examples N, the leading axis of every leaf."""
    return jax.tree.leaves(examples)[0].shape[0]


def batch_at(examples: Any, step: Array, batch_size: int, seed: Array) -> Any:
    """Draws the examples of a step, without replacement within an epoch.

    Args:
      examples: tree of arrays `[N, ...]`.

    Returns:
      The same tree with arrays `[B, ...]`.
    """
    steps = size(examples) // batch_size
    places = step % steps * batch_size + jnp.arange(batch_size)
    return take(examples, shuffled(random_key(seed, "order", step // steps), places, size(examples)))


def take(examples: Any, rows: Array) -> Any:
    """Takes the examples with some indices, integer `[B]`."""
    return jax.tree.map(lambda array: jnp.asarray(array).at[rows].get(mode="promise_in_bounds"), examples)


def make_learn_examples(config: Config, surprise: SurpriseOf) -> Learn:
    """Returns (state, examples) -> the gradient of the mean surprise of a step's batch."""
    by_hand, way = config.gradient.method == "manual", make_way(config)

    def learn(state: TrainState, examples: Any) -> Learned:
        batch = batch_at(examples, state.step, config.training.batch_size, state.seed)
        key = random_key(state.seed, "dropout", state.step) if config.model.dropout else None

        def loss_of(params: Any) -> tuple[Array, Spent | None]:
            noted, unroll = Noted(way) if way else None, UNROLLS[config.gradient.method]
            if noted:
                unroll = layer_over_time.unroll_by(noted) if by_hand else noted
            found = surprise(params, state.hyper, batch, key, unroll)
            return jnp.sum(found.nats) / jnp.sum(found.outputs), noted.spent if noted else None

        (loss, spent), grads = jax.value_and_grad(loss_of, has_aux=True)(state.params)
        return Learned(loss, grads, spent=spent)

    return learn


def make_mean(surprise: SurpriseOf) -> Callable[[Any, Hyper, Any], Array]:
    """Returns a jitted (params, hyper, examples `[N, ...]`) -> mean surprise per output over all examples."""

    def mean(params: Any, hyper: Hyper, examples: Any) -> Array:
        N = size(examples)
        rows = min(ROWS, N)

        def body(total: Surprise, first: Array) -> tuple[Surprise, None]:
            index = first + jnp.arange(rows)
            found = surprise(params, hyper, take(examples, jnp.minimum(index, N - 1)), None, rnn.unroll)
            counted = Surprise(*(jnp.sum(jnp.where(index < N, part, 0)) for part in found))
            return jax.tree.map(jnp.add, total, counted), None

        dtype = jax.tree.leaves(params)[0].dtype
        zero = Surprise(jnp.zeros((), dtype), jnp.zeros((), dtype))
        total, _ = jax.lax.scan(body, zero, rows * jnp.arange(-(-N // rows)))
        return total.nats / total.outputs

    return jax.jit(mean)


def in_blocks(function: Callable[..., Any], params: Any, hyper: Hyper, examples: Any) -> Any:
    """Applies a function to blocks of examples, by one program, and joins the results `[N, ...]` on the host.

    Args:
      function: (params, hyper, examples `[rows, ...]`) -> tree of arrays `[rows, ...]`.
    """
    N = size(examples)
    rows = min(ROWS, N)
    index = np.minimum(np.arange(-(-N // rows) * rows), N - 1).reshape(-1, rows)
    examples = jax.device_put(examples)
    queued = [of_block(function, params, hyper, examples, own) for own in index]  # the device waits for no answer
    return jax.tree.map(lambda *blocks: np.concatenate(blocks)[:N], *map(jax.device_get, queued))


@partial(jax.jit, static_argnums=0)
def of_block(function: Callable[..., Any], params: Any, hyper: Hyper, examples: Any, rows: Array) -> Any:
    """Applies a function to some of the examples; compiled once for each function."""
    return function(params, hyper, take(examples, rows))


def check_batch(examples: Any, batch_size: int, what: str) -> None:
    """Raises UserError if there are fewer examples than a batch takes."""
    if size(examples) < batch_size:
        raise UserError(
            f"training.batch_size is {batch_size}, but there are only {size(examples)} {what} to train on; lower it"
        )
