"""The effect of clipping on a gradient's length, direction and elements; of the whole gradient and of each leaf."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.model.norm import global_norm, reciprocal_scale

Array = jax.Array
Tree = Any

HALVINGS = 60
"""More would not change a threshold in float64."""


class Effect(NamedTuple):
    """Effect of clipping on a gradient g, or on one leaf of it.

    Attributes:
      before: ‖g‖.
      after: ‖clipped g‖.
      angle: angle between g and clipped g, degrees; 0 for a zero gradient.
      changed: share of the elements that changed, in [0, 1].
    """

    before: Array
    after: Array
    angle: Array
    changed: Array


def effect(clip: Callable[[Tree], Tree], grads: Tree) -> tuple[Effect, Effect]:
    """Clips one gradient and compares.

    Returns:
      The effect on the whole gradient, scalars; and on each leaf, [leaves], in the order of `jax.tree.leaves`.
    """
    pairs = list(zip(jax.tree.leaves(grads), jax.tree.leaves(clip(grads)), strict=True))
    leaves = [compare(g.ravel(), clipped.ravel()) for g, clipped in pairs]
    whole = compare(*(jnp.concatenate([leaf.ravel() for leaf in side]) for side in zip(*pairs, strict=True)))
    return whole, jax.tree.map(lambda *numbers: jnp.stack(numbers), *leaves)


def compare(g: Array, clipped: Array) -> Effect:
    """Effect on one vector [N].

    The angle of unit vectors u, v is 2 atan2(‖u - v‖, ‖u + v‖): the arc cosine loses half the digits near 0 (Kahan,
    2006, "How futile are mindless assessments of roundoff in floating-point computation?").
    """
    before, after = global_norm(g), global_norm(clipped)
    u, v = unit(g), unit(clipped)
    angle = 2 * jnp.arctan2(global_norm(u - v), global_norm(u + v))
    return Effect(before, after, jnp.where(before > 0, jnp.rad2deg(angle), 0.0), jnp.mean(g != clipped))


def unit(g: Array) -> Array:
    """Vector of length 1 along g; 0 where g is 0."""
    scaled = g * reciprocal_scale(g)
    return scaled / jnp.maximum(global_norm(scaled), jnp.finfo(g.dtype).tiny)


def value_threshold(grads: Tree, length: Array | float) -> Array:
    """Threshold at which clipping by value leaves a gradient of the given length, by bisection.

    A gradient that is no longer than that gives its largest element.
    """
    elements = jnp.abs(jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(grads)]))

    def halve(_: int, interval: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = interval
        middle = low + (high - low) / 2
        too_long = global_norm(jnp.minimum(elements, middle)) > length
        return jnp.where(too_long, low, middle), jnp.where(too_long, middle, high)

    return jax.lax.fori_loop(0, HALVINGS, halve, (jnp.zeros((), elements.dtype), jnp.max(elements)))[1]
