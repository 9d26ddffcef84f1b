"""The jitted chunk of training steps: stateful truncated BPTT over contiguous streams, many steps in one dispatch."""

from collections.abc import Callable
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from rnnjax.config import Config
from rnnjax.gradients import METHODS, Method
from rnnjax.model.initializers import init_params
from rnnjax.model.rnn import Batch, Carry, Model, Params, zero_carry
from rnnjax.training.optimizer import make_clip, make_optimizer, report_clipping

Array = jax.Array


@flax.struct.dataclass
class TrainState:
    """All that must survive a restart. The position in the data and every random draw follow from `step`.

    Attributes:
      step: training steps taken, skipped ones included.
      params: the weights.
      opt_state: the moments of Adam.
      carry: the state of every stream.
      skipped: steps whose loss or gradient was not finite, since the beginning.
      skipped_in_a_row: those at the end, without a good one between.
    """

    step: Array
    params: Params
    opt_state: optax.OptState
    carry: Carry
    skipped: Array
    skipped_in_a_row: Array


class StepInfo(NamedTuple):
    """What one step tells, and the next does not need. Scalars.

    Attributes:
      loss: nats per character, before the update.
      grad_norm: global norm of the gradient before clipping.
      clipped: 1 where clipping changed the gradient, else 0.
      clipped_elements: share of the gradient's elements that clipping changed.
      skipped: 1 where the update was left out because loss or gradient was not finite, else 0.
      skipped_in_a_row: how many such steps have come one after the other up to here.
    """

    loss: Array
    grad_norm: Array
    clipped: Array
    clipped_elements: Array
    skipped: Array
    skipped_in_a_row: Array


Chunk = Callable[[TrainState, Array, Array], tuple[TrainState, StepInfo]]


def init_state(config: Config, model: Model, dtype: jnp.dtype) -> TrainState:
    """The state before the first step."""
    key = jax.random.key(config.training.seed)
    params = init_params(key, model, config.model.init, config.model.init_scale, dtype)
    zero = jnp.zeros((), jnp.int32)
    return TrainState(
        step=zero,
        params=params,
        opt_state=make_optimizer(config.optimizer, config.training.steps).init(params),
        carry=zero_carry(model, (config.training.batch_size,), dtype),
        skipped=zero,
        skipped_in_a_row=zero,
    )


def window_at(streams: Array, step: Array, length: int) -> tuple[Batch, Array]:
    """The window of every stream that a step reads, and whether a new pass through the data begins with it.

    Args:
      streams: ids [B, S + 1].
      length: T.

    Returns:
      The batch, x and y [T, B], and a bool scalar.
    """
    windows = (streams.shape[1] - 1) // length
    index = step % windows
    window = jax.lax.dynamic_slice_in_dim(streams, index * length, length + 1, axis=1).T
    return Batch(window[:-1], window[1:]), index == 0


def make_step(config: Config, model: Model) -> Callable[[TrainState, Array], tuple[TrainState, StepInfo]]:
    """One training step: window, gradient, clipping, Adam; a step that is not finite changes nothing but its count."""
    gradient: Method = METHODS[config.gradient.method]
    optimizer = make_optimizer(config.optimizer, config.training.steps)
    clip = make_clip(config.optimizer)

    def train_step(state: TrainState, streams: Array) -> tuple[TrainState, StepInfo]:
        batch, starts_pass = window_at(streams, state.step, config.training.sequence_length)
        carry = jax.tree.map(lambda h: jnp.where(starts_pass, 0, h), state.carry)
        result = gradient(model, state.params, carry, batch)
        report = report_clipping(clip, result.params)
        updates, opt_state = optimizer.update(result.params, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)

        good = jnp.isfinite(result.loss) & jnp.isfinite(report.norm)
        new = (params, opt_state, result.new_carry)
        old = (state.params, state.opt_state, state.carry)
        params, opt_state, carry = jax.tree.map(lambda a, b: jnp.where(good, a, b), new, old)
        skipped_in_a_row = jnp.where(good, 0, state.skipped_in_a_row + 1)
        state = TrainState(
            step=state.step + 1,
            params=params,
            opt_state=opt_state,
            carry=carry,
            skipped=state.skipped + ~good,
            skipped_in_a_row=skipped_in_a_row,
        )
        info = StepInfo(result.loss, report.norm, report.changed > 0, report.changed, ~good, skipped_in_a_row)
        return state, info

    return train_step


def make_chunk(config: Config, model: Model) -> Chunk:
    """Compiles to one program for any number of steps up to `training.steps_per_dispatch`; the same as

        for i in range(steps):
            state, infos[i] = train_step(state, streams)

    A step's result does not depend on how a run is cut into chunks. The state is donated.

    Returns:
      (state, streams [B, S + 1], steps) -> (state, infos), each field of infos [steps_per_dispatch], only the first
      `steps` of them meaningful.
    """
    train_step = make_step(config, model)
    capacity = config.training.steps_per_dispatch

    def chunk(state: TrainState, streams: Array, steps: Array) -> tuple[TrainState, StepInfo]:
        def body(i: Array, loop: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
            state, rows = loop
            state, info = train_step(state, streams)
            # One row of one array: stacking scalars one by one is slow on some versions of XLA.
            row = jnp.stack([jnp.asarray(value, rows.dtype) for value in info])
            return state, jax.lax.dynamic_update_slice(rows, row[None], (i, 0))

        rows = jnp.zeros((capacity, len(StepInfo._fields)), state.params.V.dtype)
        state, rows = jax.lax.fori_loop(0, steps, body, (state, rows))
        return state, StepInfo(*rows.T)

    return jax.jit(chunk, donate_argnums=0)


def choose_scan_unroll(batch_size: int, sequence_length: int) -> int:
    """How many time steps one turn of the compiled loop should compute, from measurements on CPUs.

    At batch 1 a loop without turns is 1.4 times faster up to jaxlib 0.10, and 2 times slower on 0.12; at larger
    batches the product with W outweighs the turn.
    """
    version = tuple(int(part) for part in jax.__version__.split(".")[:2])
    small = batch_size == 1 and sequence_length <= 32 and jax.default_backend() == "cpu"
    return sequence_length if small and version < (0, 11) else 1
