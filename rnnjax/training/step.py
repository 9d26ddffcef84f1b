"""The jitted chunk of training steps: stateful truncated BPTT over contiguous streams, many steps in one dispatch."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from rnnjax.config import Config
from rnnjax.gradients import METHODS, Method
from rnnjax.model.rnn import Batch, Carry, Model, Params
from rnnjax.training.optimizer import make_clip, make_optimizer, make_schedule, report_clipping
from rnnjax.training.state import StepInfo, TrainState

Array = jax.Array


Chunk = Callable[[TrainState, Array, Array], tuple[TrainState, StepInfo]]


def window_at(streams: Array, step: Array, length: int) -> tuple[Batch, Array]:
    """The window of every stream that a step reads, and whether a new pass through the data begins with it.

    A last window that ends exactly with the stream is read; the book's loop leaves it out.

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
    schedule = make_schedule(config.optimizer, config.training.steps)

    def train_step(state: TrainState, streams: Array) -> tuple[TrainState, StepInfo]:
        batch, starts_pass = window_at(streams, state.step, config.training.sequence_length)
        carry = jax.tree.map(lambda h: jnp.where(starts_pass, 0, h), state.carry)
        result = gradient(model, state.params, carry, batch)
        report = report_clipping(clip, result.params)
        good = jnp.isfinite(result.loss) & jnp.isfinite(report.norm)

        def advance() -> tuple[Params, optax.OptState, Carry]:
            updates, opt_state = optimizer.update(result.params, state.opt_state, state.params)
            return optax.apply_updates(state.params, updates), opt_state, result.new_carry

        def stay() -> tuple[Params, optax.OptState, Carry]:
            return state.params, state.opt_state, carry

        params, opt_state, new_carry = jax.lax.cond(good, advance, stay)
        skipped_in_a_row = jnp.where(good, 0, state.skipped_in_a_row + 1)
        learning_rate = schedule(state.step - state.skipped)  # Adam's own count does not move in a skipped step
        state = TrainState(
            step=state.step + 1,
            params=params,
            opt_state=opt_state,
            carry=new_carry,
            skipped=state.skipped + ~good,
            skipped_in_a_row=skipped_in_a_row,
        )
        info = StepInfo(
            loss=result.loss,
            grad_norm=report.norm,
            clipped=report.changed > 0,
            clipped_elements=report.changed,
            skipped=~good,
            skipped_in_a_row=skipped_in_a_row,
            learning_rate=learning_rate,
        )
        return state, info

    return train_step


def make_chunk(config: Config, model: Model) -> Chunk:
    """Compiles to one program for any number of steps up to `training.steps_per_dispatch`; the same as

        for i in range(steps):
            state, infos[i] = train_step(state, streams)

    A step's result does not depend on how a run is cut into chunks. The state is donated.

    Returns:
      (state, streams [B, S + 1], steps) -> (state, infos), each field of infos as long as the most steps of a chunk,
      only the first `steps` of it meaningful.
    """
    train_step = make_step(config, model)
    capacity = min(config.training.steps_per_dispatch, config.training.steps)

    def chunk(state: TrainState, streams: Array, steps: Array) -> tuple[TrainState, StepInfo]:
        def body(i: Array, loop: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
            state, rows = loop
            state, info = train_step(state, streams)
            # One row of one array: stacking scalars one by one is slow on some versions of XLA.
            row = jnp.stack([jnp.asarray(value, rows.dtype) for value in info])
            return state, jax.lax.dynamic_update_index_in_dim(rows, row, i, 0)

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
