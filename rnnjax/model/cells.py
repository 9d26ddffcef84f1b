"""Cells: what a recurrent unit computes in one time step, and the hand-written adjoint of it.

Every cell is one recurrent product and a function that is local in time:

    aₜ = xₜ U + bh              all t at once, before the loop
    zₜ = hₜ₋₁ W (+ bz)          the only product inside the loop
    sₜ = forward(aₜ, zₜ, sₜ₋₁)   the state; hₜ is its first part

so that one loop forward and one loop backward serve them all. `forward` and `adjoint` know nothing of weights or time.
The adjoint comes in two parts: `derivatives`, the partial derivatives of `forward`, computed for all steps at once, and
`adjoint` itself, the few multiplications that must wait for the step after.
The gates of a cell stand side by side in the last axis, in the order of PyTorch and cuDNN.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array
State = tuple[Array, ...]


class Hyper(NamedTuple):
    """The numbers of a network that are neither weights nor shape: arguments of a program, so that runs which differ in
    them can share it.

    Attributes:
      leak: α of the leaky unit, the share of its state that a step renews, in (0, 1].
      dropout: the share of the units that are silenced on the way up, in [0, 1).
    """

    leak: Array | float = 1.0
    dropout: Array | float = 0.0


class Cell(NamedTuple):
    """The equations of one kind of unit.

    Attributes:
      gates: G, the pre-activations a unit needs; U is [I, G·H] and W is [H, G·H].
      states: the parts of the state, h first, each [..., H].
      forward: (hyper, a, z, state) -> (state, saved), one time step; `saved` is what the adjoint needs.
      derivatives: (hyper, saved) -> local, the partial derivatives of forward.
      adjoint: (hyper, local, d_state) -> (d_a, d_z, d_state_prev), with d_x = ∂L/∂x; the way through z is not in
        d_state_prev. Where d_z equals d_a both are the same object, and are stored once.
      recurrent_bias: whether z has a bias bz of its own, because a gate stands between it and a.
    """

    gates: int
    states: int
    forward: Callable[[Hyper, Array, Array, State], tuple[State, Any]]
    derivatives: Callable[[Hyper, Any], Any]
    adjoint: Callable[[Hyper, Any, State], tuple[Array, Array, State]]
    recurrent_bias: bool = False


class Activation(NamedTuple):
    """φ, and φ' written as a function of φ's value, not of its argument: the forward pass keeps only the value."""

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


ACTIVATIONS = {
    "tanh": Activation(jnp.tanh, lambda h: 1 - h * h),
    "relu": Activation(jax.nn.relu, lambda h: (h > 0).astype(h.dtype)),
    "linear": Activation(lambda a: a, jnp.ones_like),
}


def vanilla(activation: Activation) -> Cell:
    """The simple recurrent unit, hₜ = φ(aₜ + zₜ) (Elman, 1990, "Finding structure in time")."""

    def forward(hyper: Hyper, a: Array, z: Array, state: State) -> tuple[State, Array]:
        del hyper, state  # the state acts through z alone
        h = activation.function(a + z)
        return (h,), h

    def derivatives(hyper: Hyper, h: Array) -> Array:
        del hyper
        return activation.derivative(h)

    def adjoint(hyper: Hyper, derivative: Array, d_state: State) -> tuple[Array, Array, State]:
        del hyper
        d_a = d_state[0] * derivative
        return d_a, d_a, (jnp.zeros_like(d_a),)

    return Cell(1, 1, forward, derivatives, adjoint)


def leaky(activation: Activation) -> Cell:
    """The leaky unit, hₜ = (1 - α) hₜ₋₁ + α φ(aₜ + zₜ), Euler's step of a rate equation (Jaeger et al., 2007,
    "Optimization and applications of echo state networks with leaky-integrator neurons"); α = 1 is the simple unit.
    """

    def forward(hyper: Hyper, a: Array, z: Array, state: State) -> tuple[State, Array]:
        value = activation.function(a + z)
        return (state[0] + hyper.leak * (value - state[0]),), value

    def derivatives(hyper: Hyper, value: Array) -> Array:
        return hyper.leak * activation.derivative(value)

    def adjoint(hyper: Hyper, derivative: Array, d_state: State) -> tuple[Array, Array, State]:
        d_a = d_state[0] * derivative
        return d_a, d_a, (d_state[0] * (1 - hyper.leak),)

    return Cell(1, 1, forward, derivatives, adjoint)


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

    return Cell(3, 1, forward, derivatives, adjoint, recurrent_bias=True)


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

    return Cell(4, 2, forward, derivatives, adjoint)


def sigmoid(a: Array) -> Array:
    """σ(a) through tanh, which XLA computes faster on a CPU than the exponential."""
    return 0.5 + 0.5 * jnp.tanh(0.5 * a)


CELLS: dict[tuple[str, str], Cell] = {
    **{("vanilla", name): vanilla(activation) for name, activation in ACTIVATIONS.items()},
    **{("leaky", name): leaky(activation) for name, activation in ACTIVATIONS.items()},
    ("gru", "tanh"): gru(),
    ("lstm", "tanh"): lstm(),
}
"""By kind and activation; a gated unit's activation is fixed."""
