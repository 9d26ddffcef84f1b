"""The two loops of `gradients.manual` for a layer of LSTM units, by the kernels."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnnjax.gradients.fused import MULTIPLE, steps
from rnnjax.gradients.manual import Adjoints, Tape
from rnnjax.model.cells import Cell, Hyper
from rnnjax.model.network import Layer
from rnnjax.model.rnn import Inputs, Saved, join, split

Array = jax.Array


def loops(cell: Cell, layer: Layer, inputs: Inputs) -> tuple[Callable, Callable] | None:
    """The two loops of a plain layer of LSTM units in float32, whose streams are read whole; None for others."""
    plain = cell.name == "lstm" and layer.gain_z is None and layer.s0 is None and layer.W.shape[0] % MULTIPLE == 0
    whole = inputs.valid is None and inputs.reset is None and inputs.a.ndim == 3
    return (forward, backward) if plain and whole and inputs.a.dtype == jnp.float32 else None


def forward(
    cell: Cell, layer: Layer, hyper: Hyper, state: Array, inputs: Inputs, scan_unroll: int, states: Array | None = None
) -> tuple[Array, Array, Tape]:
    """`manual.forward`; `hyper`, `scan_unroll` and `states` are of no use here."""
    found = steps.forward(layer.W, inputs.a, *split(state, cell))
    saved = Saved((found.gates, found.c_prev, found.tanh_c), None)
    return join((found.hs[-1], found.c)), found.hs, Tape(found.h_prev, saved, None, None)


def backward(
    cell: Cell, layer: Layer, hyper: Hyper, tape: Tape, d_state: Array, d_hs: Array, scan_unroll: int
) -> Adjoints:
    """`manual.backward`; `hyper` and `scan_unroll` are of no use here."""
    gates, c_prev, tanh_c = tape.saved.cell
    d_a, *d_first = steps.backward(layer.W, gates, c_prev, tanh_c, d_hs, *split(d_state, cell))
    return Adjoints(a=d_a, z=d_a, state=join(tuple(d_first)), s0=None, own=None)
