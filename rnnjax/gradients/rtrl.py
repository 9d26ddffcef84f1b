"""Real-time recurrent learning (Williams & Zipser, 1989, "A learning algorithm for continually running fully recurrent
neural networks"): the exact gradient, forward in time.

Instead of the error going back, the influence of every parameter on the state goes along:

    Jₜ = ∂sₜ/∂p = Dₜ Jₜ₋₁ + Iₜ      Dₜ = ∂sₜ/∂sₜ₋₁, Iₜ = ∂sₜ/∂p at fixed sₜ₋₁
    ∂L/∂p = Σₜ ∂ℓₜ/∂p + ∂ℓₜ/∂sₜ₋₁ Jₜ₋₁

and likewise Kₜ = ∂sₜ/∂s₋₁ = Dₜ Kₜ₋₁ for the initial state. J and K are the trace: they go on into the next window, so
that at fixed parameters the gradients of consecutive windows sum up to that of the whole stream, however it is cut.
A reset makes Dₜ zero, and with it all influence of what came before.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.cost import Cost, Price
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.stepwise import Step, StepGradient, lengths, refuse_bidirectional, sizes, walk
from rnnjax.model.network import Batch, Model
from rnnjax.model.recurrence import Recurrence, precision

Array = jax.Array


class Influence(NamedTuple):
    """J [B, S, P] and K [B, S, S]."""

    params: Array
    carry: Array


def gradient(recurrence: Recurrence, window: Window) -> Gradient:
    """Loss and gradient of one window, its parameters' influence on the state before it included.

    Cost: O(T·S²·P) time, which is O(T·H⁴), and O(S·P) memory a stream, whatever T is. Exact at fixed parameters; while
    they change, the trace still tells how older ones acted.

    Returns:
      Its `carry` is ∂L/∂ the state with which the trace began.
    """
    return walk(recurrence, window, visit)


def visit(step: Step, p: Array, readout: Any, s: Array, trace: Influence, batch_t: Batch, noise_t: Any) -> StepGradient:
    """One step of one stream: pulling the S unit vectors back through the step gives Dₜ and Iₜ row by row."""
    (new, loss), pull = jax.vjp(lambda p, readout, s: step.advance(p, readout, s, batch_t), p, readout, s)
    d_p, d_readout, d_s = pull((jnp.zeros_like(new), jnp.ones_like(loss)))
    I_t, _, D_t = jax.vmap(lambda row: pull((row, jnp.zeros_like(loss))))(jnp.eye(s.size, dtype=s.dtype))
    influence = Influence(D_t @ trace.params + I_t, D_t @ trace.carry)
    return StepGradient(new, influence, loss, d_p + d_s @ trace.params, d_readout, d_s @ trace.carry)


def init(recurrence: Recurrence, params: Any, state: Any, batch_t: Batch | None = None) -> Influence:
    """No parameter has acted yet, and the state is the initial one."""
    (S, P), dtype = lengths(recurrence, params, state, batch_t), precision(params)
    batch_shape = recurrence.streams(state)
    return Influence(
        jnp.zeros((*batch_shape, S, P), dtype), jnp.broadcast_to(jnp.eye(S, dtype=dtype), (*batch_shape, S, S))
    )


def method(config: GradientConfig) -> Method:
    claim = Claim("exact", "stream")
    return Method(gradient, init, refuse=refuse_bidirectional, price=PRICE, memory=(Influence,), claim=claim)


def cost(model: Model, T: int, B: int) -> Cost:
    """The influence matrix grows with H³, the time with H⁴. A step holds three of its size at once: the old one, the
    immediate one and the new one."""
    S, P = sizes(model)
    return Cost(3 * B * S * (P + S), T * B * S * S * (P + S), T)


PRICE = Price(cost, "the influence matrix", "take uoro or kf_rtrl, or fewer units (model.hidden_size)")
