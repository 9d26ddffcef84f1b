"""Softmax cross-entropy, the book's Lₜ = -yₜ log ŷₜ, in nats; through log-sum-exp, so that no logit overflows. For real
targets, the squared error."""

import math

import jax
import jax.numpy as jnp

from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Carry, Model, Params
from rnnjax.model.rnn import Unroll, apply, unroll

Array = jax.Array

NATS_PER_BIT = math.log(2.0)


def negative_log_likelihood(logits: Array, y: Array) -> Array:
    """-log softmax(logits)[y], the surprise at each target, in nats; at a real target (ŷ - y)², which is that of a
    Gaussian around ŷ with variance 1/2, up to a constant.

    Args:
      logits: [..., V]; for real targets ŷ [..., 1].
      y: target ids, integer [...], or real targets [...].

    Returns:
      [...], in nats per character, or squared.
    """
    if jnp.issubdtype(y.dtype, jnp.floating):
        return jnp.square(logits[..., 0] - y)
    # The largest logit is taken out first: exp would overflow float32 near 89.
    largest = jnp.max(jax.lax.stop_gradient(logits), axis=-1, keepdims=True)
    shifted = logits - largest
    log_normaliser = jnp.log(jnp.sum(jnp.exp(shifted), axis=-1))
    target = jnp.take_along_axis(shifted, y[..., None].astype(jnp.int32), axis=-1, mode="promise_in_bounds")
    return log_normaliser - target[..., 0]


def denominator(y: Array, weight: Array | None) -> Array | float:
    """What the summed loss of a window is divided by: the sum of the weights, or the number of targets."""
    return float(y.size) if weight is None else jnp.maximum(jnp.sum(weight), jnp.finfo(weight.dtype).tiny)


def cross_entropy(logits: Array, y: Array, weight: Array | None = None) -> Array:
    """The weighted mean surprise of a window, L = Σ wₜ Lₜ / Σ wₜ, in nats per character.

    The book's formula sums over t where its code averages; this is the average.

    Args:
      logits: [T, B, V].
      y: target ids, integer, or real targets [T, B].
      weight: [T, B], or None for all ones. A window whose weights are all zero has loss 0.
    """
    surprise = negative_log_likelihood(logits, y)
    weighted = surprise if weight is None else surprise * weight
    return jnp.sum(weighted) / denominator(y, weight)


def window_loss(
    model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch, *, unroll: Unroll = unroll
) -> tuple[Array, Carry]:
    """The loss of a window, and the carry after it: `apply`, then `cross_entropy`."""
    new_carry, logits = apply(model, params, hyper, carry, batch, unroll=unroll)
    return cross_entropy(logits, batch.y, batch.weight), new_carry
