"""Back-propagation through time, written by hand (Werbos, 1990, "Backpropagation through time: what it does and how to
do it"), and reordered so that it is also the fast path.

The chapter's double sum over j (where the error arises) and k (where the weight was used) is one reverse recurrence,

    d_sₜ  = ∂Lₜ/∂sₜ + (d_sₜ₊₁ through the cell) + d_zₜ₊₁ Wᵀ          adjoint of the state
    d_aₜ, d_zₜ = adjoint of the cell at d_sₜ                            for tanh: d_sₜ ⊙ (1 - hₜ²), both

and only this must run inside the loop. The weight gradients are one product each over time x batch afterwards:

    dU = Σₜ xₜᵀ d_aₜ      dbh = Σₜ d_aₜ      dW = Σₜ hₜ₋₁ᵀ d_zₜ      dV = Σₜ hₜᵀ eₜ      dby = Σₜ eₜ

with eₜ = (ŷₜ - yₜ) wₜ / Σ w, the error of a mean loss in which step t has the weight wₜ. The transpose of `lax.scan`
adds to dW at every step. Nothing here calls `jax.grad`, `jax.vjp` or the transpose of a scan: a check that shared code
with what it checks would share its errors. There are two exceptions. A step that is no network of cells goes back by
`reverse`, the same recurrence with the derivative of one step from JAX, or from whoever wrote the step. A cell that
brings no adjoint by hand takes that of its function of one time step from JAX (`cells.derived`).
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients import fused, reverse
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.effort import noted
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.reverse import error_by_jax
from rnnjax.model import dropout, streams
from rnnjax.model.cells import Cell, Hyper, State, with_adjoint
from rnnjax.model.layer_norm import Normalized, normalize, normalize_adjoint
from rnnjax.model.loss import Loss, make_loss
from rnnjax.model.loss_derivatives import error_by_hand
from rnnjax.model.network import Batch, Layer, Model, Params
from rnnjax.model.product import outer, rows, to_hidden, to_weights, total
from rnnjax.model.recurrence import Recurrence, total_weight
from rnnjax.model.rnn import (
    Inputs,
    Saved,
    backward_in_time,
    cell_step,
    embed,
    input_product,
    join,
    own_weights,
    refuse_resets,
    split,
    unchanged,
    upward,
)
from rnnjax.model.shapes import check_given

Array = jax.Array


class InputTape(NamedTuple):
    """Tape of a layer's product with U for the backward pass: its input, and the normalised product, if any."""

    x: Array
    normalized: Normalized | None


class Tape(NamedTuple):
    """Tape of a layer's loop over time for the backward pass.

    Attributes:
      h_prev: the h that met W at each step [T, B, H].
      saved: the values that each step's adjoint needs, [T, B, ...].
      valid, reset: the masks of the layer's `Inputs`.
    """

    h_prev: Array
    saved: Saved
    valid: Array | None
    reset: Array | None


class Adjoints(NamedTuple):
    """Results of a layer's backward loop: ∂L/∂a and ∂L/∂z of every step [T, B, G·H], ∂L/∂ the state before the first
    step [B, states·H], ∂L/∂ a learned initial state, through the resets [states·H], and ∂L/∂ the cell's own weights
    [K·H]."""

    a: Array
    z: Array
    state: Array
    s0: Array | None
    own: Array | None


