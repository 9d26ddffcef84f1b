"""Central differences: ∂L/∂θᵢ = (L(θ + ε eᵢ) - L(θ - ε eᵢ)) / 2ε + O(ε²), one parameter after the other."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.method import Gradient, Method
from rnnjax.gradients.stepwise import sizes
from rnnjax.model.cells import Hyper
from rnnjax.model.loss import window_loss
from rnnjax.model.network import Batch, Carry, Model, Params

Array = jax.Array

MOST_PRODUCTS = 1e11
"""Beyond this a single gradient takes minutes."""


def gradient(
    model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch, trace: Any = None, noise: Any = None
) -> Gradient:
    """Loss and numerical gradient of one window, its initial state held constant between windows.

    Cost: two forward passes for each number, O(P·T·H²) time and O(T·H) memory a stream: for small cases. The error is
    that of rounding, eps / ε, and that of the third derivative, ε²; ε = eps^(1/3) balances them: in float64 about ten
    digits are right, in float32 four or five.
    """
    point, restore = ravel_pytree((params, carry))
    epsilon = float(jnp.finfo(point.dtype).eps) ** (1 / 3)

    def loss_at(point: Array) -> tuple[Array, Carry]:
        params, carry = restore(point)
        return window_loss(model, params, hyper, carry, batch)

    def slope(index: Array) -> Array:
        shift = jnp.zeros_like(point).at[index].set(epsilon)
        return (loss_at(point + shift)[0] - loss_at(point - shift)[0]) / (2 * epsilon)

    loss, new_carry = loss_at(point)
    d_params, d_carry = restore(jax.lax.map(slope, jnp.arange(point.size)))
    return Gradient(loss, d_params, d_carry, new_carry)


def method(config: GradientConfig) -> Method:
    return Method(gradient, refuse=refuse, claim=Claim("exact", tolerance=1e-6, floor=1e-3, readout=False))


def refuse(model: Model, T: int, B: int) -> str | None:
    """Two forward passes for each number."""
    S, P = sizes(model)
    numbers = P + (model.output + 1) * model.vocabulary + B * S * model.directions
    products = 2 * numbers * T * B * numbers
    if products > MOST_PRODUCTS:
        return (
            f"two forward passes for each of {numbers:,} numbers take about {products:.0e} products, "
            f"more than {MOST_PRODUCTS:.0e}"
        )
    return None
