"""One program for many runs: a training step, mapped over arms, the arms divided over devices.

Each arm equals its run alone: the same windows, noise and weights, and the same gradients up to rounding. Where the
dynamics are chaotic, rounding grows: after many steps the path differs, yet the run is as good a sample.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from rnnjax.build import make_hyper
from rnnjax.config import Config
from rnnjax.study.arms import Arm
from rnnjax.study.fields import get
from rnnjax.tasks import make_task
from rnnjax.tasks.task import Task
from rnnjax.training.optimizer import make_numbers
from rnnjax.training.sharding import make_row
from rnnjax.training.state import StepInfo, TrainState
from rnnjax.training.step import Step, run_steps

Array = jax.Array

AXIS = "arms"
A = 0
"""The axis of the arms, the first of every array that is not shared."""

PARTS = tuple(TrainState.__dataclass_fields__)
"""Names of the parts of a training state."""

MAPPED: Any = TrainState(*(None if name == "step" else A for name in PARTS))  # type: ignore[arg-type]
"""Axes of a training state: each arm has parts of its own; all share the step, and so the place in the data."""


class Best(NamedTuple):
    """Weights with the lowest validation loss so far; without held-out data, the last weights.

    Attributes:
      loss: `[A]`, infinite before the first evaluation.
      params: `[A, ...]`.
    """

    loss: Any
    params: Any


def start_arms(task: Task, arms: list[Arm]) -> TrainState:
    """States before the first step, `[A, ...]`, by the same function of config and seed as in a run alone.

    Args:
      task: task of the first arm.
    """
    dtype = np.dtype(arms[0].config.run.precision)
    starts: dict[tuple, Callable] = {}
    states = []
    for arm in arms:
        drawn = get(arm.config, "model.init_scale"), get(arm.config, "model.forget_bias")
        if drawn not in starts:
            starts[drawn] = jax.jit((make_task(arm.config) if starts else task).start)
        state = starts[drawn](seed=jnp.int32(arm.seed))
        numbers = make_numbers(arm.config.optimizer, dtype)
        states.append(replace(state, hyper=make_hyper(arm.config, dtype), numbers=numbers))
    stacked = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *states)
    return replace(stacked, step=states[0].step)


def abstract_arms(task: Task, config: Config, count: int) -> TrainState:
    """Shapes of the result of `start_arms`."""
    dtype = np.dtype(config.run.precision)
    one = jax.eval_shape(lambda: replace(task.start(), numbers=make_numbers(config.optimizer, dtype)))
    many = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape), leaf.dtype), one)
    return replace(many, step=one.step)


def make_mesh(devices: int) -> jax.sharding.Mesh:
    """Mesh with the devices in a row, for the arms; see `make_row`."""
    return make_row(devices, AXIS)


def place(mesh: jax.sharding.Mesh, tree: Any) -> Any:
    """Divides arrays `[A, ...]`, or their shapes, over the devices by arms; scalars lie on every device."""

    def put(leaf: Any) -> Any:
        where = NamedSharding(mesh, PartitionSpec(AXIS) if leaf.ndim else PartitionSpec())
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where)
        return jax.device_put(leaf, where)

    return jax.tree.map(put, tree)


def make_step(config: Config, step: Step) -> Step:
    """Maps a task's step over the arms.

    An arm whose last `training.max_skipped_steps` steps were not finite is frozen, where a run alone would end. Its
    state stays, and its further steps are reported as skipped.
    """
    most = config.training.max_skipped_steps

    def unless_frozen(state: TrainState, data: Any) -> tuple[TrainState, StepInfo]:
        frozen = state.skipped_in_a_row >= most
        after, info = step(state, data)
        held = jax.tree.map(lambda old, new: jnp.where(frozen, old, new), state, after)
        return replace(held, step=after.step), info._replace(skipped=info.skipped | frozen)

    return jax.vmap(unless_frozen, in_axes=(MAPPED, None), out_axes=(MAPPED, A))


def make_chunk(config: Config, step: Step, mesh: jax.sharding.Mesh) -> Callable:
    """Returns a jitted (states, data, steps) -> (states, infos `[capacity, A, fields]`).

    It is `training.step.chunk_of` for all arms at once. Each device runs its own arms, and waits for no other. The
    states are donated.
    """
    capacity = min(config.training.steps_per_dispatch, config.training.steps)
    where = {name: PartitionSpec() if name == "step" else PartitionSpec(AXIS) for name in PARTS}
    spec = TrainState(**where)  # type: ignore[arg-type]

    divided = jax.shard_map(
        partial(run_steps, make_step(config, step), capacity),
        mesh=mesh,
        in_specs=(spec, PartitionSpec(), PartitionSpec()),
        out_specs=(spec, PartitionSpec(None, AXIS)),
        check_vma=False,
    )
    return jax.jit(divided, donate_argnums=0)


@partial(jax.jit, donate_argnums=0)
def keep_best(best: Best, params: Any, loss: Array) -> Best:
    """Keeps for each arm the better of its best weights so far and its weights now."""
    better = loss < best.loss
    chosen = lambda old, new: jnp.where(jnp.reshape(better, (-1,) + (1,) * (new.ndim - 1)), new, old)
    return Best(jnp.where(better, loss, best.loss), jax.tree.map(chosen, best.params, params))


def is_frozen(config: Config, states: TrainState) -> np.ndarray:
    """True where an arm has diverged, `[A]`."""
    return np.asarray(states.skipped_in_a_row) >= config.training.max_skipped_steps


def one_arm(states: TrainState, index: int) -> TrainState:
    """The state of one arm on the host, in the form of a run alone."""
    cut = jax.tree.map(lambda leaf: np.asarray(leaf)[index] if leaf.ndim else np.asarray(leaf), states)
    return replace(cut, numbers=None)
