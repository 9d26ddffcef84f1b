"""The double sum over j (the step whose loss it is) and k (the step at which a parameter was used) for any step,
as products of Jacobians:

    ∂L/∂p = Σⱼ (∂ℓⱼ/∂p + Σₖ<ⱼ ∂ℓⱼ/∂sⱼ₋₁ Dⱼ₋₁ ⋯ Dₖ₊₁ Iₖ)      Dₘ = ∂sₘ/∂sₘ₋₁      Iₖ = ∂sₖ/∂p at fixed sₖ₋₁

Every Jacobian is written down, by forward mode, and every pair (j, k) is a product of its own: for small cases, and to
be read beside the formula.
"""

from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.gradients.method import Gradient, Window
from rnnjax.model.leaves import pack, put, reals, unpack
from rnnjax.model.network import Batch
from rnnjax.model.recurrence import Recurrence, losses, total_weight

Array = jax.Array


def gradient(recurrence: Recurrence, window: Window) -> Gradient:
    """Loss and gradient of one window by the double sum, its initial state held constant between windows.

    Cost: O(T²·S·(S + P)) time and O(T·S·(S + P)) memory a stream. Exact within the window.
    """
    params, hyper, carry, batch, *_ = window
    axes = len(recurrence.streams(carry))
    total, p, own = total_weight(recurrence, batch), pack(params), reals(params)
    flat = lambda leaf, first: leaf.reshape(*leaf.shape[:first], -1, *leaf.shape[first + axes :])
    states = jax.tree.map(lambda leaf: flat(leaf, 0), carry)
    steps = jax.tree.map(lambda leaf: flat(leaf, 1), batch)

    def of_step(state: Any, batch_t: Batch) -> tuple[Any, tuple[Array, ...]]:
        """The next state of one stream; ℓ, ∂ℓ/∂p, ∂ℓ/∂s, D and I of the step."""

        def advance(p: Array, s: Array) -> tuple[Array, Array]:
            new, out = recurrence.step(put(unpack(p, own), params), hyper, unpack(s, state), batch_t)
            return pack(new), losses(recurrence, params, out, batch_t) / total

        (I_t, D_t), (d_p, d_s) = jax.jacfwd(lambda p, s: advance(p, s), argnums=(0, 1))(p, pack(state))
        new, out = recurrence.step(params, hyper, state, batch_t)
        return new, (losses(recurrence, params, out, batch_t) / total, d_p, d_s, D_t, I_t)

    last, (found, d_p, d_s, D, of_params) = jax.lax.scan(jax.vmap(of_step), states, steps)
    T = found.shape[0]

    def add_error_of(sums: tuple[Array, Array], j: Array) -> tuple[tuple[Array, Array], None]:
        def back_to(lag: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            error, gradient = state
            k = j - 1 - lag
            gradient = gradient + jnp.einsum("ns,nsp->p", error, of_params[k])
            return jnp.einsum("ns,nsr->nr", error, D[k]), gradient

        gradient, d_first = sums
        error, gradient = jax.lax.fori_loop(0, j, back_to, (d_s[j], gradient + jnp.sum(d_p[j], axis=0)))  # Σ over k < j
        return (gradient, d_first + error), None

    sums = jnp.zeros_like(p), jnp.zeros_like(d_s[0])
    d_params, d_first = jax.lax.scan(add_error_of, sums, jnp.arange(T))[0]  # Σ over j
    as_batch = lambda leaf: leaf.reshape(*recurrence.streams(carry), *leaf.shape[1:])
    of_carry = jax.tree.map(as_batch, unpack(d_first, reals(states), 1))
    return Gradient(jnp.sum(found), unpack(d_params, own), of_carry, jax.tree.map(as_batch, last))
