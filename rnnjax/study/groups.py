"""Groups of arms that share a program: their configs differ only in numbers that it takes as arguments."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rnnjax.config import Config
from rnnjax.errors import UserError
from rnnjax.study.arms import Arm
from rnnjax.study.fields import get, set_fields
from rnnjax.study.measures import check_metric
from rnnjax.study.study import Study
from rnnjax.tasks import make_task

ARGUMENTS = {
    "training.seed": 0,
    "model.leak": 0.5,
    "model.init_scale": None,
    "model.forget_bias": 0.0,
    "optimizer.learning_rate": 1.0,
    "optimizer.clip_threshold": 1.0,
    "optimizer.warmup_steps": 0,
    "optimizer.final_learning_rate": 0.0,
    "optimizer.weight_decay": 0.0,
}
"""Fields that a program takes as arguments, each with the value that stands for it in the shared config.

A dropout above 0 is an argument too; without dropout a program draws no noise.
"""


class Work(NamedTuple):
    """The part of a study that the training of a group needs.

    Attributes:
      path: directory of the results.
      devices: number of devices that the arms are divided over; 0: all.
    """

    study: Study
    path: Path
    devices: int


@dataclass(frozen=True)
class Group:
    """Arms of one program.

    Attributes:
      index: number in the study.
      arms: one or more; the program has the config of the first.
    """

    index: int
    arms: tuple[Arm, ...]

    @property
    def config(self) -> Config:
        return self.arms[0].config

    def names(self) -> list[str]:
        """Names of the arms, each once."""
        return [*dict.fromkeys(arm.name for arm in self.arms)]


def group_folder(work: Work, group: Group) -> Path:
    """The folder of a group's plan and checkpoints."""
    return work.path / "groups" / str(group.index)


def program_of(config: Config) -> Config:
    """The config that all arms of a program share."""
    values = {**ARGUMENTS, "model.dropout": 0.5 if get(config, "model.dropout") else 0.0}
    return set_fields(config, values)


def make_groups(arms: list[Arm]) -> list[Group]:
    """Groups arms by their programs, in the order of each program's first arm."""
    found: dict[Config, list[Arm]] = {}
    for arm in arms:
        found.setdefault(program_of(arm.config), []).append(arm)
    return [Group(index, tuple(members)) for index, members in enumerate(found.values())]


def check_tasks(study: Study, groups: list[Group]) -> None:
    """Checks for every group that its data fit, its gradient method applies, and its task has the study's metric.

    Raises:
      UserError: if one does not; the message names the arm.
    """
    for group in groups:
        try:
            check_metric(study, make_task(group.config))
        except UserError as error:
            raise UserError(f"the arm {group.arms[0].name}: {error}") from None
