"""The jitted chunk of training steps: stateful truncated BPTT over contiguous streams, many steps per dispatch."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from rnnjax.config import Config
from rnnjax.gradients import make_method
from rnnjax.gradients.method import Method, Spent, Window
from rnnjax.model.dropout import draw_noise
from rnnjax.model.network import Batch, Carry, Layer, Model, Params, initial_carry
from rnnjax.model.recurrence import of_network
from rnnjax.training.clipping import make_clip, report_clipping
from rnnjax.training.initial_guess import Seen, keep, recall
from rnnjax.training.optimizer import make_optimizer, make_schedule
from rnnjax.training.randomness import random_key
from rnnjax.training.state import StepInfo, TrainState
from rnnjax.training.windows import window_start

Array = jax.Array

Chunk = Callable[[TrainState, Any, Array], tuple[TrainState, StepInfo]]
"""(state, data, steps) -> the state after so many steps, and the infos of each."""


def window_at(streams: Array, step: Array, length: int, kind: str) -> tuple[Batch, Array]:
    """Reads the window of a step from every stream.

    A last window that ends exactly with the stream is read; the book's loop leaves it out.

    Args:
      streams: ids `[B, S + 1]`.
      length: T.
      kind: see `window_start`.

    Returns:
      The batch, x and y `[T, B]`, and a bool scalar, True if a new pass through the data begins.
    """
    start, starts_pass = window_start(step, streams.shape[1] - 1, length, kind)
    window = jax.lax.dynamic_slice_in_dim(streams, start, length + 1, axis=1).T
    return Batch(window[:-1], window[1:]), starts_pass


def draw_noise_of(
    model: Model, method: Method, params: Params, batch: Batch, seed: Array, step: Array
) -> tuple[Batch, Any]:
    """Draws the noise of a step. Returns the window with dropout's noise, and the method's random numbers."""
    shape, start = batch.shape, initial_carry(model, params, batch.shape[1:])
    if model.dropout:
        key = random_key(seed, "dropout", step)
        batch = batch._replace(noise=draw_noise(key, model.layers, (*shape, model.output), params.V.dtype))
    return batch, method.draw(random_key(seed, "method", step), of_network(model), params, start, shape[0])


class Learned(NamedTuple):
    """Loss and gradient of a step, before any update.

    Attributes:
      loss: scalar, in nats.
      grads: gradient, in the structure of the parameters.
      carry, trace: states of the streams and memory of the method after the step.
      carry_before, trace_before: the same before the step; they stay if the step is skipped.
      seen: window whose states are remembered; None where none are.
      spent: cost of solving for the trajectory; None for a method that walks along it.
    """

    loss: Array
    grads: Any
    carry: Any = ()
    trace: Any = None
    carry_before: Any = ()
    trace_before: Any = None
    seen: Seen | None = None
    spent: Spent | None = None


Learn = Callable[[TrainState, Any], Learned]
"""(state, data) -> loss and gradient of the step state.step."""

Step = Callable[[TrainState, Any], tuple[TrainState, StepInfo]]
"""(state, data) -> the state after the step, and its info."""

Read = Callable[[TrainState, Any], tuple[Batch, Any]]
"""(state, data) -> the batch of the step state.step, and True if every stream begins anew with it."""

PlaceOf = Callable[[Array, Any], Array]
"""(step, data) -> the first place of a step's window in every stream."""


def make_step(config: Config, model: Model) -> Step:
    """Makes a training step on streams of text: window, gradient, update."""
    T, kind = config.training.sequence_length, config.training.windows
    read = lambda state, streams: window_at(streams, state.step, T, kind)
    place = lambda step, streams: window_start(step, streams.shape[1] - 1, T, kind)[0]
    return make_update(config, make_learn_window(model, make_method(config.gradient), read, place))


def make_learn_window(model: Model, method: Method, read: Read, place_of: PlaceOf | None = None) -> Learn:
    """Returns (state, data) -> the gradient of a step's window, by a method.

    Args:
      place_of: place of a step's window in the streams, for a state that has a memory of their states.
    """

    def learn(state: TrainState, data: Any) -> Learned:
        batch, starts_pass = read(state, data)
        start = initial_carry(model, state.params, batch.shape[1:])
        fresh = start, method.init(of_network(model), state.params, start)
        carry, trace = jax.tree.map(
            lambda new, old: jnp.where(starts_pass, new, old), fresh, (state.carry, state.trace)
        )
        batch, noise = draw_noise_of(model, method, state.params, batch, state.seed, state.step)
        seen = None
        if place_of and state.memory:
            seen = recall(state.memory, place_of(state.step, data), batch.shape[0])
        given = seen.before if seen else trace
        result = method.gradient(of_network(model), Window(state.params, state.hyper, carry, batch, given, noise))
        grads = result.params
        if model.learned_state:
            # The trace of an online method reaches back to the state that began the pass, in every window.
            grads = add_to_learned_state(grads, result.carry, starts_pass | method.online)
        found = Learned(result.loss, grads, result.new_carry, result.trace, carry, trace, spent=result.spent)
        return found._replace(trace=None, seen=seen._replace(found=result.trace)) if seen else found

    return learn


