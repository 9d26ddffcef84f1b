"""A group of arms, trained from where it stopped to its end: batch after batch of as many arms as fit into memory."""

import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.config import Config
from rnnjax.errors import UserError
from rnnjax.files import write_whole
from rnnjax.loop import newest_whole, next_stop
from rnnjax.recorder import is_due
from rnnjax.run.checkpoint import Checkpoints
from rnnjax.run.directory import read_json
from rnnjax.study import results
from rnnjax.study.arms import Arm
from rnnjax.study.board import GroupProgress
from rnnjax.study.compiled import Programs, compile_group
from rnnjax.study.groups import Group
from rnnjax.study.measures import floor_of, measured_names, on_host
from rnnjax.study.program import Best, is_frozen, keep_best, one_arm, place, start_arms
from rnnjax.study.study import Study
from rnnjax.tasks import make_task
from rnnjax.tasks.task import Task
from rnnjax.training.state import TrainState, from_arrays, to_arrays

ShouldStop = Callable[[], bool]
"""Whether to save and stop."""

Tell = Callable[[GroupProgress], None]
"""Hears how far a group is."""


class Work(NamedTuple):
    """What whoever trains a group has to know of its study.

    Attributes:
      path: the directory of its results.
      devices: over how many devices the arms are divided; 0: all.
    """

    study: Study
    path: Path
    devices: int


class BatchState(NamedTuple):
    """How far a batch is; all of it is in its checkpoints.

    Attributes:
      means: of the steps since the last evaluation.
      seconds: of training so far.
    """

    states: TrainState
    best: Best
    means: results.Means
    seconds: float


def train_group(work: Work, group: Group, should_stop: ShouldStop, tell: Tell) -> bool:
    """Trains the arms of a group that are not finished yet.

    Returns:
      Whether all are finished now.

    Raises:
      UserError: if the data are not those that the group began with.
    """
    folder, task = group_folder(work, group), make_task(group.config)
    programs = compile_group(group, task, work.devices, pinned_plan(folder, task).get("arms_at_once"))
    plan = {"arms_at_once": programs.arms, "data": task.fingerprint, "arms": [arm.index for arm in group.arms]}
    write_whole(folder / "plan.json", json.dumps(plan) + "\n")
    batches = range(math.ceil(len(group.arms) / programs.arms))
    return all(train_batch(work, group, programs, number, should_stop, tell) for number in batches)


def group_folder(work: Work, group: Group) -> Path:
    """Where a group keeps what it needs to go on."""
    return work.path / "groups" / str(group.index)


