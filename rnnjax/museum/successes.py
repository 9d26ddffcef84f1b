"""The share of trials that succeed, as the number of sequences grows, and the claims that a table makes of it."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from rnnjax.museum import lstm_1997
from rnnjax.museum.exhibit import Criterion, Published, Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def claims(
    arm: str,
    mean: float,
    budget: float,
    place: str,
    share: float | None = None,
    measures: tuple[str, str] = ("solved", "sequences"),
    about: str = "",
    reading: str = "",
) -> tuple[Criterion, Criterion]:
    """Nearly all trials of an arm succeed, and take about the paper's mean.

    Args:
      mean: the paper's, in the table at `place`.
      budget: after it a trial is given up.
      share: the share of the paper's trials that succeed, where the table has one.
      measures: names of success and of the sequences until then; the first word of the second is the unit.
      about: the first words of the claims, if not the arm.
      reading: the arm's reading of the paper, if the end of its name does not say it.
    """
    (solved, taken), (low, high) = measures, near(mean)
    about, reading, unit = about or arm, reading or lstm_1997.reading(arm), taken.split(",")[0]
    to_share, to_mean = None if share is None else Published(share, place), Published(mean, place)
    succeed, until = f"{about}: share of trials that succeed", f"{about}: mean {unit} until then"
    return (
        Criterion(succeed, arm, solved, least_share(mean, budget), published=to_share, reading=reading),
        Criterion(until, arm, taken, low, high, published=to_mean, until=True, reading=reading),
    )


def afterwards(arm: str, measure: str, low: float, high: float, published: Published) -> Criterion:
    """The claim on a measure of trials that have succeeded, such as the new sequences that they answer wrongly."""
    reading = lstm_1997.reading(arm)
    return Criterion(f"{arm}: {measure} afterwards", arm, measure, low, high, published=published, reading=reading)


def near(value: float) -> tuple[float, float]:
    """Two thirds of a number, and one and a half of it, to three digits."""
    return float(f"{value / 1.5:.3g}"), float(f"{value * 1.5:.3g}")


def least_share(mean: float, budget: float) -> float:
    """The share of trials that is to succeed within `budget` sequences, where the paper's take `mean`.

    It is 0.85 from two and a half means on, when 1 - exp(-2.5) = 0.92 of times with an exponential distribution have
    passed. Trials that are given up earlier need not come so far; Markov's inequality promises 1 - mean / budget.
    """
    return 0.85 if budget >= 2.5 * mean else round(1 - mean / budget, 2)


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
      measure: sequences until a trial succeeded [n]; nan for a trial without success. Its first word is the unit.
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
