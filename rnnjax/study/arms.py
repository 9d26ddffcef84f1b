"""From a study to its arms: one config each, all of them checked."""

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
      index: its number in the study.
      name: what it is, its seed apart: runs that differ in nothing else share it.
      config: all that decides the run.
      fields: its values of the axes.
      baseline: whether the others are compared with it.
      tuned: the learning rate that was chosen for it, and the losses of all that were tried; None: none were.
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
    """All arms, those of one name side by side.

    Raises:
      UserError: for an axis that is no field, a value that a field cannot take, an arm whose config is invalid, two
        arms that are the same, a baseline that is not one arm.
    """
    base = shared(base)
    assignments = [read(assignment, study) for assignment in study.axes.assignments()]
    names = [name_of(assignment, study.axes.fields()) for assignment in assignments]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"axes: two arms are the same: {twice[0]}")
    baseline = find_baseline(study, base, assignments)
    arms: list[Arm] = []
    for number, (name, assignment) in enumerate(zip(names, assignments, strict=True)):
        for seed in study.all_seeds():
            config = config_of(base, name, {**assignment, "training.seed": seed})
            arms.append(Arm(len(arms), name, config, assignment, number == baseline))
    return arms


def shared(base: Config) -> Config:
    """The base as an arm has it: on one device, as the study divides arms, not batches; with one sample, at its end."""
    return set_fields(base, {"run.devices": 1, "sampling.every_steps": 0})


def read(assignment: Assignment, study: Study) -> Assignment:
    """The values in their fields' types; those drawn from a range are rounded where the field is a whole number."""
    whole = {name for name in study.axes.random if kinds().get(name) is int}
    return {name: typed(name, round(value) if name in whole else value) for name, value in assignment.items()}


def config_of(base: Config, name: str, values: Assignment) -> Config:
    """The config of an arm; a refusal names the arm."""
    try:
        return set_fields(base, values)
    except UserError as error:
        raise UserError(f"the arm {name}: {error}") from None


def name_of(assignment: Assignment, fields: Iterable[str]) -> str:
    """Such as clip=value, clip_threshold=0.5; with the section where two fields would share a name."""
    leaves = [name.split(".")[1] for name in fields]
    short = lambda name: leaf if leaves.count(leaf := name.split(".")[1]) == 1 else name
    shown = lambda value: f"{value:.6g}" if isinstance(value, float) else str(value)
    return ", ".join(f"{short(name)}={shown(value)}" for name, value in assignment.items())


def find_baseline(study: Study, base: Config, assignments: list[Assignment]) -> int | None:
    """The number of the assignment that has the baseline's values, or that has them with those of the base where it is
    silent; None where there is no baseline."""
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
    """An arm for each learning rate to try, of each name and each seed of the tuning."""
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
    """The arm with a learning rate that was chosen for it."""
    tuned = {"optimizer.learning_rate": rate, "validation_loss": {f"{tried:g}": loss for tried, loss in losses.items()}}
    return replace(arm, config=set_fields(arm.config, {"optimizer.learning_rate": rate}), tuned=tuned)


def to_json(arm: Arm) -> dict[str, Any]:
    """An arm in arms.json."""
    about = {"arm": arm.index, "name": arm.name, "seed": arm.seed, "fields": arm.fields}
    return about | {"baseline": arm.baseline, "tuned": arm.tuned}


def columns(study: Study, arm: Arm) -> Assignment:
    """The arm's value of every axis; the config's own where a single arm names none."""
    return {name: arm.fields.get(name, get(arm.config, name)) for name in study.axes.fields()}
