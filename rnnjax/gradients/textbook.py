"""The textbook's double sum over j (the step whose error it is) and k (the step at which a weight was used), corrected.

The chapter prints

    ∂L/∂W = Σⱼ Σₖ≤ⱼ (ŷⱼ - yⱼ) ∏ₘ₌ₖ₊₁..ⱼ Wᵀ diag(1 - tanh²(…ₘ)) ⊗ hₖ₋₁

which is not the gradient: the error must first pass through Vᵀ, and the unit at k must contribute its own factor
diag(1 - hₖ²), since W acts before the nonlinearity. With both, in row vectors and for a general unit φ,

    δⱼ,ⱼ = (ŷⱼ - yⱼ) Vᵀ ⊙ φ'ⱼ      δⱼ,ₖ = (δⱼ,ₖ₊₁ Wᵀ) ⊙ φ'ₖ      ∂L/∂W = Σⱼ Σₖ≤ⱼ hₖ₋₁ᵀ δⱼ,ₖ

and likewise ∂L/∂U = Σⱼ Σₖ xₖᵀ δⱼ,ₖ and ∂L/∂bh = Σⱼ Σₖ δⱼ,ₖ. It is kept as a double sum on purpose. Nothing is
shared with `gradients.manual`, which reorders it into one recurrence.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.method import Gradient, Method
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Carry, Layer, Model, Params
from rnnjax.model.rnn import hidden_to_output

Array = jax.Array

DERIVATIVES = {
    "tanh": lambda h: 1 - jnp.square(h),
    "relu": lambda h: jnp.where(h > 0, 1.0, 0.0).astype(h.dtype),
    "linear": lambda h: jnp.full_like(h, 1.0),
}
"""φ' from φ's value."""

MOST_PRODUCTS = 1e11
"""Beyond this a single gradient takes minutes."""

FUNCTIONS = {"tanh": jnp.tanh, "relu": lambda a: jnp.maximum(a, 0), "linear": lambda a: a}


def gradient(
    model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch, trace: Any = None, noise: Any = None
) -> Gradient:
    """Loss and gradient of one window by the double sum, its initial state held constant between windows.

    Cost: O(T²·H²) time and O(T²·H) memory a stream, as every pair of steps is kept: for small cases. Exact within the
    window.
    """
    ones = jnp.ones(batch.x.shape, bool)
    valid = ones if batch.valid is None else batch.valid
    reset = ~ones if batch.reset is None else batch.reset

    V = params.layers[0].U.shape[0]
    xs = [jax.nn.one_hot(batch.x, V, dtype=params.V.dtype)]  # the book's one-hot rows
    befores, afters = [], []
    for layer, h in zip(params.layers, carry, strict=True):
        before, after = forward(FUNCTIONS[model.activation], layer, h, xs[-1], valid, reset)
        befores.append(before)
        afters.append(after)
        xs.append(after)

    weight = jnp.ones(batch.y.shape, params.V.dtype) if batch.weight is None else batch.weight
    log_y_hat = jax.nn.log_softmax(hidden_to_output(params, xs[-1]))
    y = jax.nn.one_hot(batch.y, params.by.shape[0], dtype=params.V.dtype)
    share = (weight / jnp.maximum(weight.sum(), jnp.finfo(weight.dtype).tiny))[..., None]
    loss = -jnp.sum(y * log_y_hat * share)
    error = (jnp.exp(log_y_hat) - y) * share

    d_h = error @ params.V.T
    d_layers, d_carry = [], []
    for layer, x, h_prev, h in reversed(list(zip(params.layers, xs, befores, afters, strict=False))):
        derivative = DERIVATIVES[model.activation](h)
        delta, d_h0 = double_sum(layer.W, derivative, d_h, valid, reset)
        d_layers.append(
            Layer(
                jnp.einsum("t...i,t...h->ih", x, delta),
                jnp.einsum("t...i,t...h->ih", h_prev, delta),
                jnp.einsum("t...h->h", delta),
            )
        )
        d_carry.append(d_h0)
        d_h = delta @ layer.U.T
    d_params = Params(
        tuple(reversed(d_layers)), jnp.einsum("t...h,t...v->hv", xs[-1], error), jnp.einsum("t...v->v", error)
    )
    return Gradient(loss, d_params, tuple(reversed(d_carry)), tuple(after[-1] for after in afters))


def forward(
    function: Callable[[Array], Array], layer: Layer, h: Array, x: Array, valid: Array, reset: Array
) -> tuple[Array, Array]:
    """The state that meets W at each step, and the state after the step, [T, B, H] both."""

    def unit(h: Array, step: tuple[Array, Array, Array]) -> tuple[Array, tuple[Array, Array]]:
        x_t, valid_t, reset_t = step
        before = jnp.where(reset_t[..., None], 0, h)
        after = function(x_t @ layer.U + before @ layer.W + layer.bh)
        after = jnp.where(valid_t[..., None], after, before)
        return after, (before, after)

    return jax.lax.scan(unit, h, (x, valid, reset))[1]


def double_sum(W: Array, derivative: Array, d_h: Array, valid: Array, reset: Array) -> tuple[Array, Array]:
    """Σⱼ≥ₖ δⱼ,ₖ for every k: each step's error is taken back to the beginning on its own.

    Args:
      derivative: φ' at each step [T, B, H].
      d_h: ∂L/∂hⱼ of what reads this layer at step j [T, B, H].
      valid: bool [T, B]; a step that is not valid hands the error past the unit.
      reset: bool [T, B]; no error passes a reset.

    Returns:
      ∂L/∂(the unit's argument) at each step k [T, B, H], and ∂L/∂h₋₁ [B, H].
    """
    T = d_h.shape[0]

    def error_of(j: Array) -> tuple[Array, Array]:
        def back_to(k_from_end: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            error, deltas = state
            k = T - 1 - k_from_end
            error = jnp.where(k == j, d_h[k], error)  # zero until the walk arrives at j
            delta = jnp.where(valid[k][..., None], error * derivative[k], 0)
            error = jnp.where(valid[k][..., None], delta @ W.T, error)
            return jnp.where(reset[k][..., None], 0, error), deltas.at[k].set(delta)

        error, deltas = jax.lax.fori_loop(0, T, back_to, (jnp.zeros_like(d_h[0]), jnp.zeros_like(d_h)))
        return deltas, error

    deltas, errors = jax.lax.map(error_of, jnp.arange(T))
    return deltas.sum(0), errors.sum(0)


def method(config: GradientConfig) -> Method:
    return Method(gradient, refuse=refuse, claim=Claim("exact", units=("vanilla",)))


def refuse(model: Model, T: int, B: int) -> str | None:
    """The chapter derives the simple unit, and its cost grows with the square of T."""
    if model.unit != "vanilla":
        return f"the double sum is derived for the vanilla cell, not for {model.unit}"
    extras = ("embedding", "layer_norm", "residual", "learned_state", "bidirectional", "dropout")
    if has := [name for name in extras if getattr(model, name)]:
        return f"the double sum is derived for the chapter's network, without {' and '.join(has)}"
    products = model.layers * T * T * B * model.hidden**2
    if products > MOST_PRODUCTS:
        return f"the double sum takes L T² B H² = {products:.0e} products at T = {T:,}, more than {MOST_PRODUCTS:.0e}"
    return None
