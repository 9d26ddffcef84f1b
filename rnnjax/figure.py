"""A figure of matplotlib, made without a screen and written in one move."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from rnnjax.files import write_whole

if TYPE_CHECKING:  # late where it runs: the import takes half a second
    from matplotlib.figure import Figure


Layout = Literal["constrained", "tight"]


def make_figure(width: float, height: float, layout: Layout = "constrained") -> Figure:
    """An empty figure of so many inches."""
    import matplotlib.figure

    return matplotlib.figure.Figure(figsize=(width, height), layout=layout)


def make_panels(
    width: float, height: float, columns: int = 1, layout: Layout = "constrained", **shared: Any
) -> tuple[Figure, list[Any]]:
    """An empty figure of so many inches, with panels side by side on a pale grid."""
    figure = make_figure(width, height, layout)
    panels = list(figure.subplots(1, columns, squeeze=False, **shared)[0])
    for axes in panels:
        axes.grid(alpha=0.3)
    return figure, panels


def write_figure(path: Path, figure: Figure) -> None:
    """Writes a PNG in place of the file that is there: a reader, or a crash, finds the old one or the new one."""
    picture = io.BytesIO()
    save_png(figure, picture)
    write_whole(path, picture.getvalue())


def save_png(figure: Figure, file: Path | IO[bytes]) -> None:
    """Writes a PNG of 120 dots an inch; a box stands for a character that its font lacks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(file, dpi=120, format="png")
