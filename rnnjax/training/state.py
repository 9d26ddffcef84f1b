"""The state of training from step to step, and the information about one step."""

import math
from dataclasses import replace
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
from rnnjax.training import initial_guess
from rnnjax.training.optimizer import Numbers, make_optimizer

Array = jax.Array
Tree = TypeVar("Tree")


@flax.struct.dataclass
class TrainState:
    """State of training: all that must survive a restart. The data's position and all draws follow from seed and step.

    Attributes:
      step: training steps taken, skipped ones included.
      params: weights, `Params` or a tree of a task's own.
      opt_state: moments of Adam.
      carry: state of every stream; empty for a task that learns from whole examples.
      trace: memory of an online gradient method.
      memory: states at every place of the streams in the pass before, see `initial_guess`; empty where none are kept.
      hyper: numbers of the network that are neither weights nor shape.
      seed: seed of the weights, of dropout and of a method's random numbers.
      skipped: number of steps so far whose loss or gradient was not finite.
      skipped_in_a_row: number of the latest such steps, without a good one between.
      numbers: numbers of the optimiser as arguments, where runs that differ in them share a program; None: the
        config's, compiled in.
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
    memory: Any = ()
    numbers: Numbers | None = None


class StepInfo(NamedTuple):
    """Information about one step, as scalars.

    Attributes:
      loss: loss before the update, in nats per character or per output of the task.
      grad_norm: global norm of the gradient before clipping.
      clipped: 1 if clipping changed the gradient, else 0.
      clipped_elements: share of the gradient's elements that clipping changed.
      skipped: 1 if the update was skipped because loss or gradient was not finite, else 0.
      skipped_in_a_row: number of consecutive skipped steps up to this one.
      learning_rate: learning rate of this step.
      iterations: iterations of the solver of the trajectory, in the slowest layer and stream; nan without a solver.
      sequential: share of the window's steps that did not converge; nan without a solver.
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


def init_state(
    config: Config, model: Model, dtype: jnp.dtype, seed: Array | None = None, stretch: int = 0
) -> TrainState:
    """Draws the state before the first step on streams of text.

    Args:
      seed: the config's unless given.
      stretch: places of a stream whose states are kept from pass to pass; 0: none are.
    """
    seed = jnp.int32(config.training.seed) if seed is None else seed
    params = draw_params(jax.random.key(seed), model, config.model, dtype)
    carry = initial_carry(model, params, (config.training.batch_size,))
    trace = make_method(config.gradient).init(of_network(model), params, carry)
    memory = initial_guess.begin(carry, stretch) if stretch else ()
    return replace(start_state(config, params, carry, trace, dtype, seed), memory=memory)


def start_state(config: Config, params: Any, carry: Any, trace: Any, dtype: jnp.dtype, seed: Array) -> TrainState:
    """Makes the state before the first step from weights, the streams' states, and an online method's memory."""
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
    """Copies the leaves of a tree to the host, by name, such as `params.layers.0.W`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    # A copy: on CPUs the array may be a view of a buffer that the next chunk overwrites.
    return {leaf_name(path): np.array(leaf) for path, leaf in leaves}


def from_arrays(template: Tree, arrays: dict[str, np.ndarray], prefix: str = "") -> Tree:
    """Rebuilds a tree of the template's structure from its leaves; the inverse of `to_arrays`.

    Raises:
      ValueError: if a leaf is missing, or differs from the template's in shape or type.
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
