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
"""Share of the free memory that training may fill; evaluation, checkpoints and results need the rest."""


class Programs(NamedTuple):
    """Compiled programs of a batch of arms.

    Attributes:
      data: data of the task, on all devices.
      shapes: shapes of the arms' states.
      chunk: jitted training steps; see `program.make_chunk`.
      validate, test: (params, hyper) -> {name: `[A]`}, the metrics of a held-out part; None without that part.
      arms: A, the number of arms side by side.
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
    """Compiles for all arms of a group side by side, or for fewer if memory does not suffice.

    Args:
      at_once: number of arms side by side; None: found from the free memory.
    """
    mesh = make_mesh(devices)
    all_arms = arms_at_once(len(group.arms), 0, 0, mesh.size)
    programs = compile_arms(group.config, task, mesh, at_once or all_arms)
    fit = at_once or arms_at_once(len(group.arms), programs.memory, free_bytes(mesh.size), mesh.size)
    return programs if fit == programs.arms else compile_arms(group.config, task, mesh, fit)


def compile_arms(config: Config, task: Task, mesh: jax.sharding.Mesh, count: int) -> Programs:
    """Compiles the programs for `count` arms side by side."""
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
    """Bytes of a compiled program over all devices: arguments, results and temporaries."""
    found = compiled.memory_analysis()
    one = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    return (one - found.alias_size_in_bytes) * len(compiled.input_shardings[0][2].device_set)


def free_bytes(devices: int) -> float:
    """Free memory in bytes; infinite if the system does not report it."""
    stats = jax.devices()[0].memory_stats() or {}
    if jax.default_backend() != "cpu" and "bytes_limit" in stats:
        return SHARE * devices * (stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    table = Path("/proc/meminfo")
    if not table.is_file():
        return math.inf
    line = next(line for line in table.read_text().splitlines() if line.startswith("MemAvailable"))
    return SHARE * int(line.split()[1]) * 1024


def arms_at_once(arms: int, needed: float, free: float, devices: int) -> int:
    """The number of arms in a batch: a multiple of the devices, such that all batches are about equal.

    Args:
      needed: bytes that all arms need side by side.
    """
    fit = arms if needed <= free else max(devices, math.floor(arms * free / needed))
    batches = math.ceil(arms / fit)
    return devices * math.ceil(arms / batches / devices)
