"""What training carries from step to step, and what each step tells."""

import math
from typing import Any, NamedTuple, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnjax.build import draw_params, make_hyper
from rnnjax.config import Config
from rnnjax.gradients import make_method
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Model, initial_carry, leaf_name
from rnnjax.model.recurrence import of_network
from rnnjax.training.optimizer import Numbers, make_optimizer

Array = jax.Array
Tree = TypeVar("Tree")


@flax.struct.dataclass
class TrainState:
    """All that must survive a restart. The position in the data and every random draw follow from `step`.

    Attributes:
      step: training steps taken, skipped ones included.
      params: the weights, `Params` or a tree of a task's own.
      opt_state: the moments of Adam.
      carry: the state of every stream; none for a task that learns from whole examples.
      trace: what an online gradient method remembers.
      hyper: the network's numbers that are neither weights nor shape.
      seed: of the weights, of dropout, of a method's random numbers.
      skipped: steps whose loss or gradient was not finite, since the beginning.
      skipped_in_a_row: those at the end, without a good one between.
      numbers: the optimiser's, where runs that differ in them share a program; None: those of the config, compiled in.
    """

    step: Array
    params: Any
    opt_state: optax.OptState
    carry: Any
    trace: Any
    hyper: Hyper
    seed: Array
    skipped: Array
    skipped_in_a_row: Array
    numbers: Numbers | None = None


class StepInfo(NamedTuple):
    """What one step tells, and the next does not need. Scalars.

    Attributes:
      loss: nats per character, or of what else a task predicts, before the update.
      grad_norm: global norm of the gradient before clipping.
      clipped: 1 where clipping changed the gradient, else 0.
      clipped_elements: share of the gradient's elements that clipping changed.
      skipped: 1 where the update was left out because loss or gradient was not finite, else 0.
      skipped_in_a_row: how many such steps have come one after the other up to here.
      learning_rate: of this step.
      iterations: of the solver that found the trajectory, in the slowest layer and stream; nan without a solver.
      sequential: the share of the window's steps that did not converge; nan without a solver.
    """

    loss: Array
    grad_norm: Array
    clipped: Array
    clipped_elements: Array
    skipped: Array
    skipped_in_a_row: Array
    learning_rate: Array
    iterations: Array | float = math.nan
    sequential: Array | float = math.nan


def init_state(config: Config, model: Model, dtype: jnp.dtype, seed: Array | None = None) -> TrainState:
    """The state before the first step on streams of text; seed, by default, is the config's."""
    seed = jnp.int32(config.training.seed) if seed is None else seed
    params = draw_params(jax.random.key(seed), model, config.model, dtype)
    carry = initial_carry(model, params, (config.training.batch_size,))
    trace = make_method(config.gradient).init(of_network(model), params, carry)
    return start_state(config, params, carry, trace, dtype, seed)


def start_state(config: Config, params: Any, carry: Any, trace: Any, dtype: jnp.dtype, seed: Array) -> TrainState:
    """The state before the first step, from weights, the state of every stream, and an online method's memory."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state=make_optimizer(config.optimizer, config.training.steps).init(params),
        carry=carry,
        trace=trace,
        hyper=make_hyper(config, dtype),
        seed=seed,
        skipped=jnp.zeros((), jnp.int32),
        skipped_in_a_row=jnp.zeros((), jnp.int32),
    )


def to_arrays(tree: object) -> dict[str, np.ndarray]:
    """The leaves of a tree on the host, by name, such as `params.layers.0.W`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    # A copy: on CPUs the array may be a view of a buffer that the next chunk overwrites.
    return {leaf_name(path): np.array(leaf) for path, leaf in leaves}


def from_arrays(template: Tree, arrays: dict[str, np.ndarray], prefix: str = "") -> Tree:
    """The inverse of `to_arrays`: a tree of the template's structure, its leaves by name.

    Raises:
      ValueError: if a leaf is missing, or has another shape or type than the template's.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(template)
    found = []
    for path, leaf in leaves:
        name = prefix + leaf_name(path)
        array = arrays.get(name)
        if array is None or array.shape != leaf.shape or array.dtype != leaf.dtype:
            has = "is missing" if array is None else f"is {array.dtype}{list(array.shape)}"
            raise ValueError(f"{name} {has}, where {leaf.dtype}{list(leaf.shape)} is needed")
        found.append(jnp.asarray(array))
    return jax.tree_util.tree_unflatten(structure, found)
