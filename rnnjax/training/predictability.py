"""Predictability of a network on held-out text, beside the effort of a solver that runs it in parallel over time."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnnjax.analysis.lyapunov import largest
from rnnjax.config import Config
from rnnjax.gradients.deer import make_solver
from rnnjax.gradients.effort import Noted
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Model, Params, initial_carry
from rnnjax.model.recurrence import of_network
from rnnjax.model.rnn import run_layers
from rnnjax.parallel.layer import InParallel

Array = jax.Array

CHARACTERS = 512
"""Characters that are read, or one window where that is longer."""


def make_measure(config: Config, model: Model) -> Callable[[Params, Hyper, Batch], dict[str, Array]] | None:
    """Returns a jitted (params, hyper, text from `evaluation.fold`) -> measures; None unless the method is deer.

    Its measures: `iterations` of gradient.solver in windows of T steps that begin from the initial state, their mean;
    `sequential`, the mean share of steps that did not converge; `exponent`, the largest Lyapunov exponent along the
    same text read at one stretch, the first quarter left out, nats per step.
    """
    if config.gradient.method != "deer" or model.bidirectional:
        return None
    T, solver = config.training.sequence_length, make_solver(config.gradient)

    def measure(params: Params, hyper: Hyper, text: Batch) -> dict[str, Array]:
        ids = first_ids(config, text)
        steps = min(T, ids.size)
        windows = ids[: ids.size // steps * steps].reshape(-1, steps).T
        way = Noted(InParallel(solver))
        start = initial_carry(model, params, windows.shape[1:])
        run_layers(model, params, hyper, start, Batch(windows, windows), unroll=way)
        iterations = jnp.max(jnp.stack([found.iterations for found in way.found]), axis=0)
        exponent, dtype = exponent_along(model, params, hyper, ids), params.V.dtype
        return {
            "iterations": jnp.mean(iterations, dtype=dtype),
            "sequential": way.spent.sequential,
            "exponent": exponent,
        }

    return jax.jit(measure)


def make_exponent(config: Config, model: Model) -> Callable[[Params, Hyper, Batch], Array] | None:
    """Returns a jitted (params, hyper, text from `evaluation.fold`) -> the largest Lyapunov exponent, in nats per step.

    The exponent is along the text without its first quarter. None where no window is solved in parallel over time.
    """
    if model.bidirectional or not (model.over_time or config.gradient.method == "deer"):
        return None
    return jax.jit(lambda params, hyper, text: exponent_along(model, params, hyper, first_ids(config, text)))


def first_ids(config: Config, text: Batch) -> Array:
    """The characters that are read, as ids in a row."""
    return text.x[..., 0].reshape(-1)[: max(CHARACTERS, config.training.sequence_length)]


def exponent_along(model: Model, params: Params, hyper: Hyper, ids: Array) -> Array:
    """The largest Lyapunov exponent along characters that are read at one stretch."""
    alone = initial_carry(model, params, ())
    return largest(of_network(model), params, hyper, alone, Batch(ids, ids), settle=ids.size // 4)
