"""The forward gradient (Baydin et al., 2022, "Gradients without backpropagation"): the derivative along a random
direction, times the direction.

    g = (∇L · v) v      E[g] = E[v vᵀ] ∇L = ∇L      for v of independent numbers of mean 0 and variance 1

∇L · v comes from one forward pass with tangents; nothing is kept of the window. K directions are averaged.
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


def gradient(recurrence: Recurrence, window: Window) -> Gradient:
    """Loss and one random estimate of the gradient of one window, its initial state held constant between windows.

    Cost: O(K·T·H²) time and O(K·(P + T·H)) memory: the directions, and h of every step for the read-out; no tape.
    Unbiased within the window; the variance is about P/K times the squared norm of the gradient.

    Args:
      window: its noise is the K directions, any that have E[v vᵀ] = 1.
    """
    return along(recurrence, window, slope)


def slope(function: Callable[[Any], Array], point: Any, v: Any) -> Array:
    """∇L · v."""
    return jax.jvp(function, (point,), (v,))[1]


def method(config: GradientConfig) -> Method:
    return Method(
        gradient,
        draw=partial(draw, count=config.directions, distribution=config.distribution),
        price=price(config.directions),
        claim=Claim("unbiased", readout=False, noise="directions"),
    )
