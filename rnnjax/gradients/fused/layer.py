"""The two loops of `gradients.manual` for a layer of one of the known cells, by the kernels."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnnjax.gradients.fused import MULTIPLE, knows
from rnnjax.gradients.fused.custom_call import kernel
from rnnjax.gradients.fused.product import VECTORS, WIDTH
from rnnjax.gradients.fused.vectors import LANES
from rnnjax.gradients.manual import Adjoints, Tape
from rnnjax.model.cells import Cell, Hyper
from rnnjax.model.network import Layer
from rnnjax.model.rnn import Inputs, Saved, join, split

Array = jax.Array


def loops(cell: Cell, layer: Layer, inputs: Inputs) -> tuple[Callable, Callable] | None:
    """The two loops of a plain layer of a known cell in float32, whose streams are read whole; None for others."""
    plain = knows(cell) and layer.gain_z is None and layer.s0 is None
    whole = inputs.valid is None and inputs.reset is None and inputs.a.ndim == 3
    if not (plain and whole and inputs.a.dtype == jnp.float32):
        return None
    return LOOPS[cell.name] if layer.W.shape[0] % MULTIPLE == 0 else padded(*LOOPS[cell.name])


def padded(forward: Callable, backward: Callable) -> tuple[Callable, Callable]:
    """The loops of a layer of any size, by those of a multiple of units: the units that are added stay 0."""

    def forward_of_more(
        cell: Cell, layer: Layer, hyper: Hyper, state: Array, inputs: Inputs, *unread: object
    ) -> tuple[Array, Array, Tape]:
        H = layer.W.shape[0]
        wide = inputs._replace(a=widened(inputs.a, H))
        state, hs, tape = forward(cell, with_units(layer), hyper, widened(state, H), wide)
        return narrowed(state, H), narrowed(hs, H), tape._replace(h_prev=narrowed(tape.h_prev, H))

    def backward_of_more(
        cell: Cell, layer: Layer, hyper: Hyper, tape: Tape, d_state: Array, d_hs: Array, scan_unroll: int
    ) -> Adjoints:
        H = layer.W.shape[0]
        given = widened(d_state, H), widened(d_hs, H)
        found = backward(cell, with_units(layer), hyper, tape, *given, scan_unroll)
        d_a = narrowed(found.a, H)
        return Adjoints(a=d_a, z=d_a, state=narrowed(found.state, H), s0=None, own=None)

    return forward_of_more, backward_of_more


def more(H: int) -> int:
    """The next multiple of MULTIPLE."""
    return -(-H // MULTIPLE) * MULTIPLE


def widened(x: Array, H: int) -> Array:
    """Parts of H units [..., G·H], each with zeros for the units that are added [..., G·more(H)]."""
    parts = x.reshape(*x.shape[:-1], -1, H)
    wide = jnp.pad(parts, [(0, 0)] * (parts.ndim - 1) + [(0, more(H) - H)])
    return wide.reshape(*x.shape[:-1], -1)


def narrowed(x: Array, H: int) -> Array:
    """Parts without the units that were added: the inverse of `widened`."""
    return x.reshape(*x.shape[:-1], -1, more(H))[..., :H].reshape(*x.shape[:-1], -1)


def with_units(layer: Layer) -> Layer:
    """A layer with the units that are added, which hear nothing and are not heard."""
    H = layer.W.shape[0]
    return layer._replace(W=jnp.pad(widened(layer.W, H), [(0, more(H) - H), (0, 0)]))


def lstm_forward(
    cell: Cell, layer: Layer, hyper: Hyper, state: Array, inputs: Inputs, *unread: object
) -> tuple[Array, Array, Tape]:
    """`manual.forward` of LSTM units."""
    H, (h, c) = layer.W.shape[0], split(state, cell)
    panels = layer.W.reshape(H, VECTORS, H // LANES, LANES).transpose(2, 0, 1, 3)  # a vector of every gate in each
    steps = jax.ShapeDtypeStruct((*inputs.a.shape[:2], H), h.dtype)
    run = kernel("lstm", "forward", (steps, steps, inputs.a, steps, steps, c), aliases={1: 2})
    hs, h_prev, *saved, last = run(panels, inputs.a, h, c)
    return join((hs[-1], last)), hs, Tape(h_prev, Saved(tuple(saved), None), None, None)


def lstm_backward(
    cell: Cell, layer: Layer, hyper: Hyper, tape: Tape, d_state: Array, d_hs: Array, scan_unroll: int
) -> Adjoints:
    """`manual.backward` of LSTM units."""
    gates, c_prev, tanh_c = tape.saved.cell
    d_h, d_c = split(d_state, cell)
    run = kernel("lstm", "backward", (gates, d_h, d_c), aliases={1: 0})
    d_a, *d_first = run(transposed(layer.W), gates, c_prev, tanh_c, d_hs, d_h, d_c)
    return Adjoints(a=d_a, z=d_a, state=join(tuple(d_first)), s0=None, own=None)


def vanilla_forward(
    cell: Cell, layer: Layer, hyper: Hyper, state: Array, inputs: Inputs, *unread: object
) -> tuple[Array, Array, Tape]:
    """`manual.forward` of simple tanh units."""
    H = layer.W.shape[0]
    panels = layer.W.reshape(H, H // WIDTH, WIDTH).transpose(1, 0, 2)
    hs, h_prev = kernel("vanilla", "forward", (inputs.a, inputs.a), aliases={1: 0})(panels, inputs.a, state)
    return hs[-1], hs, Tape(h_prev, Saved(hs, None), None, None)


def vanilla_backward(
    cell: Cell, layer: Layer, hyper: Hyper, tape: Tape, d_state: Array, d_hs: Array, scan_unroll: int
) -> Adjoints:
    """`manual.backward` of simple tanh units."""
    run = kernel("vanilla", "backward", (d_hs, d_state), aliases={2: 0})
    d_a, d_first = run(transposed(layer.W), tape.saved.cell, d_hs, d_state)
    return Adjoints(a=d_a, z=d_a, state=d_first, s0=None, own=None)


def transposed(W: Array) -> Array:
    """Wᵀ [G·H, H] in panels [H / WIDTH, G·H, WIDTH]."""
    return W.reshape(W.shape[0] // WIDTH, WIDTH, W.shape[1]).transpose(0, 2, 1)


LOOPS = {"lstm": (lstm_forward, lstm_backward), "vanilla": (vanilla_forward, vanilla_backward)}
