"""The picture of `benchmarks.scaling`: a panel for each axis and quantity, a line for each method; its legend has the
exponents over all points and over the last two."""

from pathlib import Path

from rnnjax.figure import make_figure, write_figure

COLUMNS = 4
COLORS = 10


def style(number: int) -> dict:
    """Style of a method's line: the ten colours, and then once more with other marks."""
    return {"color": f"C{number % COLORS}", "marker": "os^"[number // COLORS % 3]}


def draw(path: Path, curves: list, names: dict[str, str]) -> None:
    import matplotlib.ticker

    panels = list(dict.fromkeys((curve.quantity, curve.axis) for curve in curves))
    methods = list(dict.fromkeys(curve.method for curve in curves))
    columns = min(len(panels), COLUMNS)
    rows = -(-len(panels) // columns)
    figure = make_figure(4.2 * columns, 5 * rows)
    plain = matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    for axes, (quantity, axis) in zip(grid, panels, strict=False):
        for curve in curves:
            if (curve.quantity, curve.axis) == (quantity, axis):
                scale = 1e3 if quantity == "time" else 1e-6
                label = f"{curve.method}: {curve.exponent:.2f}, {curve.last_exponent:.2f}"
                values = [scale * value for value in curve.values]
                axes.plot(curve.at, values, **style(methods.index(curve.method)), label=label)
                axes.set_xscale("log", base=2)
                axes.set_xticks(curve.at)
        axes.set(yscale="log", xlabel=names[axis], title=f"{quantity} against {names[axis]}")
        axes.set_ylabel("time of a training step (ms)" if quantity == "time" else "temporary memory (MB)")
        axes.xaxis.set_major_formatter(plain)
        axes.yaxis.set_major_formatter(plain)
        axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
        axes.grid(which="both", alpha=0.2)
        axes.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    write_figure(path, figure)
