"""The minimal gated unit."""

import jax
import jax.numpy as jnp

from rnnjax.model.cells.activation import sigmoid
from rnnjax.model.cells.cell import Cell, State
from rnnjax.model.cells.hyper import Hyper

Array = jax.Array


def minimal_gated() -> Cell:
    """The minimal gated unit (Zhou et al., 2016, "Minimal gated unit for recurrent neural networks"), a GRU with one
    gate that both forgets and resets:

        f = σ(a_f + z_f)    n = tanh(a_n + f ⊙ z_n)    hₜ = (1 - f) ⊙ hₜ₋₁ + f ⊙ n

    The gate stands after the product, f ⊙ (hₜ₋₁ W_n), as in this package's GRU and in cuDNN; the paper has it before,
    (f ⊙ hₜ₋₁) W_n, which takes a second product inside the loop. The adjoint is derived.
    """

    def forward(hyper: Hyper, a: Array, z: Array, state: State) -> tuple[State, dict[str, Array]]:
        del hyper
        (h_prev,) = state
        a_f, a_n = jnp.split(a, 2, axis=-1)
        z_f, z_n = jnp.split(z, 2, axis=-1)
        f = sigmoid(a_f + z_f)
        n = jnp.tanh(a_n + f * z_n)
        return (h_prev + f * (n - h_prev),), {"gate f": f, "tanh n": n}

    return Cell("minimal_gated", ("f", "n"), forward, recurrent_bias=True)
