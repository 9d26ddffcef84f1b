"""Reader of a study's folder, finished or not.

runs/<study>/
  study.yaml            name, base, metric, direction, baseline, axes, seeds, tune, command
  arms.json             arms: one object for each: number, name, seed and fields
  results/part-*.parquet   one row for each arm and evaluation
  samples/arm-<n>.txt
  environment.json
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rnnjax.errors import UserError
from rnnjax.quantities import number_of
from rnnjax.run.config_file import read_yaml
from rnnjax.run.directory import read_json
from rnnjax.study.directory import unsigned
from rnnjax.study.results import DamagedPart, check_extra, read_part

NEEDED = ("arm", "step", "final", "diverged")
"""Columns that every part must have."""


@dataclass(frozen=True)
class Record:
    """The record of a study up to now.

    Attributes:
      about: content of study.yaml.
      arms: content of arms.json.
      rows: one row for each arm and evaluation, in this order.
      remarks: one line for each file that could not be read.
    """

    path: Path
    about: dict[str, Any]
    arms: list[dict[str, Any]]
    rows: pd.DataFrame
    environment: dict[str, Any]
    remarks: tuple[str, ...]

    @property
    def name(self) -> str:
        return str(self.about.get("name", self.path.name))

    @property
    def metric(self) -> str:
        return str(self.about["metric"])

    @property
    def lower_is_better(self) -> bool:
        return self.about["direction"] == "lower"

    @property
    def fields(self) -> list[str]:
        """Config fields that differ between arms."""
        return [name for name in self.arms[0]["fields"] if len({str(arm["fields"].get(name)) for arm in self.arms}) > 1]

    def values(self, field: str) -> list[Any]:
        """Values of a field over the arms: numbers sorted, others in the study's order."""
        distinct = list({str(arm["fields"].get(field)): arm["fields"].get(field) for arm in self.arms}.values())
        return sorted(distinct) if are_numbers(distinct) else distinct


