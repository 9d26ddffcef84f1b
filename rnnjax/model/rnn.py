"""Recurrent networks, for one layer or several: sₜ = cell(xₜ U + bh, hₜ₋₁ W, sₜ₋₁), ŷₜ = softmax(hₜ V + by); with the
simple unit the textbook's hₜ = φ(xₜ U + hₜ₋₁ W + bh).

Axes, everywhere in this package: T time, B batch (any number of leading batch axes, none included), I input, H hidden,
G gates, V vocabulary, L layers. Arrays are time-major. Vectors are rows, so the book's U xₜ is `x_t @ U` here.
The precision of a computation is that of the parameters.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.model import dropout
from rnnjax.model.cells import Cell, Hyper, State
from rnnjax.model.layer_norm import Normalized, normalize
from rnnjax.model.network import Batch, Carry, Layer, Model, Params
from rnnjax.model.product import recurrent_product
from rnnjax.model.shapes import check_given

Array = jax.Array


class Inputs(NamedTuple):
    """Input of a layer over time; of one step the same without the axis T.

    Attributes:
      a: [T, B, G·H], from `input_to_hidden`.
      valid: bool [T, B] or None, see `Batch`.
      reset: bool [T, B] or None, see `Batch`.
    """

    a: Array
    valid: Array | None = None
    reset: Array | None = None


Unroll = Callable[[Cell, Layer, Hyper, Array, Inputs, int], tuple[Array, Array]]
"""(cell, layer, hyper, state, inputs, scan_unroll) -> (state, hs): how a layer is run over time."""


def embed(params: Params, x: Array) -> Array:
    """The rows of the embedding for ids [...], if there is one: [..., E]; else x itself."""
    return x if params.embedding is None else params.embedding.at[x].get(mode="promise_in_bounds")


def input_product(layer: Layer, x: Array) -> Array:
    """x U for all steps at once; for ids the product with a one-hot row is a look-up of U's row.

    Args:
      x: ids, integer [...], each in [0, I), or real vectors [..., I].

    Returns:
      [..., G·H].
    """
    if jnp.issubdtype(x.dtype, jnp.integer):
        return layer.U.at[x].get(mode="promise_in_bounds")
    return x @ layer.U


def input_to_hidden(layer: Layer, x: Array) -> Array:
    """a = x U + bh, its product normalised where the layer asks for it: [..., G·H]."""
    product = input_product(layer, x)
    if layer.gain_a is not None:
        product = layer.gain_a * normalize(product, layer.W.shape[0]).value
    return product + layer.bh


def hidden_to_hidden(layer: Layer, h_prev: Array) -> tuple[Array | None, Normalized | None]:
    """z = h W (+ bz), its product normalised where the layer asks for it; and what the adjoint of that needs."""
    z, normalized = recurrent_product(h_prev, layer.W), None
    if z is not None and layer.gain_z is not None:
        normalized = normalize(z, layer.W.shape[0])
        z = layer.gain_z * normalized.value
    return (z if layer.bz is None else z + layer.bz), normalized


def hidden(state: Array, width: int) -> Array:
    """h, the first `width` numbers of a state [..., states·H]."""
    return state[..., :width]


def own_weights(layer: Layer, cell: Cell) -> State:
    """The vectors [H] of weights that the cell itself has, in the order of `Cell.own`."""
    return tuple(jnp.split(layer.own, len(cell.own))) if cell.own else ()


class Saved(NamedTuple):
    """Values that a step's adjoint needs: of the cell, and of the normalisation of h W."""

    cell: Array | tuple[Array, ...]
    normalized: Normalized | None


def split(state: Array, cell: Cell) -> State:
    """The parts of a state [..., states·H]: h, then what else the cell carries. Apart, a loop need not copy them."""
    return tuple(jnp.split(state, len(cell.states), axis=-1))


def join(state: State) -> Array:
    """The inverse of `split`."""
    return state[0] if len(state) == 1 else jnp.concatenate(state, axis=-1)


Product = Callable[[Layer, Array], tuple[Array | None, Normalized | None]]
"""(layer, h) -> (z, what its adjoint needs): `hidden_to_hidden`, or one through which another derivative goes back."""


def cell_step(
    cell: Cell, layer: Layer, hyper: Hyper, state: State, inputs_t: Inputs, product: Product = hidden_to_hidden
) -> tuple[State, Saved]:
    """One time step of one layer.

    Args:
      state: its parts, each [B, H].

    Returns:
      The new state, and what the step's adjoint needs.
    """
    a_t, valid_t, reset_t = inputs_t
    if reset_t is not None:
        first: tuple = (0,) * len(cell.states) if layer.s0 is None else split(layer.s0, cell)
        state = tuple(jnp.where(reset_t[..., None], start, part) for start, part in zip(first, state, strict=True))
    z, normalized = product(layer, state[0])
    new, saved = cell.forward(hyper, a_t, z, state, *own_weights(layer, cell))
    if valid_t is not None:
        new = tuple(jnp.where(valid_t[..., None], part, held) for part, held in zip(new, state, strict=True))
    return new, Saved(saved, normalized)


