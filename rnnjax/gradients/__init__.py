"""The gradient of a window, computed in several ways behind one signature:

    gradient(model, window) -> Gradient(loss, params, carry, new_carry, trace)

Adding a method is one file with such a function and a `method`, and one line in the table: what theory says of it is
part of the `Method` (`claim.Claim`), by which the certificate and the tests know what to hold it to.
"""

from collections.abc import Callable

from rnnjax.config import GradientConfig
from rnnjax.errors import UserError
from rnnjax.gradients import (
    artbp,
    autodiff,
    checkpointed,
    deer,
    finite_difference,
    forward_gradient,
    kf_rtrl,
    manual,
    parallel_scan,
    rflo,
    rtrl,
    snap,
    spsa,
    textbook,
    truncated,
    truncated_gates,
    uoro,
)
from rnnjax.gradients.limits import too_much
from rnnjax.gradients.method import Method
from rnnjax.model.network import Model

METHODS: dict[str, Callable[[GradientConfig], Method]] = {
    "autodiff": autodiff.method,
    "manual": manual.method,
    "textbook": textbook.method,
    "checkpointed": checkpointed.method,
    "rtrl": rtrl.method,
    "parallel_scan": parallel_scan.method,
    "deer": deer.method,
    "finite_difference": finite_difference.method,
    "truncated": truncated.method,
    "truncated_gates": truncated_gates.method,
    "artbp": artbp.method,
    "snap": snap.method,
    "rflo": rflo.method,
    "uoro": uoro.method,
    "kf_rtrl": kf_rtrl.method,
    "forward_gradient": forward_gradient.method,
    "spsa": spsa.method,
}


def make_method(config: GradientConfig) -> Method:
    """The method that a config asks for."""
    return METHODS[config.method](config)


def make_applicable(config: GradientConfig, model: Model, T: int, B: int, dtype: str) -> Method:
    """The same, where it can be applied to windows [T, B] of a network.

    Raises:
      UserError: with the reason, where it cannot, or where it costs too much and the config does not insist.
    """
    method = make_method(config)
    if reason := method.refuse(model):
        raise UserError(f"gradient.method {config.method}: {reason}")
    if config.insist:
        return method
    prices = {f"gradient.method {config.method}": method.price}
    if model.over_time:
        solver = model.over_time.solver
        prices[f"model.unroll {solver.kind}"] = deer.price(solver)
    for name, price in prices.items():
        if price and (reason := too_much(price, method, model, T, B, dtype)):
            raise UserError(f"{name}: {reason}")
    return method
