"""The picture of `benchmarks.training`: a panel for each cell, a row for each program, a colour for each size."""

from pathlib import Path

from benchmarks.problem import SIZES
from benchmarks.spread import spread
from rnnjax.figure import make_figure, write_figure

MARKERS = {"S": "o", "M": "s", "L": "D"}


def draw(path: Path, machine: dict, cases: list) -> None:
    import matplotlib.ticker

    cells = list(dict.fromkeys(case.cell for case in cases))
    titles = list(dict.fromkeys(program.title for case in cases for program in case.programs))
    figure = make_figure(3 + 4 * len(cells), 1.8 + 0.32 * len(titles))
    panels = figure.subplots(1, len(cells), sharey=True, squeeze=False)[0]
    for axes, cell in zip(panels, cells, strict=True):
        for case in cases:
            if case.cell == cell:
                _points(axes, case, titles)
        axes.set(title=cell, xscale="log", xlabel="time of a training step (ms)")
        axes.grid(axis="x", which="major", alpha=0.5)
        axes.grid(axis="x", which="minor", alpha=0.15)
        axes.grid(axis="y", alpha=0.2)
        axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    panels[0].set_yticks(range(len(titles)), titles)
    panels[0].invert_yaxis()
    handles = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
    columns = min(len(handles), 1 + 2 * len(cells))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=columns, frameon=False)
    on = f"{machine['processor']}, {machine['cores']} cores" if machine["platform"] == "cpu" else machine["device"]
    figure.suptitle(f"Median and quartiles, {on}", fontsize=10)
    write_figure(path, figure)


def _points(axes, case, titles: list[str]) -> None:
    """One size: a dot with its quartiles for each program, and the floor as a line."""
    batch, length, hidden = SIZES[case.size]
    colour = f"C{list(SIZES).index(case.size)}"
    rows = [(titles.index(p.title), spread(p.times)) for p in case.programs if p.times]
    medians = [1e3 * taken.median for _, taken in rows]
    below = [1e3 * (taken.median - taken.quartile_1) for _, taken in rows]
    above = [1e3 * (taken.quartile_3 - taken.median) for _, taken in rows]
    label = f"{case.size}: B = {batch}, T = {length}, H = {hidden}"
    style = {"fmt": MARKERS[case.size], "color": colour, "markersize": 5, "capsize": 2, "label": label}
    axes.errorbar(medians, [row for row, _ in rows], xerr=[below, above], **style)
    axes.axvline(1e3 * case.floor, color=colour, linestyle=":", label=f"floor of {case.size}")
