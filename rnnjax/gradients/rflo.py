"""Random-feedback local online learning (Murray, 2019, "Local online learning in recurrent networks with random
feedback"), for one layer of leaky units.

Of the influence of a weight on the state only what stays inside its own unit is kept, through the leak and not through
W: an eligibility eₜ for each weight, of the unit i that the weight belongs to. And the error of the output reaches the
units through a matrix F: Vᵀ itself, or, as in the paper, a fixed random one.

    eₜ = (1 - α) eₜ₋₁ + ∂hₜ,ᵢ/∂p      ∂L/∂p ≈ Σₜ ((ŷₜ - yₜ) wₜ/Σw F)ᵢ eₜ

With F = Vᵀ and W = 0 it is real-time recurrent learning.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.cost import Cost, Price
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.stepwise import (
    Step,
    StepGradient,
    read,
    read_out_of,
    refuse_bidirectional,
    sizes,
    structure,
    unit_of,
    walk,
)
from rnnjax.model.cells import built_in
from rnnjax.model.leaves import pack
from rnnjax.model.network import Batch, Model, Params
from rnnjax.model.recurrence import Recurrence, total_weight

Array = jax.Array


class Eligibility(NamedTuple):
    """e [B, P], and the share of the initial state that is left in each unit [B, H]."""

    params: Array
    carry: Array


def gradient(recurrence: Recurrence, window: Window, *, feedback: str = "readout") -> Gradient:
    """Loss and approximate gradient of one window; that of V and by is exact.

    Cost: O(T·P) time, which is O(T·H²), and O(P) memory a stream, whatever T is. Biased.

    Args:
      feedback: readout: the error comes back through Vᵀ. random: through a random matrix that never changes.

    Returns:
      Its `carry` approximates ∂L/∂ the state with which the trace began.
    """
    params, model = window.params, structure(recurrence)
    unit = unit_of(model, params)
    loss_of = read(recurrence, params, window.hyper, total_weight(recurrence, window.batch))
    F = params.V.T if feedback == "readout" else random_feedback(params)
    without_W = params._replace(layers=tuple(layer._replace(W=0 * layer.W) for layer in params.layers))
    p_without_W = pack(without_W.layers)

    def visit(
        step: Step, p: Array, readout: Any, s: Array, trace: Eligibility, batch_t: Batch, noise_t: Any
    ) -> StepGradient:
        new, pull = jax.vjp(lambda p: step.advance(p, readout, s, batch_t)[0], p)
        (immediate,) = pull(jnp.ones_like(new))  # each weight acts on one unit: the sum over units has one term
        # 1 - α; 1 where the state is held and 0 where it is reset: without W the derivative of a step is diagonal.
        _, kept = jax.jvp(lambda s: step.advance(p_without_W, readout, s, batch_t)[0], (s,), (jnp.ones_like(s),))
        eligibility = Eligibility(kept[unit] * trace.params + immediate, kept * trace.carry)

        # The gradient with respect to by is the error of the logits.
        loss, d_readout = jax.value_and_grad(loss_of)(readout, new, batch_t)
        _, pull_out = jax.vjp(lambda s: read_out_of(recurrence, window.hyper, s, batch_t), new)
        (signal,) = pull_out(d_readout.by @ F)
        return StepGradient(
            new, eligibility, loss, signal[unit] * eligibility.params, d_readout, signal * eligibility.carry
        )

    return walk(recurrence, window, visit)


def random_feedback(params: Params) -> Array:
    """F [V, H], drawn like V is by most initialisers, the same in every step and every run."""
    H, V = params.V.shape
    return jax.random.uniform(jax.random.key(0), (V, H), params.V.dtype, -(H**-0.5), H**-0.5)


def init(recurrence: Recurrence, params: Params, state: Any, batch_t: Batch | None = None) -> Eligibility:
    """No weight has acted yet, and the state is the initial one."""
    (S, P), dtype, batch_shape = sizes(structure(recurrence)), params.V.dtype, recurrence.streams(state)
    return Eligibility(jnp.zeros((*batch_shape, P), dtype), jnp.ones((*batch_shape, S), dtype))


NEEDS = "its eligibilities are those of leaky units, which a step of its own does not show; take snap or uoro"


def method(config: GradientConfig) -> Method:
    def no_recurrence(model: Model, params: Params, T: int, count: int) -> bool:
        return config.feedback == "readout" and not any(bool(jnp.any(layer.W)) for layer in params.layers)

    claim = Claim(
        "approximate",
        "stream",
        exact_if=no_recurrence,
        definition="rflo",
        variants=({"feedback": "readout"}, {"feedback": "random"}),
        units=("leaky",),
    )
    price = Price(cost, "the eligibilities of all streams", "lower training.batch_size or model.hidden_size")
    by = partial(gradient, feedback=config.feedback)
    return Method(by, init, refuse=refuse, price=price, needs=NEEDS, memory=(Eligibility,), claim=claim)


def cost(model: Model, T: int, B: int) -> Cost:
    """Each stream has an eligibility for every weight; a step holds six vectors of that size."""
    _, P = sizes(model)
    return Cost(6 * B * P, 6 * T * B * P, T)


def refuse(model: Model) -> str | None:
    """The paper derives one layer of leaky units, whose weights act on one unit each."""
    if built_in(model.cell) not in ("vanilla", "leaky"):
        return f"the eligibility is derived for a leaky or vanilla cell, not for {model.cell}"
    if model.layers > 1:
        return "the eligibility is derived for one layer: its error has no way down to another"
    extras = ("embedding", "layer_norm", "learned_state")
    if has := [name for name in extras if getattr(model, name)]:
        return f"the eligibility is derived for weights that act on one unit each, not for {' and '.join(has)}"
    return refuse_bidirectional(model)
