"""Figures of the effect of clipping on length and direction of a gradient."""

from pathlib import Path

import numpy as np

from rnnjax.clipping.tables import shown
from rnnjax.figure import make_panels, write_figure

STYLES = {
    "value": ("C3", "-", "by value (the book's code)"),
    "global_norm": ("C0", "-", "by global norm (the book's formula)"),
    "per_leaf_norm": ("C2", "--", "by the norm of each leaf"),
}


def plot_clipping(directory: Path, found: dict) -> list[str]:
    """Draws clipping.png and clipping_leaves.png. Returns their names."""
    title = f"{found['name']}: medians over {found['windows']} training windows"
    figure, (left, middle, right) = make_panels(13, 4.8, 3)
    figure.suptitle(title)
    multiples = found["sweep"]["multiples_of_median_norm"]
    for kind, (color, line, label) in STYLES.items():
        curve = found["sweep"][kind]
        left.plot(multiples, 100 * curve["length_kept"], color=color, linestyle=line, label=label)
        middle.plot(multiples, curve["angle"], color=color, linestyle=line)
        right.plot(100 * curve["length_kept"], curve["angle"], color=color, linestyle=line)
    threshold = found["config"]["clip_threshold"] / found["norm"]["median"]
    for axes in (left, middle):
        if multiples[0] < threshold < multiples[-1]:
            axes.axvline(threshold, color="0.4", linestyle=":", label="the config's threshold")
        axes.set(xscale="log", xlabel=f"threshold / median norm of the gradient ({found['norm']['median']:.3g})")
    left.set_ylabel("length kept (%)")
    left.set_title("length after clipping", fontsize="medium")
    middle.set_ylabel("angle to the gradient (degrees)")
    middle.set_title("direction after clipping", fontsize="medium")
    right.set(xlabel="length kept (%)", ylabel="angle to the gradient (degrees)")
    right.set_title("direction at the same length", fontsize="medium")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    write_figure(directory / "clipping.png", figure)
    _leaves(directory / "clipping_leaves.png", found, title)
    return ["clipping.png", "clipping_leaves.png"]


def _leaves(path: Path, found: dict, title: str) -> None:
    """Draws each leaf's length before and after each kind, as a share of the whole, and the angle of each leaf."""
    row = shown(found)
    rows = {other["kind"]: other for other in found["rows"] if other["which"] == row["which"]}
    names = list(row["leaves"])
    figure, (left, right) = make_panels(13, 1.8 + 0.75 * len(names), 2, sharey=True)
    figure.suptitle(f"{title}\nthreshold {row['threshold']:.3g} ({row['which']} norm)")
    place = np.arange(len(names))
    before = [100 * found["share_of_length"][name] for name in names]
    left.barh(place - 0.3, before, 0.2, color="0.6", label="before clipping")
    for index, (kind, (color, _, label)) in enumerate(STYLES.items()):
        after = [100 * rows[kind]["leaves"][name]["share_of_length"] for name in names]
        left.barh(place - 0.1 + 0.2 * index, after, 0.2, color=color, label=label)
        angles = [rows[kind]["leaves"][name]["angle"] for name in names]
        right.barh(place - 0.1 + 0.2 * index, angles, 0.2, color=color)
    left.set(yticks=place, yticklabels=names, xlabel="length of the leaf, of the whole gradient's (%)")
    left.invert_yaxis()
    left.set_title("proportions of the leaves", fontsize="medium")
    right.set(xlabel="angle between the leaf before and after (degrees)")
    right.set_title("direction of each leaf", fontsize="medium")
    for axes in (left, right):
        axes.grid(False, axis="y")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    write_figure(path, figure)
