"""Metrics on held-out data: the loss, and the further metrics of a task."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import PartitionSpec

from rnnjax.errors import UserError
from rnnjax.study.program import AXIS, A
from rnnjax.study.results import COLUMNS
from rnnjax.study.study import Study
from rnnjax.tasks.task import Task

Array = jax.Array


def check_metric(study: Study, task: Task) -> None:
    """Raises UserError if the data lack the metric that the study compares, or the one that it tunes by."""
    needs = {"validation_loss": task.held_out, "test_loss": task.test}
    names = [study.metric, *(["validation_loss"] if study.tune.learning_rates else [])]
    if missing := [name for name in names if name in needs and needs[name] is None]:
        part = missing[0].removesuffix("_loss")
        raise UserError(f"metric: there is no {missing[0]}, as nothing is held out; raise data.{part}_fraction")
    if study.metric in COLUMNS:
        return
    measured = measured_names(task)
    if study.metric not in measured:
        raise UserError(f"metric: the task has no {study.metric}; it has {', '.join([*COLUMNS, *measured])}")


def measured_names(task: Task) -> list[str]:
    """Columns of the metrics that a task has besides the loss."""
    if task.measure is None or task.held_out is None:
        return []
    state = jax.eval_shape(task.start)
    names = [*jax.eval_shape(task.measure, state.params, state.hyper, task.held_out)]
    return names + ([f"test_{name}" for name in names] if task.test is not None else [])


def floor_of(task: Task) -> dict[str, float]:
    """Column `floor`: the loss of the best network without memory; empty if the task knows none."""
    return {"floor": max(task.levels.values())} if task.levels else {}


def on_host(found: dict[str, Any], loss: str, prefix: str, count: int) -> dict[str, np.ndarray]:
    """Metrics of the first `count` arms, on the host, by the names of the results' columns."""
    names = {name: loss if name == "loss" else prefix + name for name in found}
    return {names[name]: np.asarray(values, np.float64)[:count] for name, values in found.items()}


def make_measure(task: Task, mesh: jax.sharding.Mesh) -> Callable:
    """Returns a jitted (params, hyper, part) -> {name: `[A]`}: the loss on a held-out part, and the other metrics."""

    def measure(params: Any, hyper: Any, part: Any) -> dict[str, Array]:
        more = task.measure(params, hyper, part) if task.measure else {}
        return {"loss": task.evaluate(params, hyper, part), **more}

    specs = PartitionSpec(AXIS), PartitionSpec(AXIS), PartitionSpec()
    mapped = jax.vmap(measure, in_axes=(A, A, None))
    return jax.jit(jax.shard_map(mapped, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(AXIS), check_vma=False))