def pinned_plan(folder: Path, task: Task) -> dict[str, Any]:
    """What the group was begun with; nothing where it was not begun.

    Raises:
      UserError: if its data were others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plan.json"
    plan = read_json(path) if path.exists() else {}
    if plan.get("data", task.fingerprint) != task.fingerprint:
        raise UserError(f"data.path: the data are not those that {folder} was started with")
    return plan


def train_batch(work: Work, group: Group, programs: Programs, number: int, should_stop: ShouldStop, tell: Tell) -> bool:
    """Trains arms side by side, writing their results as they come. Returns whether they are finished."""
    arms = group.arms[number * programs.arms :][: programs.arms]
    folder = group_folder(work, group) / f"batch-{number}"
    count, total = len(arms), group.config.training.steps
    if (folder / "finished").exists():
        tell(GroupProgress(total * count, finished=count, fresh=False))
        return True
    checkpoints = Checkpoints(folder / "checkpoints", keep=1)
    try:
        batch = train(work, group, programs, number, checkpoints, should_stop, tell)
        checkpoints.wait()
    finally:
        checkpoints.close()
    step, failed = int(batch.states.step), count_frozen(group.config, batch, count)
    if step < total and failed < count:
        return False
    write_samples(work, programs, batch, arms)
    write_whole(folder / "finished", "")
    shutil.rmtree(folder / "checkpoints")
    tell(GroupProgress((total - step) * count, 0, failed, count - failed, fresh=False))
    return True


def train(
    work: Work,
    group: Group,
    programs: Programs,
    number: int,
    checkpoints: Checkpoints,
    should_stop: ShouldStop,
    tell: Tell,
) -> BatchState:
    """The steps of a batch that are left: to the last, until no arm is left, or until someone asks."""
    arms, config = group.arms[number * programs.arms :][: programs.arms], group.config
    count, total = len(arms), config.training.steps
    batch = begin(programs, arms, checkpoints)
    step, failed = int(batch.states.step), count_frozen(config, batch, count)
    tell(GroupProgress(step * count, running=count, fresh=False))
    began = time.monotonic() - batch.seconds
    while step < total and failed < count and not should_stop():
        stop = next_stop(config, step)
        states, infos = programs.chunk(batch.states, programs.data, np.int32(stop - step))
        batch.means.add(np.asarray(infos)[: stop - step, :count])
        batch = batch._replace(states=states, seconds=time.monotonic() - began)
        failed = count_frozen(config, batch, count)
        running = count - failed
        tell(
            GroupProgress((stop - step) * count, running, failed if running else 0)
        )  # with none running, its end is told below
        step, ended = stop, stop == total or failed == count
        if ended or is_due(step, config.training.eval_every_steps):
            batch, numbers = evaluate(programs, config, batch, count, ended)
            numbers |= {"group": group.index, "memory_bytes": programs.memory}
            results.write_part(
                work.path / "results", group.index, part_of(config, number, step), work.study, arms, numbers
            )
        if is_due(step, config.run.checkpoint_every_steps) and not ended:
            save(checkpoints, batch)
    if step < total and failed < count and step not in checkpoints.steps():
        save(checkpoints, batch)
    return batch


def begin(programs: Programs, arms: tuple[Arm, ...], checkpoints: Checkpoints) -> BatchState:
    """The newest checkpoint of a batch that is whole, or the state before the first step.

    Arms that it lacks, so that devices and batches have equally many, are copies of its last; nobody looks at them.
    """
    found = newest_whole(checkpoints)
    loss = jax.ShapeDtypeStruct((programs.arms,), jax.tree.leaves(programs.shapes.params)[0].dtype)
    if found is not None:
        arrays = found.arrays
        template = {"states": programs.shapes, "best": Best(loss, programs.shapes.params)}
        saved = place(programs.mesh, from_arrays(template, arrays))
        means = results.Means(len(arms), arrays["sums"])
        return BatchState(saved["states"], saved["best"], means, float(arrays["seconds"]))
    states = start_arms(programs.task, [*arms, *[arms[-1]] * (programs.arms - len(arms))])
    best = Best(np.full(loss.shape, np.inf, loss.dtype), jax.tree.map(np.copy, states.params))
    states, best = place(programs.mesh, (states, best))
    return BatchState(states, best, results.Means(len(arms)), seconds=0.0)


def save(checkpoints: Checkpoints, batch: BatchState) -> None:
    """Hands all of a batch over to its checkpoints."""
    arrays = to_arrays({"states": batch.states, "best": batch.best})
    arrays |= {"sums": batch.means.sums, "seconds": np.array(batch.seconds)}
    checkpoints.save(int(batch.states.step), arrays, None)


def count_frozen(config: Config, batch: BatchState, count: int) -> int:
    """How many of the first arms have diverged."""
    return int(is_frozen(config, batch.states)[:count].sum())


def part_of(config: Config, number: int, step: int) -> int:
    """The number of an evaluation among those of a group: the same evaluation, made again, replaces itself."""
    period = config.training.eval_every_steps
    return number * math.ceil(config.training.steps / period) + math.ceil(step / period)


def evaluate(
    programs: Programs, config: Config, batch: BatchState, count: int, ended: bool
) -> tuple[BatchState, dict[str, Any]]:
    """Measures the arms on validation, and at the end on test: columns [count] of the results."""
    states = batch.states
    diverged = is_frozen(config, states)[:count]
    names = ["validation_loss", "test_loss", *measured_names(programs.task)]
    numbers: dict[str, Any] = {name: np.full(count, np.nan) for name in names} | batch.means.take()
    numbers |= {"step": int(states.step), "final": ended, "seconds": batch.seconds / count}
    numbers |= floor_of(programs.task)
    numbers |= {"skipped": np.asarray(states.skipped)[:count], "diverged": diverged}
    if programs.validate is None:
        batch = batch._replace(best=batch.best._replace(params=jax.tree.map(jnp.copy, states.params)))
    else:
        found = programs.validate(states.params, states.hyper)
        batch = batch._replace(best=keep_best(batch.best, states.params, found["loss"]))
        numbers |= on_host(found, "validation_loss", "", count)
    if ended and programs.test is not None:
        found = on_host(programs.test(batch.best.params, states.hyper), "test_loss", "test_", count)
        numbers |= {name: np.where(diverged, np.nan, values) for name, values in found.items()}
    return batch, numbers


def write_samples(work: Work, programs: Programs, batch: BatchState, arms: tuple[Arm, ...]) -> None:
    """What the network of each arm that has not diverged writes, or says of some examples."""
    task, data = programs.task, jax.device_get(programs.data)
    states = jax.tree.map(np.asarray, replace(batch.states, params=batch.best.params))
    frozen = is_frozen(arms[0].config, states)
    for index, arm in enumerate(arms):
        if not frozen[index]:
            state = one_arm(states, index)
            ids = task.sample(state.params, state.hyper, state.carry, data, jnp.int32(state.step))
            write_whole(work.path / "samples" / f"arm-{arm.index}.txt", task.write(jax.device_get(ids)))
