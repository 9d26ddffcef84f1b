"""Central differences, one parameter after the other, at two steps, by which the first term of their error goes away
(Richardson, 1911, "The approximate arithmetical solution by finite differences of physical problems involving
differential equations"):

    sᵢ(ε) = (L(θ + ε eᵢ) - L(θ - ε eᵢ)) / 2ε      ∂L/∂θᵢ = (4 sᵢ(ε/2) - sᵢ(ε)) / 3 + O(ε⁴)
"""

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

    Cost: four forward passes for each number, O(P·T·H²) time and O(T·H) memory a stream: for small cases. The error is
    that of rounding, eps / ε, and that of the fifth derivative, ε⁴; ε = eps^(1/5) balances them: where the loss is
    smooth and no larger than its gradient, ten or eleven digits are right in float64, five in float32.
    """
    params, hyper, carry, batch, *_ = window
    point, restore = ravel_pytree((reals(params), reals(carry)))
    epsilon = float(jnp.finfo(point.dtype).eps) ** (1 / 5)

    def loss_at(point: Array) -> tuple[Array, Any]:
        real_params, real_carry = restore(point)
        return window_loss(recurrence, put(real_params, params), hyper, put(real_carry, carry), batch)

    def slope(index: Array, epsilon: float) -> Array:
        shift = jnp.zeros_like(point).at[index].set(epsilon)
        return (loss_at(point + shift)[0] - loss_at(point - shift)[0]) / (2 * epsilon)

    def extrapolated(index: Array) -> Array:
        return (4 * slope(index, epsilon / 2) - slope(index, epsilon)) / 3

    loss, new_carry = loss_at(point)
    d_params, d_carry = restore(jax.lax.map(extrapolated, jnp.arange(point.size)))
    return Gradient(loss, d_params, d_carry, new_carry)


def method(config: GradientConfig) -> Method:
    price = Price(cost, "four forward passes for each parameter", "take manual, or a smaller network and window")
    return Method(gradient, price=price, claim=Claim("exact", tolerance=1e-8, floor=1e-3, readout=False))


def cost(model: Model, T: int, B: int) -> Cost:
    """Time grows with T·H⁴: four forward passes for each number."""
    S, P = sizes(model)
    numbers = P + (model.output + 1) * model.vocabulary + B * S * model.directions
    forward = plain(model, T, B)
    passes = 4 * numbers
    return Cost(
        forward.numbers + 4 * numbers, passes * T * B * weights(model), passes * T * model.layers * model.directions
    )
