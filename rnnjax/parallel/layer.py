"""A layer of a network, run in parallel over time by a solver, in the place of `model.rnn.unroll`.

A cell is local but for its one product z = h W, so that its Jacobian is put together from the slopes of its parts,

    ∂sᵢ/∂sⱼ = [i and j in one unit] ∂forwardᵢ/∂sⱼ + Σ_g ∂forwardᵢ/∂z_g W_g,ⱼ

of which quasi keeps the blocks of a unit on itself.
"""

from functools import lru_cache
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.model.cells import Cell, Hyper
from rnnjax.model.network import Layer
from rnnjax.model.rnn import Inputs, cell_step, hidden_to_hidden, join, split
from rnnjax.parallel.newton import Solution, Solver
from rnnjax.parallel.trajectory import Transition, trajectory

Array = jax.Array


class InParallel(NamedTuple):
    """A way to run a layer over time, in the place of `model.rnn.unroll`: all steps at once, by a solver."""

    solver: Solver

    def solve(
        self, cell: Cell, layer: Layer, hyper: Hyper, state: Array, inputs: Inputs, start: Array | None = None
    ) -> Solution:
        """Solves for the trajectory of one layer.

        Args:
          state: state before the first step [B, states·H].
          start: first guess of the states [T, B, states·H]; None: the solver's.
        """
        transition = transition_of(cell, layer.gain_z is not None)
        return trajectory(transition, self.solver, (layer, hyper), state, inputs, start)

    def __call__(
        self, cell: Cell, layer: Layer, hyper: Hyper, state: Array, inputs: Inputs, scan_unroll: int = 1
    ) -> tuple[Array, Array]:
        """Runs a layer as `model.rnn.unroll` does; there is no loop, and `scan_unroll` does nothing."""
        return hidden_of(cell, self.solve(cell, layer, hyper, state, inputs))


def hidden_of(cell: Cell, found: Solution) -> tuple[Array, Array]:
    """The state after the last step, and h of every step [T, B, H]."""
    return found.states[-1], split(found.states, cell)[0]


@lru_cache
def transition_of(cell: Cell, normalised: bool) -> Transition:
    """Makes one step of a layer.

    Its Jacobian is put together from parts where h W is a product and nothing else. Without a matrix W each unit acts
    on itself alone, and a layer of units that are linear in their state is solved at once.
    """

    def f(params: tuple[Layer, Hyper], s: Array, x: Inputs) -> Array:
        layer, hyper = params
        return join(cell_step(cell, layer, hyper, split(s, cell), x)[0])

    def jacobian(params: tuple[Layer, Hyper], s: Array, x: Inputs, n: int) -> Array:
        return of_cell(cell, *params, s, x, n)

    plain = cell.recurrence == "dense" and not (normalised or cell.own)
    return Transition(f, len(cell.states), cell.recurrence != "dense", jacobian if plain else None)


def of_cell(cell: Cell, layer: Layer, hyper: Hyper, s: Array, x: Inputs, n: int) -> Array:
    """Jacobian of `cell_step` at each s, in blocks of size n, which is `states` or all of S."""
    a, valid, reset = x
    state = split(s, cell)
    z, _ = hidden_to_hidden(layer, state[0])
    assert z is not None, "a cell without a recurrent product is put together by autodiff"
    of_z, of_state = slopes(cell, hyper, a, z, state)
    W = layer.W.reshape(layer.W.shape[0], len(cell.gates), -1)  # [H, G, H]
    if n == len(cell.states):
        own = jnp.einsum("hgh->gh", W)
        D = of_state.at[..., 0].add(jnp.einsum("g...hi,gh->...hi", of_z, own))
    else:
        through_W = jnp.einsum("g...hi,kgh->...ihk", of_z, W)
        D = whole(of_state).at[..., : W.shape[0]].add(through_W.reshape(*s.shape, -1))[..., None, :, :]
    if valid is not None:
        D = jnp.where(valid[..., None, None, None], D, jnp.eye(n, dtype=D.dtype))
    return D if reset is None else jnp.where(reset[..., None, None, None], 0, D)


def slopes(cell: Cell, hyper: Hyper, a: Array, z: Array, state: tuple[Array, ...]) -> tuple[Array, Array]:
    """Derivatives of `forward` by each gate's z [G, ..., H, states], and by each part of the state
    [..., H, states, states]."""

    def forward(z: Array, s: Array) -> Array:
        new = cell.forward(hyper, a, z, split(s, cell))[0]
        return jnp.stack(new, axis=-1)  # [..., H, states]

    def along(part: Array, like: Array) -> Array:
        return jnp.broadcast_to(jnp.repeat(part, state[0].shape[-1]), like.shape)

    s = join(state)
    push = jax.linearize(forward, z, s)[1]
    of_gate = lambda gate: push(along(gate, z), jnp.zeros_like(s))
    of_part = lambda part: push(jnp.zeros_like(z), along(part, s))
    of_state = jax.vmap(of_part)(jnp.eye(len(cell.states), dtype=s.dtype))
    return jax.vmap(of_gate)(jnp.eye(len(cell.gates), dtype=s.dtype)), jnp.moveaxis(of_state, 0, -1)


def whole(D: Array) -> Array:
    """Blocks [..., H, n, n] as whole matrices [..., n·H, n·H]."""
    H, n = D.shape[-3:-1]
    full = jnp.einsum("...hij,hk->...ihjk", D, jnp.eye(H, dtype=D.dtype))
    return full.reshape(*D.shape[:-3], n * H, n * H)
