"""The text of a report, block by block: tables and figures of a study with the words between them."""

import math
import shlex
from collections.abc import Iterator
from typing import Any

import pandas as pd
import yaml

from rnnjax.quantities import UNKNOWN, in_bytes, in_time, number_of
from rnnjax.report import figures, maps, summary, tables
from rnnjax.report.drawing import drawn
from rnnjax.report.page import Block, Code, Heading, Paragraph, Picture, Table
from rnnjax.report.read import Record
from rnnjax.report.rounding import rounded
from rnnjax.report.statistics import LEAST_SEEDS
from rnnjax.report.summary import ArmSummary, Difference

MOST_NAMES = 3
"""Most arms of a group that are named."""

MOST_SAMPLE = 2000
"""Most characters of a sample that are shown."""


def blocks(
    study: Record, outcome: pd.DataFrame, arms: list[ArmSummary], differences: list[Difference]
) -> Iterator[Block]:
    """All blocks of the report."""
    yield from _state(study, outcome, arms)
    yield Heading("Arms")
    yield tables.arm_table(study, arms)
    yield from tables.tuning(study, arms)
    yield Heading("Differences to the baseline")
    yield from tables.comparison(study, arms, differences)
    yield Heading("What the figures are")
    yield Paragraph(tables.statistics_in_words(arms, differences))
    yield from _pictures(study, arms)
    yield from _cost(outcome)
    yield from _samples(study, outcome, arms)
    yield from _origin(study)


def _state(study: Record, outcome: pd.DataFrame, arms: list[ArmSummary]) -> Iterator[Block]:
    count = outcome["state"].value_counts()
    parts = [f"{count[state]} {state}" for state in count.index]
    yield Paragraph(
        f"{number_of(len(arms), 'arm')}, {number_of(len(outcome), 'run')} with their seeds: {', '.join(parts)}. "
        f"The metric is {study.metric} at the end of a run; {study.about['direction']} is better."
    )
    for remark in study.remarks:
        yield Paragraph(remark, warns=True)
    if unfinished := int(count.get(summary.UNFINISHED, 0) + count.get(summary.MISSING, 0)):
        yield Paragraph(
            f"Not finished: {unfinished} of {number_of(len(outcome), 'run')}. Means are over the seeds that are, and "
            "will change. Do not end a study for what it shows half way: corrected is for the number of arms, not of "
            "looks.",
            warns=True,
        )
    if few := [arm for arm in arms if arm.planned < LEAST_SEEDS]:
        least = min(arm.planned for arm in few)
        yield Paragraph(
            f"Fewer than {LEAST_SEEDS} seeds ({least}): an interval then rests on the values being normally "
            "distributed, which so few cannot show, and a test finds large effects only.",
            warns=True,
        )


def _pictures(study: Record, arms: list[ArmSummary]) -> Iterator[Block]:
    columns = figures.curve_columns(study)
    others = [arm for arm in arms if not arm.baseline]
    baseline = [arm for arm in arms if arm.baseline]
    step = figures.MOST_CURVES
    parts = [baseline + others[at : at + step] for at in range(0, max(1, len(others)), step)]
    if columns:
        yield Heading("Learning curves")
    for index, shown in enumerate(parts if columns else ()):
        part = f" (part {index + 1} of {len(parts)}, the best arms first)" if len(parts) > 1 else ""
        yield Picture(
            f"curves-{index + 1}" if len(parts) > 1 else "curves",
            f"{' and '.join(columns)}{part}: mean over seeds{figures.spread(shown)}. A "
            "curve ends where one of its seeds diverged (x) or has not come further.",
            *drawn(figures.curves, study, shown, columns),
        )
    ended = any(arm.values or arm.spoilt for arm in arms)
    if ended and study.fields:
        yield Heading("Along the axes")
    for field in study.fields if ended else ():
        said = "seeds (points), means with 95% t intervals, not corrected; an arm with lost seeds (x) has no mean."
        caption = f"{study.metric} against {field}: {said}"
        yield Picture(f"axis-{field}", caption, *drawn(figures.along, study, arms, field))
    yield from _map(study, arms)


