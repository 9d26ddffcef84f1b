"""Clipping of a gradient, the first link of the optimiser's chain."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rnnjax.model.norm import global_norm, scale_and_norm

Array = jax.Array


def make_clip(kind: str, threshold: Array | float) -> optax.GradientTransformation:
    """Makes the clipping of a kind; the threshold may be traced.

    value: clips each element into [-threshold, threshold]; changes the gradient's direction. The textbook's code.
    global_norm: g · threshold / ‖g‖ where ‖g‖, over all parameters, exceeds the threshold; keeps the direction. The
    textbook's formula (Pascanu et al., 2013, "On the difficulty of training recurrent neural networks").
    per_leaf_norm: the same for each array alone; changes the arrays' proportions.
    none: leaves the gradient as it is.
    """
    return CLIPS[kind](threshold)


def clip_by_global_norm(threshold: Array | float) -> optax.GradientTransformation:
    """Scales down a gradient whose norm exceeds the threshold."""
    return optax.stateless(lambda updates, params: shorten(updates, threshold))


def clip_by_leaf_norm(threshold: Array | float) -> optax.GradientTransformation:
    """Scales down each array of a gradient whose own norm exceeds the threshold."""
    return optax.stateless(lambda updates, params: jax.tree.map(lambda g: shorten(g, threshold), updates))


def shorten(g: optax.Updates, threshold: Array | float) -> optax.Updates:
    """Scales g by threshold / ‖g‖ where ‖g‖ exceeds the threshold; any finite g, also where ‖g‖ overflows."""
    scale, norm = scale_and_norm(g)
    is_short = norm / scale <= threshold
    scale, factor = jnp.where(is_short, 1, scale), jnp.where(is_short, 1, threshold / norm)
    return jax.tree.map(lambda leaf: leaf * scale * factor, g)


CLIPS: dict[str, Callable[[Any], optax.GradientTransformation]] = {
    "value": optax.clip,
    "global_norm": clip_by_global_norm,
    "per_leaf_norm": clip_by_leaf_norm,
    "none": lambda _: optax.identity(),
}
"""Clipping by kind, from a threshold."""


def clipped_by(clip: optax.GradientTransformation, grads: optax.Updates) -> optax.Updates:
    """Applies the chain's first link, which has no memory, to a gradient."""
    return clip.update(grads, clip.init(grads))[0]


class ClipReport(NamedTuple):
    """Report on the clipping of a gradient: its global norm before, and the share of elements that changed."""

    norm: Array
    changed: Array


def report_clipping(clip: optax.GradientTransformation, grads: optax.Updates) -> ClipReport:
    """Compares a gradient before and after the chain's first link (XLA computes the link once for both)."""
    leaves, clipped_leaves = jax.tree.leaves(grads), jax.tree.leaves(clipped_by(clip, grads))
    changed = sum(jnp.sum(a != b) for a, b in zip(leaves, clipped_leaves, strict=True))
    return ClipReport(global_norm(grads), changed / sum(leaf.size for leaf in leaves))
