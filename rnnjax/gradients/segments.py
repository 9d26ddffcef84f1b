"""A window cut into segments of time."""

from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.model.network import Batch
from rnnjax.model.recurrence import Recurrence, losses, run

Array = jax.Array


def pad(batch: Batch, before: int, after: int) -> Batch:
    """Adds steps that hold the state and count nothing, so that every segment of a window can have the same length.

    They read what the first or the last step reads, which the step is known to take.

    Returns:
      The batch with `before` and `after` more steps [before + T + after, B]; weight and valid are arrays.
    """

    def extend(leaf: Array, fill: Any = None) -> Array:
        first, last = (leaf[:1], leaf[-1:]) if fill is None else (jnp.full_like(leaf[:1], fill),) * 2
        many = lambda edge, steps: jnp.broadcast_to(edge, (steps, *leaf.shape[1:]))
        return jnp.concatenate([many(first, before), leaf, many(last, after)])

    weight = jnp.ones(batch.shape) if batch.weight is None else batch.weight
    valid = jnp.ones(batch.shape, bool) if batch.valid is None else batch.valid
    return Batch(
        x=jax.tree.map(extend, batch.x),
        y=jax.tree.map(extend, batch.y),
        weight=extend(weight, 0),
        valid=extend(valid, False),
        reset=None if batch.reset is None else extend(batch.reset, False),
        noise=None if batch.noise is None else tuple(map(extend, batch.noise)),
    )


def segment_loss(
    recurrence: Recurrence, params: Any, hyper: Any, carry: Any, segment: Batch, total: Array | float
) -> tuple[Array, Any]:
    """The share of a segment in the loss of its window, Σ wₜ Lₜ / total, and the carry after it."""
    carry, out = run(recurrence, params, hyper, carry, segment)
    return jnp.sum(losses(recurrence, params, out, segment)) / total, carry
