"""Back-propagation through time, written by hand (Werbos, 1990, "Backpropagation through time: what it does and how to
do it"), and reordered so that it is also the fast path.

The chapter's double sum over j (where the error arises) and k (where the weight was used) is one reverse recurrence,

    d_sₜ  = ∂Lₜ/∂sₜ + (d_sₜ₊₁ through the cell) + d_zₜ₊₁ Wᵀ          adjoint of the state
    d_aₜ, d_zₜ = adjoint of the cell at d_sₜ                            for tanh: d_sₜ ⊙ (1 - hₜ²), both

and only this must run inside the loop. The weight gradients are one product each over time x batch afterwards:

    dU = Σₜ xₜᵀ d_aₜ      dbh = Σₜ d_aₜ      dW = Σₜ hₜ₋₁ᵀ d_zₜ      dV = Σₜ hₜᵀ (ŷₜ - yₜ)      dby = Σₜ (ŷₜ - yₜ)

where the transpose of `lax.scan` adds to dW at every step. Nothing here calls `jax.grad`, `jax.vjp` or the transpose of
a scan: a check that shared code with what it checks would share its errors.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.gradients.result import Gradient
from rnnjax.model.cells import Cell
from rnnjax.model.loss import denominator
from rnnjax.model.rnn import Batch, Carry, Layer, Model, Params, cell_step, hidden, input_to_hidden

Array = jax.Array


class Tape(NamedTuple):
    """What the forward pass of a layer keeps for the backward pass.

    Attributes:
      h_prev: the h that met W at each step [T, B, H].
      saved: what the cell's adjoint needs, [T, B, ...].
    """

    h_prev: Array
    saved: Array


def gradient(model: Model, params: Params, carry: Carry, batch: Batch) -> Gradient:
    """Loss and gradient of one window by the recurrence above, its initial state held constant between windows.

    Cost: O(T·H²) time and O(T·H) memory a stream. Exact within the window.
    """
    inputs, tapes, states = [batch.x], [], []
    for layer, state in zip(params.layers, carry, strict=True):
        a = input_to_hidden(layer, inputs[-1])
        state, hs, tape = forward(model.cell, layer, state, a, batch.valid, batch.reset, model.scan_unroll)
        inputs.append(hs)
        tapes.append(tape)
        states.append(state)

    loss, d_hs, d_V, d_by = readout(params, inputs[-1], batch)

    d_layers, d_carry = [], []
    for layer, x, tape, state in reversed(list(zip(params.layers, inputs, tapes, states, strict=False))):
        d_a, d_z, d_state = backward(
            model.cell, layer, tape, jnp.zeros_like(state), d_hs, batch.valid, batch.reset, model.scan_unroll
        )
        d_layers.append(Layer(input_weights(layer, x, d_a), outer(tape.h_prev, d_z), total(d_a)))
        d_carry.append(d_state)
        d_hs = d_a @ layer.U.T
    d_params = Params(tuple(reversed(d_layers)), d_V, d_by)
    return Gradient(loss, d_params, tuple(reversed(d_carry)), tuple(states))


def forward(
    cell: Cell, layer: Layer, state: Array, a: Array, valid: Array | None, reset: Array | None, scan_unroll: int
) -> tuple[Array, Array, Tape]:
    """`model.rnn.unroll`, keeping the tape. Returns the last state, h of every step [T, B, H], and the tape."""
    width = layer.W.shape[0]

    def body(state: Array, step: tuple) -> tuple[Array, tuple[Array, Array]]:
        state, _, saved = cell_step(cell, layer, state, *step)
        return state, (hidden(state, width), saved)

    h_first = hidden(state, width)
    state, (hs, saved) = jax.lax.scan(body, state, (a, valid, reset), unroll=min(scan_unroll, a.shape[0]))
    h_prev = jnp.concatenate([h_first[None], hs[:-1]])
    if reset is not None:
        h_prev = jnp.where(reset[..., None], 0, h_prev)
    return state, hs, Tape(h_prev, saved)


def backward(
    cell: Cell,
    layer: Layer,
    tape: Tape,
    d_state: Array,
    d_hs: Array,
    valid: Array | None,
    reset: Array | None,
    scan_unroll: int,
) -> tuple[Array, Array, Array]:
    """The reverse recurrence of one layer.

    Args:
      d_state: ∂L/∂ the state after the last step, other than through d_hs [B, states·H].
      d_hs: ∂L/∂hₜ of what reads this layer at each step [T, B, H].

    Returns:
      d_a and d_z of every step [T, B, G·H], and ∂L/∂ the initial state [B, states·H].
    """
    W_transposed = layer.W.T
    width = layer.W.shape[0]

    def body(d_state: Array, step: tuple) -> tuple[Array, tuple[Array, Array]]:
        saved, d_h, valid_t, reset_t = step
        d_state = add_to_hidden(d_state, d_h, width)
        d_new = d_state if valid_t is None else jnp.where(valid_t[..., None], d_state, 0)
        d_a, d_z, d_prev = cell.adjoint(saved, d_new)
        d_prev = add_to_hidden(d_prev, d_z @ W_transposed, width)
        if valid_t is not None:  # a held state hands its adjoint straight back
            d_prev = jnp.where(valid_t[..., None], d_prev, d_state)
        if reset_t is not None:  # nothing from before a reset can have caused what follows it
            d_prev = jnp.where(reset_t[..., None], 0, d_prev)
        return d_prev, (d_a, d_z)

    steps = (tape.saved, d_hs, valid, reset)
    d_state, (d_a, d_z) = jax.lax.scan(body, d_state, steps, reverse=True, unroll=min(scan_unroll, d_hs.shape[0]))
    return d_a, d_z, d_state


def readout(params: Params, hs: Array, batch: Batch) -> tuple[Array, Array, Array, Array]:
    """Softmax cross-entropy and its adjoint, ∂L/∂(hₜ V + by) = (ŷₜ - yₜ) wₜ / Σw.

    Returns:
      The loss, ∂L/∂hs [T, B, H], dV [H, V] and dby [V].
    """
    logits = hs @ params.V + params.by
    shifted = logits - jnp.max(logits, axis=-1, keepdims=True)
    exponentials = jnp.exp(shifted)
    normaliser = jnp.sum(exponentials, axis=-1, keepdims=True)
    is_target = batch.y[..., None] == jnp.arange(logits.shape[-1], dtype=batch.y.dtype)
    surprise = jnp.log(normaliser[..., 0]) - jnp.sum(jnp.where(is_target, shifted, 0), axis=-1)

    share = 1 / denominator(batch.y, batch.weight)
    scale = share if batch.weight is None else (batch.weight * share)[..., None]
    d_logits = (exponentials / normaliser - is_target) * scale
    loss = jnp.sum(surprise if batch.weight is None else surprise * batch.weight) * share
    return loss, d_logits @ params.V.T, outer(hs, d_logits), total(d_logits)


def input_weights(layer: Layer, x: Array, d_a: Array) -> Array:
    """dU = Σₜ xₜᵀ d_aₜ; for ids, row i of dU is the sum of d_a over the steps whose input was i."""
    if not jnp.issubdtype(x.dtype, jnp.integer):
        return outer(x, d_a)
    return jnp.zeros_like(layer.U).at[x].add(d_a, mode="promise_in_bounds")


def outer(x: Array, d: Array) -> Array:
    """Σ xᵀ d over all leading axes: [..., I] and [..., J] give [I, J]."""
    return x.reshape(-1, x.shape[-1]).T @ d.reshape(-1, d.shape[-1])


def total(d: Array) -> Array:
    """Σ d over all leading axes."""
    return jnp.sum(d, axis=tuple(range(d.ndim - 1)))


def add_to_hidden(state: Array, d_h: Array, width: int) -> Array:
    """Adds to the h part of a state's adjoint."""
    if state.shape[-1] == width:
        return state + d_h
    return state.at[..., :width].add(d_h)


