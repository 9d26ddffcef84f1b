"""The figures of a run, against the step: loss, gradient norm, effort of a solver."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from rnnjax.figure import make_figure, make_panels, write_figure
from rnnjax.model.loss import NATS_PER_BIT
from rnnjax.run.metrics import read_metrics


def plot_run(
    directory: Path,
    title: str,
    unit: str = "character",
    in_nats: bool = True,
    levels: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Draws the figures of a run from its metrics, if there are any yet; iterations.png if a solver ran its layers.

    Args:
      unit: unit that the loss is a mean over.
      in_nats: True for a loss in nats; False for a squared error, on a logarithmic scale.
      levels: known losses, by name.
    """
    rows = list(read_metrics(directory / "metrics.jsonl"))
    if not rows:
        return
    plot_loss(directory, title, rows, unit, in_nats, levels)
    plot_gradient_norm(directory, title, rows)
    if any(row.get("iterations") is not None for row in rows):
        plot_effort(directory, title, rows)


def plot_loss(
    directory: Path, title: str, rows: list[dict], unit: str, in_nats: bool, levels: Mapping[str, float]
) -> None:
    """Draws loss.png: training and validation loss, the best of it, and known levels."""
    figure = make_figure(7, 4.8)
    axes = figure.add_subplot()
    _line(axes, rows, "loss", "training (each at the weights of its step)", color="C0", alpha=0.8)
    validation = [row for row in rows if row.get("validation_loss") is not None]
    if validation:
        _line(axes, validation, "validation_loss", "validation", color="C1", marker=".")
        best = min(validation, key=lambda row: row["validation_loss"])
        label = f"best: {best['validation_loss']:#.4g} at step {best['step']:,}"
        axes.plot(best["step"], best["validation_loss"], "o", color="C3", label=label)
    for name, level in levels.items():
        axes.axhline(level, color="0.4", linestyle="--", linewidth=1, label=name)
    axes.set(xlabel="training step", ylabel=f"loss (nats per {unit})" if in_nats else "squared error", title=title)
    if in_nats:
        both_ways = (lambda nats: np.divide(nats, NATS_PER_BIT), lambda bits: np.multiply(bits, NATS_PER_BIT))
        axes.secondary_yaxis("right", functions=both_ways).set_ylabel(f"bits per {unit}")
    else:
        axes.set_yscale("log")
    figure.legend(loc="outside lower center", ncols=2)
    axes.grid(alpha=0.3)
    write_figure(directory / "loss.png", figure)


def plot_gradient_norm(directory: Path, title: str, rows: list[dict]) -> None:
    """Draws gradient_norm.png: the norm before clipping, and the share of steps that clipping changed."""
    figure = make_figure(7, 4.6)
    axes = figure.add_subplot()
    _line(axes, rows, "grad_norm", "mean over the window of a metrics line", color="C0")
    axes.set(xlabel="training step", ylabel="global gradient norm before clipping", title=title, yscale="log")
    _share(axes, rows, "clipped", "steps clipped", "steps that clipping changed (%)")
    figure.legend(loc="outside lower center", ncols=2)
    axes.grid(alpha=0.3)
    write_figure(directory / "gradient_norm.png", figure)


def plot_effort(directory: Path, title: str, rows: list[dict]) -> None:
    """Draws iterations.png: the solver's iterations, and beside them the largest exponent, where it was measured."""
    measured = [row for row in rows if row.get("exponent") is not None]
    figure, panels = make_panels(11 if measured else 7, 4.6, 2 if measured else 1)
    figure.suptitle(title)
    axes = panels[0]
    _line(axes, rows, "iterations", "iterations, mean over the window of a metrics line", color="C0")
    axes.set(xlabel="training step", ylabel="iterations of the slowest stream and layer", ylim=(0, None))
    _share(axes, rows, "sequential", "not converged", "steps left to the loop (%)")
    if measured:
        beside = panels[1]
        _line(beside, measured, "exponent", "exponent along the validation text", color="C2", marker=".")
        beside.axhline(0, color="0.4", linewidth=1, linestyle="--", label="0: above it the network is not predictable")
        beside.set(xlabel="training step", ylabel="largest Lyapunov exponent (nats per step)")
    figure.legend(loc="outside lower center", ncols=2)
    write_figure(directory / "iterations.png", figure)


def _share(axes, rows: list[dict], key: str, label: str, ylabel: str) -> None:
    """Shades a share of steps, in percent on an axis of its own."""
    beside, percent = axes.twinx(), [100 * (row.get(key) or 0) for row in rows]
    beside.fill_between([row["step"] for row in rows], percent, step="pre", color="C3", alpha=0.15, label=label)
    beside.set(ylabel=ylabel, ylim=(0, 100))


def _line(axes, rows: list[dict], key: str, label: str, **style) -> None:
    points = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
    axes.plot(*zip(*points, strict=True) if points else ([], []), label=label, **style)
