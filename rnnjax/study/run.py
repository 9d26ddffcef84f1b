"""The course of a study: tuning, then every arm."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from rnnjax.config import Config
from rnnjax.quantities import number_of
from rnnjax.run.device import environment
from rnnjax.run.progress import warn
from rnnjax.study.arms import Arm, make_trials, with_learning_rate
from rnnjax.study.board import Board
from rnnjax.study.directory import StudyDirectory
from rnnjax.study.groups import Group, Work, check_tasks, make_groups
from rnnjax.study.results import read_part
from rnnjax.study.study import Study

Executor = Callable[[Work, list[Group], Board], bool]
"""Trains groups and reports to the board; returns False after an interrupt."""


def run_study(study: Study, base: Config, arms: list[Arm], path: Path, execute: Executor) -> bool:
    """Tunes if the study asks for it, then trains every arm that is not finished.

    Returns:
      False after an interrupt.
    """
    trials = make_trials(study, arms)
    check_tasks(study, make_groups(arms))
    with StudyDirectory(path) as directory:
        directory.pin(study, base, arms, environment())
        directory.write_arms(arms)
        work = sum(arm.config.training.steps for arm in [*trials, *arms])
        with Board(len(trials) + len(arms), work) as board:
            board.say(counted(arms, trials))
            finished = True
            if trials:
                finished = train(study, base, trials, path / "tuning", board, execute)
                if finished:
                    arms = choose(arms, trials, path / "tuning")
                    directory.write_arms(arms)
            finished = finished and train(study, base, arms, path, board, execute)
            if finished:
                board.say(f"the study is in {path}; python -m rnnjax.report {path} writes its report")
            else:
                board.say(f"stopped; what was done is in {path}, and the same command goes on from there")
    return finished


def counted(arms: list[Arm], trials: list[Arm]) -> str:
    """Numbers of runs and trials in words."""
    names = len({arm.name for arm in arms})
    words = (
        f"{number_of(len(arms), 'run')}: {number_of(names, 'arm')}, each with {number_of(len(arms) // names, 'seed')}"
    )
    return words + (f"; before them {number_of(len(trials), 'run')} to choose learning rates" if trials else "")


def train(study: Study, base: Config, arms: list[Arm], path: Path, board: Board, execute: Executor) -> bool:
    """Trains arms, and writes their results under a path."""
    for folder in ("results", "samples"):
        (path / folder).mkdir(parents=True, exist_ok=True)
    return execute(Work(study, path, base.run.devices), make_groups(arms), board)


def choose(arms: list[Arm], trials: list[Arm], path: Path) -> list[Arm]:
    """Sets each arm's learning rate to the one with the lowest mean validation loss in the trials of its name.

    If the trials of a name diverged with every rate, its arms get the lowest rate.
    """
    parts = sorted((path / "results").glob("part-*.parquet"))
    final = pd.concat([read_part(part) for part in parts]).query("final").set_index("arm")
    last = final["validation_loss"].where(~final["diverged"]).fillna(np.inf).to_dict()
    losses: dict[str, dict[float, list[float]]] = {}
    for trial in trials:
        rate = trial.config.optimizer.learning_rate
        losses.setdefault(trial.name, {}).setdefault(rate, []).append(last[trial.index])
    means = {name: {rate: float(np.mean(found)) for rate, found in tried.items()} for name, tried in losses.items()}
    for name, tried in means.items():
        if not np.isfinite(min(tried.values())):
            warn(f"tune.learning_rates: the arm {name} diverged with each of them; it keeps the lowest")
    best = {name: min(tried, key=lambda rate: (tried[rate], rate)) for name, tried in means.items()}
    return [with_learning_rate(arm, best[arm.name], means[arm.name]) for arm in arms]
