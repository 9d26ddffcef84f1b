"""The arms of a study, each with a checked config of its own."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from rnnjax.config import Config
from rnnjax.errors import UserError
from rnnjax.study.fields import get, kinds, set_fields, typed
from rnnjax.study.study import Assignment, Study


@dataclass(frozen=True)
class Arm:
    """One run of a study.

    Attributes:
      index: number in the study.
      name: shared by runs that differ in the seed alone.
      config: all that decides the run.
      fields: values of the axes.
      baseline: True for the arm that the others are compared with.
      tuned: learning rate chosen by tuning, and the losses of all rates tried; None without tuning.
    """

    index: int
    name: str
    config: Config
    fields: Assignment
    baseline: bool = False
    tuned: dict[str, Any] | None = None

    @property
    def seed(self) -> int:
        return self.config.training.seed


def make_arms(study: Study, base: Config) -> list[Arm]:
    """Makes all arms, those of one name side by side.

    Raises:
      UserError: for an axis that is no field, a value that a field cannot take, an arm whose config is invalid, two
        arms that are the same, a baseline that is not one arm.
    """
    base = shared(base)
    assignments = [read(assignment, study) for assignment in study.axes.assignments()]
    names = [name_of(assignment, study.axes.fields()) for assignment in assignments]
    if twice := sorted(name for name, count in Counter(names).items() if count > 1):
        raise UserError(f"axes: two arms are the same: {twice[0]}")
    baseline = find_baseline(study, base, assignments)
    arms: list[Arm] = []
    for number, (name, assignment) in enumerate(zip(names, assignments, strict=True)):
        for seed in study.all_seeds():
            config = config_of(base, name, {**assignment, "training.seed": seed})
            arms.append(Arm(len(arms), name, config, assignment, number == baseline))
    return arms


def shared(base: Config) -> Config:
    """The base on one device, as a study divides arms, not batches, and with one sample, at the end."""
    return set_fields(base, {"run.devices": 1, "sampling.every_steps": 0})


def read(assignment: Assignment, study: Study) -> Assignment:
    """Reads values in the types of their fields; values drawn for a field of whole numbers are rounded."""
    whole = {name for name in study.axes.random if kinds().get(name) is int}
    return {name: typed(name, round(value) if name in whole else value) for name, value in assignment.items()}


def config_of(base: Config, name: str, values: Assignment) -> Config:
    """The config of an arm; its error names the arm."""
    try:
        return set_fields(base, values)
    except UserError as error:
        raise UserError(f"the arm {name}: {error}") from None


def name_of(assignment: Assignment, fields: Iterable[str]) -> str:
    """The name of an arm, such as clip=value, clip_threshold=0.5; with sections where two fields share a name."""
    leaves = [name.split(".")[1] for name in fields]
    short = lambda name: leaf if leaves.count(leaf := name.split(".")[1]) == 1 else name
    shown = lambda value: f"{value:.6g}" if isinstance(value, float) else str(value)
    return ", ".join(f"{short(name)}={shown(value)}" for name, value in assignment.items())


def find_baseline(study: Study, base: Config, assignments: list[Assignment]) -> int | None:
    """The number of the baseline's assignment, or None without a baseline.

    If no assignment has all of the baseline's values, fields that an assignment leaves out count with the base's value.

    Raises:
      UserError: if the baseline is not one arm.
    """
    if not study.baseline:
        return None
    wanted = {name: typed(name, value) for name, value in study.baseline.items()}
    found = [i for i, values in enumerate(assignments) if wanted.items() <= values.items()]
    if not found:
        inherited = {name: get(base, name) for name in wanted}
        found = [i for i, values in enumerate(assignments) if wanted.items() <= {**inherited, **values}.items()]
    if len(found) != 1:
        many = f"{len(found)} arms have" if found else "no arm has"
        raise UserError(f"baseline: {many} {name_of(wanted, study.axes.fields())}; give the values of one arm")
    return found[0]


def make_trials(study: Study, arms: list[Arm]) -> list[Arm]:
    """Makes the trials of the tuning: one arm for each name, learning rate and seed."""
    firsts = {arm.name: arm for arm in reversed(arms)}
    trials: list[Arm] = []
    for name, arm in reversed(firsts.items()):
        for rate in study.tune.learning_rates:
            for seed in study.tune.seeds:
                values = {"optimizer.learning_rate": rate, "training.seed": seed}
                config = config_of(arm.config, name, values)
                trials.append(replace(arm, index=len(trials), config=config, baseline=False))
    return trials


def with_learning_rate(arm: Arm, rate: float, losses: dict[float, float]) -> Arm:
    """The arm with the learning rate that tuning chose."""
    tuned = {"optimizer.learning_rate": rate, "validation_loss": {f"{tried:g}": loss for tried, loss in losses.items()}}
    return replace(arm, config=set_fields(arm.config, {"optimizer.learning_rate": rate}), tuned=tuned)


def to_json(arm: Arm) -> dict[str, Any]:
    """The arm as arms.json holds it."""
    about = {"arm": arm.index, "name": arm.name, "seed": arm.seed, "fields": arm.fields}
    return about | {"baseline": arm.baseline, "tuned": arm.tuned}


def columns(study: Study, arm: Arm) -> Assignment:
    """The arm's value of every axis; the config's own where a single arm names none."""
    return {name: arm.fields.get(name, get(arm.config, name)) for name in study.axes.fields()}
