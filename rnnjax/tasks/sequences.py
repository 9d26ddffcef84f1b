"""Parts shared by the tasks on sequences that learn by the gradient method of the config, window by window."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.config import Config
from rnnjax.data.known.problem import Sequence
from rnnjax.data.split import Split
from rnnjax.gradients import make_applicable
from rnnjax.model.architectures import many_to_many
from rnnjax.model.cells import Hyper
from rnnjax.model.loss import make_loss
from rnnjax.model.network import Batch, Model, Params
from rnnjax.model.rnn import Unroll
from rnnjax.tasks.examples import draw_all, fingerprint
from rnnjax.tasks.task import Network, Task
from rnnjax.training.examples import Surprise, make_mean
from rnnjax.training.state import init_state
from rnnjax.training.step import Read, make_learn_window, make_update

Array = jax.Array


def make_sequence_task(config: Config, network: Network, rows: Split[Any], read: Read, steps: int, **rest: Any) -> Task:
    """Makes a task that reads windows of sequences.

    Args:
      rows: sequences `[N, T]` of each part.
      steps: length of a window.
      rest: fields of the task that are not the same for all tasks.

    Raises:
      UserError: if the gradient method cannot be applied to the network.
    """
    model, B = network.model, config.training.batch_size
    method = make_applicable(config.gradient, model, steps, B, config.run.precision)
    return Task(
        fingerprint=fingerprint(rows),
        per_step=B,
        in_nats=model.loss != "squared_error",
        start=partial(init_state, config, model, np.dtype(config.run.precision)),
        step=make_update(config, make_learn_window(model, method, read)),
        held_out=rows.validation,
        test=rows.test,
        evaluate=make_mean(network.surprise),
        **rest,
    )


def make_network(config: Config, model: Model, answer: Callable[..., str]) -> Network:
    """The network of a task on sequences; its surprise is the model's loss at the steps that are asked for."""
    outputs, loss = make_outputs(model), make_loss(model.loss)

    def surprise(params: Params, hyper: Hyper, rows: Sequence, key: Array | None, unroll: Unroll) -> Surprise:
        out = outputs(params, hyper, rows)
        weight = weight_of(rows, out.dtype)
        return Surprise(jnp.sum(weight * loss(out, rows.y), axis=1), jnp.sum(weight, axis=1))

    return Network(model, partial(draw_all, model, config), surprise, answer)


def make_outputs(model: Model) -> Callable[[Params, Hyper, Sequence], Array]:
    """Returns (params, hyper, rows `[N, T]`) -> the outputs `[N, T, V]`."""

    def outputs(params: Params, hyper: Hyper, rows: Sequence) -> Array:
        return jnp.swapaxes(many_to_many(model, params, hyper, as_batch(rows, params.V.dtype)), 0, 1)

    return outputs


def make_accuracy(
    right: Callable[[Params, Hyper, Sequence], Surprise],
) -> Callable[[Params, Hyper, Sequence], dict[str, Array]]:
    """Returns a jitted (params, hyper, rows) -> the share of right answers.

    Args:
      right: (params, hyper, rows `[N, T]`) -> the number of right answers of each row, and of all.
    """
    share = make_mean(lambda params, hyper, rows, key, unroll: right(params, hyper, rows))
    return jax.jit(lambda params, hyper, rows: {"accuracy": share(params, hyper, rows)})


def as_batch(rows: Sequence, dtype: Any) -> Batch:
    """Makes a time-major batch of sequences `[N, T]`, with reals in the network's precision."""
    cast = lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf
    return Batch(*jax.tree.map(lambda leaf: jnp.swapaxes(cast(leaf), 0, 1), rows))


def weight_of(rows: Sequence, dtype: Any) -> Array:
    """The weight of each step `[N, T]`, 1 where an answer is asked for."""
    return jnp.ones(rows.x.shape[:2], dtype) if rows.weight is None else rows.weight
