"""The config at its own size: the cost of the cheap exact methods, and the methods that refuse."""

import math
from typing import NamedTuple

import jax
import numpy as np

from rnnjax.certificate import exact
from rnnjax.certificate.bench import KEY
from rnnjax.certificate.check import raised
from rnnjax.certificate.difference import difference
from rnnjax.certificate.instances import Instance, narrow, on_text
from rnnjax.certificate.trial import MeasuredCost, compile_for, make, run
from rnnjax.config import Config
from rnnjax.gradients import limits
from rnnjax.gradients.cost import weights
from rnnjax.model.network import Model

CHEAP = ("autodiff", "manual", "checkpointed")

TOLERANCE = {"float64": 1e-10, "float32": 2e-4}
"""Largest error by precision. Rounding grows with the window's length: float32 has room for windows of some hundred
steps of a network that does not explode."""

MOST_PRODUCTS = 2e10
"""Products of a forward pass; a gradient takes three times as many, and each method is run a few times."""


class FullRow(NamedTuple):
    """Findings of one method; the error is against the window's exact gradient in float64."""

    method: str
    precision: str
    error: float | None
    leaf: str
    cost: MeasuredCost | None
    verdict: str
    reason: str


def rows(names: list[str], config: Config, model: Model, ids: np.ndarray) -> list[FullRow]:
    """Runs the cheap methods in the run's own precision, and asks the others if they would refuse."""
    T, B, precision = config.training.sequence_length, config.training.batch_size, config.run.precision
    refused = {name: limits.refusal(make(name, config.gradient), model, T, B, precision) for name in names}
    found = [FullRow(name, precision, None, "", None, "n/a", reason) for name, reason in refused.items() if reason]
    cheap = [name for name in names if name in CHEAP and not refused[name]]
    if not cheap:
        return found
    if (products := T * B * weights(model)) > MOST_PRODUCTS:
        reason = f"not run: a forward pass takes {products:.0e} products, more than {MOST_PRODUCTS:.0e}"
        return [*found, *(FullRow(name, precision, None, "", None, "n/a", reason) for name in cheap)]
    instance = on_text("the config", config, model, ids, T, B, 1)
    truth = instance.truth(instance.carry, instance.window(0))
    return [row(name, config, narrow(instance, precision), truth) for name in cheap] + found


def row(name: str, config: Config, instance: Instance, truth: exact.ExactGradient) -> FullRow:
    precision = config.run.precision
    try:
        trial = run(compile_for(make(name, config.gradient), instance, jax.random.key(KEY)), instance)
    except Exception as error:  # as in `matrix.row_of`
        return FullRow(name, precision, None, "", None, "FAIL", raised(error))
    apart, tolerance = difference(trial.mean, truth.gradient), TOLERANCE[precision]
    if apart.error <= tolerance:
        by = ", by numba's kernel" if (name, config.gradient.kernel) == ("manual", "numba") else ""
        verdict, reason = "PASS", f"equal within {tolerance:.0e}{by}"
    elif (own := rounding(instance, truth)) > tolerance / 10:
        verdict, reason = "n/a", f"{precision} itself rounds the exact gradient of this network by {own:.0e}"
        if not math.isfinite(own):
            reason = f"the exact gradient of this network is not finite in {precision}"
    else:
        verdict, reason = "FAIL", f"not equal within {tolerance:.0e} ({apart.leaf})"
    return FullRow(name, precision, apart.error, apart.leaf, trial.cost, verdict, reason)


def rounding(instance: Instance, truth: exact.ExactGradient) -> float:
    """Error of the exact gradient itself in the instance's precision."""
    found = instance.truth(instance.carry, instance.window(0))
    return difference(found.gradient, truth.gradient).error
