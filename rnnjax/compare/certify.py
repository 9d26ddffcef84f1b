"""The certificate of any step, or of a cell, from Python."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import jax
import numpy as np

from rnnjax.certificate import certificate, of_step
from rnnjax.certificate.of_step import product
from rnnjax.compare.names import methods_of
from rnnjax.compare.report import Report
from rnnjax.config import Config, GradientConfig, ModelConfig, TrainingConfig
from rnnjax.config.checks import check, check_options
from rnnjax.errors import UserError
from rnnjax.gradients.of_step import OPTIONS, gradient
from rnnjax.model import recurrence as recurrences
from rnnjax.model.cells import Cell
from rnnjax.model.loss import Loss
from rnnjax.model.network import Model
from rnnjax.model.recurrence import Adjoint, Initial, Step
from rnnjax.model.stack import Network

Tree = Any

LETTERS, UNITS = 5, 3
"""Characters and units of the network on which a cell is certified."""


def certify(
    step: Step | Cell | Network,
    loss: str | Loss | None = None,
    params: Tree = None,
    state: Tree = None,
    xs: Tree = None,
    ys: Tree = None,
    methods: str | Sequence[str] = "all",
    *,
    batch_axes: int = 1,
    reduce: Literal["mean", "sum"] = "mean",
    adjoint: Adjoint | None = None,
    initial: Initial = recurrences.zeros,
    valid: Any = None,
    reset: Any = None,
    weight: Any = None,
    **options: Any,
) -> Report:
    """The certificate: every gradient method held against the exact gradient of a step, and against its theory.

    The truth is `jax.grad` of loops in Python, in float64, on a few steps and streams of the data that are given, with
    a reset, a step that is not valid, and weights. An adjoint by hand is held against JAX's at all steps.

    >>> import jax.numpy as jnp, rnnjax
    >>> def step(params, state, x):
    ...     state = jnp.tanh(params["u"] * x + params["w"] * state)
    ...     return state, state
    >>> xs, ys = jnp.array([1.0, -0.5, 0.3, 0.8]), jnp.zeros(4)
    >>> data = {"u": 1.0, "w": 0.5}, 0.1, xs, ys
    >>> report = rnnjax.certify(step, rnnjax.losses.squared_error, *data, methods="manual,rtrl", batch_axes=0)
    >>> report.passed
    True

    `step`, `loss`, `params`, `state`, `xs`, `ys`, `batch_axes`, `reduce`, `adjoint` and `initial` are as `gradient` and
    what it returns take them; `valid`, `reset` and `weight` as in `StepGradient.window`, and those of the certificate
    come on top. The step of an `rnnjax.network` has all methods. A cell or a network alone is certified on random
    letters.

    Args:
      methods: all, or names: a list, or a text with commas between.
      options: fields of `GradientConfig`, such as k2_steps=3 or snap_steps=2.

    Returns:
      A report: `print(report)` is its table, `passed` its verdict, `save(path)` keeps all of it as JSON.

    Raises:
      UserError: in one line, for what does not fit.
    """
    names = methods_of(methods, "methods")
    data = (loss, params, state, xs, ys)
    with jax.enable_x64(True), jax.default_matmul_precision("highest"), warnings.catch_warnings():
        # The verdict on a number that is not finite is the certificate's.
        warnings.filterwarnings("ignore", ".* encountered in ", RuntimeWarning)
        if isinstance(step, Cell | Network):
            alone = all(part is None for part in (*data, adjoint, valid, reset, weight))
            check(
                alone, "loss", loss, "left out of a cell or a network, which is certified on letters; or give its step"
            )
            return of_letters(names, step, options)
        if loss is None or params is None or state is None:
            raise UserError("a step is certified with its loss, params, state, xs and ys")
        given: dict[str, Any] = {"batch_axes": batch_axes, "reduce": reduce, "initial": initial, "adjoint": adjoint}
        grad = gradient(step, loss, "manual", **given, **options)
        question = of_step.ask(grad, params, state, xs, ys, (valid, reset, weight), initial, adjoint)
        found = of_step.certify(names, question, short(options))
    return Report(heading_of(step, found), found, {"options": options})


def short(options: dict[str, Any]) -> GradientConfig:
    """Options, with a truncation that leaves something out of a window of a few steps where none was asked for."""
    return GradientConfig(**({"k1_steps": 1, "k2_steps": 2} | options))


def heading_of(step: Step, found: certificate.Certificate) -> list[str]:
    """Lines about a certificate of a step."""
    count, T, *streams = found.shape
    name = getattr(step, "__name__", type(step).__name__)
    each = f"{T} steps" + (f" of {product(streams)} streams" if streams else "")
    windows = f"{count} windows in a row, each of {each}" if count > 1 else f"1 window of {each}"
    return [f"{name}, in float64: {windows}", *found.cut]


def of_letters(names: list[str], which: Cell | Network, options: dict[str, Any]) -> Report:
    """The certificate of a small network of cells on random letters."""
    check_options(options, OPTIONS)
    plain = Model(vocabulary=LETTERS, hidden=UNITS, cell=which) if isinstance(which, Cell) else which.model
    model = replace(plain, vocabulary=LETTERS, hidden=min(plain.hidden, UNITS), inputs=0)
    config = Config(
        model=ModelConfig(hidden_size=model.hidden),
        training=TrainingConfig(sequence_length=of_step.MOST["steps"], batch_size=of_step.MOST["streams"]),
        gradient=short(options),
    )
    ids = np.random.default_rng(0).integers(LETTERS, size=100)
    found = certificate.certify(names, config, model, ids, timed=False)
    count, T, B = found.shape
    size = f"{count} windows in a row, each of {T} letters of {B} streams"
    return Report(
        [f"{model.layers} x {model.hidden} units ({model.cell}), in float64: {size}"], found, {"options": options}
    )
