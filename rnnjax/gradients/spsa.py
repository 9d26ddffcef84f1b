"""Simultaneous perturbation (Spall, 1992, "Multivariate stochastic approximation using a simultaneous perturbation
gradient approximation"), the same as evolution strategies with antithetic pairs (Salimans et al., 2017, "Evolution
strategies as a scalable alternative to reinforcement learning"): no derivative at all.

    g = (L(p + σ v) - L(p - σ v)) / 2σ · v      E[g] = ∇ E[L(p + σ v)] for Gaussian v: the gradient of a smoothed loss

K pairs are averaged. As σ goes to 0 it becomes the forward gradient, until rounding takes over.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.directions import along, draw, price
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.model.recurrence import Recurrence

Array = jax.Array


def gradient(recurrence: Recurrence, window: Window, *, sigma: float) -> Gradient:
    """Loss and one random estimate of the gradient of one window, its initial state held constant between windows.

    Cost: 4 K + 1 forward passes, as the initial state has directions of its own, O(K·T·H²) time and O(K·(P + T·H))
    memory: the directions, and h of every step. Its bias is O(σ²); the variance is that of the forward gradient.

    Args:
      window: its noise is the K directions.
      sigma: the length of the move of the parameters along each.
    """
    return along(recurrence, window, partial(slope, sigma))


def slope(sigma: float, function: Callable[[Any], Array], point: Any, v: Any) -> Array:
    """(L(p + σ v) - L(p - σ v)) / 2σ."""
    moved = lambda by: jax.tree.map(lambda leaf, direction: leaf + by * direction, point, v)
    return (function(moved(sigma)) - function(moved(-sigma))) / (2 * sigma)


def method(config: GradientConfig) -> Method:
    return Method(
        partial(gradient, sigma=config.sigma),
        draw=partial(draw, count=config.directions, distribution=config.distribution),
        price=price(config.directions),
        claim=Claim("approximate", readout=False, noise="directions", vanishes_with="sigma"),
    )
