"""The picture of fixed points: visited states and points in principal components, and the eigenvalues of each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnnjax.figure import make_figure, write_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_STATES = 3000


def plot(path: Path, name: str, found: dict, visited: np.ndarray) -> None:
    """Writes the picture of one network."""
    figure = make_figure(10, 4.6)
    left, right = figure.subplots(1, 2)
    figure.suptitle(f"{name}: {found['text']}", fontsize="small")
    draw_points(left, visited, found["states"], np.asarray(found["unstable"]))
    draw_eigenvalues(right, found["eigenvalues"], np.asarray(found["unstable"]))
    write_figure(path, figure)


def draw_points(axes: Axes, visited: np.ndarray, points: np.ndarray, unstable: np.ndarray) -> None:
    """Visited states [n, S] as dots, points [m, S] on top, in the first two principal components of the states."""
    centre = visited.mean(0)
    directions = np.linalg.svd(visited - centre, full_matrices=False)[2][:2].T
    shown = (visited[:: max(1, len(visited) // MOST_STATES)] - centre) @ directions
    axes.plot(*shown.T, ".", color="0.8", markersize=2, label="visited")
    for count in np.unique(unstable):
        of = (points[unstable == count] - centre) @ directions
        label = "stable" if count == 0 else f"{count} unstable"
        axes.plot(*of.T, "o" if count == 0 else "x", color=f"C{min(int(count), 9)}", label=label)
    axes.set(xlabel="first principal component", ylabel="second")
    axes.legend(fontsize="small")


def draw_eigenvalues(axes: Axes, eigenvalues: list, unstable: np.ndarray) -> None:
    """Eigenvalues in the complex plane, with the unit circle."""
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color="0.6", linewidth=1)
    for values, count in zip(eigenvalues, unstable, strict=True):
        axes.plot(*np.asarray(values).T, ".", color=f"C{min(int(count), 9)}", markersize=4)
    axes.set(xlabel="real part of the eigenvalues", ylabel="imaginary part", aspect="equal")
