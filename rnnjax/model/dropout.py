"""Dropout on the way up, between layers and before the read-out, never along time (Zaremba et al., 2014, "Recurrent
neural network regularization")."""

import jax
import jax.numpy as jnp

Array = jax.Array


def mask(noise: Array, rate: Array | float) -> Array:
    """The factor of each unit: 0 for a share `rate` of them, 1 / (1 - rate) for the others.

    Args:
      noise: uniform in [0, 1), [..., H].
    """
    kept = noise >= rate
    return jnp.where(kept, 1 / (1 - rate), 0).astype(noise.dtype)


def draw_noise(key: Array, layers: int, shape: tuple[int, ...], dtype: jnp.dtype) -> tuple[Array, ...]:
    """Uniform noise for each layer's output, of the given shape [T, B, H]."""
    return tuple(jax.random.uniform(key, shape, dtype) for key in jax.random.split(key, layers))
