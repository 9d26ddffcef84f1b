"""The backward pass in parallel over time (Wang et al., 2020, "BPPSA: scaling back-propagation by parallel scan
algorithm"; for linear recurrences Martin & Cundy, 2018, "Parallelizing linear recurrent neural nets over sequence
length").

Once the states are known, the adjoint λₜ = ∂L/∂sₜ follows an affine recurrence,

    λₜ₋₁ = λₜ Dₜ + gₜ      Dₜ = ∂sₜ/∂sₜ₋₁, gₜ = ∂ℓₜ/∂sₜ₋₁, λ_T₋₁ = 0

so that all λₜ come out of one associative scan of depth log T (`parallel.blocks`). All Dₜ, and the gradients of the
parameters from all λₜ, are computed at once.
"""

from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.cost import Cost, Price, weights
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.stepwise import refuse_bidirectional, sizes
from rnnjax.model.leaves import pack, put, reals, unpack
from rnnjax.model.network import Batch, Model
from rnnjax.model.recurrence import Recurrence, losses, total_weight
from rnnjax.parallel import blocks

Array = jax.Array


def gradient(recurrence: Recurrence, window: Window) -> Gradient:
    """Loss and gradient of one window, its initial state held constant between windows.

    Cost: the forward pass is one step after the other; backward O(T·S³) work at depth O(log T), and O(T·S²) memory a
    stream: for short states and long windows. Exact within the window.
    """
    params, hyper, carry, batch, *_ = window
    total, axes = total_weight(recurrence, batch), len(recurrence.streams(carry))

    def advance(params: Any, s: Array, like: Any, batch_t: Batch) -> tuple[Array, Array, Any]:
        """One step, or all steps at once: the state as a vector, the loss, and the state as it is."""
        leading = s.ndim - 1
        new, out = recurrence.step(params, hyper, unpack(s, like, leading), batch_t)
        return pack(new, leading), losses(recurrence, params, out, batch_t) / total, new

    def body(state: Any, batch_t: Batch) -> tuple[Any, tuple[Any, Array]]:
        _, loss, new = advance(params, pack(state, axes), state, batch_t)
        return new, (state, loss)

    new_carry, (before, found) = jax.lax.scan(body, carry, batch)

    # Everything is a step of its own from here: the states before them are given.
    def of_all(real_params: Any, s: Array) -> tuple[Array, Array]:
        return advance(put(real_params, params), s, before, batch)[:2]

    (after, _), pull = jax.vjp(of_all, reals(params), pack(before, axes + 1))
    nothing, S = jnp.zeros_like(found), after.shape[-1]
    rows = jnp.broadcast_to(jnp.eye(S, dtype=after.dtype).reshape(S, *[1] * (after.ndim - 1), S), (S, *after.shape))
    D = jnp.moveaxis(jax.vmap(lambda row: pull((row, nothing))[1])(rows), 0, -2)  # [T, B, S, S]
    _, g = pull((jnp.zeros_like(after), jnp.ones_like(found)))

    adjoints = blocks.run(blocks.transpose(D)[..., None, :, :], g, reverse=True)  # ∂L/∂ the state before each step
    from_later = jnp.concatenate([adjoints[1:], jnp.zeros_like(adjoints[:1])])
    d_params, _ = pull((from_later, jnp.ones_like(found)))
    return Gradient(jnp.sum(found), d_params, unpack(adjoints[0], reals(carry), axes), new_carry)


def method(config: GradientConfig) -> Method:
    price = Price(cost, "the Jacobians of all steps", "take manual or checkpointed, or fewer units (model.hidden_size)")
    return Method(gradient, refuse=refuse_bidirectional, price=price, claim=Claim("exact"))


def cost(model: Model, T: int, B: int) -> Cost:
    """Memory grows with T·H², time with T·H³: the Jacobians of all steps stand side by side, three times while the scan
    puts them together."""
    S, _ = sizes(model)
    return Cost(3 * T * B * S * S, T * B * S * (2 * S * S + weights(model)), T)
