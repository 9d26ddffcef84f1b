"""The pictures of a study: learning curves with bands, and the metric along each axis."""

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from rnnjax.figure import make_panels
from rnnjax.report.drawing import MOST_PANELS, ink_color, is_wide, logarithmic, places_on, within
from rnnjax.report.labels import named, setting
from rnnjax.report.read import Record, are_numbers
from rnnjax.report.statistics import Interval, t_interval
from rnnjax.report.summary import ArmSummary, floors_of

MOST_CURVES = 8
"""Most curves in one picture, besides the baseline's."""

MOST_BANDS = 4
"""Most curves with a band each; the bands of more would cover each other."""

FEW_SEEDS = 3
"""Most seeds that are drawn themselves, as an interval of so few is wider than the picture."""

FLOOR = "the task's floor, without memory"

BESIDE = 0.4
"""Share of the room between two values over which lines stand side by side."""


def of_seeds(study: Record, arm: ArmSummary, column: str) -> pd.DataFrame:
    """A column of each of an arm's seeds, by step.

    It ends where the first seed diverges or stops, as the mean of the rest would be of the luckier seeds. Seeds that
    have not begun are left out.
    """
    numbers = {one["arm"]: one["seed"] for one in study.arms if one["name"] == arm.name}
    rows = study.rows[study.rows["arm"].isin(numbers)]
    table = rows.pivot(index="step", columns="arm", values=column).replace([np.inf, -np.inf], np.nan)
    broken = rows.loc[rows["diverged"], "step"].min()  # nan where none is
    table = table.dropna()
    return table[~(table.index >= broken)]


def curve(study: Record, arm: ArmSummary, column: str) -> pd.DataFrame:
    """The mean of `of_seeds` by step, and the ends `low` and `high` of its 95% t interval."""
    table = of_seeds(study, arm, column)
    ends = [t_interval(values) for values in table.to_numpy(float)]
    return pd.DataFrame({"mean": table.mean(axis=1), "low": [e.low for e in ends], "high": [e.high for e in ends]})


def curve_columns(study: Record) -> list[str]:
    """Columns with a learning curve: the losses, and the metric if it is known before the end."""
    columns = dict.fromkeys(["training_loss", "validation_loss", study.metric])
    known = [name for name in columns if name in study.rows and study.rows[name].notna().any()]
    return [name for name in known if study.rows.groupby("arm")[name].count().max() > 1]


def curves(study: Record, shown: list[ArmSummary], columns: list[str]) -> Any:
    """Draws the mean of some arms, and where they are few its band, or the seeds; one panel for each column."""
    figure, panels = make_panels(5.5 * len(columns) + 1, 4.8 + 0.2 * len(shown), len(columns))
    for axes, column in zip(panels, columns, strict=True):
        means: list[float] = []
        for index, arm in enumerate(sorted(shown, key=lambda arm: arm.baseline)):
            found = curve(study, arm, column)
            color, line = (ink_color(), "--") if arm.baseline else (f"C{index}", "-")
            axes.plot(found.index, found["mean"], color=color, linestyle=line, label=label(arm))
            if len(arm.values) <= FEW_SEEDS and len(shown) <= MOST_BANDS:
                axes.plot(of_seeds(study, arm, column), color=color, linestyle=line, linewidth=0.6, alpha=0.6)
            elif len(shown) <= MOST_BANDS:
                axes.fill_between(found.index, found["low"], found["high"], color=color, alpha=0.15, linewidth=0)
            if arm.diverged and len(found):
                axes.plot(found.index[-1], found["mean"].iloc[-1], "x", color=color, markersize=9)
            means += list(found["mean"])
        _scale(axes, means, _floors(axes, column, shown))
        axes.set(xlabel="training step", ylabel=named(study, column))
    _legend(figure, panels[0])
    return figure


def spread(shown: list[ArmSummary]) -> str:
    """Words for what is drawn beside the means."""
    if len(shown) > MOST_BANDS:
        return ", whose intervals would cover each other"
    if all(len(arm.values) <= FEW_SEEDS for arm in shown):
        return ", and each seed, thin"
    return " and its 95% t interval at each step, not corrected"


def label(arm: ArmSummary) -> str:
    """Label of an arm: its name, and in brackets baseline, lost seeds, progress."""
    remarks = ["baseline"] * arm.baseline
    if arm.spoilt:
        remarks.append(f"{arm.spoilt} of {arm.planned} lost")
    if arm.unfinished:
        remarks.append(f"{arm.planned - arm.unfinished} of {arm.planned} finished")
    return f"{arm.name} ({', '.join(remarks)})" if remarks else arm.name


def _scale(axes: Any, values: list[float], floors: list[float]) -> None:
    """Fits the y axis to values and floors; bands may reach far beyond, and below zero."""
    shown = within(values)
    if not shown:
        return
    low, high = min(shown + floors), max(shown + floors)
    if is_wide(shown):
        logarithmic(axes, "y")
        axes.set_ylim((low if low > 0 else min(shown)) / 1.5, high * 1.5)
    elif high > low:
        axes.set_ylim(max(axes.get_ylim()[0], low - (high - low)), min(axes.get_ylim()[1], high + (high - low)))
    if len(shown) < len(values):
        axes.set_title(f"cut off above: up to {max(values):.2g}", fontsize="medium")


def _floors(axes: Any, column: str, shown: list[ArmSummary]) -> list[float]:
    """Draws and returns the floors of a column."""
    floors = floors_of(shown, column)
    for index, floor in enumerate(floors):
        axes.axhline(floor, color=ink_color(), linestyle=":", linewidth=1, label=None if index else FLOOR)
    return floors


