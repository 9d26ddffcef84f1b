"""The simple recurrent unit."""

import jax
import jax.numpy as jnp

from rnnjax.model.cells.activation import Activation
from rnnjax.model.cells.cell import Cell, State
from rnnjax.model.cells.hyper import Hyper

Array = jax.Array


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

    return Cell(
        "vanilla",
        ("a",),
        forward,
        derivatives=derivatives,
        adjoint=adjoint,
        values=lambda h: {f"{activation.name} unit": h},
        activation=activation.name,
    )
