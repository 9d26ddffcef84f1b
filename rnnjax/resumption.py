"""The state with which a run goes on: that of its newest checkpoint that is whole."""

import math
from functools import partial

import jax
import numpy as np

from rnnjax.errors import UserError
from rnnjax.run import hosts
from rnnjax.run.checkpoint import Checkpoint, Checkpoints
from rnnjax.run.progress import warn
from rnnjax.tasks.task import Task
from rnnjax.training.state import TrainState, from_arrays


def resume_together(task: Task, checkpoints: Checkpoints) -> tuple[TrainState | None, float]:
    """The state with which every process of the run goes on, and the lowest validation loss up to it."""
    found = hosts.each(partial(resume, task, checkpoints))
    lowest = min(checkpoints.validation_losses().values(), default=math.inf)
    has_any, lowest = hosts.share((found is not None, lowest))
    if not has_any:
        return None, math.inf
    empty = lambda: jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), jax.eval_shape(task.start))
    return hosts.share(empty() if found is None else found), float(lowest)


def resume(task: Task, checkpoints: Checkpoints) -> TrainState | None:
    """The state of the newest checkpoint that is whole; None if there is none."""
    checkpoint = newest_whole(checkpoints)
    return state_from(checkpoint, task) if checkpoint else None


def newest_whole(checkpoints: Checkpoints) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None. Damaged ones are put aside, with a warning."""
    found = checkpoints.newest()
    for step, damage in found.damaged.items():
        warn(f"the checkpoint of step {step:,} is damaged: {damage}; it was moved to {checkpoints.put_aside(step)}")
    return found.checkpoint


def state_from(checkpoint: Checkpoint, task: Task) -> TrainState:
    """The training state of a checkpoint."""
    try:
        return from_arrays(jax.eval_shape(task.start), checkpoint.arrays)
    except ValueError as error:
        raise UserError(f"the checkpoint of step {checkpoint.step} does not fit the config: {error}") from None
