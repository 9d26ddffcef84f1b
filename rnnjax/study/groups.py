"""Which arms share a program: those whose configs differ only in numbers that it takes as arguments."""

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
"""The fields that a program takes as arguments, each with the value that stands for all in the name of a group. Dropout
is another where there is any: without it a program draws no noise."""


class Work(NamedTuple):
    """The study that a group belongs to, as far as its training has to know.

    Attributes:
      path: the directory of its results.
      devices: the number of devices that the arms are divided over; 0: all.
    """

    study: Study
    path: Path
    devices: int


@dataclass(frozen=True)
class Group:
    """Arms of one program.

    Attributes:
      index: its number in the study.
      arms: one or more; the config of the first is the program's.
    """

    index: int
    arms: tuple[Arm, ...]

    @property
    def config(self) -> Config:
        return self.arms[0].config

    def names(self) -> list[str]:
        """The names of its arms, each once."""
        return [*dict.fromkeys(arm.name for arm in self.arms)]


def group_folder(work: Work, group: Group) -> Path:
    """The folder of all that a group needs to go on."""
    return work.path / "groups" / str(group.index)


def program_of(config: Config) -> Config:
    """What arms that share a program have in common."""
    values = {**ARGUMENTS, "model.dropout": 0.5 if get(config, "model.dropout") else 0.0}
    return set_fields(config, values)


def make_groups(arms: list[Arm]) -> list[Group]:
    """The arms by their programs, in the order in which these first come up."""
    found: dict[Config, list[Arm]] = {}
    for arm in arms:
        found.setdefault(program_of(arm.config), []).append(arm)
    return [Group(index, tuple(members)) for index, members in enumerate(found.values())]


def check_tasks(study: Study, groups: list[Group]) -> None:
    """Reads the data of every group: whether they fit it, whether its gradient method can be applied, and whether they
    have what the study compares.

    Raises:
      UserError: that names the arm.
    """
    for group in groups:
        try:
            check_metric(study, make_task(group.config))
        except UserError as error:
            raise UserError(f"the arm {group.arms[0].name}: {error}") from None
