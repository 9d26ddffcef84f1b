"""The programs of a group, compiled for as many arms as fit into memory."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from rnnjax.config import Config
from rnnjax.loop import compile_together
from rnnjax.study.groups import Group
from rnnjax.study.measures import make_measure
from rnnjax.study.program import abstract_arms, make_chunk, make_mesh, place
from rnnjax.tasks.task import Task
from rnnjax.training.sharding import everywhere
from rnnjax.training.state import TrainState

SHARE = 0.5
"""Of the memory that is free: evaluation, checkpoints and the results need some too."""


class Programs(NamedTuple):
    """What a batch of arms runs.

    Attributes:
      data: what the steps read, on all devices.
      shapes: of the arms' states.
      chunk: see `program.make_chunk`.
      validate, test: (params, hyper) -> {name: [A]}, what is measured on the held-out parts; None: there is none.
      arms: A, how many run side by side.
      memory: bytes that the chunk needs.
    """

    task: Task
    mesh: jax.sharding.Mesh
    data: Any
    shapes: TrainState
    chunk: Callable
    validate: Callable | None
    test: Callable | None
    arms: int
    memory: int


def compile_group(group: Group, task: Task, devices: int, at_once: int | None = None) -> Programs:
    """Compiles for all arms of a group side by side; where these need too much memory, for fewer.

    Args:
      at_once: how many, where that is known.
    """
    mesh = make_mesh(devices)
    all_arms = arms_at_once(len(group.arms), 0, 0, mesh.size)
    programs = compile_arms(group.config, task, mesh, at_once or all_arms)
    fit = at_once or arms_at_once(len(group.arms), programs.memory, free_bytes(mesh.size), mesh.size)
    return programs if fit == programs.arms else compile_arms(group.config, task, mesh, fit)


def compile_arms(config: Config, task: Task, mesh: jax.sharding.Mesh, count: int) -> Programs:
    """Compiles for so many arms."""
    data, held_out, test = (everywhere(mesh, part) for part in (task.data, task.held_out, task.test))
    shapes = place(mesh, abstract_arms(task, config, count))
    measure = make_measure(task, mesh)
    measured = [None if part is None else (measure, (shapes.params, shapes.hyper, part)) for part in (held_out, test)]
    chunk = make_chunk(config, task.step, mesh), (shapes, data, np.int32(0))
    chunk, *measures = compile_together(chunk, *measured)
    validate, tested = (
        program and (lambda params, hyper, run=program, part=part: run(params, hyper, part))
        for program, part in zip(measures, (held_out, test), strict=True)
    )
    return Programs(task, mesh, data, shapes, chunk, validate, tested, count, bytes_of(chunk))


def bytes_of(compiled: Any) -> int:
    """What a compiled program needs on all of its devices: arguments, results and what it computes with."""
    found = compiled.memory_analysis()
    one = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    return (one - found.alias_size_in_bytes) * len(compiled.input_shardings[0][2].device_set)


def free_bytes(devices: int) -> float:
    """The memory that is free for a study; infinite where the system does not say."""
    stats = jax.devices()[0].memory_stats() or {}
    if jax.default_backend() != "cpu" and "bytes_limit" in stats:
        return SHARE * devices * (stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    table = Path("/proc/meminfo")
    if not table.is_file():
        return math.inf
    line = next(line for line in table.read_text().splitlines() if line.startswith("MemAvailable"))
    return SHARE * int(line.split()[1]) * 1024


def arms_at_once(arms: int, needed: float, free: float, devices: int) -> int:
    """The number of arms of each batch, so that batches are alike, and a multiple of the devices.

    Args:
      needed: bytes of all arms side by side.
    """
    fit = arms if needed <= free else max(devices, math.floor(arms * free / needed))
    batches = math.ceil(arms / fit)
    return devices * math.ceil(arms / batches / devices)
