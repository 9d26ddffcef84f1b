"""The adjoint of a cell by JAX, from its `forward` alone.

`forward` is local in time, so that all steps can be linearised at once before the reverse loop. What stays inside the
loop is the transposed linear map of one step, applied to the adjoint of its state.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import jax

from rnnjax.model.cells.cell import Cell, State
from rnnjax.model.cells.hyper import Hyper

Array = jax.Array


def with_adjoint(cell: Cell) -> Cell:
    """The cell itself where its adjoint is written by hand, otherwise with the derived one."""
    return cell if cell.adjoint is not None else derive(cell)


@cache
def derive(cell: Cell) -> Cell:
    """The cell with derivatives and adjoint by JAX, in place of any written by hand.

    `forward` of the result saves (a, z, state), each of which needs an axis of time when `derivatives` is called.
    """

    def forward(hyper: Hyper, a: Array, z: Array | None, state: State, *own: Array) -> tuple[State, Any]:
        return cell.forward(hyper, a, z, state, *own)[0], (a, z, state)

    def derivatives(hyper: Hyper, saved: tuple, *own: Array) -> Any:
        def pullback(inputs: tuple) -> Any:
            return jax.vjp(lambda a, z, state, *own: cell.forward(hyper, a, z, state, *own)[0], *inputs, *own)[1]

        return jax.vmap(pullback)(saved)

    def adjoint(hyper: Hyper, pullback: Any, d_state: State) -> tuple:
        return pullback(d_state)

    return replace(cell, forward=forward, derivatives=derivatives, adjoint=adjoint)
