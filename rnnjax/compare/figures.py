"""The certificate as a picture."""

import math
from pathlib import Path
from typing import Any

from rnnjax.certificate.certificate import Certificate
from rnnjax.figure import make_figure, write_figure
from rnnjax.gradients.claim import ROUNDING

COLORS = {"exact": "C0", "truncated": "C1", "approximate": "C3", "unbiased": "C2", "?": "C7"}
FLOOR, CEILING = 1e-17, 1e3


def plot(path: Path, title: str, found: Certificate) -> None:
    """Draws, for each method, its distance from both exact gradients, its cosine, and what it costs."""
    rows: list[Any] = [row for row in found.rows if row.target is not None][::-1]
    figure = make_figure(13, 2.1 + 0.34 * max(len(rows), 3))
    panels = figure.subplots(1, 4, sharey=True, width_ratios=[3, 1, 1, 1])
    of_error, of_cosine, of_time, of_memory = panels
    draw_errors(of_error, rows)
    figure.legend(*of_error.get_legend_handles_labels(), fontsize=8, loc="outside lower left", ncols=6, frameon=False)
    draw_cosines(of_cosine, rows)
    draw_costs(of_time, rows, [1e3 * row.cost.seconds for row in rows], "time of a window (ms)")
    draw_costs(of_memory, rows, [(row.cost.memory or math.nan) / 1e3 for row in rows], "temporary memory (kB)")
    of_error.set_yticks(range(len(rows)), [f"{row.method}  {row.verdict}" for row in rows])
    for label, row in zip(of_error.get_yticklabels(), rows, strict=True):
        label.set_color("C3" if row.verdict == "FAIL" else "black")
    of_error.set_ylim(-0.7, len(rows) - 0.3)
    for axes in panels:
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
    missing = [row.method for row in found.rows if row.target is None]
    n_a = f"\nn/a: {', '.join(missing)}" if missing else ""
    figure.suptitle(f"{title}: gradient methods against the exact gradient, {cut_of(found)}{n_a}", fontsize=11)
    write_figure(path, figure)


def cut_of(found: Certificate) -> str:
    count, T, B = found.shape
    return f"{count} windows of {B} x {T} characters"


def draw_errors(axes, rows: list[Any]) -> None:
    """Draws a dot for the exact gradient that the method is about, a circle for the other."""
    for place, row in enumerate(rows):
        other = row.window if row.of == "stream" else row.stream
        axes.plot(bounded(other.error), place, "o", markerfacecolor="none", color=COLORS[row.kind], alpha=0.6)
        axes.plot(bounded(row.target.error), place, "o", color=COLORS[row.kind], markersize=8)
        if row.tolerance != ROUNDING:
            axes.plot(row.tolerance, place, "|", color="black", markersize=14)
    axes.axvline(ROUNDING, color="black", linewidth=0.8, linestyle="--")
    for kind in dict.fromkeys(row.kind for row in rows[::-1]):
        axes.plot([], [], "o", color=COLORS[kind], label=kind)
    axes.plot([], [], "o", color="C7", markerfacecolor="none", label="against the other meaning of exact")
    axes.plot([], [], "--", color="black", linewidth=0.8, label="largest error of what is equal, if not marked")
    axes.set(xscale="log", xlim=(FLOOR, CEILING), xlabel="largest error, as a share of the leaf's largest entry")


def draw_cosines(axes, rows: list[Any]) -> None:
    for place, row in enumerate(rows):
        axes.barh(place, row.target.cosine, color=COLORS[row.kind], height=0.6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set(
        xlabel="cosine with the exact gradient", xlim=(min(0, *(row.target.cosine for row in rows), 0) - 0.05, 1.05)
    )


def draw_costs(axes, rows: list[Any], values: list[float], label: str) -> None:
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        axes.plot(value, place, "s", color=COLORS[row.kind])
    known = [math.log10(value) for value in values if value > 0] or [0.0]
    ends = (10 ** math.floor(min(known) - 0.1), 10 ** math.ceil(max(known) + 0.1))  # whole decades, or ticks collide
    axes.set(xscale="log", xlabel=label, xlim=ends)
    axes.xaxis.set_minor_formatter("")


def bounded(error: float) -> float:
    """Error within the axis: zero at its left end, infinity at its right."""
    return min(max(error, 2 * FLOOR), CEILING / 2) if math.isfinite(error) else CEILING / 2
