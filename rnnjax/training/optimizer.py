"""Clipping, then Adam or plain gradient descent, as one optax chain.

Its numbers, such as the learning rate, may be constants or arguments of the program: see `Numbers`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rnnjax.config import OptimizerConfig
from rnnjax.model.norm import global_norm, scale_and_norm

Array = jax.Array


class Numbers(NamedTuple):
    """The fields of an `OptimizerConfig` that a program may take as arguments, as scalars."""

    learning_rate: Any
    clip_threshold: Any
    warmup_steps: Any
    final_learning_rate: Any
    weight_decay: Any


def make_numbers(config: OptimizerConfig, dtype: Any) -> Numbers:
    """The numbers of a config as arrays."""
    return Numbers(*(jnp.asarray(getattr(config, name), dtype) for name in Numbers._fields))


def make_clip(config: OptimizerConfig, numbers: Numbers | None = None) -> optax.GradientTransformation:
    """Makes the clipping of gradients, the first link of the chain.

    value: clips each element into [-threshold, threshold]; changes the gradient's direction. The textbook's code.
    global_norm: g · threshold / ‖g‖ where ‖g‖, over all parameters, exceeds the threshold; keeps the direction. The
    textbook's formula (Pascanu et al., 2013, "On the difficulty of training recurrent neural networks").
    per_leaf_norm: the same for each array alone; changes the arrays' proportions.
    """
    return CLIPS[config.clip]((numbers or config).clip_threshold)


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
"""Clipping by kind; each takes a threshold, which may be traced."""


def make_schedule(config: OptimizerConfig, steps: int, numbers: Numbers | None = None) -> optax.Schedule:
    """The learning rate at each step: linear warm-up, then constant, or a cosine down to the last of `steps`.

    It has no branches, so its numbers may be traced: runs that differ in them can share a program.
    """
    peak, warmup = (numbers or config).learning_rate, (numbers or config).warmup_steps
    floor = (numbers or config).final_learning_rate

    def schedule(count: Array) -> Array:
        warm = jnp.minimum(1.0, (count + 1) / jnp.maximum(warmup, 1))
        if config.decay == "constant":
            return peak * warm
        progress = (count - warmup) / jnp.maximum(steps - 1 - warmup, 1)
        cosine = 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(progress, 0, 1)))
        return jnp.where(count < warmup, peak * warm, floor + (peak - floor) * cosine)

    return schedule


def decay_matrices(rate: Array | float) -> optax.GradientTransformation:
    """Adds rate times the weights, without the biases, to an update; a constant rate of 0 adds no operation."""

    def update(updates: optax.Updates, state: optax.EmptyState, params: optax.Params | None = None) -> tuple:
        return jax.tree.map(lambda u, p: u + rate * p if p.ndim > 1 else u, updates, params), state

    stays = isinstance(rate, int | float) and not rate
    return optax.identity() if stays else optax.GradientTransformation(lambda _: optax.EmptyState(), update)


def make_optimizer(config: OptimizerConfig, steps: int, numbers: Numbers | None = None) -> optax.GradientTransformation:
    """The chain: clipping, Adam (none for plain gradient descent), decoupled weight decay, learning rate.

    Kingma & Ba (2015). Adam: a method for stochastic optimization. Loshchilov & Hutter (2019). Decoupled weight decay
    regularization.

    Args:
      steps: length of the run, where the cosine ends.
      numbers: arguments of the program that replace the config's numbers; None: the config's.
    """
    return optax.chain(
        make_clip(config, numbers),
        optax.scale_by_adam() if config.algorithm == "adam" else optax.identity(),
        decay_matrices((numbers or config).weight_decay),
        optax.scale_by_learning_rate(make_schedule(config, steps, numbers)),
    )


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
