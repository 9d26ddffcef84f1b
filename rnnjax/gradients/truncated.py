"""Truncated back-propagation through time inside a window (Williams & Peng, 1990, "An efficient gradient-based
algorithm for on-line training of recurrent network trajectories", their BPTT(h; h')).

Every k₁ steps the losses of the last k₁ steps are taken back k₂ ≥ k₁ steps, from the states of one forward pass:

    ∂L/∂p ≈ Σ over ends e = k₁, 2 k₁, …, T of ∂/∂p (ℓ of the steps since the end before) at fixed state before e - k₂

k₁ = k₂ = T is the whole window's gradient; k₁ = 1 cuts the double sum over steps at lags below k₂.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients import autodiff
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.cost import Cost, Price, plain, weights
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.segments import pad, segment_loss
from rnnjax.gradients.stepwise import refuse_bidirectional
from rnnjax.model.leaves import reals
from rnnjax.model.network import Batch, Model
from rnnjax.model.recurrence import Recurrence, precision, total_weight

Array = jax.Array


def gradient(recurrence: Recurrence, window: Window, *, k1: int, k2: int) -> Gradient:
    """Loss and truncated gradient of one window, its initial state held constant between windows.

    Cost: O(T·k₂/k₁·H²) time, and O((T + k₂)·H) memory a stream. Biased: no error goes back more than k₂ steps, nor to
    before the window.

    Args:
      k1: steps from one end to the next; k2: steps that the errors go back. More than T is T.
    """
    params, hyper, carry, batch, *_ = window
    T = batch.shape[0]
    k1, k2 = min(k1, T), min(k2, T)
    total = total_weight(recurrence, batch)

    def advance(carry: Any, batch_t: Batch) -> tuple[Any, Any]:
        return recurrence.step(params, hyper, carry, batch_t)[0], carry

    new_carry, before = jax.lax.scan(advance, carry, batch)
    padded = pad(batch, k2, 0)  # so that the first segments are as long as the others

    def take_back(found: tuple, index: Array) -> tuple[tuple, None]:
        end = jnp.minimum((index + 1) * k1, T)
        segment = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, end, k2), padded)
        steps = end - k2 + jnp.arange(k2)
        counts = (steps >= index * k1).reshape(k2, *[1] * (len(batch.shape) - 1))
        segment = segment._replace(weight=segment.weight * counts)
        start = jax.tree.map(lambda leaf: leaf[jnp.maximum(end - k2, 0)], before)
        loss_of = lambda params, carry: segment_loss(recurrence, params, hyper, carry, segment, total)
        loss, d_params, d_carry, *_ = autodiff.differentiate(loss_of, window._replace(carry=start))
        d_carry = jax.tree.map(lambda d: jnp.where(end <= k2, d, 0), d_carry)  # of the segments that reach the start
        return jax.tree.map(jnp.add, found, (loss, d_params, d_carry)), None

    zero = jax.tree.map(jnp.zeros_like, (jnp.zeros((), precision(params)), reals(params), reals(carry)))
    loss, d_params, d_carry = jax.lax.scan(take_back, zero, jnp.arange(-(-T // k1)))[0]
    return Gradient(loss, d_params, d_carry, new_carry)


def method(config: GradientConfig) -> Method:
    k1, k2 = config.k1_steps, config.k2_steps
    claim = Claim("truncated", exact_if=lambda model, params, T, count: k2 >= T, definition="truncated")
    price = Price(
        partial(cost, k1=k1, k2=k2),
        f"going back {k2:,} steps at every {k1:,}",
        "raise gradient.k1_steps, or lower gradient.k2_steps",
    )
    return Method(partial(gradient, k1=k1, k2=k2), refuse=refuse_bidirectional, price=price, claim=claim)


def cost(model: Model, T: int, B: int, *, k1: int, k2: int) -> Cost:
    """The window forward, and each of its segments forward and back: many long ones that overlap take the time of many
    windows."""
    k1, k2 = min(k1, T), min(k2, T)
    segments = -(-T // k1)
    return Cost(
        plain(model, T + k2, B).numbers,
        (T + 3 * segments * k2) * B * weights(model),
        T + 2 * segments * k2 * model.layers,
    )
