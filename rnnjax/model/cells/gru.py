"""The gated recurrent unit."""

import jax
import jax.numpy as jnp

from rnnjax.model.cells.activation import sigmoid
from rnnjax.model.cells.cell import Cell, State
from rnnjax.model.cells.hyper import Hyper

Array = jax.Array


def gru() -> Cell:
    """The gated recurrent unit (Cho et al., 2014, "Learning phrase representations using RNN encoder-decoder"), with
    the reset gate after the product, as cuDNN, Keras and PyTorch compute it:

        r = σ(a_r + z_r)    u = σ(a_u + z_u)    n = tanh(a_n + r ⊙ z_n)    hₜ = (1 - u) ⊙ n + u ⊙ hₜ₋₁

    Gates in the order r, u, n. The bias of z_n lies inside the reset gate; those of z_r and z_u double bh, as in
    these libraries, whose weights then carry over one to one.
    """

    def forward(hyper: Hyper, a: Array, z: Array, state: State) -> tuple[State, tuple[Array, ...]]:
        del hyper
        (h_prev,) = state
        H = h_prev.shape[-1]
        gates = sigmoid(a[..., : 2 * H] + z[..., : 2 * H])
        r, u = gates[..., :H], gates[..., H:]
        z_n = z[..., 2 * H :]
        n = jnp.tanh(a[..., 2 * H :] + r * z_n)
        return (n + u * (h_prev - n),), (gates, n, z_n, h_prev)

    def derivatives(hyper: Hyper, saved: tuple[Array, ...]) -> tuple[Array, ...]:
        del hyper
        gates, n, z_n, h_prev = saved
        H = n.shape[-1]
        r, u = gates[..., :H], gates[..., H:]
        through_n = (1 - u) * (1 - n * n)
        return through_n * z_n * r * (1 - r), (h_prev - n) * u * (1 - u), through_n, through_n * r, u

    def adjoint(hyper: Hyper, local: tuple[Array, ...], d_state: State) -> tuple[Array, Array, State]:
        del hyper
        to_r, to_u, to_n, to_z_n, kept = local
        (d_h,) = d_state
        d_r, d_u = d_h * to_r, d_h * to_u
        d_a = jnp.concatenate([d_r, d_u, d_h * to_n], axis=-1)
        d_z = jnp.concatenate([d_r, d_u, d_h * to_z_n], axis=-1)
        return d_a, d_z, (d_h * kept,)

    def values(saved: tuple[Array, ...]) -> dict[str, Array]:
        gates, n, *_ = saved
        r, u = jnp.split(gates, 2, axis=-1)
        return {"gate r": r, "gate u": u, "tanh n": n}

    return Cell(
        "gru",
        ("r", "u", "n"),
        forward,
        derivatives=derivatives,
        adjoint=adjoint,
        values=values,
        recurrent_bias=True,
    )
