"""A layer run over time, its derivative by the recurrence written by hand (`manual`), for a loss of any kind."""

from functools import partial

import jax
import jax.numpy as jnp

from rnnjax.gradients.effort import Noted
from rnnjax.gradients.manual import backward, forward, recurrent_weights
from rnnjax.model.cells import Cell, Hyper
from rnnjax.model.network import Layer
from rnnjax.model.rnn import Inputs, Unroll

Array = jax.Array


@partial(jax.custom_vjp, nondiff_argnums=(0, 5))
def unroll(
    cell: Cell,
    layer: Layer,
    hyper: Hyper,
    state: Array,
    inputs: Inputs,
    scan_unroll: int = 1,
    states: Array | None = None,
) -> tuple[Array, Array]:
    """`model.rnn.unroll` with the hand-written derivative, for any loss: pass it to `model.rnn.apply`.

    Reverse mode only; for forward mode keep the plain one. Not differentiated with respect to `hyper`: nan.

    Args:
      states: as in `forward`; they have no derivative of their own.
    """
    state, hs, _ = forward(cell, layer, hyper, state, inputs, scan_unroll, states)
    return state, hs


def _unroll_forward(cell, layer, hyper, state, inputs, scan_unroll, states):
    state, hs, tape = forward(cell, layer, hyper, state, inputs, scan_unroll, states)
    return (state, hs), (layer, hyper, tape)


def _unroll_backward(cell, scan_unroll, residuals, cotangents):
    layer, hyper, tape = residuals
    d_state, d_hs = cotangents
    found = backward(cell, layer, hyper, tape, d_state, d_hs, scan_unroll)
    d_hyper = jax.tree.map(lambda number: jnp.full_like(number, jnp.nan), hyper)
    return recurrent_weights(layer, tape, found), d_hyper, found.state, Inputs(found.a), None


unroll.defvjp(_unroll_forward, _unroll_backward)


def unroll_by(way: Noted) -> Unroll:
    """`unroll` along the states that a way of running layers finds."""

    def along(
        cell: Cell, layer: Layer, hyper: Hyper, state: Array, inputs: Inputs, scan_unroll: int = 1
    ) -> tuple[Array, Array]:
        states = way.solve(cell, *jax.lax.stop_gradient((layer, hyper, state, inputs))).states
        return unroll(cell, layer, hyper, state, inputs, scan_unroll, states)

    return along
