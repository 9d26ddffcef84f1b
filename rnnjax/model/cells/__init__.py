"""Cells: the equations of a recurrent unit, one file each with its paper.

Adding a built-in cell is one such file and one line in the table; a cell of one's own needs neither (`Cell`).
"""

from rnnjax.errors import UserError
from rnnjax.model.cells.activation import ACTIVATIONS, Activation
from rnnjax.model.cells.cell import Cell, Recurrence, State
from rnnjax.model.cells.derived import with_adjoint
from rnnjax.model.cells.gru import gru
from rnnjax.model.cells.hyper import Hyper
from rnnjax.model.cells.leaky import leaky
from rnnjax.model.cells.lstm import lstm
from rnnjax.model.cells.lstm_1997 import lstm_1997
from rnnjax.model.cells.lstm_peephole import lstm_peephole
from rnnjax.model.cells.min_gru import min_gru
from rnnjax.model.cells.minimal_gated import minimal_gated
from rnnjax.model.cells.trial import check_cell
from rnnjax.model.cells.vanilla import vanilla

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "Activation",
    "Cell",
    "Hyper",
    "Recurrence",
    "State",
    "built_in",
    "find",
    "with_adjoint",
    "with_tanh",
]

CELLS: dict[tuple[str, str], Cell] = {
    (cell.name, cell.activation): cell
    for cell in (
        *(vanilla(activation) for activation in ACTIVATIONS.values()),
        *(leaky(activation) for activation in ACTIVATIONS.values()),
        gru(),
        lstm(),
        lstm_peephole(),
        lstm_1997(),
        minimal_gated(),
        min_gru(),
    )
}
"""The built-in cells by name and activation; a gated cell's activation is fixed."""


def find(cell: str | Cell, activation: str = "") -> Cell:
    """The built-in cell of a name, or of a built-in cell's name, with an activation; any other cell as it is.

    Args:
      activation: a name in `ACTIVATIONS`; empty for the cell's own, or for tanh.

    Raises:
      UserError: for a name that no built-in cell has, or an activation that the cell has not.
    """
    if isinstance(cell, Cell) and not built_in(cell):
        check_cell(cell)
        has = {cell.activation: cell}
    else:
        has = {of: built_in for (name, of), built_in in CELLS.items() if name == str(cell)}
    if not has:
        names = dict.fromkeys(name for name, _ in CELLS)
        raise UserError(f"cell is {cell!r}, but must be one of {', '.join(names)}, or a Cell")
    wanted = activation or (cell.activation if isinstance(cell, Cell) else "tanh")
    if wanted not in has:
        raise UserError(f"activation is {activation!r}, but must be {' or '.join(has)} in the cell {cell}")
    return has[wanted]


def built_in(cell: Cell) -> str:
    """The name of a built-in cell; empty for any other, whatever it is called."""
    return cell.name if CELLS.get((cell.name, cell.activation)) == cell else ""


def with_tanh(cell: Cell) -> Cell:
    """The same built-in cell with tanh for its activation; any other cell as it is."""
    return CELLS[cell.name, "tanh"] if built_in(cell) else cell
