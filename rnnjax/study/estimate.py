"""Estimate of a study before it runs: arms, programs, time and memory."""

import time

import jax
import numpy as np
from rich.console import Console
from rich.table import Column, Table

from rnnjax.config import Config
from rnnjax.quantities import in_bytes, in_time, number_of
from rnnjax.study.arms import Arm, make_trials
from rnnjax.study.compiled import Programs, compile_group
from rnnjax.study.groups import Group, check_tasks, make_groups
from rnnjax.study.program import place, start_arms
from rnnjax.study.study import Study
from rnnjax.tasks import make_task

MEASURED_STEPS = 5


def show(study: Study, base: Config, arms: list[Arm]) -> None:
    """Prints the arms, their programs, and time and memory, measured on a few compiled steps of each program."""
    console = Console(highlight=False, soft_wrap=True)
    trials = make_trials(study, arms)
    check_tasks(study, make_groups(arms))
    console.print(list_arms(arms))
    varied = Column("differ only in", no_wrap=True)
    table = Table("program", "runs", varied, "compile", "a step", "memory", "all steps")
    total = 0.0
    for what, members in (("tuning ", trials), ("", arms)):
        for group in make_groups(members):
            began = time.monotonic()
            task = make_task(group.config)
            programs = compile_group(group, task, base.run.devices)
            compiled = time.monotonic() - began
            step = seconds_a_step(programs, group)
            steps = step * group.config.training.steps * -(-len(group.arms) // programs.arms)
            total += compiled + steps
            numbers = in_time(compiled), in_time(step), in_bytes(programs.memory), in_time(steps)
            few = f", {programs.arms} at once" if programs.arms < len(group.arms) else ""
            names = "\n".join(name.split(".")[-1] for name in differences(group)) or "nothing"
            table.add_row(f"{what}{group.index}", f"{len(group.arms)}{few}", names, *numbers)
    console.print(table)
    count = number_of(len(arms), "run") + (f" after {len(trials)} to tune learning rates" if trials else "")
    console.print(f"{count}: about {in_time(total)} here, evaluations apart")


def list_arms(arms: list[Arm]) -> Table:
    """Table of the arms, one line for all seeds of each."""
    table = Table("arm", "seeds", "")
    for name in dict.fromkeys(arm.name for arm in arms):
        same = [arm for arm in arms if arm.name == name]
        table.add_row(name, ", ".join(str(arm.seed) for arm in same), "baseline" if same[0].baseline else "")
    return table


def differences(group: Group) -> list[str]:
    """The fields in which the arms of a group differ."""
    first = group.arms[0]
    found = {name for arm in group.arms for name, value in arm.fields.items() if value != first.fields.get(name)}
    if len({arm.config.optimizer.learning_rate for arm in group.arms}) > 1:
        found.add("optimizer.learning_rate")
    return [*sorted(found), *(["training.seed"] if len({arm.seed for arm in group.arms}) > 1 else [])]


def seconds_a_step(programs: Programs, group: Group) -> float:
    """Seconds for one step of a whole batch, measured on copies of its first arm."""
    one = start_arms(programs.task, [group.arms[0]])
    states = jax.tree.map(lambda leaf: np.repeat(leaf, programs.arms, axis=0) if leaf.ndim else leaf, one)
    states = place(programs.mesh, states)
    taken = []
    for count in (1, MEASURED_STEPS, MEASURED_STEPS):
        began = time.monotonic()
        states, _ = jax.block_until_ready(programs.chunk(states, programs.data, np.int32(count)))
        taken.append((time.monotonic() - began) / count)
    return min(taken)
