"""What a gradient method is, and what it returns."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from rnnjax.gradients.claim import Claim
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Carry, Model, Params

Array = jax.Array


class Window(NamedTuple):
    """All that the gradient of one window is a function of.

    Attributes:
      params: the weights.
      hyper: numbers that are neither weights nor shape.
      carry: the state of each layer before the window.
      batch: what is read, and what is to be said, [T, B].
      trace: what an online method remembers of the windows before, from `Method.init`; None for other methods.
      noise: the random numbers that the method takes, from `Method.draw`; None for a method that takes none.
    """

    params: Params
    hyper: Hyper
    carry: Carry
    batch: Batch
    trace: Any = None
    noise: Any = None


class Spent(NamedTuple):
    """What the solver of a trajectory took, scalars: its iterations, those of the slowest layer and stream; and the
    share of the steps that did not converge, and were computed one after the other."""

    iterations: Array
    sequential: Array


class Gradient(NamedTuple):
    """Loss and gradient of one window.

    Attributes:
      loss: scalar, nats per character.
      params: ∂L/∂ every parameter, in the shape of the parameters.
      carry: ∂L/∂ the initial state of each layer: that of the window, or by an online method that with which its trace
        began.
      new_carry: the state of each layer after the window.
      trace: what an online method remembers for the next window; None for a method that remembers nothing.
      spent: what finding the trajectory took; None for a method that walks along it.
    """

    loss: Array
    params: Params
    carry: Carry
    new_carry: Carry
    trace: Any = None
    spent: Spent | None = None


class Method(NamedTuple):
    """One way to compute the gradient of a window.

    Attributes:
      gradient: (model, window) -> Gradient.
      init: (model, params, batch_shape) -> the trace before the first window.
      draw: (key, model, params, shape [T, B]) -> the random numbers that one window takes. They are an input, so that
        methods can be compared under the same ones, and their average taken over all of them.
      refuse: (model, T, B, dtype of the parameters) -> why the method cannot be applied, and what it would cost; None
        where it can.
      claim: what theory says of it; of a method that has none the certificate says that nothing is claimed.
    """

    gradient: Callable[..., Gradient]
    init: Callable[[Model, Params, tuple[int, ...]], Any] = lambda model, params, batch_shape: None
    draw: Callable[[Array, Model, Params, tuple[int, ...]], Any] = lambda key, model, params, shape: None
    refuse: Callable[..., str | None] = lambda model, T, B, dtype="float32": None
    claim: Claim | None = None

    @property
    def online(self) -> bool:
        """Whether the trace tells how parameters and initial state act on the state from window to window."""
        return self.claim is not None and self.claim.of == "stream"
