"""Long short-term memory as it was first, without a forget gate."""

import jax
import jax.numpy as jnp

from rnnjax.model.cells.activation import sigmoid
from rnnjax.model.cells.cell import Cell, State
from rnnjax.model.cells.hyper import Hyper

Array = jax.Array


def lstm_1997() -> Cell:
    """LSTM of 1997 (Hochreiter & Schmidhuber, 1997, "Long short-term memory"), whose memory is only ever added to:

        i, o = σ(a + z)    cₜ = cₜ₋₁ + i ⊙ g(a_g + z_g)    hₜ = o ⊙ q(cₜ)
        g(x) = 4 σ(x) - 2, in (-2, 2)      q(x) = 2 σ(x) - 1, in (-1, 1), the paper's h

    Gates in the order i, g, o, with a bias for each. A memory cell block of the paper is one unit here. The paper cuts
    the error at the gates; its exact gradient is taken here, as in Graves & Schmidhuber, 2005, "Framewise phoneme
    classification with bidirectional LSTM". The adjoint is derived.
    """

    def forward(hyper: Hyper, a: Array, z: Array, state: State) -> tuple[State, dict[str, Array]]:
        del hyper
        to_i, to_g, to_o = jnp.split(a + z, 3, axis=-1)
        i, o = sigmoid(to_i), sigmoid(to_o)
        tanh_g = jnp.tanh(0.5 * to_g)  # 4 σ(x) - 2 = 2 tanh(x / 2)
        c = state[1] + i * 2 * tanh_g
        tanh_c = jnp.tanh(0.5 * c)  # 2 σ(x) - 1 = tanh(x / 2)
        return (o * tanh_c, c), {"gate i": i, "tanh g": tanh_g, "gate o": o, "tanh c": tanh_c}

    return Cell("lstm_1997", ("i", "g", "o"), forward, states=("h", "c"))
