"""The recurrent product h W of a cell and its adjoints: dense with W [H, G·H], diagonal with W [G·H], or none. The
adjoints of all weights are sums over time and batch, one product each."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Array = jax.Array


def recurrent_product(h: Array, W: Array | None) -> Array | None:
    """h W, [..., G·H] from h [..., H]; a diagonal W multiplies h gate by gate; None where there is no W."""
    if W is None:
        return None
    return h @ W if W.ndim == 2 else beside(h, W) * W


def to_hidden(W: Array | None, units: int) -> Callable[[Array], Array | float]:
    """The transpose of the product, ∂L/∂(h W) [..., G·H] -> ∂L/∂h [..., H]; transposes W once, before the loop."""
    if W is None:
        return lambda d: 0.0
    if W.ndim == 1:
        return lambda d: jnp.sum((d * W).reshape(*d.shape[:-1], -1, units), axis=-2)
    W_transposed = W.T
    return lambda d: d @ W_transposed


def to_weights(W: Array | None, h: Array, d: Array) -> Array | None:
    """∂L/∂W from every step's h [T, B, H] and d = ∂L/∂(h W) [T, B, G·H], summed over time and batch."""
    if W is None:
        return None
    if W.ndim == 1:
        return total(beside(h, W) * d)
    return outer(h, d)


def beside(h: Array, W: Array) -> Array:
    """h once for each gate, side by side: [..., H] gives [..., G·H]."""
    return jnp.tile(h, W.shape[-1] // h.shape[-1])


def rows(table: Array, ids: Array, d: Array) -> Array:
    """The gradient of a table that is read by id: row i is the sum of d over the steps whose input was i."""
    return jnp.zeros_like(table).at[ids].add(d, mode="promise_in_bounds")


def outer(x: Array, d: Array) -> Array:
    """Σ xᵀ d over all leading axes: [..., I] and [..., J] give [I, J]."""
    return x.reshape(-1, x.shape[-1]).T @ d.reshape(-1, d.shape[-1])


def total(d: Array) -> Array:
    """Σ d over all leading axes."""
    return jnp.sum(d, axis=tuple(range(d.ndim - 1)))
