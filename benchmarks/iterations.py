"""Iterations of Newton's method over time beside the Lyapunov exponent: python -m benchmarks.iterations runs/parallel.

Reads the results of configs/ablations/parallel.yaml, prints the share of networks whose iterations at least double from
T = 64 to T = 1,024 (elk: 256), or then do not converge, by exponent, and what a rule of one number would have said, and
draws docs/studies/parallel.png.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from benchmarks import saving
from rnnjax.figure import make_panels, write_figure

EDGES = [-np.inf, -0.1, -0.02, 0.0, np.inf]
"""Ends of the classes of exponents, nats per step."""

ROW = ["model.cell", "training.sequence_length", "gradient.tolerance", "gradient.start", "gradient.solver"]
BASE = ("vanilla", 256, 1e-8, "zeros", "deer")
FORMS = ("{}", "T = {:.0f}", "tolerance {:.0e}", "start {}", "{}")
LENGTHS = {"deer": (64, 1024), "quasi": (64, 1024), "elk": (64, 256)}
"""T of the rows that are compared, by solver."""

TICKS = (3, 5, 10, 20, 40, 64)
"""Numbers of iterations that the figure names."""

FIGURE = Path(__file__).parents[1] / "docs" / "studies" / "parallel.png"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("benchmarks.iterations", description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--figure", type=Path, default=FIGURE)
    options = parser.parse_args(argv)
    found = pd.read_parquet(options.study / "results").query("final").reset_index(drop=True)
    for solver, lengths in LENGTHS.items():
        print("\n".join(["", f"{solver}, T = {lengths[0]} and {lengths[1]}", "", *growth(found, solver, lengths)]))
    print("\n".join(["", *rule(found), ""]))
    write_figure(options.figure, draw(found))


def of_row(found: pd.DataFrame, **changed: object) -> pd.DataFrame:
    """The arms of one row of the study: the base, and what is changed in it."""
    wanted = dict(zip(ROW, BASE, strict=True)) | changed
    return found[np.logical_and.reduce([found[name] == value for name, value in wanted.items()])]


def growth(found: pd.DataFrame, solver: str, lengths: tuple[int, int]) -> list[str]:
    """The share of networks whose iterations at least double from the shorter T to the longer, or then do not converge,
    with Wilson's intervals."""
    both = [of_row(found, **{"training.sequence_length": T, "gradient.solver": solver}) for T in lengths]
    pairs = both[0].merge(both[1], on=["model.init_scale", "seed"], suffixes=("_short", ""))
    doubled = (pairs.iterations >= 2 * pairs.iterations_short) | (pairs.sequential > 0)
    kind = pd.cut(pairs.exponent, EDGES)
    rows = []
    for name, group in doubled.groupby(kind, observed=True):
        low, high = binomtest(int(group.sum()), len(group)).proportion_ci(method="wilson")
        rows.append((str(name), f"{group.sum()} of {len(group)}", f"{low:.2f} to {high:.2f}"))
    return saving.table(("largest exponent", "iterations grew", "share, 95%"), rows)


def rule(found: pd.DataFrame) -> list[str]:
    """Iterations as a multiple of 4 + 1/|exponent|, of whole Jacobians that forget and converge: median and range."""
    calm = found[(found.exponent < -0.02) & (found.sequential == 0) & (found["gradient.solver"] == "deer")]
    share = calm.iterations / (4 + 1 / calm.exponent.abs())
    rows = [
        (cell, f"{len(group)}", f"{group.median():.2f}", f"{group.min():.2f} to {group.max():.2f}")
        for cell, group in share.groupby(calm["model.cell"])
    ]
    return saving.table(("cell", "networks", "iterations / (4 + 1/|exponent|)", "range"), rows)


def draw(found: pd.DataFrame):
    """Iterations against the exponent, every network a point: a row of the study has a colour, deer a panel."""
    figure, panels = make_panels(12, 5.4, 2, sharex=True, sharey=True)
    is_deer = found["gradient.solver"] == "deer"
    for axes, part, title in zip(panels, (found[is_deer], found[~is_deer]), ("deer", "quasi and elk"), strict=True):
        for index, (values, arms) in enumerate(part.groupby(ROW, sort=False)):
            named = [form.format(value) for form, value in zip(FORMS, values, strict=True)]
            changed = [name for name, value, usual in zip(named, values, BASE, strict=True) if value != usual]
            label = ", ".join(changed or named)
            axes.plot(arms.exponent, arms.iterations, "o", markersize=3.5, color=f"C{index}", label=label)
        axes.axvline(0, color="0.4", linewidth=1)
        axes.set(xlabel="largest Lyapunov exponent (nats per step)", yscale="log", title=title)
        axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)
    panels[0].set(ylabel="iterations (64: not converged)")
    panels[0].set_yticks(TICKS, [f"{tick}" for tick in TICKS], minor=False)
    panels[0].set_yticks([], minor=True)
    figure.suptitle("Newton's method over time: fresh networks of 16 units on held-out text")
    return figure


if __name__ == "__main__":
    main()
