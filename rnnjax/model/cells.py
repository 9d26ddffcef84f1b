"""Cells: what a recurrent unit computes in one time step, and the hand-written adjoint of it.

Every cell is one recurrent product and a function that is local in time:

    aₜ = xₜ U + bh              all t at once, before the loop
    zₜ = hₜ₋₁ W                 the only product inside the loop
    sₜ = forward(aₜ, zₜ, sₜ₋₁)   the state; hₜ is its first part

so that one loop forward and one loop backward serve them all. `forward` and `adjoint` know nothing of weights or time.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array


class Cell(NamedTuple):
    """The equations of one kind of unit.

    Attributes:
      gates: G, the pre-activations a unit needs; U is [I, G·H] and W is [H, G·H].
      states: the numbers a unit carries through time; the state is [..., states·H] and starts with h.
      forward: (a, z, state) -> (state, saved), one time step; `saved` is what the adjoint needs.
      adjoint: (saved, d_state) -> (d_a, d_z, d_state_prev), with d_x = ∂L/∂x; the way through z is not in d_state_prev.
    """

    gates: int
    states: int
    forward: Callable[[Array, Array, Array], tuple[Array, Array]]
    adjoint: Callable[[Array, Array], tuple[Array, Array, Array]]


def vanilla(activation: Callable[[Array], Array], derivative: Callable[[Array], Array]) -> Cell:
    """The simple recurrent unit, hₜ = φ(aₜ + zₜ) (Elman, 1990, "Finding structure in time").

    Args:
      activation: φ.
      derivative: φ' written as a function of φ's value, not of its argument: the forward pass keeps only h.
    """

    def forward(a: Array, z: Array, state: Array) -> tuple[Array, Array]:
        del state  # it acts through z alone
        h = activation(a + z)
        return h, h

    def adjoint(saved: Array, d_state: Array) -> tuple[Array, Array, Array]:
        d_a = d_state * derivative(saved)
        return d_a, d_a, jnp.zeros_like(d_a)

    return Cell(gates=1, states=1, forward=forward, adjoint=adjoint)


CELLS: dict[str, Cell] = {
    "tanh": vanilla(jnp.tanh, lambda h: 1 - h * h),
    "relu": vanilla(jax.nn.relu, lambda h: (h > 0).astype(h.dtype)),
    "linear": vanilla(lambda a: a, jnp.ones_like),
}
