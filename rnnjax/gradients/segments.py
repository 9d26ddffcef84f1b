"""A window cut into segments of time."""

import jax
import jax.numpy as jnp

from rnnjax.model.cells import Hyper
from rnnjax.model.loss import negative_log_likelihood
from rnnjax.model.network import Batch, Carry, Model, Params
from rnnjax.model.rnn import apply

Array = jax.Array


def pad(batch: Batch, before: int, after: int) -> Batch:
    """Adds steps that hold the state and count nothing, so that every segment of a window can have the same length.

    Returns:
      The batch with `before` and `after` more steps [before + T + after, B]; weight and valid are arrays.
    """

    def extend(leaf: Array, fill: float) -> Array:
        return jnp.pad(leaf, [(before, after)] + [(0, 0)] * (leaf.ndim - 1), constant_values=fill)

    weight = jnp.ones(batch.y.shape) if batch.weight is None else batch.weight
    valid = jnp.ones(batch.y.shape, bool) if batch.valid is None else batch.valid
    return Batch(
        x=extend(batch.x, 0),
        y=extend(batch.y, 0),
        weight=extend(weight, 0),
        valid=extend(valid, False),
        reset=None if batch.reset is None else extend(batch.reset, False),
        noise=None if batch.noise is None else tuple(extend(leaf, 0) for leaf in batch.noise),
    )


def segment_loss(
    model: Model, params: Params, hyper: Hyper, carry: Carry, segment: Batch, total: Array | float
) -> tuple[Array, Carry]:
    """What a segment adds to the loss of its window, Σ wₜ Lₜ / total, and the carry after it."""
    carry, logits = apply(model, params, hyper, carry, segment)
    surprise = negative_log_likelihood(logits, segment.y)
    if segment.weight is not None:
        surprise = surprise * segment.weight.astype(surprise.dtype)
    return jnp.sum(surprise) / total, carry
