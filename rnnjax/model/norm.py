"""The Euclidean norm of a tree of arrays, also where squares overflow or vanish."""

from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


def reciprocal_scale(tree: Any) -> Array:
    """The power of two by which the largest element of a tree becomes about 1; to multiply with it is exact.

    Blue (1978), "A portable Fortran program to find the Euclidean norm of a vector".
    """
    leaves = jax.tree.leaves(tree)
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf), initial=0) for leaf in leaves]))
    limits = jnp.finfo(largest.dtype)
    _, exponent = jnp.frexp(largest)
    # Within these bounds neither the scale nor its inverse is subnormal.
    return jnp.ldexp(jnp.ones_like(largest), jnp.clip(-exponent, limits.minexp, -limits.minexp))


def scaled_norm(tree: Any, scale: Array) -> Array:
    """The norm of a tree times a scale, each element scaled before it is squared."""
    return jnp.sqrt(sum(jnp.sum(jnp.square(leaf * scale)) for leaf in jax.tree.leaves(tree)))


def global_norm(tree: Any) -> Array:
    """The norm over all elements of a tree; it is infinite only where no number of its type is large enough."""
    scale = reciprocal_scale(tree)
    return scaled_norm(tree, scale) / scale