def are_numbers(values: list[Any]) -> bool:
    """True if all values are numbers; true and false are none."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def read_study(path: Path) -> Record:
    """Reads a study's folder.

    Raises:
      UserError: if it is no study, has no result yet, or has no column of its metric.
    """
    if not path.is_dir():
        raise UserError(f"there is no folder {path}; name the folder of a study, such as runs/clipping")
    for name in ("study.yaml", "arms.json"):
        if not (path / name).is_file():
            raise UserError(f"{path} is not a study: it has no {name}; python -m rnnjax.ablate makes one")
    about = _read_about(path / "study.yaml")
    arms = _filled(_read_arms(path / "arms.json"), about.get("config"))
    rows, remarks = _read_rows(path / "results", {arm["arm"] for arm in arms})
    if rows.empty:
        damaged = f" ({'; '.join(remarks)})" if remarks else ""
        raise UserError(f"{path} has no results yet{damaged}; wait for the first evaluation")
    if about["metric"] not in rows:
        numbers = ", ".join(
            name for name in rows.select_dtypes("number").columns if name not in ("arm", "seed", "step", "group")
        )
        raise UserError(f"{path}: its metric {about['metric']} is no column of the results; there are {numbers}")
    remarks += [] if remarks else _gaps(rows, about.get("config"))
    environment = _read_environment(path / "environment.json")
    return Record(path, about, arms, rows, environment, tuple(remarks))


def _read_about(path: Path) -> dict[str, Any]:
    about, whole = unsigned(read_yaml(path))
    _check_whole(path, whole)
    if not isinstance(about.get("metric"), str):
        raise UserError(f"{path} is damaged: it names no metric")
    if about.get("direction") not in ("lower", "higher"):
        raise UserError(f"{path}: direction is {about.get('direction')!r}, but must be lower or higher")
    return about


def _read_arms(path: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found, whole = unsigned({"arms": content} if isinstance(content, list) else content)  # a list: an older study
        arms = found["arms"]
        has_all = all({"arm", "name", "seed", "fields"} <= arm.keys() for arm in arms) and bool(arms)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        has_all = False
    if not has_all:
        raise UserError(f"{path} is damaged: it is no list of arms with arm, name, seed and fields")
    _check_whole(path, whole)
    if len({(arm["name"], arm["seed"]) for arm in arms}) < len(arms):
        raise UserError(f"{path} is damaged: two arms have the same name and seed")
    baselines = sorted({arm["name"] for arm in arms if arm.get("baseline")})
    if len(baselines) > 1:
        raise UserError(f"{path}: there may be one baseline, but there are {', '.join(baselines)}")
    return arms


def _check_whole(path: Path, whole: bool) -> None:
    """Raises UserError for a file that was changed after it was written."""
    if not whole:
        raise UserError(f"{path} was changed: its checksum differs; the study's own command writes it anew")


def _filled(arms: list[dict[str, Any]], base: Any) -> list[dict[str, Any]]:
    """Completes the arms: a field of the axes that an arm leaves out gets the value of the shared config."""
    base = base if isinstance(base, dict) else {}
    own = {}
    for name in dict.fromkeys(name for arm in arms for name in arm["fields"]):
        section, _, leaf = name.partition(".")
        own[name] = (base.get(section) or {}).get(leaf)
    return [{**arm, "fields": {**own, **arm["fields"]}} for arm in arms]


def _read_rows(folder: Path, known: set[int]) -> tuple[pd.DataFrame, list[str]]:
    """Reads all parts into one table. Returns it, and a remark for each part that cannot be read.

    A resumed arm may have two evaluations at one step; the later part's counts.
    """
    parts, remarks = [], []
    for path in sorted(folder.glob("part-*.parquet")):
        part, remark = _read_part(path)
        if remark:
            remarks.append(remark)
        elif not part.empty:
            parts.append(part)
    if not parts:
        return pd.DataFrame(), remarks
    columns = dict.fromkeys(column for part in parts for column in part)
    rows = pd.concat([part.dropna(axis=1, how="all") for part in parts], ignore_index=True).reindex(columns=[*columns])
    if strangers := sorted(set(rows["arm"]) - known):
        remarks.append(f"arms {', '.join(map(str, strangers))} are not in arms.json: left out")
        rows = rows[rows["arm"].isin(known)]
    rows = rows.sort_values(["arm", "step", "final"], kind="stable").drop_duplicates(["arm", "step"], keep="last")
    return rows.reset_index(drop=True), remarks


def _gaps(rows: pd.DataFrame, base: Any) -> list[str]:
    """A remark where arms lack an evaluation before their last one, as when a part was deleted."""
    training = base.get("training") if isinstance(base, dict) else None
    every = training.get("eval_every_steps") if isinstance(training, dict) else None
    if not isinstance(every, int) or every < 1 or "training.eval_every_steps" in rows:
        return []
    steps = rows.groupby("arm")["step"]
    lacking = int((steps.nunique() < -(-steps.max() // every)).sum())
    without = f"{number_of(lacking, 'run')} with an evaluation missing: a part is gone"
    return [f"{without}; python -m rnnjax.ablate mends it"] if lacking else []


def _read_part(path: Path) -> tuple[pd.DataFrame, str]:
    """Reads one part. Returns its rows, or a remark on why there are none."""
    check_extra()
    try:
        part = read_part(path)
    except DamagedPart as damage:
        return pd.DataFrame(), f"{path.name} is damaged and left out: {damage}; python -m rnnjax.ablate mends it"
    if missing := [name for name in NEEDED if name not in part]:
        return pd.DataFrame(), f"{path.name} is left out: it has no column {', '.join(missing)}"
    for name in ("final", "diverged"):
        part[name] = part[name].eq(True)
    return part, ""


def _read_environment(path: Path) -> dict[str, Any]:
    """The content of environment.json; empty if there is none."""
    try:
        return read_json(path)
    except UserError:
        return {}
