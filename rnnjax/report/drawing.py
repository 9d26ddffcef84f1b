"""Shared by the pictures of a report: colours of a light and a dark page, scales, and places on an axis."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnjax.figure import save_png
from rnnjax.report.read import are_numbers

MOST_PANELS = 8
"""Most panels of a heat map, and most lines along an axis; with more lines its arms are drawn as points."""

WIDE = 20
"""Ratio of the largest to the smallest positive value above which a scale is logarithmic."""

MOST_LETTERS = 60
"""Most letters below an axis before its words are slanted."""

FAR = 1000
"""Largest multiple of the median that a picture has room for."""

PALE = ["#6fb3ff", "#ffb55a", "#7ddb7d", "#ff7b7b", "#c7a3f0", "#d0a898", "#f5a3d6", "#b5b5b5"]
"""Colors of curves on a dark page."""

LIGHT: dict[Any, Any] = {"text.parse_math": False}
DARK = LIGHT | {
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "savefig.facecolor", "legend.facecolor"), "#16181c"),
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), "#e3e5e8"),
    "grid.color": "#787f88",
    "axes.prop_cycle": f"cycler(color={PALE})",
}


def drawn(draw: Callable[..., Any], *arguments: Any) -> tuple[bytes, bytes]:
    """Draws a picture as PNG, for a light page and for a dark one."""
    import matplotlib

    found = []
    for colors in (LIGHT, DARK):
        file = io.BytesIO()
        with matplotlib.rc_context(colors):
            save_png(draw(*arguments), file)
        found.append(file.getvalue())
    return found[0], found[1]


def ink_color() -> str:
    """Colour of the text on the page at hand."""
    import matplotlib

    return matplotlib.rcParams["text.color"]


def is_wide(values: list[float]) -> bool:
    """True if all values are positive and far apart."""
    return bool(values) and min(values) > 0 and max(values) > WIDE * min(values)


def within(values: list[float]) -> list[float]:
    """The values that fit into a picture; a single loss of 1e20 would leave the others no height."""
    return [value for value in values if value <= FAR * np.median(values)] if min(values, default=0) > 0 else values


def logarithmic(axes: Any, which: str) -> None:
    """Makes an axis logarithmic, with plain numbers at the powers of ten."""
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def places_on(axes: Any, which: str, field: str, values: list[Any]) -> dict[str, float]:
    """Places the values of a field on an axis: a number at itself, anything else in its turn."""
    import matplotlib.ticker

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_label_text(field)
    if not are_numbers(values):
        words = [str(value) for value in values]
        axis.set_ticks(range(len(values)), words)
        axis.axes.set(**{f"{which}lim": (-0.5, len(values) - 0.5)})
        axes.tick_params(axis="x", rotation=0 if sum(map(len, words)) < MOST_LETTERS else 20)
        return {str(value): float(place) for place, value in enumerate(values)}
    if is_wide(values):
        logarithmic(axes, which)
    if len(values) <= MOST_PANELS:
        axis.set_ticks(values, [f"{value:g}" for value in values])
        axis.set_minor_locator(matplotlib.ticker.NullLocator())
    return {str(value): float(value) for value in values}
