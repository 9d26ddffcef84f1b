"""Training of a group to its end: batch after batch, each of as many arms as fit into memory."""

import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.errors import UserError
from rnnjax.files import write_whole
from rnnjax.loop import next_stop
from rnnjax.recorder import is_due
from rnnjax.run.checkpoint import Checkpoints
from rnnjax.run.directory import read_json
from rnnjax.run.progress import warn
from rnnjax.study.batch import Batch, BatchState, begin, diverged, evaluate, part_of, save, write_samples
from rnnjax.study.board import GroupProgress
from rnnjax.study.compiled import compile_group
from rnnjax.study.groups import Group, Work, group_folder
from rnnjax.study.results import DamagedPart, part_path, read_part
from rnnjax.tasks import make_task
from rnnjax.tasks.task import Task

ShouldStop = Callable[[], bool]
"""Returns True to save the batch at hand and stop."""

Tell = Callable[[GroupProgress], None]
"""Takes a report of a group's progress."""


def train_group(work: Work, group: Group, should_stop: ShouldStop, tell: Tell) -> bool:
    """Trains the arms of a group that are not finished.

    Returns:
      True if all arms are finished.

    Raises:
      UserError: if the data have changed since the group began.
    """
    folder, task = group_folder(work, group), make_task(group.config)
    programs = compile_group(group, task, work.devices, pinned_plan(folder, task).get("arms_at_once"))
    plan = {"arms_at_once": programs.arms, "data": task.fingerprint, "arms": [arm.index for arm in group.arms]}
    write_whole(folder / "plan.json", json.dumps(plan) + "\n")
    numbers = range(math.ceil(len(group.arms) / programs.arms))
    return all(finish(Batch(work, group, programs, number), should_stop, tell) for number in numbers)


def pinned_plan(folder: Path, task: Task) -> dict[str, Any]:
    """Reads the plan of a group; empty if it has not begun.

    Raises:
      UserError: if the data have changed since it began.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plan.json"
    try:
        plan = read_json(path) if path.exists() else {}
    except UserError as error:
        warn(f"{error}; it is made anew")
        plan = {}
    if plan.get("data", task.fingerprint) != task.fingerprint:
        raise UserError(f"data.path: the data are not those that {folder} was started with")
    return plan


def finish(batch: Batch, should_stop: ShouldStop, tell: Tell) -> bool:
    """Trains a batch to its end, unless it is there; anew where its results are damaged.

    Returns:
      False if it was stopped before.
    """
    count, total = len(batch.arms), batch.config.training.steps
    finished = batch.folder / "finished"
    if (ended := end_of(finished, total)) and has_whole_results(batch, ended):
        tell(GroupProgress(total * count, finished=count, fresh=False))
        return True
    finished.unlink(missing_ok=True)
    checkpoints = Checkpoints(batch.folder / "checkpoints", keep=1)
    try:
        state = train(batch, checkpoints, should_stop, tell)
        checkpoints.wait()
    finally:
        checkpoints.close()
    if not has_ended(batch, state):
        return False
    if not has_whole_results(batch, state.step):
        shutil.rmtree(batch.folder / "checkpoints")
        return finish(batch, should_stop, tell)
    write_samples(batch, state)
    write_whole(finished, json.dumps({"step": state.step}) + "\n")
    shutil.rmtree(batch.folder / "checkpoints")
    failed = int(diverged(batch, state).sum())
    tell(GroupProgress((total - state.step) * count, 0, failed, count - failed, fresh=False))
    return True


def end_of(finished: Path, total: int) -> int:
    """Last step of a batch by its file `finished`, whose absence is 0; `total` where it does not say."""
    if not finished.exists():
        return 0
    try:
        step = read_json(finished).get("step")
    except UserError:
        step = None
    return step if isinstance(step, int) and 0 < step <= total else total


def has_whole_results(batch: Batch, ended: int) -> bool:
    """True where every evaluation up to a step can be read as it was written; otherwise warns of the first."""
    folder, every = batch.work.path / "results", batch.config.training.eval_every_steps
    for step in [*range(every, ended, every), ended]:
        path = part_path(folder, batch.group.index, part_of(batch, step))
        try:
            read_part(path)
        except DamagedPart as damage:
            warn(f"{path} is damaged ({damage}); its {len(batch.arms)} arms are trained again")
            return False
    return True


def has_ended(batch: Batch, state: BatchState) -> bool:
    """True after the last step, or when every arm has diverged."""
    return state.step >= batch.config.training.steps or bool(diverged(batch, state).all())


def train(batch: Batch, checkpoints: Checkpoints, should_stop: ShouldStop, tell: Tell) -> BatchState:
    """Runs the remaining steps, until the last, until every arm has diverged, or until asked to stop."""
    config, count = batch.config, len(batch.arms)
    state = begin(batch, checkpoints)
    tell(GroupProgress(state.step * count, running=count, fresh=False))
    began, ended = time.monotonic() - state.seconds, has_ended(batch, state)
    while not ended and not should_stop():
        steps = next_stop(config, state.step) - state.step
        states, infos = batch.programs.chunk(state.states, batch.programs.data, np.int32(steps))
        state.means.add(np.asarray(infos)[:steps, :count])
        state = state._replace(states=states, seconds=time.monotonic() - began)
        failed, ended = int(diverged(batch, state).sum()), has_ended(batch, state)
        # Where none is running, `finish` tells how it ended.
        tell(GroupProgress(steps * count, count - failed, failed if failed < count else 0))
        if ended or is_due(state.step, config.training.eval_every_steps):
            state = evaluate(batch, state, ended)
        if is_due(state.step, config.run.checkpoint_every_steps) and not ended:
            save(state, checkpoints)
    if not ended and state.step not in checkpoints.steps():
        save(state, checkpoints)
    return state
