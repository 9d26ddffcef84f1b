"""The gradient by `jax.grad` through the scan: reverse-mode automatic differentiation."""

from collections.abc import Callable
from typing import Any

import jax

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.effort import noted
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.model import rnn
from rnnjax.model.leaves import put, reals
from rnnjax.model.recurrence import Recurrence, window_loss
from rnnjax.model.rnn import Unroll

Array = jax.Array


def gradient(recurrence: Recurrence, window: Window, *, unroll: Unroll = rnn.unroll) -> Gradient:
    """Loss and gradient of one window, its initial state held constant between windows.

    Cost: O(T·H²) time and O(T·H) memory a stream. Exact within the window.

    Args:
      unroll: the function that runs a layer of a network over time, and so is differentiated; the plain one gives way
        to the network's own, where it has one.
    """

    way = noted(recurrence, window.trace) if unroll is rnn.unroll else None

    def loss_of(params: Any, carry: Any) -> tuple[Array, Any]:
        loss, new_carry = window_loss(recurrence, params, window.hyper, carry, window.batch, way or unroll)
        return loss, (new_carry, (way.states, way.spent) if way else (None, None))

    found = differentiate(loss_of, window)
    new_carry, (states, effort) = found.new_carry
    return found._replace(new_carry=new_carry, trace=states, spent=effort)


def differentiate(loss_of: Callable[[Any, Any], tuple[Array, Any]], window: Window) -> Gradient:
    """The gradient of a function (params, carry) -> (loss, new carry), by the real leaves of both."""

    def of_reals(params: Any, carry: Any) -> tuple[Array, Any]:
        return loss_of(put(params, window.params), put(carry, window.carry))

    of_both = jax.value_and_grad(of_reals, argnums=(0, 1), has_aux=True)
    (loss, new_carry), (d_params, d_carry) = of_both(reals(window.params), reals(window.carry))
    return Gradient(loss, d_params, d_carry, new_carry)


def method(config: GradientConfig) -> Method:
    return Method(gradient, claim=Claim("exact"))
