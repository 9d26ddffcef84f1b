"""The backward pass in parallel over time (Wang et al., 2020, "BPPSA: scaling back-propagation by parallel scan
algorithm"; for linear recurrences Martin & Cundy, 2018, "Parallelizing linear recurrent neural nets over sequence
length").

Once the states are known, the adjoint λₜ = ∂L/∂sₜ follows an affine recurrence,

    λₜ₋₁ = λₜ Dₜ + gₜ      Dₜ = ∂sₜ/∂sₜ₋₁, gₜ = ∂ℓₜ/∂sₜ₋₁, λ_T₋₁ = 0

so that all λₜ come out of one associative scan of depth log T (`parallel.blocks`). All Dₜ, and the gradients of the
parameters from all λₜ, are computed at once.
"""

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.limits import Cost, plain, refuse_too_much, weights
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.stepwise import refuse_bidirectional, sizes, unpack
from rnnjax.model.loss import denominator, negative_log_likelihood
from rnnjax.model.network import Batch, Model, Params
from rnnjax.model.rnn import step
from rnnjax.parallel import blocks

Array = jax.Array


def gradient(model: Model, window: Window) -> Gradient:
    """Loss and gradient of one window, its initial state held constant between windows.

    Cost: the forward pass is one step after the other; backward O(T·S³) work at depth O(log T), and O(T·S²) memory a
    stream: for short states and long windows. Exact within the window.
    """
    params, hyper, carry, batch, *_ = window
    total = denominator(batch.y, batch.weight)

    def advance(params: Params, s: Array, batch_t: Batch) -> tuple[Array, Array]:
        states, logits = step(model, params, hyper, unpack(model, s), batch_t)
        surprise = negative_log_likelihood(logits, batch_t.y)
        loss = surprise if batch_t.weight is None else surprise * batch_t.weight
        return jnp.concatenate(states, axis=-1), loss / total

    def body(s: Array, batch_t: Batch) -> tuple[Array, tuple[Array, Array]]:
        new, loss = advance(params, s, batch_t)
        return new, (s, loss)

    last, (before, losses) = jax.lax.scan(body, jnp.concatenate(carry, axis=-1), batch)

    # Everything is a step of its own from here: the states before them are given.
    (after, _), pull = jax.vjp(lambda params, s: advance(params, s, batch), params, before)
    nothing, S = jnp.zeros_like(losses), last.shape[-1]
    rows = jnp.broadcast_to(jnp.eye(S, dtype=last.dtype).reshape(S, *[1] * (last.ndim), S), (S, *after.shape))
    D = jnp.moveaxis(jax.vmap(lambda row: pull((row, nothing))[1])(rows), 0, -2)  # [T, B, S, S]
    _, g = pull((jnp.zeros_like(after), jnp.ones_like(losses)))

    adjoints = blocks.run(blocks.transpose(D)[..., None, :, :], g, reverse=True)  # ∂L/∂ the state before each step
    from_later = jnp.concatenate([adjoints[1:], jnp.zeros_like(adjoints[:1])])
    d_params, _ = pull((from_later, jnp.ones_like(losses)))
    return Gradient(jnp.sum(losses), d_params, unpack(model, adjoints[0]), unpack(model, last))


def method(config: GradientConfig) -> Method:
    return Method(gradient, refuse=refuse, claim=Claim("exact"))


def cost(model: Model, T: int, B: int) -> Cost:
    """The Jacobians of all steps stand side by side, three times while the scan puts them together."""
    S, _ = sizes(model)
    return Cost(3 * T * B * S * S, T * B * S * (2 * S * S + weights(model)), T)


def refuse(model: Model, T: int, B: int, dtype: str = "float32") -> str | None:
    """Memory grows with T·H², time with T·H³."""
    if reason := refuse_bidirectional(model):
        return reason
    instead = "take manual or checkpointed, or fewer units (model.hidden_size)"
    return refuse_too_much("the Jacobians of all steps", cost(model, T, B), plain(model, T, B), dtype, instead)
