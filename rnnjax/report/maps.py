"""The picture of a study over two of its axes: a heat map, or points if the axes are no grid."""

from typing import Any

import numpy as np

from rnnjax.figure import make_figure
from rnnjax.report.drawing import MOST_PANELS, ink_color, is_wide, places_on, within
from rnnjax.report.labels import named, setting
from rnnjax.report.read import Record
from rnnjax.report.summary import ArmSummary

FULL = 0.5
"""Least share of a grid's cells with an arm for it to be drawn as a grid."""

Panels = dict[tuple[str, ...], list[ArmSummary]]


def pair_of(study: Record) -> tuple[str, str] | None:
    """The two axes of the map: those with most values; the first in the study's order lies along x."""
    count = {name: len(study.values(name)) for name in study.fields}
    most = sorted(count, key=lambda name: -count[name])[:2]
    if len(most) < 2:
        return None
    first, second = sorted(most, key=study.fields.index)
    return first, second


def panels_of(study: Record, found: list[ArmSummary], pair: tuple[str, str]) -> Panels:
    """Groups the arms by the setting of the other axes, in the study's order."""
    order = {arm["name"]: index for index, arm in enumerate(study.arms)}
    panels: Panels = {}
    for arm in sorted(found, key=lambda arm: order[arm.name]):
        others = tuple(setting(arm, name) for name in study.fields if name not in pair)
        panels.setdefault(others, []).append(arm)
    return panels


def can_draw(study: Record, found: list[ArmSummary], pair: tuple[str, str]) -> bool:
    """True if there is a mean to draw, and each setting of the other axes has room for a panel."""
    return any(arm.mean is not None for arm in found) and len(panels_of(study, found, pair)) <= MOST_PANELS


def over(study: Record, found: list[ArmSummary], pair: tuple[str, str]) -> Any:
    """Draws the metric over two axes, one panel for each setting of the others."""
    panels = panels_of(study, found, pair)
    means = [arm.mean for arm in found if arm.mean is not None]
    columns, rows = (study.values(field) for field in pair)
    is_grid = len(found) >= FULL * len(panels) * len(columns) * len(rows)
    across = min(len(panels), 2)
    down = -(-len(panels) // across)
    width = max(4.5, 1.1 * len(columns) + 2) if is_grid else 6.5
    figure = make_figure(width * across + 1, (max(2.6, 0.6 * len(rows) + 1.6) if is_grid else 4.5) * down)
    cells = figure.subplots(down, across, squeeze=False).ravel()
    colors = _colors(study, means)
    draw = _grid if is_grid else _scatter
    for axes, (others, arms) in zip(cells, panels.items(), strict=False):
        image = draw(axes, arms, pair, (columns, rows), colors)
        axes.set_title(", ".join(others), fontsize="medium")
    for axes in cells[len(panels) :]:
        axes.remove()
    bar = figure.colorbar(
        image, ax=list(cells[: len(panels)]), label=named(study, study.metric), shrink=0.8, format="{x:g}"
    )
    bar.ax.yaxis.set_minor_formatter("")
    return figure


def _colors(study: Record, means: list[float]) -> dict[str, Any]:
    """The colour scale of the means; bright is good."""
    import matplotlib.colors

    means = within(means)
    norm = matplotlib.colors.LogNorm if is_wide(means) else matplotlib.colors.Normalize
    return {"cmap": "viridis_r" if study.lower_is_better else "viridis", "norm": norm(min(means), max(means))}


def _grid(axes: Any, arms: list[ArmSummary], pair: tuple[str, str], values: tuple[list, list], colors: dict) -> Any:
    places = [{str(value): place for place, value in enumerate(of)} for of in values]
    cells = np.full((len(values[1]), len(values[0])), np.nan)
    for arm in arms:
        column, row = (place[str(arm.fields.get(field))] for place, field in zip(places, pair, strict=True))
        if arm.mean is not None:
            cells[row, column] = arm.mean
            red, green, blue, _ = _color(colors, arm.mean)
            ink = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
            words = in_three_digits(arm.mean) + ("*" if arm.unfinished else "")
        else:
            ended = arm.planned - arm.unfinished
            ink, words = ink_color(), f"{arm.spoilt}/{arm.planned}\nlost" if ended else "none yet"
        axes.text(column, row, words, ha="center", va="center", color=ink, fontsize="small")
    image = axes.imshow(cells, aspect="auto", origin="lower", **colors)
    for axis, of, field in zip((axes.xaxis, axes.yaxis), values, pair, strict=True):
        axis.set_ticks(range(len(of)), [f"{value:g}" if isinstance(value, float) else str(value) for value in of])
        axis.set_label_text(field)
    return image


def in_three_digits(value: float) -> str:
    """A number in three digits, zeros at its end too, as 2.40 beside 2.46."""
    return f"{value:#.3g}".removesuffix(".")


def _color(colors: dict[str, Any], mean: float) -> tuple[float, float, float, float]:
    import matplotlib

    return matplotlib.colormaps[colors["cmap"]](float(colors["norm"](mean)))


def _scatter(axes: Any, arms: list[ArmSummary], pair: tuple[str, str], values: tuple[list, list], colors: dict) -> Any:
    places = [places_on(axes, which, field, of) for which, field, of in zip("xy", pair, values, strict=True)]

    def at(some: list[ArmSummary]) -> list[list[float]]:
        return [[place[str(arm.fields.get(field))] for arm in some] for place, field in zip(places, pair, strict=True)]

    known = [arm for arm in arms if arm.mean is not None]
    image = axes.scatter(
        *at(known), c=[arm.mean for arm in known], s=60, edgecolors=ink_color(), linewidths=0.5, **colors
    )
    if spoilt := [arm for arm in arms if arm.spoilt]:
        axes.scatter(*at(spoilt), marker="x", color="C3", label="lost seeds: no mean")
        axes.legend()
    axes.grid(alpha=0.3)
    return image
