"""The end of a run: the best weights on the test part, the result, and the pictures."""

import json
import math
from pathlib import Path
from typing import Any

from rnnjax.config import Config
from rnnjax.errors import UserError
from rnnjax.figure import write_figure
from rnnjax.files import write_whole
from rnnjax.resumption import state_from
from rnnjax.run.checkpoint import Checkpoint, Checkpoints, text_checksum
from rnnjax.run.directory import RunDirectory, read_json
from rnnjax.run.figures import plot_run
from rnnjax.run.metrics import tells_all
from rnnjax.run.progress import warn
from rnnjax.run.results import plain
from rnnjax.tasks.task import Task
from rnnjax.training.state import TrainState

RECORDED = 0.01
"""Relative difference of a loss to the recorded one that is allowed, as between two machines."""


def finish(
    config: Config, task: Task, data: Any, directory: RunDirectory, checkpoints: Checkpoints, finished: bool
) -> None:
    """Draws the curves of a run; if it is finished, writes and prints its result."""
    result = conclude(task, data, directory, checkpoints) if finished else None
    total, drawn = config.training.steps, (directory.path / "loss.png").exists()
    if not finished or not drawn or tells_all(directory.metrics, total, checkpoints.mark(total)):
        plot_run(directory.path, config.run.name, task.unit, task.in_nats, task.levels)
    else:
        warn("loss.png and gradient_norm.png stay as they were drawn before")
    if result is not None:
        for name, figure in task.figures(result).items():
            write_figure(directory.path / name, figure)
        print("\n".join(task.report(result)))
        for name in (name for name, value in result.items() if name.endswith("_loss") and value is None):
            warn(f"the {name.replace('_', ' ')} is not finite; lower optimizer.learning_rate, under another run.name")


def conclude(task: Task, data: Any, directory: RunDirectory, checkpoints: Checkpoints) -> dict:
    """Measures the best weights on the test part, once, and writes the result; later calls read it."""
    path = directory.path / "result.json"
    if (result := kept_result(path)) is not None:
        return result
    found = checkpoints.best()
    for step, damage in found.damaged.items():
        warn(f"the checkpoint of step {step:,} is damaged: {damage}; taking the next best")
    if found.checkpoint is None:
        raise UserError(f"every checkpoint of {directory.path} is damaged; train again under another run.name")
    state = state_from(found.checkpoint, task)
    check_recorded(task, state, found.checkpoint)
    concluded = task.conclude(state, data)
    result = plain(concluded.result)
    if concluded.predictions:
        lines = (json.dumps(plain(prediction), ensure_ascii=False) + "\n" for prediction in concluded.predictions)
        write_whole(directory.path / "predictions.jsonl", "".join(lines))
    write_whole(path, json.dumps({**result, "checksum": text_checksum(result)}, indent=2, ensure_ascii=False) + "\n")
    return result


def kept_result(path: Path) -> dict | None:
    """The result of a finished run; None if there is none, or if it was changed."""
    if not path.exists():
        return None
    try:
        result = read_json(path)
    except UserError:
        result = {}
    if result.pop("checksum", None) == text_checksum(result):
        return result
    warn(f"{path} is damaged, or older than its checksum: measuring again")
    return None


def check_recorded(task: Task, state: TrainState, checkpoint: Checkpoint) -> None:
    """Warns if the best weights no longer have their recorded validation loss."""
    if task.held_out is None or checkpoint.validation_loss is None:
        return
    measured = float(task.evaluate(state.params, state.hyper, task.held_out))
    if not math.isclose(measured, checkpoint.validation_loss, rel_tol=RECORDED):
        warn(
            f"the weights of step {checkpoint.step:,} have the validation loss {measured:#.5g}, where "
            f"{checkpoint.validation_loss:#.5g} was recorded; the data, a library or the machine have changed"
        )
