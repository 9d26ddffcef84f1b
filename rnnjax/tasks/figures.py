"""The pictures of the tasks: confusion matrix, curves, bars, attention."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnjax.figure import make_figure, make_panels

MOST_NUMBERED = 20
"""Most labels of a confusion matrix with counts written into it."""


def confusion(
    counts: Sequence[Sequence[int]],
    labels: list[str],
    title: str,
    counted: str = "held-out answers",
    rows: str = "truth",
    columns: str = "the network's answer",
) -> Any:
    """Draws a confusion matrix.

    Args:
      counts: `[labels, labels]`, truth by row, answer by column.
      counted: name of the things counted.
      rows: name of the axis of truth.
      columns: name of the axis of answers.
    """
    from matplotlib.ticker import MaxNLocator

    matrix = np.array(counts)
    size = 3.4 + 0.34 * min(len(labels), 40)
    figure = make_figure(size + 1, size)
    axes = figure.add_subplot()
    image = axes.imshow(matrix, cmap="Blues", vmin=0)
    figure.colorbar(image, ax=axes, label=counted, shrink=0.8).locator = MaxNLocator(integer=True)
    if len(labels) <= MOST_NUMBERED:
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                color = "white" if count > matrix.max() / 2 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize="small")
    axes.set_xticks(range(len(labels)), labels, rotation=0 if max(map(len, labels)) < 3 else 90)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel=columns, ylabel=rows)
    axes.grid(False)
    figure.suptitle(title, fontsize="medium")
    return figure


def curves(series: dict[str, list[float]], levels: dict[str, float], xlabel: str, ylabel: str, title: str) -> Any:
    """Draws series against their index, and levels as horizontal lines."""
    figure, (axes,) = make_panels(7, 4.2)
    for name, values in series.items():
        axes.plot(values, label=name)
    for name, level in levels.items():
        axes.axhline(level, color="0.4", linestyle="--", linewidth=1, label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure


def against_floor(found: list[dict[str, Any]], floor_is: str, unit: str, title: str) -> Any:
    """Draws loss and accuracy of a network at several lengths, beside the floor, the loss without memory.

    Args:
      found: length, loss, floor and accuracy at each length.
    """
    figure, (of_loss, of_accuracy) = make_panels(8, 3.8, 2)
    lengths = [row["length"] for row in found]
    of_loss.plot(lengths, [row["loss"] for row in found], "o-", label="the network")
    of_loss.plot(lengths, [row["floor"] for row in found], "--", color="0.4", label=f"without memory: {floor_is}")
    of_accuracy.plot(lengths, [100 * row["accuracy"] for row in found], "o-")
    of_loss.set(ylabel=unit)
    of_loss.set_ylim(bottom=0)
    of_loss.legend(fontsize="small")
    of_accuracy.set(ylabel="sequences wholly right (%)", ylim=(-3, 103))
    for axes in (of_loss, of_accuracy):
        axes.set_xscale("log", base=2)
        axes.set_xticks(lengths, [str(length) for length in lengths])
        axes.set(xlabel="length (the first is that of training)")
    figure.suptitle(title, fontsize="medium")
    return figure


def forecast(found: dict[str, list[float]], name: str, title: str) -> Any:
    """Draws truth and answers of one target: over the steps of a series, or for whole series against each other.

    Args:
      found: truth and predicted, in the unit of the file; and step, if there is an answer at each step.
    """
    over_time = "step" in found
    figure, (axes,) = make_panels(*((9, 3.6) if over_time else (4.6, 4.4)))
    truth, predicted = found["truth"], found["predicted"]
    if over_time:
        axes.plot(found["step"], truth, color="0.45", linewidth=2.5, label="truth")
        axes.plot(found["step"], predicted, color="tab:red", linewidth=1.2, label="the network")
        axes.set(xlabel="step", ylabel=name)
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    else:
        axes.axline((truth[0], truth[0]), slope=1, color="0.45", linewidth=1)
        axes.plot(truth, predicted, ".", color="tab:red", alpha=0.6)
        axes.set(xlabel=f"{name}, truth", ylabel=f"{name}, as the network says")
    figure.suptitle(title, fontsize="medium")
    return figure


def bars(series: dict[str, list[float | None]], labels: list[str], xlabel: str, ylabel: str, title: str) -> Any:
    """Draws shares in percent as bars, side by side for each label; None is left out."""
    figure = make_figure(7, 4.4)
    axes = figure.add_subplot()
    width = 0.8 / len(series)
    for index, (name, values) in enumerate(series.items()):
        places = np.arange(len(labels)) + (index - (len(series) - 1) / 2) * width
        heights = [np.nan if value is None else 100 * value for value in values]
        drawn = axes.bar(places, heights, width, label=name)
        axes.bar_label(drawn, ["" if value is None else f"{100 * value:.1f}" for value in values], fontsize="x-small")
    axes.set_xticks(range(len(labels)), labels)
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.6, len(labels) - 0.4), ylim=(0, 106))
    figure.suptitle(title, fontsize="medium")
    figure.legend(loc="outside lower center", ncols=len(series), frameon=False, fontsize="small")
    axes.grid(axis="y", alpha=0.3)
    return figure


def attention(looked: list[dict[str, Any]]) -> Any:
    """Draws the attention weights of each written character over the source, one panel for each example.

    The source lies along the longer side.
    """
    figure = make_figure(12, 6.2)
    panels = figure.subplots(len(looked), 1, squeeze=False)[:, 0]
    for axes, found in zip(panels, looked, strict=True):
        weights, across, down = np.array(found["weights"]), found["source"], found["target"]
        names = ["character read", "character written"]
        if len(down) > len(across):
            weights, across, down, names = weights.T, down, across, names[::-1]
        image = axes.imshow(weights, cmap="viridis", vmin=0, aspect="auto")
        axes.set_xticks(range(len(across)), [{" ": "␣"}.get(c, c) for c in across], fontsize="small")
        axes.set_yticks(range(len(down)), list(down), fontsize="small")
        axes.set(xlabel=names[0], ylabel=names[1])
        axes.grid(False)
        axes.set_title(f"{found['source']} → {found['target'].rstrip('↵')}", fontsize="small", parse_math=False)
        figure.colorbar(image, ax=axes, label="weight, of 1 over all that is read")
    figure.suptitle("where the decoder looks", fontsize="medium")
    return figure
