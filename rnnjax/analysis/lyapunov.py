"""Lyapunov exponents: the rates at which nearby states of a driven network part or meet, by direction of state space.

A small deviation follows uₜ = Jₜ uₜ₋₁ with Jₜ = ∂sₜ/∂sₜ₋₁ at the trajectory that the real input drives. n deviations,
kept orthonormal by a QR decomposition after every step,

    Jₜ Qₜ₋₁ = Qₜ Rₜ        λᵢ = lim 1/T Σₜ log |Rₜ,ᵢᵢ|        in nats per step

give the n largest exponents (Benettin et al., 1980, "Lyapunov characteristic exponents for smooth dynamical systems and
for Hamiltonian systems"; for recurrent networks Engelken et al., 2023, "Lyapunov spectra of chaotic recurrent neural
networks"). The adjoint δ of back-propagation goes through the transposes of the same Jacobians, so that over many steps
its length grows as exp(λ₁ k): below 0 gradients vanish, above 0 they explode.
"""

from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.model.cells import Hyper
from rnnjax.model.leaves import pack, unpack
from rnnjax.model.network import Batch, Carry, Model, Params
from rnnjax.model.recurrence import Recurrence
from rnnjax.model.rnn import step

Array = jax.Array

MOST_PRODUCTS = 2e13


def log_growth(
    model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch, directions: Array
) -> tuple[Carry, Array, Array]:
    """Growth log |Rₜ,ᵢᵢ| along the trajectory of one stream; its mean over steps is the spectrum, largest first.

    The first steps turn the directions into place and are better left out of the mean. A step after a reset forgets
    everything: its growth is minus infinity, or the rounding error of a zero.

    Cost: O(T·n·weights) time for the deviations and O(T·S·n²) for the QR; O(S·n) memory.

    Args:
      carry: the state before the window, [states·H] for each layer.
      batch: a window [T] of one stream, without batch axes.
      directions: the first Q, orthonormal columns [S, n], S = L·states·H.

    Returns:
      The state after the window, the last Q [S, n], and the growth of each direction at each step [T, n], nats.
    """
    widths = [state.shape[-1] for state in carry]
    bounds = [sum(widths[: i + 1]) for i in range(len(widths) - 1)]

    def body(loop: tuple[Carry, Array], batch_t: Batch) -> tuple[tuple[Carry, Array], Array]:
        carry, directions = loop
        new, push = jax.linearize(lambda states: step(model, params, hyper, states, batch_t)[0], carry)
        pushed = jax.vmap(push)(tuple(jnp.split(directions.T, bounds, axis=-1)))
        Q, stretch = orthonormalise(jnp.concatenate(pushed, axis=-1).T)
        return (new, Q), jnp.log(stretch)

    (carry, directions), growth = jax.lax.scan(body, (carry, directions), batch)
    return carry, directions, growth


def largest(recurrence: Recurrence, params: Any, hyper: Any, state: Any, batch: Batch, settle: int = 0) -> Array:
    """Largest exponent of each stream of any recurrence [*B], nats per step, from one direction that is pushed along.

    Cost: about twice that of the steps. Leaves of the state that are not real are held fixed by the derivative.

    Args:
      state: before the window, each leaf [*B, ...].
      batch: [T, *B].
      settle: first steps that turn the direction into place and are left out of the mean, below T.
    """
    axes = len(recurrence.streams(state))
    first = pack(state, axes)
    direction = jax.random.normal(jax.random.key(0), first.shape, first.dtype)

    def body(loop: tuple[Any, Array], batch_t: Batch) -> tuple[tuple[Any, Array], Array]:
        state, direction = loop

        def advance(s: Array) -> tuple[Array, Any]:
            new, _ = recurrence.step(params, hyper, unpack(s, state, axes), batch_t)
            return pack(new, axes), new

        _, pushed, new = jax.jvp(advance, (pack(state, axes),), (direction,), has_aux=True)
        length = jnp.linalg.norm(pushed, axis=-1, keepdims=True)
        return (new, jnp.where(length > 0, pushed / length, direction)), jnp.log(length[..., 0])

    unit = direction / jnp.linalg.norm(direction, axis=-1, keepdims=True)
    growth = jax.lax.scan(body, (state, unit), batch)[1]
    return jnp.mean(growth[settle:], axis=0)


def orthonormalise(A: Array) -> tuple[Array, Array]:
    """Q of A = QR [S, n], and |diag R| [n]: the lengths of A's columns, each without its part along earlier ones.

    Decomposes AᵀA by Cholesky, twice (Yamamoto et al., 2015, "Roundoff error analysis of the CholeskyQR2 algorithm").
    This takes products alone and is much faster on a CPU than Householder's reflections. Where A is too close to
    singular for it, Householder's are taken.
    """

    def by_products(A: Array) -> tuple[Array, Array]:
        L = jnp.linalg.cholesky(A.T @ A)
        return jax.scipy.linalg.solve_triangular(L, A.T, lower=True).T, jnp.diagonal(L)

    def by_reflections(A: Array) -> tuple[Array, Array]:
        Q, R = jnp.linalg.qr(A)
        return Q, jnp.abs(jnp.diagonal(R))

    once, first = by_products(A)
    defect = jnp.max(jnp.abs(once.T @ once - jnp.eye(A.shape[1], dtype=A.dtype)))
    twice, second = by_products(once)
    return jax.lax.cond(defect < 1e-3, lambda _: (twice, first * second), by_reflections, A)  # nan: reflections


def spectra(
    model: Model, params: Params, hyper: Hyper, carry: Carry, warm_up: Batch, window: Batch, directions: Array
) -> Array:
    """Exponents of each stream over a window, from directions that the steps before it have turned into place.

    Args:
      carry: state before the warm-up, [B, states·H] for each layer.
      warm_up: steps before the window [T', B], not counted.
      window: [T, B].
      directions: as in `log_growth`, the same for every stream.

    Returns:
      [B, n], nats per step, each stream's own mean over the T steps.
    """

    def of_stream(carry: Carry, warm_up: Batch, window: Batch) -> Array:
        carry, turned, _ = log_growth(model, params, hyper, carry, warm_up, directions)
        _, _, growth = log_growth(model, params, hyper, carry, window, turned)
        return jnp.mean(growth, axis=0)

    by_stream = lambda batch: jax.tree.map(lambda array: jnp.moveaxis(array, 1, 0), batch)
    # One stream after the other: side by side, `orthonormalise` would have to do both of its ways.
    return jax.lax.map(lambda case: of_stream(*case), (carry, by_stream(warm_up), by_stream(window)))


def refuse(weights: int, state: int, directions: int, T: int, B: int) -> str | None:
    """Reason why T steps of B streams are too many for `log_growth`, with their cost; None where they are not."""
    products = T * B * directions * (weights + 4 * state * directions)
    if products > MOST_PRODUCTS:
        return (
            f"T B n (weights + 4 S n) = {products:.0e} products for n = {directions} exponents, "
            f"more than {MOST_PRODUCTS:.0e}"
        )
    return None