def _map(study: Record, arms: list[ArmSummary]) -> Iterator[Block]:
    pair = maps.pair_of(study)
    if pair is None or not maps.can_draw(study, arms, pair):
        return
    caption = f"{study.metric} over {' and '.join(pair)}: means over seeds, bright is better"
    caption += "; lost: seeds without a value, so no mean; *: seeds not finished." if len(arms) > 1 else "."
    yield Picture("map", caption, *drawn(maps.over, study, arms, pair))


def _cost(outcome: pd.DataFrame) -> Iterator[Block]:
    yield Heading("Cost")
    groups = summary.cost(outcome)
    rows = []
    for group, row in groups.iterrows():
        seconds, memory = row.get("seconds", math.nan), row.get("memory_bytes", math.nan)
        share = [in_time(seconds), in_time(seconds / row["runs"]), in_bytes(memory)]
        more = f"; and {len(row['arms']) - MOST_NAMES} more" if len(row["arms"]) > MOST_NAMES else ""
        names = "; ".join(row["arms"][:MOST_NAMES]) + more
        rows.append([rounded(group), names, rounded(row["runs"]), f"{row['steps']:,.0f}", *share])
    total = f" Added up: {in_time(groups['seconds'].sum())}." if "seconds" in groups else ""
    yield Table(
        f"The runs of a group are one program; the time of a run is its share, the memory is the program's.{total}",
        ["group", "arms", "runs", "steps", "time", "time a run", "memory"],
        rows,
        text_columns=("arms",),
    )


def _samples(study: Record, outcome: pd.DataFrame, arms: list[ArmSummary]) -> Iterator[Block]:
    yield Heading("Samples")
    shown = summary.shown_samples(arms, outcome)
    if not shown:
        yield Paragraph("No arm has a mean yet, so none is best.")
    for word, arm, seed, index in shown:
        path = study.path / "samples" / f"arm-{index}.txt"
        about = f"The {word} arm, {arm.name}, seed {seed} ({study.metric} {arm.values[seed]:.4g})"
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            yield Paragraph(f"{about}: there is no {path.name}.")
            continue
        more = f"; the first {MOST_SAMPLE:,} of {len(text):,} characters" if len(text) > MOST_SAMPLE else ""
        yield Code(f"{about}{more}:", text[:MOST_SAMPLE].rstrip())
    if shown:
        yield Paragraph("Of each arm the seed whose metric is in the middle; the median arm is the middle one by mean.")


def _origin(study: Record) -> Iterator[Block]:
    """Command, config and versions to repeat the study."""
    yield Heading("Commands and environment")
    command = study.about.get("command")
    commands = command if isinstance(command, list) and not _is_words(command) else [command] if command else []
    lines = [shlex.join(map(str, one)) if isinstance(one, list) else str(one) for one in commands]
    if not lines:
        yield Paragraph("study.yaml records no command.")
    yield Code("Commands:", "\n".join([*lines, f"python -m rnnjax.report {shlex.quote(str(study.path))}"]))
    about = {name: value for name, value in study.about.items() if name != "command"}
    yield Code("study.yaml:", yaml.safe_dump(about, sort_keys=False, allow_unicode=True).strip())
    rows = [[name, value] for name, value in _flat(study.environment)]
    if rows:
        yield Table("environment.json", ["what", "value"], rows, text_columns=("value",))
    else:
        yield Paragraph("There is no environment.json: it is not known where the study ran.")


def _is_words(command: list[Any]) -> bool:
    """True if a list is the words of one command, not several commands: its first entry has no space."""
    return bool(command) and isinstance(command[0], str) and " " not in command[0]


def _flat(found: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        if isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
            value = {str(index + 1): inner for index, inner in enumerate(value)}
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", UNKNOWN if value in (None, "") else str(value)