def unroll(
    cell: Cell,
    layer: Layer,
    hyper: Hyper,
    state: Array,
    inputs: Inputs,
    scan_unroll: int = 1,
    product: Product = hidden_to_hidden,
) -> tuple[Array, Array]:
    """Runs one layer over time with a single `lax.scan`; the same as

        for t in range(T):
            state = cell_step(cell, layer, hyper, state, inputs[t])
            hs[t] = state[0]

    Args:
      state: [B, states·H], before the first step.
      scan_unroll: time steps that one turn of the compiled loop computes.

    Returns:
      The state after the last step, and h of every step [T, B, H].
    """

    def body(state: State, inputs_t: Inputs) -> tuple[State, Array]:
        state, _ = cell_step(cell, layer, hyper, state, inputs_t, product)
        return state, state[0]

    last, hs = jax.lax.scan(body, split(state, cell), inputs, unroll=min(scan_unroll, inputs.a.shape[0]))
    return join(last), hs


def way_of(model: Model, asked: Unroll) -> Unroll:
    """The function that runs a layer over time: the one that was asked for, or the model's own in place of `unroll`."""
    return model.over_time if model.over_time and asked is unroll else asked


def upward(model: Model, level: int, hyper: Hyper, x: Array, hs: Array, noise: tuple[Array, ...] | None) -> Array:
    """The output of a level: its h, thinned by dropout, and its input where the network is residual. [..., H]."""
    out = hs if noise is None else hs * dropout.mask(noise[level], hyper.dropout)
    return out + x if model.residual and level else out


def handed_up(model: Model, hyper: Hyper, carry: Carry, noise: tuple[Array, ...] | None) -> Array:
    """The output of the last level after a step, as a function of the states that the step has left: [..., H]."""
    x = jnp.zeros((), carry[0].dtype)  # what the first level reads is handed up by none
    for level, state in enumerate(carry):
        x = upward(model, level, hyper, x, hidden(state, model.hidden), noise)
    return x


def run_layers(
    model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch, *, unroll: Unroll = unroll
) -> tuple[Carry, Array]:
    """All levels over a window, one after the other.

    Args:
      carry: the state of each layer before the window.
      unroll: runs a layer over time; `gradients.manual` passes its own, with a hand-written derivative. The plain one
        gives way to the model's own, where it has one.

    Returns:
      The carry after the window, and what the last level hands up at every step [T, B, H].

    Raises:
      ValueError: for a reset in a bidirectional network, which reads one whole sequence.
      UserError: for a shape that does not fit, or an id out of range outside `jax.jit`.
    """
    refuse_resets(model, batch)
    check_given(model, params, carry, batch)
    unroll = way_of(model, unroll)
    x, states = embed(params, batch.x), []
    for level in range(model.layers):
        outputs = []
        for direction in range(model.directions):
            index = level * model.directions + direction
            layer = params.layers[index]
            along = backward_in_time if direction else unchanged
            inputs = along(Inputs(input_to_hidden(layer, x), batch.valid, batch.reset))
            state, hs = unroll(model.cell, layer, hyper, carry[index], inputs, model.scan_unroll)
            states.append(state)
            outputs.append(along(hs))
        hs = jnp.concatenate(outputs, axis=-1) if model.bidirectional else outputs[0]
        x = upward(model, level, hyper, x, hs, batch.noise)
    return tuple(states), x


def refuse_resets(model: Model, batch: Batch) -> None:
    """Raises ValueError for a reset in a bidirectional network: backward in time it would be one step off."""
    if model.bidirectional and batch.reset is not None:
        raise ValueError("a bidirectional network reads one whole sequence: it has no resets")


def unchanged(arrays):
    """The arrays in the order of time."""
    return arrays


def backward_in_time(arrays):
    """The arrays [T, ...] of a tree with their last step first. The held states of a padded end come first, so that a
    sequence read backward begins, from its initial state, with its own last step."""
    return jax.tree.map(lambda array: array[::-1], arrays)


def hidden_to_output(params: Params, h: Array) -> Array:
    """The logits h V + by, whose softmax is the book's ŷ: [..., H] gives [..., V]."""
    return h @ params.V + params.by


def apply(
    model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch, *, unroll: Unroll = unroll
) -> tuple[Carry, Array]:
    """The forward pass over a window: `run_layers`, then the read-out.

    Returns:
      The carry after the window, and the logits of every step [T, B, V].
    """
    carry, hs = run_layers(model, params, hyper, carry, batch, unroll=unroll)
    return carry, hidden_to_output(params, hs)


def step(model: Model, params: Params, hyper: Hyper, carry: Carry, batch_t: Batch) -> tuple[Carry, Array]:
    """One time step of the whole stack, for whoever walks through time on their own: samplers, decoders, and gradient
    methods that go forward in time.

    Args:
      batch_t: a `Batch` without its time axis; x is [B], its y and weight are not read.

    Returns:
      The carry after the step, and the logits [B, V].

    Raises:
      ValueError: for a bidirectional network, which has no single step.
    """
    if model.bidirectional:
        raise ValueError("a bidirectional network reads whole sequences; it has no single step")
    check_given(model, params, carry, batch_t)
    x, states = embed(params, batch_t.x), []
    for level, (layer, state) in enumerate(zip(params.layers, carry, strict=True)):
        inputs_t = Inputs(input_to_hidden(layer, x), batch_t.valid, batch_t.reset)
        parts, _ = cell_step(model.cell, layer, hyper, split(state, model.cell), inputs_t)
        x = upward(model, level, hyper, x, parts[0], batch_t.noise)
        states.append(join(parts))
    return tuple(states), hidden_to_output(params, x)
