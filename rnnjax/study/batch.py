"""A batch: arms of a group that are trained side by side, with their progress and results."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.config import Config
from rnnjax.files import write_whole
from rnnjax.resumption import newest_whole
from rnnjax.run.checkpoint import Checkpoints
from rnnjax.study import results
from rnnjax.study.arms import Arm
from rnnjax.study.compiled import Programs
from rnnjax.study.groups import Group, Work, group_folder
from rnnjax.study.measures import floor_of, measured_names, on_host
from rnnjax.study.program import Best, is_frozen, keep_best, one_arm, place, start_arms
from rnnjax.study.results import Means
from rnnjax.training.state import TrainState, from_arrays, to_arrays


class Batch(NamedTuple):
    """Arms of a group, as many as its programs take at once.

    Attributes:
      work: study of the arms.
      number: place among the batches of the group, from 0.
    """

    work: Work
    group: Group
    programs: Programs
    number: int

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The arms of this batch; a group's last batch may have fewer than the programs take."""
        most = self.programs.arms
        return self.group.arms[self.number * most : (self.number + 1) * most]

    @property
    def config(self) -> Config:
        return self.group.config

    @property
    def folder(self) -> Path:
        return group_folder(self.work, self.group) / f"batch-{self.number}"


class BatchState(NamedTuple):
    """The progress of a batch; all of it is in its checkpoints.

    Attributes:
      means: means over the steps since the last evaluation.
      seconds: time of training so far.
    """

    states: TrainState
    best: Best
    means: Means
    seconds: float

    @property
    def step(self) -> int:
        return int(self.states.step)


def begin(batch: Batch, checkpoints: Checkpoints) -> BatchState:
    """Reads the newest checkpoint that is whole, or draws the state before the first step.

    Where the programs take more arms than there are, copies of the last arm fill up; nothing reads them.
    """
    programs, arms = batch.programs, batch.arms
    found = newest_whole(checkpoints)
    loss = jax.ShapeDtypeStruct((programs.arms,), jax.tree.leaves(programs.shapes.params)[0].dtype)
    if found is not None:
        arrays = found.arrays
        template = {"states": programs.shapes, "best": Best(loss, programs.shapes.params)}
        saved = place(programs.mesh, from_arrays(template, arrays))
        return BatchState(saved["states"], saved["best"], Means(len(arms), arrays["sums"]), float(arrays["seconds"]))
    states = start_arms(programs.task, [*arms, *[arms[-1]] * (programs.arms - len(arms))])
    best = Best(np.full(loss.shape, np.inf, loss.dtype), jax.tree.map(np.copy, states.params))
    states, best = place(programs.mesh, (states, best))
    return BatchState(states, best, Means(len(arms)), seconds=0.0)


def save(state: BatchState, checkpoints: Checkpoints) -> None:
    """Saves the whole state of a batch as a checkpoint."""
    arrays = to_arrays({"states": state.states, "best": state.best})
    arrays |= {"sums": state.means.sums, "seconds": np.array(state.seconds)}
    checkpoints.save(state.step, arrays, None)


def diverged(batch: Batch, state: BatchState) -> np.ndarray:
    """True where an arm has diverged, `[A]`."""
    return is_frozen(batch.config, state.states)[: len(batch.arms)]


def evaluate(batch: Batch, state: BatchState, ended: bool) -> BatchState:
    """Measures the arms on validation, at the end on test too, and writes the results. Returns the new state."""
    state, numbers = measure(batch, state, ended)
    numbers |= {"group": batch.group.index, "memory_bytes": batch.programs.memory}
    folder, part = batch.work.path / "results", part_of(batch, state.step)
    results.write_part(folder, batch.group.index, part, batch.work.study, batch.arms, numbers)
    return state


def part_of(batch: Batch, step: int) -> int:
    """The number of an evaluation within its group; an evaluation that is repeated after a resume keeps its number."""
    training = batch.config.training
    every = training.eval_every_steps
    return batch.number * math.ceil(training.steps / every) + math.ceil(step / every)


def measure(batch: Batch, state: BatchState, ended: bool) -> tuple[BatchState, dict[str, Any]]:
    """Measures the arms. Returns the state with the best weights so far, and columns `[A]` of the results."""
    programs, states, count = batch.programs, state.states, len(batch.arms)
    lost, best = diverged(batch, state), state.best
    names = ["validation_loss", "test_loss", *measured_names(programs.task)]
    numbers: dict[str, Any] = {name: np.full(count, np.nan) for name in names} | state.means.take()
    numbers |= {"step": state.step, "final": ended, "seconds": state.seconds / count}
    numbers |= floor_of(programs.task)
    numbers |= {"skipped": np.asarray(states.skipped)[:count], "diverged": lost}
    if programs.validate is None:
        best = best._replace(params=jax.tree.map(jnp.copy, states.params))
    else:
        found = programs.validate(states.params, states.hyper)
        best = keep_best(best, states.params, found["loss"])
        numbers |= on_host(found, "validation_loss", "", count)
    if ended and programs.test is not None:
        found = on_host(programs.test(best.params, states.hyper), "test_loss", "test_", count)
        numbers |= {name: np.where(lost, np.nan, values) for name, values in found.items()}
    return state._replace(best=best), numbers


def write_samples(batch: Batch, state: BatchState) -> None:
    """Writes a sample of each arm that has not diverged: a text, or answers to some examples."""
    task, data = batch.programs.task, jax.device_get(batch.programs.data)
    states = jax.tree.map(np.asarray, replace(state.states, params=state.best.params))
    for index, (arm, lost) in enumerate(zip(batch.arms, diverged(batch, state), strict=True)):
        if not lost:
            one = one_arm(states, index)
            ids = task.sample(one.params, one.hyper, one.carry, data, jnp.int32(one.step))
            write_whole(batch.work.path / "samples" / f"arm-{arm.index}.txt", task.write(jax.device_get(ids)))
