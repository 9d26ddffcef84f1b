"""The figures of a run: loss and gradient norm against the step."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from rnnjax.figure import make_figure, make_panels, write_figure
from rnnjax.model.loss import NATS_PER_BIT
from rnnjax.run.metrics import read_metrics

BITS = 1 / NATS_PER_BIT


def plot_run(
    directory: Path,
    title: str,
    unit: str = "character",
    in_nats: bool = True,
    levels: Mapping[str, float] = MappingProxyType({}),
) -> None:
    """Draws loss.png and gradient_norm.png from a run's metrics; nothing where there are none yet.

    Where layers ran in parallel over time iterations.png too.

    Args:
      unit: unit that the loss is a mean over.
      in_nats: True for a loss in nats; False for a squared error, drawn over its powers of ten.
      levels: known losses, by name.
    """
    rows = list(read_metrics(directory / "metrics.jsonl"))
    if not rows:
        return
    figure = make_figure(7, 4.8)
    axes = figure.add_subplot()
    _line(axes, rows, "loss", "training (each at the weights of its step)", color="C0", alpha=0.8)
    validation = [row for row in rows if row.get("validation_loss") is not None]
    if validation:
        _line(axes, validation, "validation_loss", "validation", color="C1", marker=".")
        best = min(validation, key=lambda row: row["validation_loss"])
        axes.plot(
            best["step"],
            best["validation_loss"],
            "o",
            color="C3",
            label=f"best: {best['validation_loss']:#.4g} at step {best['step']:,}",
        )
    for name, level in levels.items():
        axes.axhline(level, color="0.4", linestyle="--", linewidth=1, label=name)
    axes.set(xlabel="training step", ylabel=f"loss (nats per {unit})" if in_nats else "squared error", title=title)
    if in_nats:
        bits = axes.secondary_yaxis(
            "right", functions=(lambda nats: np.multiply(nats, BITS), lambda bits: np.divide(bits, BITS))
        )
        bits.set_ylabel(f"bits per {unit}")
    else:
        axes.set_yscale("log")
    figure.legend(loc="outside lower center", ncols=2)
    axes.grid(alpha=0.3)
    write_figure(directory / "loss.png", figure)

    figure = make_figure(7, 4.6)
    axes = figure.add_subplot()
    _line(axes, rows, "grad_norm", "mean over the window of a metrics line", color="C0")
    axes.set(xlabel="training step", ylabel="global gradient norm before clipping", title=title, yscale="log")
    share = axes.twinx()
    share.fill_between(
        [r["step"] for r in rows],
        [100 * (r["clipped"] or 0) for r in rows],
        step="pre",
        color="C3",
        alpha=0.15,
        label="steps clipped",
    )
    share.set(ylabel="steps that clipping changed (%)", ylim=(0, 100))
    figure.legend(loc="outside lower center", ncols=2)
    axes.grid(alpha=0.3)
    write_figure(directory / "gradient_norm.png", figure)

    if any(row.get("iterations") is not None for row in rows):
        plot_effort(directory, title, rows)


def plot_effort(directory: Path, title: str, rows: list[dict]) -> None:
    """Draws iterations.png: the effort of the solver, and beside it the largest exponent, where it is known."""
    measured = [row for row in rows if row.get("exponent") is not None]
    figure, panels = make_panels(11 if measured else 7, 4.6, 2 if measured else 1)
    figure.suptitle(title)
    axes = panels[0]
    _line(axes, rows, "iterations", "iterations, mean over the window of a metrics line", color="C0")
    axes.set(xlabel="training step", ylabel="iterations of the slowest stream and layer", ylim=(0, None))
    share = axes.twinx()
    left = [100 * (row.get("sequential") or 0) for row in rows]
    share.fill_between([row["step"] for row in rows], left, step="pre", color="C3", alpha=0.15, label="not converged")
    share.set(ylabel="steps left to the loop (%)", ylim=(0, 100))
    if measured:
        beside = panels[1]
        _line(beside, measured, "exponent", "exponent along the validation text", color="C2", marker=".")
        beside.axhline(0, color="0.4", linewidth=1, linestyle="--", label="0: above it the network is not predictable")
        beside.set(xlabel="training step", ylabel="largest Lyapunov exponent (nats per step)")
    figure.legend(loc="outside lower center", ncols=2)
    write_figure(directory / "iterations.png", figure)


def _line(axes, rows: list[dict], key: str, label: str, **style) -> None:
    points = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
    axes.plot(*zip(*points, strict=True) if points else ([], []), label=label, **style)
