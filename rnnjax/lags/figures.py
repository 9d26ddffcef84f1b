"""Figures of the gradient by lag, of truncation, and of the Lyapunov spectrum: of one network, or of several."""

import textwrap
from pathlib import Path

import numpy as np

from rnnjax.figure import make_panels, write_figure
from rnnjax.lags.tables import character

SMALLEST_BIAS = 1e-14
"""Share below which a bias is not drawn: it is the rounding error of the sum."""


def plot_lags(directory: Path, found: dict, lags: int, description: str) -> list[str]:
    """Draws gradient_by_lag.png, truncation.png and lyapunov.png of one network. Returns their names."""
    figure, (axes,) = _panels(1, found["name"])
    _gradient_norm(axes, found, lags, "mean", "C0")
    norm = found["gradient_norm"]
    axes.fill_between(range(lags + 1), norm["p10"], norm["p90"], color="C0", alpha=0.2, label="10% to 90% of them")
    _finish(figure, [axes], description, directory / "gradient_by_lag.png")

    figure, (left, right) = _panels(2, found["name"])
    _bias(left, found, lags, None, "C0")
    wanted = found["wanted"]
    left.axhline(wanted["bias"], color="C3", linestyle="--", linewidth=1, label=f"wanted: {wanted['bias']:g}")
    if wanted["k"]:
        left.plot(
            wanted["k"], found["truncation"]["bias"][wanted["k"] - 1], "o", color="C3", label=f"k = {wanted['k']}"
        )
    _cosine(right, found, lags, None, "C0")
    _finish(figure, [left, right], description, directory / "truncation.png")

    figure, (axes,) = _panels(1, found["name"])
    _exponents(axes, found, None, "C0")
    T = len(found["truncation"]["bias"])
    about = f"mean over the {T} steps of each window, after {T} steps that turn the directions into place"
    _finish(figure, [axes], f"{about}; band: standard error over the windows", directory / "lyapunov.png")
    return ["gradient_by_lag.png", "truncation.png", "lyapunov.png"]


def plot_side_by_side(directory: Path, networks: list[dict], lags: int, description: str) -> list[str]:
    """Draws side_by_side.png: the same three of several networks, on the same text."""
    figure, (left, middle, right) = _panels(3, "how far back the gradient reaches", 5.4)
    for index, found in enumerate(networks):
        _gradient_norm(left, found, lags, None, f"C{index}")
        _bias(middle, found, lags, None, f"C{index}")
        largest = found["lyapunov"]["exponents"][0]
        label = f"{found['name']}: {character(found)}; largest exponent {largest:+.2f}"
        _exponents(right, found, label, f"C{index}")
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", frameon=False, title=description, title_fontsize="small")
    write_figure(directory / "side_by_side.png", figure)
    return ["side_by_side.png"]


def _panels(count: int, title: str, height: float = 4.6) -> tuple:
    figure, panels = make_panels(7 if count == 1 else 4.6 * count, height, count)
    figure.suptitle(title)
    return figure, panels


def _gradient_norm(axes, found: dict, lags: int, label: str | None, color: str) -> None:
    axes.plot(range(lags + 1), found["gradient_norm"]["mean"], color=color, label=label)
    axes.set(
        xlabel="lag k (steps back from the loss)", ylabel="|∂L(t) / ∂h(t-k)|  (nats per unit of state)", yscale="log"
    )
    axes.set_title("gradient of a step's loss\nwith respect to an earlier state", fontsize="medium")


def _bias(axes, found: dict, lags: int, label: str | None, color: str) -> None:
    k = np.arange(1, lags + 2)
    bias = found["truncation"]["bias"][: lags + 1]
    axes.plot(k, np.where(bias > SMALLEST_BIAS, bias, np.nan), color=color, label=label)
    axes.set(xlabel="k (steps kept of each loss's history)", ylabel="|g(<k) - g| / |g|", yscale="log")
    axes.set_title("what truncation leaves out:\nrelative bias of the whole gradient", fontsize="medium")


def _cosine(axes, found: dict, lags: int, label: str | None, color: str) -> None:
    axes.plot(np.arange(1, lags + 2), found["truncation"]["cosine"][: lags + 1], color=color, label=label)
    axes.set(xlabel="k (steps kept of each loss's history)", ylabel="cosine of the angle to the whole gradient")
    axes.set_title("where truncation points:\n1 is the true direction", fontsize="medium")


def _exponents(axes, found: dict, label: str | None, color: str) -> None:
    exponents, error = found["lyapunov"]["exponents"], found["lyapunov"]["standard_error"]
    index = np.arange(1, len(exponents) + 1)
    axes.plot(index, exponents, ".-", color=color, label=label, markersize=3, linewidth=1)
    axes.fill_between(index, exponents - error, exponents + error, color=color, alpha=0.2)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlabel=f"exponent, the largest first (of {found['lyapunov']['state']})")
    axes.set_ylabel("growth rate (nats per step)")
    axes.set_title("Lyapunov spectrum along the real text:\nabove 0 small deviations grow", fontsize="medium")


def _finish(figure, panels: list, description: str, path: Path) -> None:
    for axes in panels:
        if axes.get_legend_handles_labels()[1]:
            axes.legend()
    width = int(13 * figure.get_figwidth())
    figure.supxlabel("\n".join(textwrap.wrap(description, width)), fontsize="small", color="0.35")
    write_figure(path, figure)
