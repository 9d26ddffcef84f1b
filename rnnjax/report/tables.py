"""The tables of a report: the arms, their differences to the baseline, and an account of the statistics."""

import math
from collections.abc import Iterator
from typing import Any

from rnnjax.quantities import UNKNOWN
from rnnjax.report.page import Block, Paragraph, Table
from rnnjax.report.read import Record
from rnnjax.report.rounding import interval, number, small
from rnnjax.report.statistics import RESAMPLES
from rnnjax.report.summary import ALPHA, ArmSummary, Difference, floors_of

RATE = "optimizer.learning_rate"

TOO_NARROW = "with few seeds it is too narrow, so tests and what excludes zero stay with t"


def arm_table(study: Record, arms: list[ArmSummary]) -> Table:
    """Table of the arms, without columns that would be empty."""
    tuned = any(arm.tuned for arm in arms)
    shown: dict[str, list[str]] = {
        "arm": [arm.name for arm in arms],
        "seeds": [f"{len(arm.values)}/{arm.planned}" for arm in arms],
        "mean": [UNKNOWN if arm.mean is None else number(arm.mean, arm.interval) for arm in arms],
        "95% interval (t)": [interval(arm.interval) for arm in arms],
    }
    if any(arm.bca for arm in arms):
        shown["95% interval (BCa)"] = [interval(arm.bca) if arm.bca else UNKNOWN for arm in arms]
    shown["median"] = [_median(arm) for arm in arms]
    if floors_of(arms, study.metric):
        shown["floor"] = [UNKNOWN if arm.floor is None else f"{arm.floor:.4g}" for arm in arms]
    if tuned:
        shown["learning rate, tuned"] = ["; ".join(map(_setting, arm.tuned)) or "no" for arm in arms]
    shown["remarks"] = [_remarks(arm, index == 0) for index, arm in enumerate(arms)]
    return Table(
        f"{study.metric} at the end of the runs, the best arm first. Seeds: those with a value, of those asked for.",
        list(shown),
        [list(row) for row in zip(*shown.values(), strict=True)],
        text_columns=("learning rate, tuned", "remarks"),
    )


def _median(arm: ArmSummary) -> str:
    if math.isnan(arm.median):
        return UNKNOWN
    return "diverged" if math.isinf(arm.median) else number(arm.median, arm.interval)


def _remarks(arm: ArmSummary, first: bool) -> str:
    """Remarks on an arm's figures."""
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


def _setting(tuned: dict[str, Any]) -> str:
    """The learning rate of an arm, with a note if a better one may lie beyond those tried."""
    rate, tried = tuned[RATE], sorted(map(float, tuned.get("validation_loss") or {}))
    edge = {tried[0]: "lowest", tried[-1]: "highest"}.get(rate) if len(tried) > 1 else None
    return f"{rate:g}" + (f" (the {edge} tried)" if edge else "")


def tuning(study: Record, arms: list[ArmSummary]) -> Iterator[Block]:
    """Paragraphs about the tuning of the learning rates."""
    tune = study.about.get("tune") or {}
    rates = tune.get("learning_rates")
    if not rates:
        axis = "it is an axis of the study" if RATE in study.fields else "all arms have that of the base config"
        yield Paragraph(
            f"The learning rate was not tuned for each arm: {axis}. An arm may be worse for its rate alone."
        )
        return
    tried, seeds = ", ".join(f"{rate:g}" for rate in rates), ", ".join(map(str, tune.get("seeds", [])))
    yield Paragraph(
        f"Each arm's learning rate was tuned before the arms were compared: of {tried} the one with the lowest "
        f"validation loss, with the seeds {seeds}, of which none is compared."
    )
    if untuned := [arm.name for arm in arms if not arm.tuned]:
        yield Paragraph(f"Not tuned yet: {', '.join(untuned)}.", warns=True)
    if any("tried" in _setting(chosen) for arm in arms for chosen in arm.tuned):
        yield Paragraph(
            "Where an arm chose the lowest or the highest rate, a better one may lie beyond: what it lacks may be its "
            "rate's fault.",
            warns=True,
        )
    if study.metric.startswith("validation"):
        yield Paragraph(
            f"The metric, {study.metric}, is of the data by which the rates were chosen, if with other seeds: it "
            "flatters every arm a little. test_loss does not."
        )


def comparison(study: Record, arms: list[ArmSummary], differences: list[Difference]) -> Iterator[Block]:
    """Table of the differences to the baseline, or the reason why there is none."""
    baseline = next((arm for arm in arms if arm.baseline), None)
    if baseline is None:
        yield Paragraph("The study names no baseline, so arms are not compared.")
        return
    if not differences:
        yield Paragraph("There is no arm but the baseline.")
        return
    has_bca = any(one.bca for one in differences)
    columns = ["arm", "seeds", "better on", "difference", "interval, corrected", "excludes zero", "p, corrected"]
    columns += ["95% interval, alone", "p, alone"] + ["BCa, alone"] * has_bca
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
        f"{one.better}/{one.pairs}" if one.pairs else UNKNOWN,
        UNKNOWN if one.mean is None else number(one.mean, one.interval),
        UNKNOWN if math.isnan(one.p) else f"{interval(one.corrected)} ({100 * one.confidence:.4g}%)",
        verdict,
        small(one.corrected_p),
        interval(one.interval),
        small(one.p),
    ] + [interval(one.bca) if one.bca else UNKNOWN] * has_bca


def statistics_in_words(arms: list[ArmSummary], differences: list[Difference]) -> str:
    """Explains the statistics of the tables, with their sources."""
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
        " A difference is taken seed by seed, as both runs of a pair see the same data in the same order, unless an "
        "axis changes the data; its interval "
        "and p are of Student's paired t-test. With many arms some p is small by chance: p, corrected, is by Holm "
        f"(1979) for all {len(differences)} comparisons, those that cannot be made yet included. The corrected "
        "interval has the confidence that Holm's procedure comes to for that arm (Ludbrook 2000), so that it excludes "
        f"zero just where the corrected p is below {ALPHA}: the chance that any of these intervals excludes zero "
        f"though its arm does not differ is at most {100 * ALPHA:.0f}%. The interval of a difference alone is not "
        "corrected, and neither is that of an arm's mean. All are over the randomness of the seed; the data are one "
        "sample."
    )
