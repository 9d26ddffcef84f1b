"""The optimiser: clipping, then Adam or plain gradient descent, and the learning rate, as one optax chain.

Its numbers, such as the learning rate, may be constants or arguments of the program: see `Numbers`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rnnjax.config import OptimizerConfig
from rnnjax.training.clipping import make_clip

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
        make_clip(config.clip, (numbers or config).clip_threshold),
        optax.scale_by_adam() if config.algorithm == "adam" else optax.identity(),
        decay_matrices((numbers or config).weight_decay),
        optax.scale_by_learning_rate(make_schedule(config, steps, numbers)),
    )