def gradient(recurrence: Recurrence, window: Window, kernel: fused.Kernel | None = None) -> Gradient:
    """Loss and gradient of one window by the recurrence above, its initial state held constant between windows.

    Cost: O(T·H²) time and O(T·H) memory a stream. Exact within the window.

    Args:
      kernel: computes the loops of the layers that it knows, in place of `forward` and `backward`.
    """
    if recurrence.model is None:
        return reverse.gradient(recurrence, window)
    model, (params, hyper, carry, batch, *_) = recurrence.model, window
    refuse_resets(model, batch)
    check_given(model, params, carry, batch)
    way = noted(recurrence, window.trace)
    x, readings, tapes, states, loops = embed(params, batch.x), [], [], [], []
    for level in range(model.layers):
        outputs = []
        for index, order in passes(model, level):
            layer = params.layers[index]
            a, reading = read(layer, x)
            inputs = order(Inputs(a, batch.valid, batch.reset))
            along = way.solve(model.cell, layer, hyper, carry[index], inputs).states if way else None
            loops.append((kernel and kernel(model.cell, layer, inputs)) or (forward, backward))
            over_time, _ = loops[index]
            state, hs, tape = over_time(model.cell, layer, hyper, carry[index], inputs, model.scan_unroll, along)
            readings.append(reading)
            tapes.append(tape)
            states.append(state)
            outputs.append(order(hs))
        hs = jnp.concatenate(outputs, axis=-1) if model.bidirectional else outputs[0]
        x = upward(model, level, hyper, x, hs, batch.noise)

    loss, d_x, d_V, d_by = readout(params, x, batch, model.loss, total_weight(recurrence, batch))

    d_layers, d_carry = list(params.layers), list(carry)
    for level in reversed(range(model.layers)):
        d_hs = d_x if batch.noise is None else d_x * dropout.mask(batch.noise[level], hyper.dropout)
        d_x = d_x if model.residual and level else jnp.zeros((), d_x.dtype)
        for (index, order), d_h in zip(passes(model, level), jnp.split(d_hs, model.directions, -1), strict=True):
            layer, tape, end = params.layers[index], tapes[index], jnp.zeros_like(states[index])
            _, back_in_time = loops[index]
            found = back_in_time(model.cell, layer, hyper, tape, end, order(d_h), model.scan_unroll)
            d_layer = recurrent_weights(layer, tape, found)
            d_layers[index], d_below = input_weights(layer, readings[index], order(found.a), d_layer)
            d_carry[index] = found.state
            d_x = d_x + d_below
    d_embedding = None if params.embedding is None else rows(params.embedding, batch.x, d_x)
    d_params = Params(tuple(d_layers), d_V, d_by, d_embedding)
    trace, spent = (way.states, way.spent) if way else (None, None)
    return Gradient(loss, d_params, tuple(d_carry), tuple(states), trace, spent)


def passes(model: Model, level: int) -> Iterator[tuple[int, Callable]]:
    """The layers of a level, by index, and the order in which each goes through time."""
    first = level * model.directions
    return zip(range(first, first + model.directions), (unchanged, backward_in_time), strict=False)


def read(layer: Layer, x: Array) -> tuple[Array, InputTape]:
    """`model.rnn.input_to_hidden`, keeping what its adjoint needs."""
    product = input_product(layer, x)
    if layer.gain_a is None:
        return product + layer.bh, InputTape(x, None)
    normalized = normalize(product, layer.W.shape[0])
    return layer.gain_a * normalized.value + layer.bh, InputTape(x, normalized)


def forward(
    cell: Cell, layer: Layer, hyper: Hyper, state: Array, inputs: Inputs, scan_unroll: int, states: Array | None = None
) -> tuple[Array, Array, Tape]:
    """`model.rnn.unroll`, keeping the tape. Returns the last state, h of every step [T, B, H], and the tape.

    Args:
      states: state after every step [T, B, states·H], where it is known: the tape is then that of T steps side by side.
    """
    cell = with_adjoint(cell)

    def body(state: State, inputs_t: Inputs) -> tuple[State, tuple[Array, Saved]]:
        state, saved = cell_step(cell, layer, hyper, state, inputs_t)
        return state, (state[0], saved)

    first = split(state, cell)
    if states is not None:
        last = split(states[-1], cell)
        _, (hs, saved) = body(split(jnp.concatenate([state[None], states[:-1]]), cell), inputs)
    else:
        chains = streams.chains_for(state.shape[:-1], layer.W)
        unroll = min(scan_unroll, inputs.a.shape[0])
        last, (hs, saved) = streams.scan(body, first, inputs, chains=chains, unroll=unroll)
    h_prev = jnp.concatenate([first[0][None], hs[:-1]])
    if inputs.reset is not None:
        h_prev = jnp.where(inputs.reset[..., None], 0 if layer.s0 is None else split(layer.s0, cell)[0], h_prev)
    return join(last), hs, Tape(h_prev, saved, inputs.valid, inputs.reset)


