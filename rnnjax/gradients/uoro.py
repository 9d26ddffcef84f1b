"""Unbiased online recurrent optimisation (Tallec & Ollivier, 2018, "Unbiased online recurrent optimization"): real-time
recurrent learning with the influence matrix in one random outer product, Jₜ = E[s̃ₜ θ̃ₜᵀ].

With ν of independent signs, E[ν νᵀ] = 1, and the sum of two outer products is one of two sums, on average:

    s̃ₜ = ρ₀ Dₜ s̃ₜ₋₁ + ρ₁ ν      θ̃ₜ = θ̃ₜ₋₁ / ρ₀ + νᵀ Iₜ / ρ₁      ∂L/∂p ≈ Σₜ ∂ℓₜ/∂p + (∂ℓₜ/∂sₜ₋₁ · s̃ₜ₋₁) θ̃ₜ₋₁

for any ρ₀, ρ₁ > 0 that do not depend on the sign of ν; ρ₀² = ‖θ̃ₜ₋₁‖ / ‖Dₜ s̃ₜ₋₁‖ and ρ₁² = ‖νᵀ Iₜ‖ / ‖ν‖ make the
variance least. The initial state is one more parameter, which acts at the first step after the trace began.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.cost import Cost, Price
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.stepwise import Step, StepGradient, lengths, refuse_bidirectional, sizes, walk
from rnnjax.model.leaves import pack
from rnnjax.model.network import Batch, Model
from rnnjax.model.norm import global_norm
from rnnjax.model.recurrence import Recurrence, precision

Array = jax.Array


class OuterProduct(NamedTuple):
    """s̃ [B, S]; θ̃ by parameter [B, P] and by number of the initial state [B, S]; whether a step has been made [B]."""

    state: Array
    params: Array
    carry: Array
    begun: Array


def gradient(recurrence: Recurrence, window: Window) -> Gradient:
    """Loss and one random estimate of the gradient of one window, the way through the trace included.

    Cost: O(T·P) time, which is O(T·H²), and O(P) memory a stream, whatever T is. Unbiased at fixed parameters; the
    variance grows with the time since the trace began.

    Args:
      window: its noise is ν, signs of ±1 [T, B, S].

    Returns:
      Its `carry` estimates ∂L/∂ the state with which the trace began.
    """
    window.check("noise")
    return walk(recurrence, window, visit)


def visit(step: Step, p: Array, readout: Any, s: Array, trace: OuterProduct, batch_t: Batch, nu: Array) -> StepGradient:
    """One step of one stream: one product with Dₜ from the right, and two vectors pulled back."""
    (new, loss), pull = jax.vjp(lambda p, readout, s: step.advance(p, readout, s, batch_t), p, readout, s)
    d_p, d_readout, d_s = pull((jnp.zeros_like(new), jnp.ones_like(loss)))
    along = d_s @ trace.state
    d_carry = along * trace.carry + jnp.where(trace.begun, 0, d_s)

    _, pushed = jax.jvp(lambda s: step.advance(p, readout, s, batch_t)[0], (s,), (trace.state,))
    of_params, _, of_carry = pull((nu, jnp.zeros_like(loss)))
    of_carry = jnp.where(trace.begun, 0, of_carry)
    rho_0, inverse_0 = balance(norm(trace.params, trace.carry), norm(pushed))
    rho_1, inverse_1 = balance(norm(of_params, of_carry), norm(nu))
    product = OuterProduct(
        rho_0 * pushed + rho_1 * nu,
        inverse_0 * trace.params + inverse_1 * of_params,
        inverse_0 * trace.carry + inverse_1 * of_carry,
        jnp.ones_like(trace.begun),
    )
    return StepGradient(new, product, loss, d_p + along * trace.params, d_readout, d_carry)


def balance(large: Array, small: Array) -> tuple[Array, Array]:
    """ρ = sqrt(large / small) and 1/ρ. Where either norm is zero so is the product: both are 0, and it leaves nothing
    behind that could only add variance."""
    nothing = (large == 0) | (small == 0)
    rho = jnp.sqrt(jnp.where(nothing, 1, large) / jnp.where(nothing, 1, small))
    return jnp.where(nothing, 0, rho), jnp.where(nothing, 0, 1 / rho)


def norm(*parts: Array) -> Array:
    """The Euclidean norm of all parts together."""
    return global_norm(parts)


def init(recurrence: Recurrence, params: Any, state: Any, batch_t: Batch | None = None) -> OuterProduct:
    """Nothing has acted yet: all zeros."""
    (S, P), dtype = lengths(recurrence, params, state, batch_t), precision(params)
    batch_shape = recurrence.streams(state)
    s, theta, theta_carry = (jnp.zeros((*batch_shape, size), dtype) for size in (S, P, S))
    return OuterProduct(s, theta, theta_carry, jnp.zeros(batch_shape, bool))


def draw(key: Array, recurrence: Recurrence, params: Any, state: Any, T: int) -> Array:
    """ν for each step of each stream."""
    batch_shape = recurrence.streams(state)
    S = pack(state, len(batch_shape)).shape[-1]
    return jax.random.rademacher(key, (T, *batch_shape, S), precision(params))


def method(config: GradientConfig) -> Method:
    price = Price(cost, "the outer products of all streams", "lower training.batch_size or model.hidden_size")
    claim = Claim("unbiased", "stream", noise="signs")
    return Method(gradient, init, draw, refuse_bidirectional, price, memory=(OuterProduct,), claim=claim)


def cost(model: Model, T: int, B: int) -> Cost:
    """Each stream has a θ̃, which is the weights once more; a step holds six vectors of its size."""
    _, P = sizes(model)
    return Cost(6 * B * P, 6 * T * B * P, T)
