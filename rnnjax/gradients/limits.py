"""Limits of a gradient's cost, beyond which its method is refused before anything is computed.

Memory and time are estimated from the sizes alone, the time for a few CPU cores and small products, whatever the run's
device is: right there to a factor of a few, which tells seconds from hours. Plain back-propagation through time is
refused at no size, nor is a method that takes up to twice as much, nor anything where `gradient.insist` is true.
"""

from typing import NamedTuple

import jax.numpy as jnp

from rnnjax.model.network import Model
from rnnjax.quantities import in_bytes, in_time

MOST_BYTES = 8e9
MOST_SECONDS = 60
"""Limit for one gradient: a thousand steps of training would take most of a day."""

PRODUCTS_A_SECOND = 1e10
STEPS_A_SECOND = 5e5
TIMES_PLAIN = 2
"""As many times what plain back-propagation takes are always allowed."""


class TooMuch(str):
    """Refusal for an estimated cost alone, which `gradient.insist` overrides."""

    __slots__ = ()


class Cost(NamedTuple):
    """Cost of one gradient.

    Attributes:
      numbers: held at once.
      products: a multiplication and an addition each.
      steps: turns of a loop, which wait for each other.
    """

    numbers: float
    products: float
    steps: float

    def memory(self, dtype: str) -> float:
        """Bytes, where the parameters are of this type."""
        return self.numbers * jnp.dtype(dtype).itemsize

    @property
    def seconds(self) -> float:
        return self.products / PRODUCTS_A_SECOND + self.steps / STEPS_A_SECOND


def plain(model: Model, T: int, B: int) -> Cost:
    """Back-propagation through time: forward, and back with two products for each, all steps of a window kept."""
    stacked = model.layers * model.directions
    kept = stacked * (len(model.cell.gates) * model.hidden + 2 * model.state_width) + model.vocabulary
    return Cost(T * B * kept, 3 * T * B * weights(model), 2 * T * stacked)


def weights(model: Model) -> int:
    """About how many products a step of one stream takes; of U and an id, none: a row is looked up."""
    G, H = len(model.cell.gates), model.hidden
    inputs = [model.input(level) if level or model.embedding else 0 for level in range(model.layers)]
    of_h = {"dense": H, "diagonal": 1, "none": 0}[model.cell.recurrence]
    of_layers = sum(G * H * (of_h + width) for width in inputs)
    return of_layers * model.directions + model.output * model.vocabulary


def refuse_too_much(what: str, cost: Cost, least: Cost, dtype: str, instead: str) -> TooMuch | None:
    """One line that says what takes too much, how much memory and time, the limits, and what to do; None if allowed.

    Args:
      what: such as "the influence matrix".
      least: the cost of `plain` back-propagation through the same window.
      instead: the advice.
    """
    memory, seconds = cost.memory(dtype), cost.seconds
    too_big = memory > max(MOST_BYTES, TIMES_PLAIN * least.memory(dtype))
    too_slow = seconds > max(MOST_SECONDS, TIMES_PLAIN * least.seconds)
    if not (too_big or too_slow):
        return None
    exceeded = " and ".join(["memory"] * too_big + ["time"] * too_slow)
    return TooMuch(
        f"as estimated from the sizes, {what} would take about {in_bytes(memory)} in {dtype}, and one gradient about "
        f"{in_time(seconds)} on a few CPU cores, if less on an accelerator: too much {exceeded} "
        f"(limits: {in_bytes(MOST_BYTES)}, {in_time(MOST_SECONDS)}); {instead}, or insist with gradient.insist true"
    )
