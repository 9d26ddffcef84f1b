"""Numbers on the screen: tables and aligned arrays."""

import numpy as np
from rich.console import Console
from rich.table import Table

WIDTH = 120
"""Width of the widest table, columns of the screen."""


def make_console() -> Console:
    return Console(width=WIDTH, highlight=False, markup=False)


def make_table(*columns: str, title: str | None = None, lines: bool = False) -> Table:
    """An empty table, its title to the left."""
    return Table(*columns, title=title, title_justify="left", title_style="bold", show_lines=lines)


def lines(array, decimals: int = 4, marked=None) -> list[str]:
    """An array as aligned lines of numbers, its last axis along the line, starred where `marked` (bool, same shape)."""
    rows = np.atleast_2d(np.asarray(array)) + 0.0  # which makes 0 of -0
    stars = None if marked is None else np.atleast_2d(np.asarray(marked))
    width = max(len(f"{number:.{decimals}f}") for number in rows.ravel())
    texts = []
    for i, row in enumerate(rows):
        cells = [f"{number:{width}.{decimals}f}" for number in row]
        if stars is not None:
            cells = [cell + ("*" if star else " ") for cell, star in zip(cells, stars[i], strict=True)]
        texts.append(" ".join(cells))
    return texts


def numbers(array, decimals: int = 4, marked=None) -> str:
    """`lines`, as one cell of a table."""
    return "\n".join(lines(array, decimals, marked))


def as_in_the_book(array):
    """Transpose of a weight matrix, or of its gradient: the chapter's formulas multiply columns, this package rows."""
    return np.asarray(array).T
