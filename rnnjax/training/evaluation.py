"""The held-out loss: the network reads a text once, with fixed weights."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.model.cells import Hyper
from rnnjax.model.loss import make_loss
from rnnjax.model.network import Batch, Carry, Model, Params, initial_carry
from rnnjax.model.rnn import apply

Array = jax.Array

WINDOW = 128
"""Time steps whose logits are in memory at once."""

CHARACTERS_PER_STREAM = 32768
"""Least length of the parallel streams that a text is cut into; against it the cold start, some tens of characters,
weighs little."""

MOST_STREAMS = 64


def fold(ids: np.ndarray) -> Batch:
    """Cuts a text into windows of parallel streams; each character but the first is a target once.

    Args:
      ids: integer `[N]`, N >= 2.

    Returns:
      x, y and weight `[windows, WINDOW, streams]`; weight is 0 on the padding at the end of a stream.
    """
    targets = len(ids) - 1
    streams = max(1, min(MOST_STREAMS, targets // CHARACTERS_PER_STREAM))
    share = math.ceil(targets / streams)
    length = math.ceil(share / WINDOW) * WINDOW
    offsets = np.arange(length)[:, None]
    positions = offsets + share * np.arange(streams)
    weight = (offsets < share) & (positions < targets)
    positions = np.minimum(positions, targets - 1)
    cut = lambda a: a.reshape(-1, WINDOW, streams)
    x, y, counted = (jnp.asarray(cut(a)) for a in (ids[positions], ids[positions + 1], weight))
    return Batch(x, y, counted)


def make_evaluate(model: Model) -> Callable[[Params, Hyper, Batch], Array]:
    """Returns a jitted (params, hyper, batch from `fold`) -> loss in nats per character.

    Each stream starts from the initial state and carries it from window to window.
    """

    def evaluate(params: Params, hyper: Hyper, batch: Batch) -> Array:
        dtype = params.V.dtype

        def body(state: tuple[Carry, Array], window: Batch) -> tuple[tuple[Carry, Array], None]:
            carry, total = state
            carry, logits = apply(model, params, hyper, carry, window)
            surprise = jnp.where(window.weight, make_loss(model.loss)(logits, window.y), 0)  # type: ignore[arg-type]
            return (carry, total + jnp.sum(surprise)), None

        start = initial_carry(model, params, batch.x.shape[2:]), jnp.zeros((), dtype)
        (_, total), _ = jax.lax.scan(body, start, batch)
        return total / jnp.sum(batch.weight)  # type: ignore[arg-type]

    return jax.jit(evaluate)
