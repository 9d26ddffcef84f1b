"""Random directions in the space of the parameters, and of the initial states."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from rnnjax.gradients.cost import Cost, Price, weights
from rnnjax.gradients.method import Gradient, Window
from rnnjax.gradients.stepwise import sizes
from rnnjax.model.leaves import put, reals
from rnnjax.model.network import Model
from rnnjax.model.recurrence import Recurrence, window_loss

Array = jax.Array
Tree = TypeVar("Tree")

Slope = Callable[[Callable[[Any], Array], Any, Any], Array]
"""(function, point, direction) -> the function's derivative along the direction, or an estimate of it."""


class Directions(NamedTuple):
    """K directions: each leaf [K, ...]. Those of the initial state are drawn on their own, and used on their own, so
    that they do not add to the variance of the parameters' gradient."""

    params: Any
    carry: Any


def draw(
    key: Array, recurrence: Recurrence, params: Any, state: Any, T: int, *, count: int, distribution: str
) -> Directions:
    """`count` directions of independent numbers of mean 0 and variance 1.

    Args:
      distribution: gaussian, or rademacher (signs).
    """
    like = Directions(reals(params), reals(state))
    leaves, structure = jax.tree.flatten(like)
    sample = jax.random.normal if distribution == "gaussian" else jax.random.rademacher
    keys = jax.random.split(key, len(leaves))
    drawn = [sample(key, (count, *leaf.shape), leaf.dtype) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)


def along(recurrence: Recurrence, window: Window, slope: Slope) -> Gradient:
    """Loss of one window, and its gradient from slopes: Σ slopeₖ vₖ / K over the K directions of the window's noise."""
    window.check("noise")
    params, hyper, carry, batch, _, noise = window
    real_params, real_carry = reals(params), reals(carry)

    def loss_of(real_params: Any, real_carry: Any) -> tuple[Array, Any]:
        return window_loss(recurrence, put(real_params, params), hyper, put(real_carry, carry), batch)

    def average(function: Callable[[Any], Array], point: Tree, directions: Tree) -> Tree:
        slopes = jax.vmap(partial(slope, function, point))(directions)
        return jax.tree.map(lambda v: jnp.tensordot(slopes, v, axes=1) / slopes.size, directions)

    loss, new_carry = loss_of(real_params, real_carry)
    d_params = average(lambda params: loss_of(params, real_carry)[0], real_params, noise.params)
    d_carry = average(lambda carry: loss_of(real_params, carry)[0], real_carry, noise.carry)
    return Gradient(loss, d_params, d_carry, new_carry)


def price(count: int) -> Price:
    """All directions go through the window side by side."""
    return Price(partial(cost, count=count), f"{count:,} directions side by side", "lower gradient.directions")


def cost(model: Model, T: int, B: int, *, count: int) -> Cost:
    """Each direction is as long as the parameters, and has every h and ŷ of the window; two passes for its slope along
    the parameters, two along the initial state."""
    S, P = sizes(model)
    parameters = P + (model.output + 1) * model.vocabulary
    numbers = 2 * parameters + 5 * T * B * (S * model.directions + model.vocabulary)
    return Cost(count * numbers, (4 * count + 1) * T * B * weights(model), 5 * T * model.layers * model.directions)
