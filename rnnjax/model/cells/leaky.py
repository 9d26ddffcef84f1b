"""The leaky unit."""

import jax

from rnnjax.model.cells.activation import Activation
from rnnjax.model.cells.cell import Cell, State
from rnnjax.model.cells.hyper import Hyper

Array = jax.Array


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

    return Cell(
        "leaky",
        ("a",),
        forward,
        derivatives=derivatives,
        adjoint=adjoint,
        values=lambda value: {f"{activation.name} unit": value},
        activation=activation.name,
    )
