"""Any step, run in parallel over time: its real state as one vector, solved for by `trajectory`.

Newton's method cannot approach leaves of the state that are not real, such as counters and keys. Where they do not
depend on the real ones they are run first, one step after the other, which costs next to nothing.
"""

from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.errors import UserError
from rnnjax.model.dependence import needed, variables
from rnnjax.model.leaves import is_real, pack, put, reals, unpack
from rnnjax.model.network import Batch
from rnnjax.model.recurrence import Recurrence
from rnnjax.parallel.newton import Solution, Solver, before
from rnnjax.parallel.trajectory import Transition, trajectory

Array = jax.Array
Tree = Any


def run(
    recurrence: Recurrence, params: Tree, hyper: Tree, state: Tree, batch: Batch, solver: Solver, start: Tree = None
) -> tuple[Tree, Tree, Solution]:
    """Runs a window of any recurrence, all steps at once, with the results of `model.recurrence.run`.

    It has first derivatives by the real leaves of params, hyper and state, forward and reverse. Quasi keeps the
    diagonal of a Jacobian.

    Args:
      state: before the first step, each leaf [*B, ...].
      start: first guess of the states after every step, each leaf [T, *B, ...]; None: the solver's.

    Returns:
      The state after every step and the output of every step, each leaf [T, *B, ...]; and the solution.

    Raises:
      UserError: where a leaf of the state that is not real depends on real ones.
    """
    refuse_dependent(recurrence, params, hyper, state, batch)
    axes = len(recurrence.streams(state))
    own = jax.eval_shape(lambda: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[axes:], leaf.dtype), reals(state)))
    befores, afters = others(recurrence, params, hyper, state, batch)

    def advance(given: tuple[Tree, Tree], s: Array, x: tuple[Tree, Batch]) -> tuple[Tree, Tree]:
        """Next state and output, of one time step or of all, from the vectors s of the states before."""
        params, hyper = given
        unlike, batch_t = x
        return recurrence.step(params, hyper, put(unpack(s, own), unlike), batch_t)

    def f(given: tuple[Tree, Tree], s: Array, x: tuple[Tree, Batch]) -> Array:
        return pack(advance(given, s, x)[0], s.ndim - 1)

    first, x = pack(state, axes), (befores, batch)
    guess = None if start is None else pack(start, axes + 1)
    found = trajectory(Transition(f), solver, (params, hyper), first, x, guess)
    _, out = advance((params, hyper), before(first, found.states), x)
    return put(unpack(found.states, own), afters), out, found


def others(recurrence: Recurrence, params: Tree, hyper: Tree, state: Tree, batch: Batch) -> tuple[Tree, Tree]:
    """Runs the leaves of the state that are not real: before and after every step [T, *B, ...]; None for real ones."""
    unlike = lambda tree: jax.tree.map(lambda leaf: None if is_real(leaf) else leaf, tree)

    def body(now: Tree, batch_t: Batch) -> tuple[Tree, tuple[Tree, Tree]]:
        given = jax.tree.map(lambda old, new: old if new is None else new, state, now)
        then = unlike(recurrence.step(params, hyper, given, batch_t)[0])
        return then, (now, then)

    return jax.lax.scan(body, unlike(state), batch)[1]


def refuse_dependent(recurrence: Recurrence, params: Tree, hyper: Tree, state: Tree, batch: Batch) -> None:
    """Raises UserError for leaves of the state that are not real and depend on real ones."""
    leaves, structure = jax.tree.flatten(state)

    def advance(*leaves: Array) -> list[Array]:
        now = jax.tree.unflatten(structure, leaves)
        return jax.tree.leaves(recurrence.step(params, hyper, now, jax.tree.map(lambda leaf: leaf[0], batch))[0])

    program = jax.make_jaxpr(advance)(*leaves).jaxpr
    real = {given for leaf, given in zip(leaves, program.invars, strict=True) if is_real(leaf)}
    places = jax.tree_util.tree_leaves_with_path(state)
    for (path, leaf), result in zip(places, program.outvars, strict=True):
        if not is_real(leaf) and needed(program, variables([result])) & real:
            raise UserError(
                f"state{jax.tree_util.keystr(path)} is {leaf.dtype} and depends on real numbers of the state, which "
                f"Newton's method over time cannot follow: take a method that goes one step after the other"
            )