@partial(jax.custom_vjp, nondiff_argnums=(0, 6))
def unroll(
    cell: Cell,
    layer: Layer,
    state: Array,
    a: Array,
    valid: Array | None = None,
    reset: Array | None = None,
    scan_unroll: int = 1,
) -> tuple[Array, Array]:
    """`model.rnn.unroll` with the hand-written derivative, for any loss: pass it to `model.rnn.apply`.

    Reverse mode only; for forward mode keep the plain one.
    """
    state, hs, _ = forward(cell, layer, state, a, valid, reset, scan_unroll)
    return state, hs


def _unroll_forward(cell, layer, state, a, valid, reset, scan_unroll):
    state, hs, tape = forward(cell, layer, state, a, valid, reset, scan_unroll)
    return (state, hs), (layer, tape, valid, reset)


def _unroll_backward(cell, scan_unroll, residuals, cotangents):
    layer, tape, valid, reset = residuals
    d_state, d_hs = cotangents
    d_a, d_z, d_state = backward(cell, layer, tape, d_state, d_hs, valid, reset, scan_unroll)
    d_layer = Layer(jnp.zeros_like(layer.U), outer(tape.h_prev, d_z), jnp.zeros_like(layer.bh))
    return d_layer, d_state, d_a, None, None


unroll.defvjp(_unroll_forward, _unroll_backward)
