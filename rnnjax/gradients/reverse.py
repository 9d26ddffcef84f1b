"""Back-propagation through time for any step: the reverse recurrence of `manual`, which asks for the derivative
of one step alone.

    λₜ₋₁ = (λₜ, ∂L/∂oₜ) pulled back through step t to sₜ₋₁      λ_T = 0

With all λₜ known, the parameters' gradient is that of T·B independent steps, pulled back at once: products over time
and batch, where the transpose of a scan adds to the gradient at every step. The transpose of a scan is not used.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.gradients.method import Gradient, Window
from rnnjax.model.leaves import put, reals
from rnnjax.model.loss import Loss
from rnnjax.model.network import Batch
from rnnjax.model.recurrence import Recurrence, losses, total_weight

Array = jax.Array


def gradient(recurrence: Recurrence, window: Window) -> Gradient:
    """Loss and gradient of one window, its initial state held constant between windows.

    Cost: O(T) steps and as many pull-backs, O(T·S) memory a stream beside what one step needs at T·B places at once.
    With an adjoint written by hand the parameters' gradient is added up in the loop. Exact within the window.
    """
    params, hyper, carry, batch, *_ = window
    step = recurrence.by_hand or recurrence.step

    def forward(state: Any, batch_t: Batch) -> tuple[Any, tuple[Any, Any]]:
        new, out = step(params, hyper, state, batch_t)
        return new, (state, out)

    new_carry, (before, outs) = jax.lax.scan(forward, carry, batch)
    loss, d_outs = loss_and_error(recurrence, window, outs)
    go_back = back_by_hand if recurrence.by_hand else back
    d_params, d_carry = go_back(step, window, before, d_outs)
    return Gradient(loss, d_params, d_carry, new_carry)


def loss_and_error(recurrence: Recurrence, window: Window, outs: Any) -> tuple[Array, Any]:
    """The loss of a window, and ∂L/∂oₜ for all steps at once."""
    params, _, _, batch, *_ = window

    def loss_of(real_outs: Any) -> Array:
        found = losses(recurrence, params, put(real_outs, outs), batch)
        return jnp.sum(found) / total_weight(recurrence, batch)

    return jax.value_and_grad(loss_of)(reals(outs))


def pull_back(step: Callable, window: Window, params: Any, state: Any, batch: Batch) -> Callable:
    """(d_state, d_out) -> the derivatives by the real leaves of the parameters, which are given, and of the state."""

    def of_reals(params: Any, real_state: Any) -> tuple[Any, Any]:
        full = put(params, window.params)
        new, out = step(full, window.hyper, put(real_state, state), batch)
        return reals(new), reals(out)

    return jax.vjp(of_reals, params, reals(state))[1]


def back(step: Callable, window: Window, before: Any, d_outs: Any) -> tuple[Any, Any]:
    """The adjoint of the state in a loop, and then the gradient of the parameters, all steps at once."""
    params = reals(window.params)

    def body(adjoint: Any, step_t: tuple[Any, Any, Batch]) -> tuple[Any, Any]:
        state, d_out, batch_t = step_t
        _, d_state = pull_back(step, window, params, state, batch_t)((adjoint, d_out))
        return d_state, adjoint

    last = jax.tree.map(jnp.zeros_like, reals(window.carry))
    d_carry, adjoints = jax.lax.scan(body, last, (before, d_outs, window.batch), reverse=True)
    d_params, _ = pull_back(step, window, params, before, window.batch)((adjoints, d_outs))
    return d_params, d_carry


def back_by_hand(step: Callable, window: Window, before: Any, d_outs: Any) -> tuple[Any, Any]:
    """Both in one loop: an adjoint that is written for one step gives the gradient of the parameters step by step."""
    params = reals(window.params)

    def body(loop: tuple[Any, Any], step_t: tuple[Any, Any, Batch]) -> tuple[tuple[Any, Any], None]:
        total, adjoint = loop
        state, d_out, batch_t = step_t
        d_params, d_state = pull_back(step, window, params, state, batch_t)((adjoint, d_out))
        return (jax.tree.map(jnp.add, total, d_params), d_state), None

    zero = jax.tree.map(jnp.zeros_like, (params, reals(window.carry)))
    return jax.lax.scan(body, zero, (before, d_outs, window.batch), reverse=True)[0]


def error_by_jax(loss: Loss, output: Array, y: Array) -> tuple[Array, Array]:
    """A loss at all leading axes, and its derivative by the output."""
    found, pull = jax.vjp(lambda output: loss(output, y), output)
    return found, pull(jnp.ones_like(found))[0]
