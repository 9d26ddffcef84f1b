"""Long short-term memory with peepholes."""

import jax
import jax.numpy as jnp

from rnnjax.model.cells.activation import sigmoid
from rnnjax.model.cells.cell import Cell, State
from rnnjax.model.cells.hyper import Hyper

Array = jax.Array


def lstm_peephole() -> Cell:
    """LSTM whose gates see the memory itself (Gers & Schmidhuber, 2000, "Recurrent nets that time and count"):

        i = σ(a_i + z_i + p_i ⊙ cₜ₋₁)    f = σ(a_f + z_f + p_f ⊙ cₜ₋₁)    g = tanh(a_g + z_g)
        cₜ = f ⊙ cₜ₋₁ + i ⊙ g            o = σ(a_o + z_o + p_o ⊙ cₜ)      hₜ = o ⊙ tanh(cₜ)

    Each peephole is one weight for each unit. The output gate sees the new memory, the other two the old one.
    The squashing of g and of cₜ is tanh, as in Graves, 2013, "Generating sequences with recurrent neural networks";
    the paper's is a scaled σ for g and the identity for cₜ. The adjoint is derived.
    """

    def forward(
        hyper: Hyper, a: Array, z: Array, state: State, p_i: Array, p_f: Array, p_o: Array
    ) -> tuple[State, dict[str, Array]]:
        del hyper
        c_prev = state[1]
        to_i, to_f, to_g, to_o = jnp.split(a + z, 4, axis=-1)
        i, f, g = sigmoid(to_i + p_i * c_prev), sigmoid(to_f + p_f * c_prev), jnp.tanh(to_g)
        c = f * c_prev + i * g
        o, tanh_c = sigmoid(to_o + p_o * c), jnp.tanh(c)
        return (o * tanh_c, c), {"gate i": i, "gate f": f, "tanh g": g, "gate o": o, "tanh c": tanh_c}

    return Cell(
        "lstm_peephole",
        ("i", "f", "g", "o"),
        forward,
        states=("h", "c"),
        forget="f",
        own=("p_i", "p_f", "p_o"),
    )
