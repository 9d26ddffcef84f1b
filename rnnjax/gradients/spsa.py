"""Simultaneous perturbation (Spall, 1992, "Multivariate stochastic approximation using a simultaneous perturbation
gradient approximation"), the same as evolution strategies with antithetic pairs (Salimans et al., 2017, "Evolution
strategies as a scalable alternative to reinforcement learning"): no derivative at all.

    g = (L(p + σ v) - L(p - σ v)) / 2σ · v      E[g] = ∇ E[L(p + σ v)] for Gaussian v: the gradient of a smoothed loss

K pairs are averaged. As σ goes to 0 it becomes the forward gradient, until rounding takes over.
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


def gradient(recurrence: Recurrence, window: Window, *, sigma: float) -> Gradient:
    """Loss and one random estimate of the gradient of one window, its initial state held constant between windows.

    Cost: 4 K + 1 forward passes, as the initial state has directions of its own, O(K·T·H²) time and O(K·(P + T·H))
    memory: the directions, and h of every step. Its bias is O(σ²); the variance is that of the forward gradient.

    Args:
      window: its noise is the K directions.
      sigma: the length of the move of the parameters along each.
    """
    window.check("noise")
    params, hyper, carry, batch, _, noise = window
    real_params, real_carry = reals(params), reals(carry)

    def loss_of(real_params: Any, real_carry: Any) -> tuple[Array, Any]:
        return window_loss(recurrence, put(real_params, params), hyper, put(real_carry, carry), batch)

    def moved(point: Any, v: Any, by: float) -> Any:
        return jax.tree.map(lambda leaf, direction: leaf + by * direction, point, v)

    def slope_of_params(v: Any) -> Array:
        up, down = (loss_of(moved(real_params, v, by), real_carry)[0] for by in (sigma, -sigma))
        return (up - down) / (2 * sigma)

    def slope_of_carry(v: Any) -> Array:
        up, down = (loss_of(real_params, moved(real_carry, v, by))[0] for by in (sigma, -sigma))
        return (up - down) / (2 * sigma)

    loss, new_carry = loss_of(real_params, real_carry)
    d_params = average(jax.vmap(slope_of_params)(noise.params), noise.params)
    d_carry = average(jax.vmap(slope_of_carry)(noise.carry), noise.carry)
    return Gradient(loss, d_params, d_carry, new_carry)


def method(config: GradientConfig) -> Method:
    return Method(
        partial(gradient, sigma=config.sigma),
        draw=partial(draw, count=config.directions, distribution=config.distribution),
        price=price(config.directions),
        claim=Claim("approximate", readout=False, noise="directions", vanishes_with="sigma"),
    )
