"""The tables of a report: the arms, and their differences to the baseline; and what their figures are."""

import math
from collections.abc import Iterator
from typing import Any

import yaml

from rnnjax.study.report_input import Study
from rnnjax.study.report_page import Block, Paragraph, Table
from rnnjax.study.rounding import NOTHING, interval, number, small
from rnnjax.study.statistics import RESAMPLES
from rnnjax.study.summary import ALPHA, Arm, Difference

RATE = "optimizer.learning_rate"

TOO_NARROW = "with few seeds it is too narrow, so tests and what excludes zero stay with t"


def arm_table(study: Study, arms: list[Arm]) -> Table:
    """Columns that would say nothing are left out."""
    tuned = any(arm.tuned for arm in arms)
    shown: dict[str, list[str]] = {
        "arm": [arm.name for arm in arms],
        "seeds": [f"{len(arm.values)}/{arm.planned}" for arm in arms],
        "mean": [NOTHING if arm.mean is None else number(arm.mean, arm.interval) for arm in arms],
        "95% interval (t)": [interval(arm.interval) for arm in arms],
    }
    if any(arm.bca for arm in arms):
        shown["95% interval (BCa)"] = [interval(arm.bca) if arm.bca else NOTHING for arm in arms]
    shown["median"] = [_median(arm) for arm in arms]
    if any(arm.floor is not None for arm in arms):
        shown["floor"] = [NOTHING if arm.floor is None else f"{arm.floor:.4g}" for arm in arms]
    if tuned:
        shown["tuned"] = ["; ".join(map(_setting, arm.tuned)) or "no" for arm in arms]
    shown["remarks"] = [_remarks(arm, index == 0) for index, arm in enumerate(arms)]
    return Table(
        f"{study.metric} at the end of the runs, the best arm first. Seeds: those with a value, of those asked for.",
        list(shown),
        [list(row) for row in zip(*shown.values(), strict=True)],
        text_columns=("tuned", "remarks"),
    )


def _median(arm: Arm) -> str:
    if math.isnan(arm.median):
        return NOTHING
    return "diverged" if math.isinf(arm.median) else number(arm.median, arm.interval)


def _remarks(arm: Arm, first: bool) -> str:
    """What must be known beside an arm's figures."""
    found = ["best"] * (first and arm.mean is not None) + ["baseline"] * arm.baseline
    if arm.diverged:
        found.append(f"{arm.diverged}/{arm.planned} diverged: no mean")
    if arm.no_value:
        found.append(f"{arm.no_value}/{arm.planned} ended without a finite value: no mean")
    if arm.unfinished:
        found.append(f"{arm.unfinished}/{arm.planned} not finished")
    if arm.bca:
        found.append("skewed")
    return ", ".join(found)


def _setting(tuned: Any) -> str:
    if not isinstance(tuned, dict):
        return str(tuned)
    return ", ".join(f"{name.split('.')[-1]} {value}" for name, value in tuned.items())


def tuning(study: Study, arms: list[Arm]) -> Iterator[Block]:
    tune = study.about.get("tune")
    if not tune:
        axis = "it is an axis of the study" if RATE in study.fields else "all arms have that of the base config"
        yield Paragraph(
            f"The learning rate was not tuned for each arm: {axis}. An arm may be worse for its rate alone."
        )
        return
    how = yaml.safe_dump(tune, default_flow_style=True, width=10_000).strip() if isinstance(tune, dict) else tune
    yield Paragraph(
        f"Each arm was tuned on validation before the arms were compared ({how}); the table has what it chose."
    )
    if untuned := [arm.name for arm in arms if not arm.tuned]:
        yield Paragraph(f"Not tuned, or not yet: {', '.join(untuned)}.", warns=True)
    if study.metric.startswith("validation"):
        yield Paragraph(
            f"The metric, {study.metric}, is of the data that the tuning saw: arms look better than they are. "
            "test_loss does not have this.",
            warns=True,
        )


def comparison(study: Study, arms: list[Arm], differences: list[Difference]) -> Iterator[Block]:
    baseline = next((arm for arm in arms if arm.baseline), None)
    if baseline is None:
        yield Paragraph("The study names no baseline, so arms are not compared.")
        return
    if not differences:
        yield Paragraph("There is no arm but the baseline.")
        return
    has_bca = any(one.bca for one in differences)
    columns = ["arm", "seeds", "better on", "difference", "95% interval, alone", "p, alone", "p, corrected"]
    columns += ["interval, corrected", "excludes zero"] + ["BCa, alone"] * has_bca
    yield Table(
        f"{study.metric} less that of the baseline, {baseline.name}, on the same seed; "
        f"{'negative' if study.lower_is_better else 'positive'} is better. Corrected: for all {len(differences)} arms.",
        columns,
        [_difference_row(one, has_bca) for one in differences],
        text_columns=("excludes zero",),
    )


def _difference_row(one: Difference, has_bca: bool) -> list[str]:
    decided = "yes" if one.corrected.excludes_zero else "no"
    verdict = f"no test: {one.reason}" if math.isnan(one.p) else decided
    return [
        one.name,
        str(one.pairs),
        f"{one.better}/{one.pairs}" if one.pairs else NOTHING,
        NOTHING if one.mean is None else number(one.mean, one.interval),
        interval(one.interval),
        small(one.p),
        small(one.corrected_p),
        NOTHING if math.isnan(one.p) else f"{interval(one.corrected)} ({100 * one.confidence:.4g}%)",
        verdict,
    ] + [interval(one.bca) if one.bca else NOTHING] * has_bca


def statistics_in_words(arms: list[Arm], differences: list[Difference]) -> str:
    """Which figure is what, and whose."""
    skewed = any(arm.bca for arm in arms) or any(one.bca for one in differences)
    text = (
        "An arm's mean is over its seeds, and its interval is Student's t (Student 1908), 95% for that arm alone. An "
        "arm of which any seed diverged, or ended without a finite value, has no mean: that of the others would be of "
        "the lucky ones. It keeps its place in the table, with how many it has; its median counts the lost seeds as "
        "worst. Seeds that have not finished are left out and counted. The t interval takes the values to be about "
        "normal. Where they are skewed, that is where their skewness is more than two of its standard errors from 0, "
        f"the bootstrap's BCa interval of the mean (Efron 1987; {RESAMPLES:,} resamples) stands beside it, for it need "
        f"not be symmetric; {TOO_NARROW if skewed else 'here none is'}."
    )
    if not differences:
        return text
    return text + (
        " A difference is taken seed by seed, as both runs of a pair see the same data in the same order; its interval "
        "and p are of Student's paired t-test. With many arms some p is small by chance: p, corrected, is by Holm "
        f"(1979) for all {len(differences)} comparisons, those that cannot be made yet included. The corrected "
        "interval has the confidence that Holm's procedure comes to for that arm (Ludbrook 2000), so that it excludes "
        f"zero just where the corrected p is below {ALPHA}: the chance that any of these intervals excludes zero "
        f"though its arm does not differ is at most {100 * ALPHA:.0f}%. The interval of a difference alone is not "
        "corrected, and neither is that of an arm's mean. All are over the randomness of the seed; the data are one "
        "sample."
    )