def make_update(config: Config, learn: Learn) -> Step:
    """Makes a training step: gradient, clipping, Adam. A step that is not finite changes nothing but the counts."""
    steps = config.training.steps

    def train_step(state: TrainState, data: Any) -> tuple[TrainState, StepInfo]:
        found = learn(state, data)
        if config.model.sparsity:
            found = found._replace(grads=keep_zeros(found.grads, state.params))
        good = jnp.isfinite(found.loss) & is_finite(found.grads)
        optimizer = make_optimizer(config.optimizer, steps, state.numbers)
        after = updated(state, found, good, optimizer)
        clip = make_clip(config.optimizer.clip, (state.numbers or config.optimizer).clip_threshold)
        report, schedule = report_clipping(clip, found.grads), make_schedule(config.optimizer, steps, state.numbers)
        info = StepInfo(
            loss=found.loss,
            grad_norm=report.norm,
            clipped=report.changed > 0,
            clipped_elements=report.changed,
            skipped=~good,
            skipped_in_a_row=after.skipped_in_a_row,
            learning_rate=schedule(state.step - state.skipped),  # Adam's own count does not move in a skipped step
            **({} if found.spent is None else found.spent._asdict()),
        )
        return after, info

    return train_step


def updated(state: TrainState, found: Learned, good: Array, optimizer: optax.GradientTransformation) -> TrainState:
    """Updates a training state by a step's gradient; where the step is not good, its counts alone."""

    def advance() -> tuple[Any, optax.OptState, Any, Any]:
        updates, opt_state = optimizer.update(found.grads, state.opt_state, state.params)
        return optax.apply_updates(state.params, updates), opt_state, found.carry, found.trace

    def stay() -> tuple[Any, optax.OptState, Any, Any]:
        return state.params, state.opt_state, found.carry_before, found.trace_before

    params, opt_state, carry, trace = jax.lax.cond(good, advance, stay)
    return replace(
        state,
        step=state.step + 1,
        params=params,
        opt_state=opt_state,
        carry=carry,
        trace=trace,
        skipped=state.skipped + ~good,
        skipped_in_a_row=jnp.where(good, 0, state.skipped_in_a_row + 1),
        memory=state.memory if found.seen is None else keep(state.memory, found.seen, good),
    )


def is_finite(tree: Any) -> Array:
    """True if every element is finite; their norm may overflow all the same."""
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]))


def add_to_learned_state(grads: Params, d_carry: Carry, is_learned: Array) -> Params:
    """Adds the gradient by the streams' states to that by the learned state, if the streams began from it.

    Args:
      d_carry: gradient by the state of every stream before the window, [B, states·H] for each layer.
      is_learned: True if that is the learned state.
    """
    layers = [
        layer._replace(s0=layer.s0 + jnp.where(is_learned, jnp.sum(d_state, axis=0), 0))
        for layer, d_state in zip(grads.layers, d_carry, strict=True)
    ]
    return grads._replace(layers=tuple(layers))


def keep_zeros(grads: Any, params: Any) -> Any:
    """Sets the gradient to zero where W is exactly zero, so that neither Adam nor weight decay moves it."""

    def keep(d: Any, weights: Any) -> Any:
        return d._replace(W=jnp.where(weights.W == 0, 0, d.W)) if isinstance(d, Layer) else d

    return jax.tree.map(keep, grads, params, is_leaf=lambda node: isinstance(node, Layer))


def make_chunk(config: Config, model: Model, shardings: TrainState | None = None) -> Chunk:
    """Compiles the steps on streams of text; see `chunk_of`."""
    return chunk_of(config, make_step(config, model), shardings)


def chunk_of(config: Config, train_step: Step, shardings: TrainState | None = None) -> Chunk:
    """Compiles one program for any number of steps up to `training.steps_per_dispatch`.

    It computes

        for i in range(steps):
            state, infos[i] = train_step(state, data)

    A step's result does not depend on how a run is cut into chunks. The state is donated.

    Args:
      shardings: sharding of each leaf of the state, before and after; None: on one device.

    Returns:
      (state, data, steps) -> (state, infos). Each field of infos is `[training.steps_per_dispatch]`; its first `steps`
      entries count. The data of a text are its streams `[B, S + 1]`.
    """
    capacity = min(config.training.steps_per_dispatch, config.training.steps)

    def chunk(state: TrainState, data: Any, steps: Array) -> tuple[TrainState, StepInfo]:
        state, rows = run_steps(train_step, capacity, state, data, steps)
        return state, StepInfo(*rows.T)

    return jax.jit(chunk, donate_argnums=0, out_shardings=None if shardings is None else (shardings, shardings.step))


def run_steps(train_step: Step, capacity: int, state: TrainState, data: Any, steps: Array) -> tuple[TrainState, Array]:
    """Runs `steps` steps, at most `capacity`.

    Returns:
      The state, and the infos `[capacity, ..., fields of StepInfo]`; the axes `...` are those of the runs, if many.
    """

    def body(i: Array, loop: tuple[TrainState, Array]) -> tuple[TrainState, Array]:
        state, rows = loop
        state, info = train_step(state, data)
        # One row of one array: stacking scalars one by one is slow on some versions of XLA.
        row = jnp.stack([jnp.asarray(value, rows.dtype) for value in info], axis=-1)
        return state, jax.lax.dynamic_update_index_in_dim(rows, row, i, 0)

    shape = capacity, *jnp.shape(state.seed), len(StepInfo._fields)
    rows = jnp.zeros(shape, jax.tree.leaves(state.params)[0].dtype)
    return jax.lax.fori_loop(0, steps, body, (state, rows))
