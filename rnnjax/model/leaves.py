"""Trees of arrays of any kind: their real leaves, which have derivatives, and all of these as one vector.

A state, an input or parameters may hold counters, masks or keys of random numbers beside their real arrays. A tree of
derivatives has None in their places.
"""

import math
from itertools import accumulate
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array


def is_real(leaf: Any) -> bool:
    """True of arrays of floating-point numbers."""
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def reals(tree: Any) -> Any:
    """The tree with None in place of every leaf that is not real.

    >>> import jax.numpy as jnp
    >>> reals({"h": jnp.zeros(2), "count": jnp.array(3)})
    {'count': None, 'h': Array([0., 0.], dtype=float...)}
    """
    return jax.tree.map(lambda leaf: leaf if is_real(leaf) else None, tree)


def put(real: Any, tree: Any) -> Any:
    """The tree with its real leaves replaced: the inverse of `reals`."""
    return jax.tree.map(lambda new, old: old if new is None else new, real, tree, is_leaf=lambda leaf: leaf is None)


def pack(tree: Any, axes: int = 0) -> Array:
    """The real leaves of a tree side by side: leaves [*B, ...] with so many leading axes give [*B, S]."""
    leaves = jax.tree.leaves(reals(tree))
    return jnp.concatenate([leaf.reshape(*leaf.shape[:axes], -1) for leaf in leaves], axis=-1)


def unpack(vector: Array, like: Any, axes: int = 0) -> Any:
    """The inverse of `pack`: a tree with the real leaves of a vector [..., S], and the others of `like` [*B, ...].

    The leading axes of the vector may be others than the `axes` of `like`, where `like` is real throughout.
    """
    leaves, structure = jax.tree.flatten(reals(like))
    ends = [math.prod(leaf.shape[axes:]) for leaf in leaves]
    parts = jnp.split(vector, list(accumulate(ends))[:-1], axis=-1)
    new = [
        part.reshape(*vector.shape[:-1], *leaf.shape[axes:]).astype(leaf.dtype)
        for part, leaf in zip(parts, leaves, strict=True)
    ]
    return put(jax.tree.unflatten(structure, new), like)
