"""A start from another run's weights: `--run.init_from runs/lyrics`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax

from rnnjax.errors import UserError
from rnnjax.tasks.task import Task
from rnnjax.trained import read_checkpoint, read_names
from rnnjax.training.state import TrainState, from_arrays


def start_from(task: Task, run: Path) -> Task:
    """The task whose state before the first step has the best weights of a run; all else begins as it would.

    Raises:
      UserError: if the weights have other shapes or types, or other characters or labels.
    """
    found = read_checkpoint(run)
    names = read_names(run, found.origin.get("names"))
    for kind in ("characters", "labels"):
        if names.get(kind) != task.names.get(kind):
            raise UserError(
                f"run.init_from: the {kind} of {run} are not those of data.path; its weights belong to others"
            )
    try:
        params = from_arrays(jax.eval_shape(task.start).params, found.arrays, "params.")
    except ValueError as error:
        raise UserError(f"run.init_from: the weights of {run} do not fit the config: {error}") from None

    def start(*seed: Any, **more: Any) -> TrainState:
        return replace(task.start(*seed, **more), params=params)

    return task._replace(
        start=start, summary=f"{task.summary}; the weights of step {found.step:,} of {run} to begin with"
    )
