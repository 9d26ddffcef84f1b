"""Layer normalisation, each gate's units on their own, and its hand-written adjoint (Ba et al., 2016, "Layer
normalization")."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array

EPSILON = 1e-5


class Normalized(NamedTuple):
    """x̂ = (x - mean) / deviation over the units of a gate: x̂ [..., G·H], and 1 / deviation [..., G, 1]."""

    value: Array
    inverse_deviation: Array


def normalize(x: Array, units: int) -> Normalized:
    """Brings each block of `units` numbers to mean 0 and variance 1."""
    blocks = x.reshape(*x.shape[:-1], -1, units)
    centred = blocks - jnp.mean(blocks, axis=-1, keepdims=True)
    inverse = jax.lax.rsqrt(jnp.mean(centred * centred, axis=-1, keepdims=True) + EPSILON)
    return Normalized((centred * inverse).reshape(x.shape), inverse)


def normalize_adjoint(normalized: Normalized, d: Array) -> Array:
    """∂L/∂x from d = ∂L/∂x̂: d minus its mean and minus its part along x̂, over the deviation."""
    units = d.shape[-1] // normalized.inverse_deviation.shape[-2]
    blocks = d.reshape(*d.shape[:-1], -1, units)
    value = normalized.value.reshape(blocks.shape)
    along = value * jnp.mean(blocks * value, axis=-1, keepdims=True)
    d_x = (blocks - jnp.mean(blocks, axis=-1, keepdims=True) - along) * normalized.inverse_deviation
    return d_x.reshape(d.shape)
