"""Anticipated reweighted truncated back-propagation (Tallec & Ollivier, 2017, "Unbiasing truncated backpropagation
through time"): truncation at random, whose loss of influence is made up for by reweighting.

Before step t the error is cut with probability cₜ, and where it passes it grows to make up for the cuts. With ℓₜ a
function of the state sₜ that step t leaves, and Dₜ = ∂sₜ/∂sₜ₋₁,

    λₜ₋₁ = ∂ℓₜ₋₁/∂sₜ₋₁ + ρₜ λₜ Dₜ      ρₜ = 0 with probability cₜ, else 1 / (1 - cₜ)      λ_T = ∂ℓ_T/∂s_T

ρ is 1 on average, and independent from step to step, so that the average is back-propagation through time. Of a loss
that reads sₜ₋₁ past the new state too, that way back meets ρₜ as well.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients import autodiff
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.stepwise import refuse_bidirectional
from rnnjax.model.cells import Cell, Hyper
from rnnjax.model.leaves import put, reals
from rnnjax.model.network import Batch, Layer
from rnnjax.model.recurrence import Recurrence, losses, precision, total_weight
from rnnjax.model.rnn import Inputs, cell_step, join, split

Array = jax.Array


class Cuts(NamedTuple):
    """Steps from which no error passes to the one before, bool [T, B], and the probability of that [T, B]."""

    cut: Array
    probability: Array


def gradient(recurrence: Recurrence, window: Window) -> Gradient:
    """Loss and one random estimate of the gradient of one window, its initial state held constant between windows.

    Cost: O(T·H²) time and O(T·H) memory a stream: the pattern of the cuts is known to the program only as it runs, so
    it keeps the whole window, where a program that knew it could keep one stretch at a time. Unbiased within the
    window; the variance grows with the share of cuts.

    Args:
      window: its noise is the `Cuts`.
    """
    window.check("noise")
    cut, probability = window.noise
    factor = jnp.where(cut, 0, 1 / (1 - probability))
    if recurrence.model:
        return autodiff.gradient(recurrence, window, unroll=partial(unroll, factor[..., None]))
    return autodiff.differentiate(partial(reweighted_loss, recurrence, window, factor), window)


def reweighted_loss(
    recurrence: Recurrence, window: Window, factor: Array, params: Any, carry: Any
) -> tuple[Array, Any]:
    """The loss of a window and the state after it, the adjoint of the state before each step multiplied by ρₜ."""
    batch = window.batch

    def body(state: Any, step_t: tuple[Batch, Array]) -> tuple[Any, Any]:
        batch_t, factor_t = step_t
        of_leaf = lambda leaf: reweighted(leaf, factor_t.reshape(*factor_t.shape, *[1] * (leaf.ndim - factor_t.ndim)))
        return recurrence.step(params, window.hyper, put(jax.tree.map(of_leaf, reals(state)), state), batch_t)

    new_carry, out = jax.lax.scan(body, carry, (batch, factor))
    return jnp.sum(losses(recurrence, params, out, batch)) / total_weight(recurrence, batch), new_carry


def reweighted(state: Array, factor: Array) -> Array:
    """The state, the same to the bit, whose adjoint is multiplied by a factor."""
    fixed = jax.lax.stop_gradient(state)
    return fixed + factor.astype(state.dtype) * (state - fixed)


def unroll(
    factor: Array, cell: Cell, layer: Layer, hyper: Hyper, state: Array, inputs: Inputs, scan_unroll: int = 1
) -> tuple[Array, Array]:
    """`model.rnn.unroll`, with the adjoint of the state before each step multiplied by ρₜ [T, B, 1]."""

    def body(state: Array, step_t: tuple[Array, Inputs]) -> tuple[Array, Array]:
        factor_t, inputs_t = step_t
        parts, _ = cell_step(cell, layer, hyper, split(reweighted(state, factor_t), cell), inputs_t)
        return join(parts), parts[0]

    return jax.lax.scan(body, state, (factor, inputs), unroll=min(scan_unroll, inputs.a.shape[0]))


def draw(key: Array, recurrence: Recurrence, params: Any, state: Any, T: int, *, probability: float) -> Cuts:
    """Cuts between any two steps of the window, each stream its own; none before the first step."""
    shape, dtype = (T, *recurrence.streams(state)), precision(params)
    between = jnp.arange(T).reshape(-1, *[1] * (len(shape) - 1)) > 0
    probabilities = jnp.broadcast_to(jnp.where(between, probability, 0.0), shape).astype(dtype)
    return Cuts(jax.random.uniform(key, shape, dtype) < probabilities, probabilities)


def method(config: GradientConfig) -> Method:
    return Method(
        gradient,
        draw=partial(draw, probability=config.cut_probability),
        refuse=refuse_bidirectional,
        claim=Claim("unbiased", exact_if=lambda *_: config.cut_probability == 0, noise="cuts"),
    )
