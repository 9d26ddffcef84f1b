"""The share of trials that succeed, as the number of sequences grows."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from rnnjax.museum.exhibit import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_successes(
    figure: "Figure",
    results: Results,
    measure: str,
    means: Mapping[str, float],
    span: tuple[float, float],
    scale: Literal["linear", "log"] = "linear",
    budgets: Mapping[str, float] | None = None,
    shown: Collection[str] = (),
) -> None:
    """Draws for each arm the share of its trials that have succeeded, as steps, and the paper's mean as a dashed line.

    Args:
      measure: sequences until a trial succeeded [n]; nan for a trial without success. Up to a comma it is the unit.
      means: means of the paper for the arms that have one.
      span: the least and the most sequences of the picture.
      budgets: where the line of an arm ends; at the most sequences of the picture for one that is not named.
      shown: the arms of the picture; empty: all.
    """
    axes, unit = figure.subplots(), measure.split(",")[0]
    drawn = {arm: of for arm, of in results.items() if arm in shown or not shown}
    for index, (arm, of) in enumerate(drawn.items()):
        ends = np.sort(of[measure][np.isfinite(of[measure])])
        shares = np.arange(len(ends) + 1) / len(of[measure])
        colour, style = f"C{index % 10}", "-" if index < 10 else ":"
        last = max((budgets or {}).get(arm, span[1]), *ends[-1:], span[0])
        xs, ys = [span[0], *ends, last], [*shares, shares[-1]]
        axes.step(xs, ys, where="post", color=colour, linestyle=style, label=arm)
        if arm in means:
            axes.axvline(means[arm], color=colour, linestyle="--", linewidth=1)
    axes.set(xlabel=f"{unit} presented (dashed: the paper's means)", ylabel="share of trials that have succeeded")
    axes.set(xscale=scale, xlim=span, ylim=(-0.02, 1.02))
    figure.legend(fontsize="small", loc="outside right upper")
