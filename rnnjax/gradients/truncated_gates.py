"""Errors truncated at the gates (Hochreiter & Schmidhuber, 1997, "Long short-term memory", appendix A.1).

An error goes back in time along the memory alone. Where it comes to a net input, it changes the weights of that net
input, and what would leave it for the step before is cut:

    zₜ = hₜ₋₁ W      ∂zₜ/∂hₜ₋₁ := 0      ∂zₜ/∂W as it is

So an LSTM's memory carries ∂L/∂cₜ₋₁ = fₜ ∂L/∂cₜ, with fₜ = 1 in the cell of 1997: no error grows, and a lag is bridged
by the memory or not at all.
"""

from functools import partial

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients import autodiff
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.stepwise import refuse_bidirectional
from rnnjax.model.cells import built_in
from rnnjax.model.layer_norm import Normalized
from rnnjax.model.network import Layer, Model, Params
from rnnjax.model.recurrence import Recurrence
from rnnjax.model.rnn import hidden_to_hidden, unroll

Array = jax.Array

CELLS = ("vanilla", "leaky", "lstm", "lstm_peephole", "lstm_1997")
"""Cells whose net inputs are a + z, so that what goes back through z is all that goes back through W."""


def gradient(recurrence: Recurrence, window: Window) -> Gradient:
    """Loss and gradient of one window without what goes back through W, its initial state held constant.

    Cost: O(T·H²) time and O(T·H) memory a stream, as back-propagation. Biased.
    """
    return autodiff.gradient(recurrence, window, unroll=partial(unroll, product=cut))


def cut(layer: Layer, h: Array) -> tuple[Array | None, Normalized | None]:
    """z = h W, through which no error goes back to h."""
    return hidden_to_hidden(layer, jax.lax.stop_gradient(h))


def method(config: GradientConfig) -> Method:
    def no_recurrence(model: Model, params: Params, T: int, count: int) -> bool:
        return not any(bool(jnp.any(layer.W)) for layer in params.layers)

    claim = Claim("approximate", exact_if=no_recurrence, definition="truncated_gates", units=("lstm", "lstm_1997"))
    return Method(gradient, refuse=refuse, needs=NEEDS, claim=claim)


NEEDS = "it cuts what goes back through W, which a step of its own does not show; take truncated"


def refuse(model: Model) -> str | None:
    """The paper has one layer of memory cells, and no normalisation."""
    if built_in(model.cell) not in CELLS:
        return f"its gates are those of {', '.join(CELLS)}, not of {model.cell}"
    if model.layers > 1:
        return "the paper cuts the errors of one layer, which has none below it"
    if model.layer_norm:
        return "the paper's net inputs are not normalised: it is not derived for layer normalisation"
    return refuse_bidirectional(model)
