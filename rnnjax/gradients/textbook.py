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

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients import jacobians
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.cost import Cost, Price, plain
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.reverse import error_by_jax
from rnnjax.model.cells import built_in
from rnnjax.model.loss import Loss, as_wide, make_loss
from rnnjax.model.network import Layer, Model, Params
from rnnjax.model.recurrence import Recurrence, total_weight
from rnnjax.model.rnn import hidden_to_output

Array = jax.Array

DERIVATIVES = {
    "tanh": lambda h: 1 - jnp.square(h),
    "relu": lambda h: jnp.where(h > 0, 1.0, 0.0).astype(h.dtype),
    "linear": lambda h: jnp.full_like(h, 1.0),
}
"""φ' from φ's value."""

ERRORS = {
    "cross_entropy": lambda out, y: jax.nn.softmax(out) - jax.nn.one_hot(y, out.shape[-1], dtype=out.dtype),
    "squared_error": lambda out, y: 2 * (out - as_wide("squared_error", out, y)),
    "bernoulli": lambda out, y: jax.nn.sigmoid(out) - as_wide("bernoulli", out, y),
}
"""∂L/∂(the output): the chapter's ŷ - y, and its like for the other losses that have a name."""

FUNCTIONS = {"tanh": jnp.tanh, "relu": lambda a: jnp.maximum(a, 0), "linear": lambda a: a}


def gradient(recurrence: Recurrence, window: Window) -> Gradient:
    """Loss and gradient of one window by the double sum, its initial state held constant between windows.

    Cost: O(T²·H²) time, as each error goes back to the beginning on its own, and O(T·H) memory a stream: for small
    cases. Exact within the window.
    """
    if recurrence.model is None:
        return jacobians.gradient(recurrence, window)
    model, (params, _, carry, batch, *_) = recurrence.model, window
    ones = jnp.ones(batch.shape, bool)
    valid = ones if batch.valid is None else batch.valid
    reset = ~ones if batch.reset is None else batch.reset

    V = params.layers[0].U.shape[0]
    is_ids = jnp.issubdtype(batch.x.dtype, jnp.integer)
    xs = [jax.nn.one_hot(batch.x, V, dtype=params.V.dtype) if is_ids else batch.x]  # the book's one-hot rows
    befores, afters = [], []
    for layer, h in zip(params.layers, carry, strict=True):
        before, after = forward(FUNCTIONS[model.activation], layer, h, xs[-1], valid, reset)
        befores.append(before)
        afters.append(after)
        xs.append(after)

    weight = jnp.ones(batch.shape, params.V.dtype) if batch.weight is None else batch.weight
    share = weight / total_weight(recurrence, batch)
    lost, error = output_error(model.loss, hidden_to_output(params, xs[-1]), batch.y)
    loss, error = jnp.sum(lost * share), error * share[..., None]

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


def output_error(loss: str | Loss, out: Array, y: Array) -> tuple[Array, Array]:
    """The loss of each step [T, B], and its derivative with respect to the output [T, B, V]: that of `ERRORS`, or of a
    function of the user's own JAX's."""
    of = make_loss(loss)
    return (of(out, y), ERRORS[loss](out, y)) if isinstance(loss, str) else error_by_jax(of, out, y)


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

    def add_error_of(sums: tuple[Array, Array], j: Array) -> tuple[tuple[Array, Array], None]:
        def back_to(lag: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            error, deltas = state
            k = j - lag
            delta = jnp.where(valid[k][..., None], error * derivative[k], 0)
            error = jnp.where(valid[k][..., None], delta @ W.T, error)
            return jnp.where(reset[k][..., None], 0, error), deltas.at[k].add(delta)

        deltas, errors = sums
        error, deltas = jax.lax.fori_loop(0, j + 1, back_to, (d_h[j], deltas))  # Σ over k ≤ j
        return (deltas, errors + error), None

    zero = jnp.zeros_like(d_h), jnp.zeros_like(d_h[0])
    return jax.lax.scan(add_error_of, zero, jnp.arange(d_h.shape[0]))[0]  # Σ over j


def method(config: GradientConfig) -> Method:
    instead = "take manual, which is the same sum reordered, or a shorter training.sequence_length"
    return Method(
        gradient, refuse=refuse, price=Price(cost, "the double sum", instead), claim=Claim("exact", units=("vanilla",))
    )


def cost(model: Model, T: int, B: int) -> Cost:
    """Every pair of steps, a product with W for each."""
    pairs = T * (T + 1) / 2
    return plain(model, T, B)._replace(products=model.layers * pairs * B * model.hidden**2, steps=model.layers * pairs)


def refuse(model: Model) -> str | None:
    """The chapter derives the simple unit."""
    if built_in(model.cell) != "vanilla":
        return f"the double sum is derived for the vanilla cell, not for {model.cell}"
    extras = ("embedding", "layer_norm", "residual", "learned_state", "bidirectional", "dropout")
    if has := [name for name in extras if getattr(model, name)]:
        return f"the double sum is derived for the chapter's network, without {' and '.join(has)}"
    return None
