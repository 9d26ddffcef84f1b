"""The forward gradient (Baydin et al., 2022, "Gradients without backpropagation"): the derivative along a random
direction, times the direction.

    g = (∇L · v) v      E[g] = E[v vᵀ] ∇L = ∇L      for v of independent numbers of mean 0 and variance 1

∇L · v comes from one forward pass with tangents; nothing is kept of the window. K directions are averaged.
"""

from functools import partial
from typing import Any

import jax

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.directions import average, draw, price
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.model.leaves import put, reals
from rnnjax.model.recurrence import Recurrence, window_loss

Array = jax.Array


def gradient(recurrence: Recurrence, window: Window) -> Gradient:
    """Loss and one random estimate of the gradient of one window, its initial state held constant between windows.

    Cost: O(K·T·H²) time and O(K·(P + T·H)) memory: the directions, and h of every step for the read-out; no tape.
    Unbiased within the window; the variance is about P/K times the squared norm of the gradient.

    Args:
      window: its noise is the K directions, any that have E[v vᵀ] = 1.
    """
    window.check("noise")
    params, hyper, carry, batch, _, noise = window
    real_params, real_carry = reals(params), reals(carry)

    def loss_of(real_params: Any, real_carry: Any) -> tuple[Array, Any]:
        return window_loss(recurrence, put(real_params, params), hyper, put(real_carry, carry), batch)

    def slope_of_params(v: Any) -> Array:
        return jax.jvp(lambda params: loss_of(params, real_carry)[0], (real_params,), (v,))[1]

    def slope_of_carry(v: Any) -> Array:
        return jax.jvp(lambda carry: loss_of(real_params, carry)[0], (real_carry,), (v,))[1]

    loss, new_carry = loss_of(real_params, real_carry)
    d_params = average(jax.vmap(slope_of_params)(noise.params), noise.params)
    d_carry = average(jax.vmap(slope_of_carry)(noise.carry), noise.carry)
    return Gradient(loss, d_params, d_carry, new_carry)


def method(config: GradientConfig) -> Method:
    return Method(
        gradient,
        draw=partial(draw, count=config.directions, distribution=config.distribution),
        price=price(config.directions),
        claim=Claim("unbiased", readout=False, noise="directions"),
    )