def backward(
    cell: Cell, layer: Layer, hyper: Hyper, tape: Tape, d_state: Array, d_hs: Array, scan_unroll: int
) -> Adjoints:
    """The reverse recurrence of one layer.

    Args:
      d_state: ∂L/∂ the state after the last step, other than through d_hs [B, states·H].
      d_hs: ∂L/∂hₜ of what reads this layer at each step [T, B, H].
    """
    cell = with_adjoint(cell)
    local = cell.derivatives(hyper, tape.saved.cell, *own_weights(layer, cell))
    through_W = to_hidden(layer.W, d_hs.shape[-1])

    def body(carried: tuple[State, Any], step: tuple) -> tuple[tuple[State, Any], tuple]:
        d_state, d_s0 = carried
        local_t, normalized_t, d_h, valid_t, reset_t = step
        d_state = add_to_hidden(d_state, d_h)
        d_new = d_state if valid_t is None else where(valid_t, d_state, 0)
        d_a, d_z, d_prev, *d_own = cell.adjoint(hyper, local_t, d_new)
        d_prev = add_to_hidden(d_prev, through_W(product_adjoint(layer, normalized_t, d_z)))
        if valid_t is not None:  # a held state hands its adjoint straight back
            d_prev = where(valid_t, d_prev, d_state)
        if reset_t is not None:  # nothing from before a reset can have caused what follows it
            d_s0 = None if d_s0 is None else jax.tree.map(jnp.add, d_s0, where(reset_t, d_prev, 0))
            d_prev = where(~reset_t, d_prev, 0)
        return (d_prev, d_s0), (d_a, None if d_z is d_a else d_z, d_own)

    last = split(d_state, cell)
    first = last, None if layer.s0 is None else jax.tree.map(jnp.zeros_like, last)
    steps = (local, tape.saved.normalized, d_hs, tape.valid, tape.reset)
    chains, unroll = streams.chains_for(d_state.shape[:-1], layer.W), min(scan_unroll, d_hs.shape[0])
    (d_first, d_s0), (d_a, d_z, d_own) = streams.scan(body, first, steps, chains=chains, reverse=True, unroll=unroll)
    return Adjoints(
        a=d_a,
        z=d_a if d_z is None else d_z,
        state=join(d_first),
        s0=None if d_s0 is None else total(join(d_s0)),
        own=jnp.concatenate([total(d) for d in d_own]) if d_own else None,
    )


def add_to_hidden(d_state: State, d_h: Array | float) -> State:
    """Adds to the h part of a state's adjoint."""
    return (d_state[0] + d_h, *d_state[1:])


def where(mask: Array, state: State, other: State | int) -> State:
    """The parts of a state where the mask [B] is true, elsewhere those of another, or a number."""
    others: tuple = (other,) * len(state) if isinstance(other, int) else other
    return tuple(jnp.where(mask[..., None], a, b) for a, b in zip(state, others, strict=True))


def product_adjoint(layer: Layer, normalized: Normalized | None, d_z: Array) -> Array:
    """∂L/∂(h W) from d_z."""
    return d_z if normalized is None else normalize_adjoint(normalized, layer.gain_z * d_z)


def readout(
    params: Params, hs: Array, batch: Batch, loss: str | Loss, divisor: Array | float
) -> tuple[Array, Array, Array, Array]:
    """The loss, its error eₜ = ∂L/∂ŷₜ with ŷₜ = hₜ V + by, and the way back through the read-out.

    Args:
      divisor: number by which the weighted sum of all losses is divided, see `recurrence.total_weight`.

    Returns:
      The loss, ∂L/∂hs [T, B, H], dV [H, V] and dby [V].
    """
    of_loss = error_by_hand(loss) or partial(error_by_jax, make_loss(loss))
    losses, error = of_loss(hs @ params.V + params.by, batch.y)
    share = 1 / divisor
    scale = share if batch.weight is None else (batch.weight * share)[..., None]
    d_out = error * scale
    total_loss = jnp.sum(losses if batch.weight is None else losses * batch.weight) * share
    return total_loss, d_out @ params.V.T, outer(hs, d_out), total(d_out)


def recurrent_weights(layer: Layer, tape: Tape, found: Adjoints) -> Layer:
    """dW = Σₜ hₜ₋₁ᵀ d_zₜ and what belongs to z; the fields that belong to a are zero."""
    normalized = tape.saved.normalized
    return Layer(
        U=jnp.zeros_like(layer.U),
        W=to_weights(layer.W, tape.h_prev, product_adjoint(layer, normalized, found.z)),
        bh=jnp.zeros_like(layer.bh),
        bz=None if layer.bz is None else total(found.z),
        gain_a=None if layer.gain_a is None else jnp.zeros_like(layer.gain_a),
        gain_z=None if normalized is None else total(found.z * normalized.value),
        s0=found.s0,
        own=found.own,
    )


def input_weights(layer: Layer, reading: InputTape, d_a: Array, d_layer: Layer) -> tuple[Layer, Array | float]:
    """Adds dU = Σₜ xₜᵀ d_aₜ, and what belongs to a, to a layer's gradient.

    Returns:
      The gradient, and ∂L/∂x [T, B, I], 0 for ids.
    """
    x, normalized = reading
    d_product = d_a if normalized is None else normalize_adjoint(normalized, layer.gain_a * d_a)
    is_ids = jnp.issubdtype(x.dtype, jnp.integer)
    d_layer = d_layer._replace(
        U=rows(layer.U, x, d_product) if is_ids else outer(x, d_product),
        bh=total(d_a),
        gain_a=None if normalized is None else total(d_a * normalized.value),
    )
    return d_layer, 0.0 if is_ids else d_product @ layer.U.T


def method(config: GradientConfig) -> Method:
    kernel = fused.kernel() if config.kernel == "numba" else None
    return Method(partial(gradient, kernel=kernel), claim=Claim("exact", adjoints=True))
