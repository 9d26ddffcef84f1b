"""Affine maps of a state, block by block, and the recurrences that they make, in one associative scan.

A state [..., S] of n parts, such as h and c of an LSTM, is seen as S/n blocks of n numbers, one of each part. Of a
Jacobian the blocks on its diagonal are kept [..., S/n, n, n]: with n = 1 its diagonal, with n = 2 what each unit of an
LSTM does to itself, with n = S all of it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Array = jax.Array

SMALL = 4
"""Largest size at which a product of blocks is written out, to fuse with its surroundings."""


def to_blocks(s: Array, n: int) -> Array:
    """State [..., S] as blocks [..., S/n, n]."""
    return jnp.swapaxes(s.reshape(*s.shape[:-1], n, s.shape[-1] // n), -1, -2)


def from_blocks(blocks: Array) -> Array:
    """Inverse of `to_blocks`."""
    return jnp.swapaxes(blocks, -1, -2).reshape(*blocks.shape[:-2], -1)


def product(A: Array, B: Array) -> Array:
    """A B, block by block: [..., n, n]."""
    if A.shape[-1] > SMALL:
        return A @ B
    return jnp.sum(A[..., :, :, None] * B[..., None, :, :], axis=-2)


def act(A: Array, v: Array) -> Array:
    """A v, block by block: [..., n]."""
    return jnp.einsum("...ij,...j->...i", A, v) if A.shape[-1] > SMALL else jnp.sum(A * v[..., None, :], axis=-1)


def transpose(A: Array) -> Array:
    """Aᵀ, block by block."""
    return jnp.swapaxes(A, -1, -2)


def inverse(A: Array) -> Array:
    """A⁻¹, block by block."""
    return 1 / A if A.shape[-1] == 1 else jnp.linalg.inv(A)


def run(D: Array, b: Array, reverse: bool = False) -> Array:
    """Runs δₜ = Dₜ δₜ₋₁ + bₜ from δ₋₁ = 0; in reverse δₜ = Dₜ δₜ₊₁ + bₜ from δ_T = 0.

    The composition of affine maps is associative, (D₂, b₂) after (D₁, b₁) = (D₂ D₁, D₂ b₁ + b₂): depth O(log T).

    Args:
      D: [T, ..., S/n, n, n].
      b: [T, ..., S].

    Returns:
      [T, ..., S].
    """

    def after(first: tuple[Array, Array], then: tuple[Array, Array]) -> tuple[Array, Array]:
        (D_first, b_first), (D_then, b_then) = first, then
        return product(D_then, D_first), act(D_then, b_first) + b_then

    return from_blocks(jax.lax.associative_scan(after, (D, to_blocks(b, D.shape[-1])), reverse=reverse)[1])


def adjoint(D: Array, d: Array) -> Array:
    """Transpose of `run`: all λₜ = Dₜ₊₁ᵀ λₜ₊₁ + dₜ from λ_T = 0."""
    return run(transpose(jnp.concatenate([D[1:], jnp.zeros_like(D[:1])])), d, reverse=True)


def jacobian(f: Callable[[Array], Array], s: Array, n: int, is_local: bool = False) -> Array:
    """Blocks of ∂f/∂s on the diagonal, for any f that maps each vector [S] on its own.

    Cost: S times that of f; n times where each block acts on itself alone. Memory: that of the blocks.

    Args:
      f: [..., S] -> [..., S].
      n: size of a block.
      is_local: True where f maps each block on its own.

    Returns:
      [..., S/n, n, n].
    """
    S, push = s.shape[-1], jax.linearize(f, s)[1]
    parts = jnp.repeat(jnp.eye(n, dtype=s.dtype), S // n, axis=-1)  # [n, S]: one part of every block

    def pushed(chosen: Array) -> Array:
        """Derivatives of all blocks by the parts of the chosen ones [S/n]: [..., S/n, n, n]."""
        causes = parts * jnp.tile(chosen, n)
        felt = jax.vmap(lambda cause: push(jnp.broadcast_to(cause, s.shape)))(causes)
        return jnp.moveaxis(to_blocks(felt, n), 0, -1)

    if n == S or is_local:
        return pushed(jnp.ones(S // n, s.dtype))

    def of_block(b: Array) -> Array:
        felt = pushed(jax.nn.one_hot(b, S // n, dtype=s.dtype))
        return jax.lax.dynamic_index_in_dim(felt, b, axis=-3, keepdims=False)

    return jnp.moveaxis(jax.lax.map(of_block, jnp.arange(S // n)), 0, -3)
