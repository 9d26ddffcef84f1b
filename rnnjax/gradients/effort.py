"""Effort of the solver where a network's layers are run in parallel over time, kept while a gradient is traced."""

import jax
import jax.numpy as jnp

from rnnjax.gradients.method import Spent
from rnnjax.model.cells import Cell, Hyper
from rnnjax.model.network import Layer
from rnnjax.model.recurrence import Recurrence
from rnnjax.model.rnn import Inputs
from rnnjax.parallel.layer import InParallel, hidden_of
from rnnjax.parallel.newton import Solution

Array = jax.Array


class Noted:
    """A way to run layers over time, as `InParallel` is, that keeps the solution of each for the length of a trace.

    Args:
      start: first guess of the states of each layer [T, B, states·H]; None: the solver's.
    """

    def __init__(self, way: InParallel, start: tuple[Array, ...] | None = None) -> None:
        self.way, self.start = way, start
        self.found: list[Solution] = []

    def solve(self, cell: Cell, layer: Layer, hyper: Hyper, state: Array, inputs: Inputs) -> Solution:
        """`InParallel.solve`."""
        start = self.start[len(self.found)] if self.start else None
        self.found.append(self.way.solve(cell, layer, hyper, state, inputs, start))
        return self.found[-1]

    def __call__(
        self, cell: Cell, layer: Layer, hyper: Hyper, state: Array, inputs: Inputs, scan_unroll: int = 1
    ) -> tuple[Array, Array]:
        """`model.rnn.unroll`, in parallel; `scan_unroll` is of no use here."""
        return hidden_of(cell, self.solve(cell, layer, hyper, state, inputs))

    @property
    def spent(self) -> Spent:
        """Effort of all layers so far."""
        return spent(self.found)

    @property
    def states(self) -> tuple[Array, ...] | None:
        """States of each layer [T, B, states·H], where a first guess of them was given."""
        return tuple(solution.states for solution in self.found) if self.start else None


def noted(recurrence: Recurrence, start: tuple[Array, ...] | None = None) -> Noted | None:
    """The way of a network that is run in parallel over time; None for any other recurrence."""
    way = recurrence.model.over_time if recurrence.model else None
    return Noted(way, start) if way else None


def spent(found: list[Solution]) -> Spent:
    """Effort of the solutions of all layers."""
    T = found[0].states.shape[0]
    iterations = jnp.stack([jnp.max(solution.iterations) for solution in found])
    shares = jnp.stack([jnp.mean(solution.sequential) / T for solution in found])
    dtype = found[0].states.dtype
    return Spent(jnp.max(iterations).astype(dtype), jnp.mean(shares).astype(dtype))
