"""The recurrent network of the textbook, for one layer or several: hₜ = φ(xₜ U + hₜ₋₁ W + bh), ŷₜ = softmax(hₜ V + by).

Axes, everywhere in this package: T time, B batch (any number of leading batch axes, none included), I input, H hidden,
G gates, V vocabulary, L layers. Arrays are time-major. Vectors are rows, so the book's U xₜ is `x_t @ U` here.
The precision of a computation is that of the parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.model.cells import CELLS, Cell

Array = jax.Array
Carry = tuple[Array, ...]
"""The state of each layer, [B, states·H] each: all that one window of a stream hands to the next."""


class Layer(NamedTuple):
    """The weights of one recurrent layer: U [I, G·H], W [H, G·H], bh [G·H]."""

    U: Array
    W: Array
    bh: Array


class Params(NamedTuple):
    """The weights of a network: its layers, then the read-out V [H, V] and by [V]."""

    layers: tuple[Layer, ...]
    V: Array
    by: Array


class Batch(NamedTuple):
    """One window of B streams.

    Attributes:
      x: input ids, integer [T, B].
      y: target ids, integer [T, B].
      weight: [T, B] share of each step in the loss; None counts every step as 1.
      valid: bool [T, B]; where False the state is held, as after the end of a shorter sequence. None: all valid.
      reset: bool [T, B]; where True the state is set to zero before the step. None: never.
    """

    x: Array
    y: Array
    weight: Array | None = None
    valid: Array | None = None
    reset: Array | None = None


@dataclass(frozen=True)
class Model:
    """The shape of a network: hashable, so that it can be a static argument of `jax.jit`.

    Attributes:
      vocabulary: V, the number of input ids and of output classes; the last id stands for any unknown character.
      hidden: H, the units of each layer.
      layers: L.
      activation: φ, a name in `cells.CELLS`.
      scan_unroll: time steps that one turn of the compiled loop computes; changes speed, not results.
    """

    vocabulary: int
    hidden: int
    layers: int = 1
    activation: str = "tanh"
    scan_unroll: int = 1

    @property
    def cell(self) -> Cell:
        return CELLS[self.activation]


Unroll = Callable[..., tuple[Array, Array]]
"""(cell, layer, state, a, valid, reset, scan_unroll) -> (state, hs): how a layer is run over time."""


def zero_carry(model: Model, batch_shape: tuple[int, ...], dtype: jnp.dtype) -> Carry:
    """The state before the first step, h₋₁ = 0, for streams of the given batch shape."""
    return tuple(jnp.zeros((*batch_shape, model.cell.states * model.hidden), dtype) for _ in range(model.layers))


def input_to_hidden(layer: Layer, x: Array) -> Array:
    """a = x U + bh for all steps at once; for ids the product with a one-hot row is a look-up of U's row.

    Args:
      x: ids, integer [...], each in [0, I), or real vectors [..., I].

    Returns:
      a [..., G·H].
    """
    if jnp.issubdtype(x.dtype, jnp.integer):
        return layer.U.at[x].get(mode="promise_in_bounds") + layer.bh
    return x @ layer.U + layer.bh


def hidden(state: Array, width: int) -> Array:
    """h, the first `width` numbers of a state."""
    return state[..., :width]


def cell_step(
    cell: Cell, layer: Layer, state: Array, a_t: Array, valid_t: Array | None = None, reset_t: Array | None = None
) -> tuple[Array, Array, Array]:
    """One time step of one layer.

    Returns:
      The new state, the h that entered the product with W, and what the cell's adjoint needs.
    """
    if reset_t is not None:
        state = jnp.where(reset_t[..., None], 0, state)
    h_prev = hidden(state, layer.W.shape[0])
    new, saved = cell.forward(a_t, h_prev @ layer.W, state)
    if valid_t is not None:
        new = jnp.where(valid_t[..., None], new, state)
    return new, h_prev, saved


def unroll(
    cell: Cell,
    layer: Layer,
    state: Array,
    a: Array,
    valid: Array | None = None,
    reset: Array | None = None,
    scan_unroll: int = 1,
) -> tuple[Array, Array]:
    """Runs one layer over time with a single `lax.scan`; the same as

        for t in range(T):
            state = cell_step(cell, layer, state, a[t], valid[t], reset[t])
            hs[t] = hidden(state)

    Args:
      state: [B, states·H], before the first step.
      a: [T, B, G·H], from `input_to_hidden`.
      valid: bool [T, B] or None, see `Batch`.
      reset: bool [T, B] or None, see `Batch`.

    Returns:
      The state after the last step, and h of every step [T, B, H].
    """

    def body(state: Array, step: tuple) -> tuple[Array, Array]:
        state, _, _ = cell_step(cell, layer, state, *step)
        return state, hidden(state, layer.W.shape[0])

    return jax.lax.scan(body, state, (a, valid, reset), unroll=min(scan_unroll, a.shape[0]))


def run_layers(
    model: Model, params: Params, carry: Carry, batch: Batch, *, unroll: Unroll = unroll
) -> tuple[Carry, Array]:
    """All layers over a window, one after the other.

    Args:
      carry: the state of each layer before the window.
      unroll: how a layer is run over time; `gradients.manual` passes its own, with a hand-written derivative.

    Returns:
      The carry after the window, and h of the last layer at every step [T, B, H].
    """
    hs, states = batch.x, []
    for layer, state in zip(params.layers, carry, strict=True):
        a = input_to_hidden(layer, hs)
        state, hs = unroll(model.cell, layer, state, a, batch.valid, batch.reset, model.scan_unroll)
        states.append(state)
    return tuple(states), hs


def hidden_to_output(params: Params, h: Array) -> Array:
    """The logits h V + by, whose softmax is the book's ŷ: [..., H] gives [..., V]."""
    return h @ params.V + params.by


def apply(model: Model, params: Params, carry: Carry, batch: Batch, *, unroll: Unroll = unroll) -> tuple[Carry, Array]:
    """The forward pass over a window: `run_layers`, then the read-out.

    Returns:
      The carry after the window, and the logits of every step [T, B, V].
    """
    carry, hs = run_layers(model, params, carry, batch, unroll=unroll)
    return carry, hidden_to_output(params, hs)


def step(model: Model, params: Params, carry: Carry, x_t: Array) -> tuple[Carry, Array]:
    """One time step of the whole stack, for whoever walks through time on their own: samplers, decoders.

    Args:
      x_t: ids, integer [B].

    Returns:
      The carry after the step, and the logits [B, V].
    """
    out, states = x_t, []
    for layer, state in zip(params.layers, carry, strict=True):
        state, _, _ = cell_step(model.cell, layer, state, input_to_hidden(layer, out))
        out = hidden(state, model.hidden)
        states.append(state)
    return tuple(states), hidden_to_output(params, out)
