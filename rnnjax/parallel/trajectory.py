"""The trajectory of a recurrence as a function that has a derivative.

At a trajectory s of sₜ = f(p, sₜ₋₁, xₜ) a change of the arguments of f changes the states by the solution of

    dsₜ = Dₜ dsₜ₋₁ + bₜ        Dₜ = ∂f/∂s,  bₜ = ∂f/∂p dp + ∂f/∂xₜ dxₜ

which is linear, whatever the method by which s was found, and so is one scan; its transpose, which a gradient needs, is
the same in reverse with Dₜᵀ. Where the blocks are not all of Dₜ the linear recurrence is itself solved by `newton`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.parallel import blocks, newton
from rnnjax.parallel.newton import Solution, Solver, before

Array = jax.Array


class Transition(NamedTuple):
    """One step of a recurrence, and the parts of its Jacobian.

    Attributes:
      f: (params, s [..., S], x [..., *]) -> the next s, each vector on its own.
      parts: n, numbers of state of a unit: quasi keeps blocks of n x n.
      is_local: True where each unit acts on itself alone, so that these blocks are the whole Jacobian.
      jacobian: (params, s, x, n) -> its blocks [..., S/n, n, n]; None: by pushing S directions through f.
    """

    f: Callable[[Any, Array, Any], Array]
    parts: int = 1
    is_local: bool = False
    jacobian: Callable[[Any, Array, Any, int], Array] | None = None

    def blocks_at(self, params: Any, s: Array, x: Any, n: int) -> Array:
        """Blocks of ∂f/∂s of size n at each s [..., S/n, n, n]."""
        if self.jacobian is not None:
            return self.jacobian(params, s, x, n)
        return blocks.jacobian(lambda s: self.f(params, s, x), s, n, self.is_local)

    def size(self, solver: Solver, S: int) -> int:
        """Size of the blocks that a solver works with."""
        return S if solver.is_whole and not self.is_local else self.parts


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def trajectory(transition: Transition, solver: Solver, params: Any, first: Array, x: Any, start: Array) -> Solution:
    """Solves for all states of a recurrence, see `newton.solve`.

    Has first derivatives, forward and reverse, with respect to params, first and x; the first guess has none.

    Args:
      transition: one step; arrays that a derivative is taken of must be in params.
      first: state before the first step [*B, S].
      x: tree of arrays [T, *B, ...].
      start: first guess [T, *B, S], or None.
    """
    n = transition.size(solver, first.shape[-1])
    f = partial(transition.f, params)
    return newton.solve(f, lambda s, x: transition.blocks_at(params, s, x, n), first, x, solver, start)


@trajectory.defjvp
def _derivative(transition: Transition, solver: Solver, primals: tuple, tangents: tuple) -> tuple[Solution, Solution]:
    params, first, x, _ = primals
    found = trajectory(transition, solver, *primals)
    s_prev = before(first, found.states)
    D = transition.blocks_at(params, s_prev, x, transition.size(solver, first.shape[-1]))

    def image(params: Any, first: Array, x: Any) -> Array:
        return transition.f(params, before(first, found.states), x)

    b = jax.jvp(image, (params, first, x), tangents[:3])[1]
    if transition.is_local or solver.is_whole:
        d_states = run_whole(D, b)
    else:
        d_states = run_by_blocks(partial(transition.f, params), s_prev, x, D, b, solver)
    none: Any = np.zeros(found.iterations.shape, jax.dtypes.float0)
    return found, Solution(d_states, none, none)


def run_whole(D: Array, b: Array) -> Array:
    """Runs `blocks.run` with its known transpose."""

    def minus_pushed(d: Array) -> Array:
        n = D.shape[-1]
        return d - blocks.from_blocks(blocks.act(D, blocks.to_blocks(before(jnp.zeros_like(d[0]), d), n)))

    forth, back = (lambda _, b: blocks.run(D, b)), (lambda _, d: blocks.adjoint(D, d))
    return jax.lax.custom_linear_solve(minus_pushed, b, forth, back)


def run_by_blocks(f: newton.Step, s_prev: Array, x: Any, D: Array, b: Array, solver: Solver) -> Array:
    """Runs the same where D are only blocks of the Jacobians: these are pushed through f instead. Has its transpose."""
    linear = Solver("quasi", solver.tolerance, solver.iterations)
    nothing = jnp.zeros_like(b[0])

    def pushed(d: Array, at: tuple[Array, Any]) -> Array:
        s_prev, x = at
        return jax.jvp(lambda s: f(s, x), (s_prev,), (d,))[1]

    def pulled(d: Array, at: tuple[Array, Any]) -> Array:
        s_prev, x = at
        return jax.vjp(lambda s: f(s, x), s_prev)[1](d)[0]

    def solve(push: Callable, D: Array, at: tuple[Array, Any], b: Array) -> Array:
        scale = jnp.max(jnp.abs(b), axis=(0, -1))[..., None]  # the tolerance is a share of it
        scale = jnp.where(scale > 0, scale, 1)
        step = lambda d, here: push(d, here[0]) + here[1]
        return scale * newton.solve(step, lambda d, here: D, nothing, (at, b / scale), linear).states

    def back(_: Any, d: Array) -> Array:
        next_first = lambda leaf: jnp.roll(leaf, -1, axis=0)[::-1]  # the last λ meets no Jacobian
        transposed = blocks.transpose(next_first(D))
        return solve(pulled, transposed, jax.tree.map(next_first, (s_prev, x)), d[::-1])[::-1]

    at = (s_prev, x)
    forth = lambda _, b: solve(pushed, D, at, b)
    return jax.lax.custom_linear_solve(lambda d: d - pushed(before(nothing, d), at), b, forth, back)
