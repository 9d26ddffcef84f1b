"""Long short-term memory with a forget gate."""

import jax
import jax.numpy as jnp

from rnnjax.model.cells.cell import Cell, State
from rnnjax.model.cells.hyper import Hyper

Array = jax.Array


def lstm() -> Cell:
    """Long short-term memory (Hochreiter & Schmidhuber, 1997, "Long short-term memory"), with the forget gate of Gers
    et al., 2000, "Learning to forget: continual prediction with LSTM":

        i, f, o = σ(a + z)    g = tanh(a_g + z_g)    cₜ = f ⊙ cₜ₋₁ + i ⊙ g    hₜ = o ⊙ tanh(cₜ)

    Gates in the order i, f, g, o; the state is h, then c.
    """

    def forward(hyper: Hyper, a: Array, z: Array, state: State) -> tuple[State, tuple[Array, ...]]:
        del hyper
        c_prev = state[1]
        # One tanh over all four gates, σ(x) = ½ + ½ tanh(½x): XLA on a CPU would compute exponentials gate by gate.
        scale = jnp.repeat(jnp.array([0.5, 0.5, 1.0, 0.5], a.dtype), c_prev.shape[-1])
        gates = scale * jnp.tanh(scale * (a + z)) + (1 - scale)
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        c = f * c_prev + i * g
        tanh_c = jnp.tanh(c)
        return (o * tanh_c, c), (gates, c_prev, tanh_c)

    def derivatives(hyper: Hyper, saved: tuple[Array, ...]) -> tuple[Array, ...]:
        del hyper
        gates, c_prev, tanh_c = saved
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        return (
            g * i * (1 - i),
            c_prev * f * (1 - f),
            i * (1 - g * g),
            tanh_c * o * (1 - o),
            o * (1 - tanh_c * tanh_c),
            f,
        )

    def adjoint(hyper: Hyper, local: tuple[Array, ...], d_state: State) -> tuple[Array, Array, State]:
        del hyper
        to_i, to_f, to_g, to_o, h_to_c, kept = local
        d_h, d_c = d_state
        d_c = d_c + d_h * h_to_c
        d_a = jnp.concatenate([d_c * to_i, d_c * to_f, d_c * to_g, d_h * to_o], axis=-1)
        return d_a, d_a, (jnp.zeros_like(d_h), d_c * kept)

    def values(saved: tuple[Array, ...]) -> dict[str, Array]:
        gates, _, tanh_c = saved
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        return {"gate i": i, "gate f": f, "tanh g": g, "gate o": o, "tanh c": tanh_c}

    return Cell(
        "lstm",
        ("i", "f", "g", "o"),
        forward,
        states=("h", "c"),
        derivatives=derivatives,
        adjoint=adjoint,
        values=values,
        forget="f",
    )
