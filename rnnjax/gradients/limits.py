"""Limits of a gradient's cost, beyond which its method is refused before anything is computed.

Memory is what the compiler plans for the gradient of the window that is asked for; it is given shapes alone. Time is
estimated from the sizes for a few CPU cores and small products, whatever the run's device is: right there to a factor
of a few, which tells seconds from hours. Plain back-propagation through time is refused at no size, nor is a method
that takes up to twice as much, nor anything where `gradient.insist` is true.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients import manual
from rnnjax.gradients.cost import Price, plain
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import param_shapes
from rnnjax.model.network import Batch, Carry, Model, Params, zero_carry
from rnnjax.model.recurrence import of_network
from rnnjax.quantities import in_bytes, in_time

Array = jax.Array

MOST_BYTES = 8e9
MOST_SECONDS = 60
"""Limit for one gradient: a thousand steps of training would take most of a day."""

TIMES_PLAIN = 2
"""As many times what plain back-propagation takes are always allowed."""

SURELY = 10
"""Factor by which the law of a method's memory is never wrong. Where by its law a gradient takes as many times less
than the limit, the compiler is not asked, which takes it a second."""

COUNTABLE = 1e15
"""Bytes up to which the compiler is asked about the window itself: its counters have 64 bits."""

PLANNED_ONLY: dict[str, str | bool] = {"xla_backend_optimization_level": "0", "xla_gpu_autotune_level": "0"}
"""Options of the compiler for a program that is never run: the plan is the same, and is there two or three times
sooner. A GPU's autotuner would run parts of it."""


def refusal(method: Method, model: Model, T: int, B: int, dtype: str) -> str | None:
    """Reason why a method cannot be applied to windows [T, B] of a network, or costs too much; None where it can."""
    return method.refuse(model) or (too_much(method.price, method, model, T, B, dtype) if method.price else None)


def too_much(price: Price, method: Method, model: Model, T: int, B: int, dtype: str) -> str | None:
    """Refusal of a cost, in one line: of what, how much memory and time, the limits, and the advice; None if allowed.

    Args:
      price: the method's, or that of the way in which the network's layers are run over time.
      T: steps of a window.
      B: streams.
      dtype: type of the parameters.
    """
    law, least = price.law(model, T, B), plain(model, T, B)
    too_slow = law.seconds > max(MOST_SECONDS, TIMES_PLAIN * least.seconds)
    if not too_slow and law.memory(dtype) < MOST_BYTES / SURELY:
        return None
    memory = planned(price, method, model, T, B, dtype)
    too_big = memory > MOST_BYTES and memory > TIMES_PLAIN * planned(PLAIN, MANUAL, model, T, B, dtype)
    if not (too_big or too_slow):
        return None
    exceeded = " and ".join(["memory"] * too_big + ["time"] * too_slow)
    return (
        f"{price.of} would take {in_bytes(memory)} in {dtype}, as the compiler plans it, and one gradient about "
        f"{in_time(law.seconds)} on a few CPU cores, if less on an accelerator: too much {exceeded} "
        f"(limits: {in_bytes(MOST_BYTES)}, {in_time(MOST_SECONDS)}); {price.instead}, or insist with gradient.insist "
        "true"
    )


def planned(price: Price, method: Method, model: Model, T: int, B: int, dtype: str) -> float:
    """Bytes of one gradient, its trace and its noise included, as the compiler plans them.

    Of a window beyond what the compiler can count it is asked about a short one of one stream, and the law tells how
    that grows.
    """
    if price.law(model, T, B).memory(dtype) <= COUNTABLE:
        return compiled(method, model, T, B, dtype)
    growth = price.law(model, T, B).numbers / price.law(model, 2, 1).numbers
    return growth * compiled(method, model, 2, 1, dtype)


def compiled(method: Method, model: Model, T: int, B: int, dtype: str) -> int:
    """Bytes that the compiled gradient of one window takes beside its arguments; of a network that predicts classes,
    as the targets of another loss may have any shape."""
    recurrence = of_network(replace(model, loss="cross_entropy"))

    def of_window(params: Params, carry: Carry, batch: Batch, key: Array) -> Gradient:
        trace = method.init(recurrence, params, carry)
        noise = method.draw(key, recurrence, params, carry, T)
        return method.gradient(recurrence, Window(params, Hyper(), carry, batch, trace, noise))

    def arguments() -> tuple[Carry, Batch, Array]:
        ids = jnp.zeros((T, B), jnp.int32)
        return zero_carry(model, (B,), jnp.dtype(dtype)), Batch(ids, ids), jax.random.key(0)

    shapes = param_shapes(model, jnp.dtype(dtype)), *jax.eval_shape(arguments)
    plan: Any = jax.jit(of_window).lower(*shapes).compile(PLANNED_ONLY).memory_analysis()
    return plan.temp_size_in_bytes + plan.output_size_in_bytes


PLAIN, MANUAL = Price(plain, "plain back-propagation", ""), manual.method(GradientConfig())
