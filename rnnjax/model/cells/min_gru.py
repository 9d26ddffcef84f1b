"""The minimal GRU, which has no recurrent product."""

import jax
import jax.numpy as jnp

from rnnjax.model.cells.activation import sigmoid
from rnnjax.model.cells.cell import Cell, State
from rnnjax.model.cells.hyper import Hyper

Array = jax.Array


def min_gru() -> Cell:
    """minGRU (Feng et al., 2024, "Were RNNs all we needed?"), whose gate and candidate read the input alone:

        u = σ(a_u)    hₜ = (1 - u) ⊙ hₜ₋₁ + u ⊙ a_n

    Given the input, hₜ is linear in hₜ₋₁, unit by unit: ∂hₜ/∂hₜ₋₁ = diag(1 - u). There is no W. The paper's u is z.
    The adjoint is derived.
    """

    def forward(hyper: Hyper, a: Array, z: None, state: State) -> tuple[State, dict[str, Array]]:
        del hyper, z
        (h_prev,) = state
        a_u, a_n = jnp.split(a, 2, axis=-1)
        u = sigmoid(a_u)
        return (h_prev + u * (a_n - h_prev),), {"gate u": u, "linear n": a_n}

    return Cell("min_gru", ("u", "n"), forward, recurrence="none")
