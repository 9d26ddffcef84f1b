"""The nouns of a gradient method: what it is given, what it returns, and what it is."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax

from rnnjax.errors import UserError
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.cost import Price
from rnnjax.model.network import Batch, Model
from rnnjax.model.recurrence import Recurrence

Array = jax.Array


class Window(NamedTuple):
    """All that the gradient of one window is a function of.

    Attributes:
      params: the weights.
      hyper: numbers of a network that are neither weights nor shape.
      carry: the state before the window, of a network that of each layer.
      batch: inputs and targets, [T, B].
      trace: an online method's memory of the windows before, from `Method.init`; of a solver of trajectories its first
        guess, the states after every step, of a network for each layer [T, B, states·H]; None for other methods.
      noise: the random numbers that the method takes, from `Method.draw`; None for a method that takes none.
    """

    params: Any
    hyper: Any
    carry: Any
    batch: Batch
    trace: Any = None
    noise: Any = None

    def check(self, *fields: Literal["trace", "noise"]) -> None:
        """Raises UserError where the method needs a trace or noise that the window does not have."""
        for field in fields:
            if getattr(self, field) is None:
                source = {"trace": "Method.init, or the window before", "noise": "Method.draw"}[field]
                raise UserError(f"this method needs the {field} of a window, which is None: it comes from {source}")


class Spent(NamedTuple):
    """Effort of the solver of a trajectory, scalars: its iterations, those of the slowest layer and stream; and the
    share of the steps that did not converge, and were computed one after the other."""

    iterations: Array
    sequential: Array


class Gradient(NamedTuple):
    """Loss and gradient of one window. Of arrays that are not real, such as counters and keys, the gradient is None.

    Attributes:
      loss: scalar, in the unit of the loss; of cross-entropy nats per step.
      params: ∂L/∂ every parameter, in the shape of the parameters.
      carry: ∂L/∂ the initial state: that of the window, or by an online method that with which its trace began.
      new_carry: the state after the window.
      trace: an online method's memory for the next window; the states that a solver found, where it was given a first
        guess; None for other methods.
      spent: the effort of finding the trajectory; None for a method that walks along it.
    """

    loss: Array
    params: Any
    carry: Any
    new_carry: Any
    trace: Any = None
    spent: Spent | None = None


class Method(NamedTuple):
    """One way to compute the gradient of a window.

    Attributes:
      gradient: (recurrence, window) -> Gradient.
      init: (recurrence, params, state, batch_t) -> the trace before the first window. batch_t is any step that will be
        read, by which it is seen which parameters act on the state; None: all are taken to.
      draw: (key, recurrence, params, state, T) -> the random numbers that one window takes. They are an input, so that
        methods can be compared under the same ones, and their average taken over all of them.
      refuse: (model) -> the reason why the method cannot be applied to a network; None where it can.
      price: the cost of a method that can take far more than plain back-propagation; None for others.
      needs: why it cannot be applied to a step that is not a network of cells; None where it can.
      memory: the types of the trace of a method that has one.
      claim: the statement of theory about it; for a method without one the certificate says that nothing is claimed.
    """

    gradient: Callable[[Recurrence, Window], Gradient]
    init: Callable[..., Any] = lambda recurrence, params, state, batch_t=None: None
    draw: Callable[..., Any] = lambda key, recurrence, params, state, T: None
    refuse: Callable[[Model], str | None] = lambda model: None
    price: Price | None = None
    needs: str | None = None
    memory: tuple[type, ...] = ()
    claim: Claim | None = None

    @property
    def random(self) -> bool:
        """True of a method that draws random numbers."""
        return self.claim is not None and self.claim.noise != "none"

    @property
    def online(self) -> bool:
        """True of a method whose trace tells how parameters and initial state act from window to window."""
        return self.claim is not None and self.claim.of == "stream"
