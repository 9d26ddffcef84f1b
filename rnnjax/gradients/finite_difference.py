"""Central differences: ∂L/∂θᵢ = (L(θ + ε eᵢ) - L(θ - ε eᵢ)) / 2ε + O(ε²), one parameter after the other."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.cost import Cost, Price, plain, weights
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.stepwise import sizes
from rnnjax.model.leaves import put, reals
from rnnjax.model.network import Model
from rnnjax.model.recurrence import Recurrence, window_loss

Array = jax.Array


def gradient(recurrence: Recurrence, window: Window) -> Gradient:
    """Loss and numerical gradient of one window, its initial state held constant between windows.

    Cost: two forward passes for each number, O(P·T·H²) time and O(T·H) memory a stream: for small cases. The error is
    that of rounding, eps / ε, and that of the third derivative, ε²; ε = eps^(1/3) balances them: in float64 eight
    or nine digits are right, in float32 four or five.
    """
    params, hyper, carry, batch, *_ = window
    point, restore = ravel_pytree((reals(params), reals(carry)))
    epsilon = float(jnp.finfo(point.dtype).eps) ** (1 / 3)

    def loss_at(point: Array) -> tuple[Array, Any]:
        real_params, real_carry = restore(point)
        return window_loss(recurrence, put(real_params, params), hyper, put(real_carry, carry), batch)

    def slope(index: Array) -> Array:
        shift = jnp.zeros_like(point).at[index].set(epsilon)
        return (loss_at(point + shift)[0] - loss_at(point - shift)[0]) / (2 * epsilon)

    loss, new_carry = loss_at(point)
    d_params, d_carry = restore(jax.lax.map(slope, jnp.arange(point.size)))
    return Gradient(loss, d_params, d_carry, new_carry)


def method(config: GradientConfig) -> Method:
    price = Price(cost, "two forward passes for each parameter", "take manual, or a smaller network and window")
    return Method(gradient, price=price, claim=Claim("exact", tolerance=1e-6, floor=1e-3, readout=False))


def cost(model: Model, T: int, B: int) -> Cost:
    """Time grows with T·H⁴: two forward passes for each number."""
    S, P = sizes(model)
    numbers = P + (model.output + 1) * model.vocabulary + B * S * model.directions
    forward = plain(model, T, B)
    passes = 2 * numbers
    return Cost(
        forward.numbers + 4 * numbers, passes * T * B * weights(model), passes * T * model.layers * model.directions
    )
