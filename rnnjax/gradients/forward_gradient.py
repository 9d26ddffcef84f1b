"""The forward gradient (Baydin et al., 2022, "Gradients without backpropagation"): the derivative along a random
direction, times the direction.

    g = (∇L · v) v      E[g] = E[v vᵀ] ∇L = ∇L      for v of independent numbers of mean 0 and variance 1

∇L · v comes from one forward pass with tangents; nothing is kept of the window. K directions are averaged.
"""

from functools import partial

import jax

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.directions import average, draw, refuse
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.model.loss import window_loss
from rnnjax.model.network import Carry, Model, Params

Array = jax.Array


def gradient(model: Model, window: Window) -> Gradient:
    """Loss and one random estimate of the gradient of one window, its initial state held constant between windows.

    Cost: O(K·T·H²) time and O(K·(P + T·H)) memory: the directions, and h of every step for the read-out; no tape.
    Unbiased within the window; the variance is about P/K times the squared norm of the gradient.

    Args:
      noise: the K directions, any that have E[v vᵀ] = 1.
    """
    params, hyper, carry, batch, _, noise = window

    def loss_of(params: Params, carry: Carry) -> tuple[Array, Carry]:
        return window_loss(model, params, hyper, carry, batch)

    def slope_of_params(v: Params) -> Array:
        return jax.jvp(lambda params: loss_of(params, carry)[0], (params,), (v,))[1]

    def slope_of_carry(v: Carry) -> Array:
        return jax.jvp(lambda carry: loss_of(params, carry)[0], (carry,), (v,))[1]

    loss, new_carry = loss_of(params, carry)
    d_params = average(jax.vmap(slope_of_params)(noise.params), noise.params)
    d_carry = average(jax.vmap(slope_of_carry)(noise.carry), noise.carry)
    return Gradient(loss, d_params, d_carry, new_carry)


def method(config: GradientConfig) -> Method:
    return Method(
        gradient,
        draw=partial(draw, count=config.directions, distribution=config.distribution),
        refuse=partial(refuse, count=config.directions),
        claim=Claim("unbiased", readout=False, noise="directions"),
    )