def along(study: Record, found: list[ArmSummary], field: str) -> Any:
    """Draws the metric along one axis: a line for each setting of the others, or points if these are many."""
    figure, (axes,) = make_panels(8, 5.2)
    place = places_on(axes, "x", field, study.values(field))
    at = {arm.name: place[str(arm.fields.get(field))] for arm in found}
    is_alone = len({*at.values()}) == len(found)  # as on zipped axes: no two arms share a value
    lines = _lines(study, found, at, [] if is_alone else [name for name in study.fields if name != field])
    style = "-" if are_numbers(study.values(field)) else ":"  # nothing lies between two names
    style = "none" if is_alone and len(study.fields) > 1 else style
    intervals: list[tuple[float, Interval, str]] = []
    if len(lines) > MOST_PANELS:
        _points(axes, found, at, np.inf if study.lower_is_better else -np.inf)
    else:
        for index, (settings, arms) in enumerate(lines.items()):
            beside = side_by_side(at, axes.get_xscale() == "log", index, len(lines))
            words = ", ".join(settings) or "mean, 95% interval"
            intervals += _line(axes, arms, beside, f"C{index}", style, words)
    baseline = next((arm.mean for arm in found if arm.baseline), None)
    if baseline is not None:
        axes.axhline(baseline, color=ink_color(), linestyle="--", linewidth=1, label="baseline")
    _scale(axes, [value for arm in found for value in arm.values.values()], _floors(axes, study.metric, found))
    _cut_off(axes, intervals)
    axes.set_ylabel(named(study, study.metric))
    _legend(figure, axes)
    return figure


def _lines(
    study: Record, found: list[ArmSummary], at: dict[str, float], others: list[str]
) -> dict[tuple[str, ...], list[ArmSummary]]:
    """Arms by their setting of the other axes: settings in the study's order, arms by their places."""
    lines: dict[tuple[str, ...], list[ArmSummary]] = {}
    for arm in sorted(found, key=lambda arm: at[arm.name]):
        lines.setdefault(tuple(setting(arm, name) for name in others), []).append(arm)
    orders = [[f"{name.split('.')[-1]}={value}" for value in study.values(name)] for name in others]
    return dict(sorted(lines.items(), key=lambda line: [of.index(w) for of, w in zip(orders, line[0], strict=True)]))


def side_by_side(at: dict[str, float], is_log: bool, index: int, count: int) -> dict[str, float]:
    """Places of one of several lines, moved a little, so that points at the same value do not hide each other."""
    there, back = (np.log, np.exp) if is_log else (float, float)
    moved = {name: there(place) for name, place in at.items()}
    gap = min((b - a for a, b in pairwise(sorted({*moved.values()}))), default=1.0)
    shift = BESIDE * gap * ((index + 0.5) / count - 0.5)
    return {name: float(back(place + shift)) for name, place in moved.items()}


def _cut_off(axes: Any, intervals: list[tuple[float, Interval, str]]) -> None:
    """Draws an arrow where an interval leaves the picture."""
    low, high = axes.get_ylim()
    for place, interval, color in intervals:
        for end, edge, arrow in ((interval.high > high, high, "^"), (interval.low < low, low, "v")):
            if end:
                axes.plot(place, edge, arrow, color=color, markersize=7, clip_on=False)


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside lower center", ncols=1 if len(max(labels, key=len)) > 45 else 2)


def _line(
    axes: Any, arms: list[ArmSummary], at: dict[str, float], color: str, style: str, words: str
) -> list[tuple[float, Interval, str]]:
    """Draws one setting of the other axes: seeds as points, means as a line with intervals, which it returns."""
    for arm in arms:
        axes.plot([at[arm.name]] * len(arm.values), list(arm.values.values()), ".", color=color, alpha=0.35)
    known = [(at[arm.name], arm.mean, arm.interval) for arm in arms if arm.mean is not None]
    if known:
        reach = np.nan_to_num([interval.high - mean for _, mean, interval in known])
        where, means = [x for x, _, _ in known], [mean for _, mean, _ in known]
        axes.errorbar(where, means, reach, color=color, linestyle=style, marker="o", capsize=3, label=words)
    _lost(axes, arms, at, color)
    return [(x, interval, color) for x, _, interval in known]


def _points(axes: Any, arms: list[ArmSummary], at: dict[str, float], worst: float) -> None:
    """Draws every arm's mean as a point, and the median of the arms at each value of the axis.

    In the median an arm with lost seeds counts as worst.
    """
    known = [(at[arm.name], arm.mean) for arm in arms if arm.mean is not None]
    ended = known + [(at[arm.name], worst) for arm in arms if arm.spoilt]
    axes.plot([x for x, _ in known], [mean for _, mean in known], "o", color="C0", alpha=0.5, label="mean of an arm")
    medians = pd.Series([mean for _, mean in ended], dtype=float).groupby([x for x, _ in ended]).median()
    if len(medians) < len(ended):
        medians = medians[np.isfinite(medians)]
        axes.plot(medians.index, medians, "_", color="C1", markersize=24, markeredgewidth=3, label="their median")
    _lost(axes, arms, at, "C3")


def _lost(axes: Any, arms: list[ArmSummary], at: dict[str, float], color: str) -> None:
    """Draws a cross at the top for each arm with lost seeds."""
    where = [at[arm.name] for arm in arms if arm.spoilt]
    if where:
        style = {"color": color, "markersize": 9, "clip_on": False, "transform": axes.get_xaxis_transform()}
        axes.plot(where, [0.98] * len(where), "x", label="lost seeds: no mean", **style)
