"""Cost of a gradient by its law: how its memory and its work grow with the sizes of the network and of the window."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from rnnjax.model.network import Model

PRODUCTS_A_SECOND = 1e10
STEPS_A_SECOND = 5e5


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
        """Seconds on a few CPU cores with small products."""
        return self.products / PRODUCTS_A_SECOND + self.steps / STEPS_A_SECOND


class Price(NamedTuple):
    """Price of a method that can take far more than plain back-propagation.

    Attributes:
      law: (model, T, B) -> the cost of the gradient of a window.
      of: the part that takes the memory or the time, such as "the influence matrix".
      instead: the advice to whom it is too much.
    """

    law: Callable[[Model, int, int], Cost]
    of: str
    instead: str


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
