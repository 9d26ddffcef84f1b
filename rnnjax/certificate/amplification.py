"""Errors of a trajectory that follows its recurrence within a tolerance, and how far a window amplifies them.

A solver leaves residuals, sₜ = f(sₜ₋₁, xₜ) + rₜ. Its gradient is the exact one of the recurrence with these rₜ as
constants, so that to first order it is off by

    G(r) - G(0) = Σₜ ∂G/∂rₜ rₜ        |error of a number| ≤ Σₜ |∂G/∂rₜ| |rₜ|

where ∂G/∂rₜ holds the products of all Jacobians after step t. Where the adjoint is solved for as well, its residuals ρₜ
are those of the loss L + Σₜ ρₜ sₜ. The bound is reached by the residuals whose signs are those of ∂G/∂rₜ.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.certificate.exact import ExactGradient, quick
from rnnjax.model.cells import Cell, Hyper
from rnnjax.model.leaves import pack, put, reals, unpack
from rnnjax.model.network import Batch, Layer
from rnnjax.model.recurrence import Recurrence, losses, total_weight, window_loss
from rnnjax.model.rnn import Inputs, cell_step, join, split

Array = jax.Array
Tree = Any
Pushes = list[Array]
"""Numbers that are added to states: of a network [T, *B, S] for each layer, of any other step one [T, *B, S]."""


class Pushed:
    """A way to run layers over time, in the place of `rnn.unroll`: sₜ = f(sₜ₋₁ + beforeₜ) + afterₜ.

    The states that were found are kept for the length of a trace.
    """

    def __init__(self, before: Pushes, after: Pushes) -> None:
        self.before, self.after = before, after
        self.states: Pushes = []

    def __call__(
        self, cell: Cell, layer: Layer, hyper: Hyper, state: Array, inputs: Inputs, scan_unroll: int = 1
    ) -> tuple[Array, Array]:
        """`rnn.unroll`; `scan_unroll` is of no use here."""

        def body(s: Array, at: tuple[Inputs, Array, Array]) -> tuple[Array, Array]:
            inputs_t, before, after = at
            s = join(cell_step(cell, layer, hyper, split(s + before, cell), inputs_t)[0]) + after
            return s, s

        index = len(self.states)
        last, states = jax.lax.scan(body, state, (inputs, self.before[index], self.after[index]))
        self.states.append(states)
        return last, split(states, cell)[0]


def run(
    recurrence: Recurrence, params: Tree, hyper: Tree, carry: Tree, batch: Batch, before: Pushes, after: Pushes
) -> tuple[Array, tuple[Tree, Pushes]]:
    """Loss of a window whose states are pushed before and after every step; its last state, and all states."""
    if recurrence.model:
        way = Pushed(before, after)
        loss, new_carry = window_loss(recurrence, params, hyper, carry, batch, way)
        return loss, (new_carry, way.states)
    axes = len(recurrence.streams(carry))
    moved = lambda state, by: put(unpack(pack(state, axes) + by, reals(state), axes), state)

    def body(state: Tree, at: tuple[Batch, Array, Array]) -> tuple[Tree, tuple[Array, Array]]:
        batch_t, before, after = at
        new, out = recurrence.step(params, hyper, moved(state, before), batch_t)
        new = moved(new, after)
        return new, (pack(new, axes), jnp.sum(losses(recurrence, params, out, batch_t)))

    last, (states, found) = jax.lax.scan(body, carry, (batch, before[0], after[0]))
    return jnp.sum(found) / total_weight(recurrence, batch), (last, [states])


def no_pushes(recurrence: Recurrence, carry: Tree, batch: Batch) -> Pushes:
    """Pushes that are 0."""
    axes = len(recurrence.streams(carry))
    parts = carry if recurrence.model else (carry,)
    return [jnp.zeros((*batch.shape, flat.shape[-1]), flat.dtype) for flat in (pack(part, axes) for part in parts)]


@partial(quick, static=0)
def bound(
    recurrence: Recurrence, params: Tree, hyper: Tree, carry: Tree, batch: Batch, of_states: Array, of_adjoints: Array
) -> ExactGradient:
    """Largest error, to first order, of each number of a window's gradient, of its loss and of its last state.

    Args:
      of_states: largest |rₜ|, as a share of max(1, |sₜ|).
      of_adjoints: largest |ρₜ|, as a share of max(|λₜ|, the largest |∂ℓ/∂s| of the stream), λₜ the adjoint of sₜ.
    """
    none = no_pushes(recurrence, carry, batch)
    of = partial(run, recurrence, params, hyper, carry, batch)

    def found(after: Pushes, beside: Pushes) -> ExactGradient:
        def objective(real_params: Tree, real_carry: Tree) -> tuple[Array, tuple[Array, Tree]]:
            given = put(real_params, params), hyper, put(real_carry, carry), batch
            loss, (new_carry, states) = run(recurrence, *given, none, after)
            return loss + sum(map(jnp.vdot, beside, states)), (loss, reals(new_carry))

        d, (loss, new_carry) = jax.grad(objective, argnums=(0, 1), has_aux=True)(reals(params), reals(carry))
        return ExactGradient(loss, d[0], d[1], new_carry)

    (through, adjoints), (_, states) = jax.grad(of, argnums=(0, 1), has_aux=True)(none, none)
    largest = (
        [of_states * jnp.maximum(1, jnp.abs(s)) for s in states],
        [of_adjoints * scale(*both) for both in zip(adjoints, through, strict=True)],
    )
    push = jax.linearize(found, none, none)[1]
    moved = jax.vmap(lambda row: push(*unpack(row, largest)))(jnp.diag(pack(largest)))
    return jax.tree.map(lambda leaf: jnp.sum(jnp.abs(leaf), axis=0), moved)


def scale(adjoint: Array, through: Array) -> Array:
    """max(|λₜ|, the largest |∂ℓ/∂s| of the stream) [T, *B, S], from λₜ and its part through the next step, Dₜᵀ λₜ."""
    direct = adjoint - jnp.concatenate([through[1:], jnp.zeros_like(through[:1])])
    return jnp.maximum(jnp.abs(adjoint), jnp.max(jnp.abs(direct), axis=(0, -1))[..., None])
