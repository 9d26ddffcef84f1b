"""The trial of a cell that is not built in: its functions are traced once, on small shapes."""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.errors import UserError
from rnnjax.model.cells.cell import Cell
from rnnjax.model.cells.hyper import Hyper

T, B, H = 2, 3, 4


@cache
def check_cell(cell: Cell) -> None:
    """Checks that a cell's functions take and return the shapes that `Cell` states.

    Raises:
      UserError: in one line, with the function and what it returned or raised.
    """
    G = len(cell.gates)
    a, part = number(T, B, G * H), number(T, B, H)
    z = None if cell.recurrence == "none" else a
    state, own = (part,) * len(cell.states), (number(H),) * len(cell.own)
    found = traced(cell, "forward", cell.forward, Hyper(), a, z, state, *own)
    is_pair = isinstance(found, tuple) and len(found) == 2
    demand(cell, "forward", found, is_pair, "(state, saved)")
    demand(cell, "forward", found[0], matches(found[0], state), f"the state, a tuple of {len(state)} arrays [..., H]")
    if cell.adjoint is None:
        return
    local = traced(cell, "derivatives", cell.derivatives, Hyper(), found[1], *own)
    step = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), (local, state, a, z))
    back = traced(cell, "adjoint", cell.adjoint, Hyper(), *step[:2])
    is_long = isinstance(back, tuple) and len(back) == 3 + len(own)
    demand(cell, "adjoint", back, is_long, "(d_a, d_z, d_state_prev), and one more for each of its own weights")
    demand(cell, "adjoint", back[0], matches(back[0], step[2]), "d_a, [..., G·H]")
    demand(cell, "adjoint", back[1], z is None or matches(back[1], step[3]), "d_z, [..., G·H]")
    demand(cell, "adjoint", back[2], matches(back[2], step[1]), "d_state_prev, a tuple like the state")


def number(*shape: int) -> jax.ShapeDtypeStruct:
    """The shape of an array of numbers."""
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def traced(cell: Cell, name: str, function: Any, *args: Any) -> Any:
    """The shapes that a function of a cell returns."""
    try:
        return jax.eval_shape(function, *args)
    except Exception as error:
        words = next(iter(str(error).splitlines()), "")
        raise UserError(f"cell {cell}: {name} does not run: {type(error).__name__}: {words}") from None


def matches(found: Any, expected: Any) -> bool:
    """True where two trees have the same structure and shapes."""
    shapes = lambda tree: jax.tree.map(lambda leaf: leaf.shape, tree)
    structure: Any = jax.tree.structure(found)
    return structure == jax.tree.structure(expected) and shapes(found) == shapes(expected)


def demand(cell: Cell, name: str, found: Any, condition: bool, allowed: str) -> None:
    """Raises UserError, in one line, for what a function of a cell returns."""
    if not condition:
        shapes = jax.tree.map(lambda leaf: list(leaf.shape), found)
        raise UserError(f"cell {cell}: {name} returns {shapes}, but must return {allowed}")
