"""Summary of a study's rows: the metric of each arm, and its difference to the baseline.

An arm here is a name: one point of the axes, run with several seeds. The result of one seed is an outcome.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rnnjax.errors import UserError
from rnnjax.report import statistics
from rnnjax.report.read import Record
from rnnjax.report.statistics import NO_INTERVAL, Interval

CONFIDENCE = 0.95
ALPHA = 0.05

FINISHED, DIVERGED, NO_VALUE, UNFINISHED, MISSING = "finished", "diverged", "no value", "unfinished", "missing"


@dataclass(frozen=True)
class ArmSummary:
    """Summary of an arm over its seeds.

    Attributes:
      fields: values that the axes set.
      tuned: learning rates chosen by tuning.
      planned: number of seeds that the study asks for.
      values: metric of each finished seed.
      diverged, no_value, unfinished: numbers of the other seeds: diverged; ended without a finite metric; not yet at
        their end, or not begun.
      mean: mean over the finished seeds; None if a seed diverged or has no value, as the rest would be the better ones.
      interval: t interval of the mean.
      bca: bootstrap interval of the mean; None if the values are not skewed.
      median: median over all seeds that ended, with diverged ones as worst; may be infinite.
      floor: the task's floor, if it has one.
    """

    name: str
    baseline: bool
    fields: dict[str, Any]
    tuned: tuple[dict[str, Any], ...]
    planned: int
    values: dict[int, float]
    diverged: int
    no_value: int
    unfinished: int
    mean: float | None
    interval: Interval
    bca: Interval | None
    median: float
    floor: float | None

    @property
    def spoilt(self) -> int:
        """Number of seeds that ended without a value."""
        return self.diverged + self.no_value


@dataclass(frozen=True)
class Difference:
    """Difference of an arm to the baseline, arm minus baseline, paired by seed.

    Attributes:
      pairs: number of seeds that both have finished.
      better: number of pairs in which the arm is better.
      interval: t interval of this difference alone.
      p: p of the t-test; nan if there is none, for the `reason`.
      corrected_p: p corrected by Holm's method for all arms that are compared with the baseline.
      corrected: interval of the given confidence; it excludes zero exactly where corrected_p is below 0.05.
    """

    name: str
    pairs: int
    better: int
    mean: float | None
    interval: Interval
    bca: Interval | None
    p: float
    corrected_p: float
    corrected: Interval
    confidence: float
    reason: str


def floors_of(arms: list[ArmSummary], column: str) -> list[float]:
    """Floors of the tasks, in rising order; empty for a column that is no loss."""
    return sorted({arm.floor for arm in arms if arm.floor is not None}) if column.endswith("loss") else []


def outcomes(study: Record) -> pd.DataFrame:
    """Table with a row for each arm and seed of arms.json.

    Columns: arm, name, seed, state, value (of the metric), step (the last), seconds, memory_bytes, group, floor.

    Raises:
      UserError: if arms are finished but none has a value of the metric.
    """
    rows = dict(iter(study.rows.groupby("arm")))
    table = pd.DataFrame([_outcome(arm, rows.get(arm["arm"]), study.metric) for arm in study.arms])
    states = set(table["state"])
    if NO_VALUE in states and FINISHED not in states:
        raise UserError(
            f"{study.path}: no arm ended with a finite {study.metric}; name another metric in the study's file"
        )
    return table


def _outcome(arm: dict[str, Any], rows: pd.DataFrame | None, metric: str) -> dict[str, Any]:
    found = {"arm": arm["arm"], "name": arm["name"], "seed": arm["seed"], "state": MISSING, "value": np.nan}
    if rows is None:
        return found
    ends = rows[rows["final"]]
    value = float(ends[metric].iloc[-1]) if len(ends) else np.nan
    if rows["diverged"].any():
        state, value = DIVERGED, np.nan
    elif not len(ends):
        state = UNFINISHED
    else:
        state = FINISHED if np.isfinite(value) else NO_VALUE
    last = rows.iloc[-1]
    numbers = {name: last[name] for name in ("step", "group") if name in rows}
    numbers |= {name: rows[name].max() for name in ("seconds", "memory_bytes") if name in rows}
    if "floor" in rows and rows["floor"].notna().any():
        numbers["floor"] = float(rows["floor"].dropna().iloc[-1])
    return found | {"state": state, "value": value} | numbers


def arms(study: Record, outcome: pd.DataFrame) -> list[ArmSummary]:
    """Ranks the arms, the best first: by mean, then those without one by median, then those without a value."""
    described = {arm["name"]: arm for arm in reversed(study.arms)}
    found = [_arm(study, described[str(name)], rows) for name, rows in outcome.groupby("name", sort=False)]
    sign = 1 if study.lower_is_better else -1

    def rank(arm: ArmSummary) -> tuple[bool, float]:
        figure = arm.median if arm.mean is None else arm.mean
        return arm.mean is None, np.inf if np.isnan(figure) else sign * figure

    return sorted(found, key=rank)


def _arm(study: Record, described: dict[str, Any], rows: pd.DataFrame) -> ArmSummary:
    count = rows["state"].value_counts()
    finished = rows[rows["state"] == FINISHED]
    values = {int(seed): float(value) for seed, value in zip(finished["seed"], finished["value"], strict=True)}
    numbers = list(values.values())
    spoilt = int(count.get(DIVERGED, 0)), int(count.get(NO_VALUE, 0))
    has_mean = bool(numbers) and not any(spoilt)
    worst = np.inf if study.lower_is_better else -np.inf
    ended = numbers + sum(spoilt) * [worst]
    floors = list(rows["floor"].dropna()) if "floor" in rows else []
    tuned = [arm["tuned"] for arm in study.arms if arm["name"] == described["name"] and arm.get("tuned")]
    return ArmSummary(
        name=described["name"],
        baseline=bool(described.get("baseline")),
        fields=described["fields"],
        tuned=tuple({str(setting): setting for setting in tuned}.values()),
        planned=len(rows),
        values=values,
        diverged=spoilt[0],
        no_value=spoilt[1],
        unfinished=int(count.get(UNFINISHED, 0) + count.get(MISSING, 0)),
        mean=float(np.mean(numbers)) if has_mean else None,
        interval=statistics.t_interval(numbers, CONFIDENCE) if has_mean else NO_INTERVAL,
        bca=_bca(numbers) if has_mean else None,
        median=_median(ended),
        floor=floors[0] if floors else None,
    )


def _bca(numbers: list[float]) -> Interval | None:
    return statistics.bca_interval(numbers, CONFIDENCE) if statistics.is_skewed(numbers) else None


def _median(ended: list[float]) -> float:
    """The median; infinite if one of the middle values is, nan without values."""
    ordered = sorted(ended)
    if not ordered:
        return float("nan")
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low if low == high else (low + high) / 2


def differences(study: Record, found: list[ArmSummary]) -> list[Difference]:
    """Compares every other arm with the baseline, in the order of `found`; empty without a baseline.

    The correction counts all arms, also those that cannot be tested yet, so a result does not weaken as others come in.
    """
    baseline = next((arm for arm in found if arm.baseline), None)
    if baseline is None:
        return []
    others = [arm for arm in found if not arm.baseline]
    pairs = [_paired(arm, baseline) for arm in others]
    p = [statistics.t_test(values) for values, _ in pairs]
    corrected = statistics.holm(p)
    confidences = statistics.holm_confidences(p, ALPHA)
    sign = -1 if study.lower_is_better else 1
    return [
        Difference(
            name=arm.name,
            pairs=len(values),
            better=sum(sign * value > 0 for value in values),
            mean=float(np.mean(values)) if values else None,
            interval=statistics.t_interval(values, CONFIDENCE),
            bca=_bca(values),
            p=p[index],
            corrected_p=float(corrected[index]),
            corrected=statistics.t_interval(values, confidences[index]),
            confidence=float(confidences[index]),
            reason=reason,
        )
        for index, (arm, (values, reason)) in enumerate(zip(others, pairs, strict=True))
    ]


def _paired(arm: ArmSummary, baseline: ArmSummary) -> tuple[list[float], str]:
    """The differences of the seeds that both have, and the reason if they allow no test."""
    for one in (arm, baseline):
        if one.spoilt:
            whose = "the baseline's" if one.baseline else "its"
            return [], f"{one.spoilt} of {whose} {one.planned} seeds ended without a value"
    values = [arm.values[seed] - baseline.values[seed] for seed in arm.values if seed in baseline.values]
    if len(values) < 2:
        return values, f"{len(values)} seeds in common so far" if len(values) != 1 else "one seed in common"
    return values, "" if statistics.has_spread(values) else "the same on every seed"


def shown_samples(found: list[ArmSummary], outcome: pd.DataFrame) -> list[tuple[str, ArmSummary, int, int]]:
    """Chooses samples of the best arm and of the median one among those with a mean.

    Each is from the arm's median seed, not from its luckiest.

    Returns:
      For each sample: best or median, the arm, the seed, and the number in arms.json.
    """
    ranked = [arm for arm in found if arm.mean is not None]
    chosen = {"best": ranked[:1], "median": ranked[(len(ranked) - 1) // 2 :][:1]}
    shown = []
    for word, arm in ((word, arm) for word, arms in chosen.items() for arm in arms):
        seeds = sorted(arm.values, key=arm.values.__getitem__)
        seed = seeds[(len(seeds) - 1) // 2]
        match = outcome[(outcome["name"] == arm.name) & (outcome["seed"] == seed)]
        shown.append((word, arm, seed, int(match["arm"].iloc[0])))
    return shown


def cost(outcome: pd.DataFrame) -> pd.DataFrame:
    """Cost of each group, whose runs are one program: arms, runs, steps, seconds of all, memory_bytes."""
    begun = outcome[outcome["state"] != MISSING]
    columns: dict[str, Any] = {"arms": ("name", lambda names: list(dict.fromkeys(names)))}
    columns |= {"runs": ("arm", "size"), "steps": ("step", "max")}
    columns |= {name: (name, how) for name, how in (("seconds", "sum"), ("memory_bytes", "max")) if name in begun}
    if "group" not in begun:
        begun = begun.assign(group=0)
    return begun.groupby("group").agg(**columns)
