"""Anticipated reweighted truncated back-propagation (Tallec & Ollivier, 2017, "Unbiasing truncated backpropagation
through time"): truncation at random, whose loss of influence is made up for by reweighting.

Between two steps the error is cut with probability cₜ, and where it passes it grows to make up for the cuts:

    λₜ₋₁ = (0 with probability cₜ, else 1 / (1 - cₜ)) λₜ Dₜ + ∂ℓₜ/∂sₜ₋₁

whose factor is 1 on average, and independent from step to step, so that the average is back-propagation through time.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients import autodiff
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.stepwise import refuse_bidirectional
from rnnjax.model.cells import Cell, Hyper
from rnnjax.model.network import Layer, Model, Params
from rnnjax.model.rnn import cell_step, join, split

Array = jax.Array


class Cuts(NamedTuple):
    """Whether no error passes from a step back to the one before it, bool [T, B], and how probable that was [T, B]."""

    cut: Array
    probability: Array


def gradient(model: Model, window: Window) -> Gradient:
    """Loss and one random estimate of the gradient of one window, its initial state held constant between windows.

    Cost: O(T·H²) time and O(T·H) memory a stream: the pattern of the cuts is known to the program only as it runs, so
    it keeps the whole window, where a program that knew it could keep one stretch at a time. Unbiased within the
    window; the variance grows with the share of cuts.

    Args:
      noise: the `Cuts`.
    """
    cut, probability = window.noise
    factor = jnp.where(cut, 0, 1 / (1 - probability))[..., None]

    def unroll(
        cell: Cell,
        layer: Layer,
        hyper: Hyper,
        state: Array,
        a: Array,
        valid: Array | None = None,
        reset: Array | None = None,
        scan_unroll: int = 1,
    ) -> tuple[Array, Array]:
        """`model.rnn.unroll`, with the adjoint of the state before each step multiplied by its factor."""

        def body(state: Array, step: tuple) -> tuple[Array, Array]:
            factor_t, *rest = step
            fixed = jax.lax.stop_gradient(state)
            state = fixed + factor_t * (state - fixed)  # the same value, to the bit
            parts, _ = cell_step(cell, layer, hyper, split(state, cell), *rest)
            return join(parts), parts[0]

        steps = (factor.astype(state.dtype), a, valid, reset)
        return jax.lax.scan(body, state, steps, unroll=min(scan_unroll, a.shape[0]))

    return autodiff.gradient(model, window, unroll=unroll)


def draw(key: Array, model: Model, params: Params, shape: tuple[int, ...], *, probability: float) -> Cuts:
    """Cuts between any two steps of the window, each stream its own; none before the first step."""
    between = jnp.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1)) > 0
    probabilities = jnp.broadcast_to(jnp.where(between, probability, 0.0), shape).astype(params.V.dtype)
    return Cuts(jax.random.uniform(key, shape, params.V.dtype) < probabilities, probabilities)


def method(config: GradientConfig) -> Method:
    return Method(
        gradient,
        draw=partial(draw, probability=config.cut_probability),
        refuse=lambda model, T, B, dtype="float32": refuse_bidirectional(model),
        claim=Claim("unbiased", exact_if=lambda *_: config.cut_probability == 0, noise="cuts"),
    )
