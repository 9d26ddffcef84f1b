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


def sum_of_squares(tree: Any, scale: Array | float = 1.0) -> Array:
    """The sum of the squares of a tree times a scale, each element scaled before it is squared."""
    return jnp.asarray(sum(jnp.sum(jnp.square(leaf * scale)) for leaf in jax.tree.leaves(tree)))


def scale_and_norm(tree: Any) -> tuple[Array, Array]:
    """A power of two, and the norm of the tree times it; the power is 1 unless squares overflow or vanish without it.

    Only then is the tree read a second time, for its largest element.
    """
    squares = sum_of_squares(tree)
    limits = jnp.finfo(squares.dtype)
    is_exact = (squares > limits.tiny / limits.eps**2) & (squares <= limits.max)

    def scale_first() -> tuple[Array, Array]:
        scale = reciprocal_scale(tree)
        return scale, jnp.sqrt(sum_of_squares(tree, scale))

    return jax.lax.cond(is_exact, lambda: (jnp.ones_like(squares), jnp.sqrt(squares)), scale_first)


def global_norm(tree: Any) -> Array:
    """The norm over all elements of a tree; it is infinite only where no number of its type is large enough."""
    scale, norm = scale_and_norm(tree)
    return norm / scale
