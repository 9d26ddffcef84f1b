"""From a config to a network: its shape, its numbers, its first weights."""

from collections.abc import Sized
from dataclasses import replace

import jax
import jax.numpy as jnp

from rnnjax import own_cell
from rnnjax.config import Config, ModelConfig
from rnnjax.config.gradient import Kernel
from rnnjax.config.memory import check_weights
from rnnjax.errors import UserError
from rnnjax.gradients import fused
from rnnjax.gradients.deer import make_solver
from rnnjax.model.cells import Cell, Hyper, find
from rnnjax.model.initializers import init_params
from rnnjax.model.network import Model, Params
from rnnjax.parallel.layer import InParallel

Array = jax.Array

SCAN_UNROLL = {"gpu": 16}
"""Time steps in one turn of the compiled loop by platform, one elsewhere; `python -m benchmarks.settings` measures it.
On an H100 sixteen took 0.3 to 0.8 of the time of one, from the book's size to 512 units, and 8 to 16 seconds to the
first step, where one took 3 to 19. On CPUs one is best."""


FEWEST_STREAMS, FEWEST_STATES, MOST_UNITS = 4, {"lstm": 768, "vanilla": 2048}, 1024
"""Streams of a batch and numbers in h by cell from which, and units up to which, numba's kernel is faster than XLA's
loop on a CPU: `python -m benchmarks.kernels` measures it."""


def make_text_model(config: Config, vocabulary: Sized) -> Model:
    """The shape of the network for a stream of text that a config describes.

    Raises:
      UserError: where the config is of another task.
    """
    check_writes_text(config)
    return make_model(config, len(vocabulary))


def check_writes_text(config: Config) -> None:
    """Raises UserError where a config is of another task than a stream of text."""
    if not config.task.is_text:
        raise UserError(
            f"task.name is {config.task.name}, but this command is about networks that write text; python -m "
            "rnnjax.train trains it, and python -m rnnjax.predict uses it"
        )


def make_model(config: Config, classes: int, inputs: int = 0) -> Model:
    """The shape of the network that a config describes, for so many output classes, and input ids if they differ.

    Raises:
      UserError: for a network that does not fit into the machine's memory.
    """
    check_weights(config.model, config.run.precision)
    return Model(
        vocabulary=classes,
        inputs=inputs,
        hidden=config.model.hidden_size,
        layers=config.model.layers,
        activation=config.model.activation,
        scan_unroll=scan_unroll_of(config.model),
        cell=make_cell(config.model),
        embedding=config.model.embedding_size,
        layer_norm=config.model.layer_norm,
        residual=config.model.residual,
        learned_state=config.model.learned_state,
        bidirectional=config.model.bidirectional,
        dropout=config.model.dropout > 0,
        sparsity=config.model.sparsity,
        over_time=make_way(config),
    )


def make_way(config: Config) -> InParallel | None:
    """The way in which a config's layers are run over time; None: one step after the other."""
    if config.model.unroll == "sequential":
        return None
    return InParallel(make_solver(replace(config.gradient, solver=config.model.unroll)))


def scan_unroll_of(config: ModelConfig) -> int:
    """Time steps in one turn of the compiled loop: the config's, or as many as pay on the device at hand."""
    return config.scan_unroll or SCAN_UNROLL.get(jax.default_backend(), 1)


def kernel_of(config: Config) -> Kernel:
    """Program of the loops over time of the method manual: the config's choice, or numba's kernel where it pays.

    Raises:
      UserError: with the reason, where the config asks for a kernel and there is none.
    """
    asked = config.gradient.kernel
    if asked == "none" or (asked == "auto" and not kernel_pays(config)):
        return "none"
    reason = no_kernel(config)
    if asked == "numba" and reason:
        raise UserError(f"gradient.kernel numba: {reason}")
    return "numba" if reason is None else "none"


def kernel_pays(config: Config) -> bool:
    """True of a cell and a size at which numba's kernel is faster than XLA's loop."""
    streams, units, cell = config.training.batch_size, config.model.hidden_size, config.model.cell
    if cell not in FEWEST_STATES or streams < FEWEST_STREAMS:
        return False
    return streams * units >= FEWEST_STATES[cell] and units <= MOST_UNITS


def no_kernel(config: Config) -> str | None:
    """The reason why numba's kernel cannot compute a config's loops; None where it can."""
    if config.gradient.method != "manual":
        return f"it is for gradient.method manual, not {config.gradient.method}"
    if not config.task.is_text or config.model.unroll != "sequential":
        return "it is for the task text and model.unroll sequential"
    if config.run.precision != "float32" or config.run.products == "bfloat16":
        return "it computes in float32, products too"
    if config.run.devices != 1 or config.run.coordinator:
        return "it is for a run on one device"
    return fused.refusal(make_model(config, 1))


def make_cell(config: ModelConfig) -> Cell:
    """The cell that a config names: a built-in one, or one in a file."""
    cell = own_cell.load(config.cell) if own_cell.is_file(config.cell) else config.cell
    return find(cell, config.activation)


def make_hyper(config: Config, dtype: jnp.dtype) -> Hyper:
    """The numbers of a config's network that are neither weights nor shape."""
    return Hyper(leak=jnp.asarray(config.model.leak, dtype), dropout=jnp.asarray(config.model.dropout, dtype))


def draw_params(key: Array, model: Model, config: ModelConfig, dtype: jnp.dtype) -> Params:
    """The parameters that a run of the config begins with."""
    return init_params(key, model, config.init, config.scale, dtype, forget_bias=config.forget_bias)


def draw_network(config: Config, vocabulary: Sized) -> tuple[Model, Params, Hyper]:
    """The network for a stream of text that a run of the config begins with, in its precision."""
    model, dtype = make_text_model(config, vocabulary), jnp.dtype(config.run.precision)
    return (
        model,
        draw_params(jax.random.key(config.training.seed), model, config.model, dtype),
        make_hyper(config, dtype),
    )
