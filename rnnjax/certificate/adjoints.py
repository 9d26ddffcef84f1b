"""Derivatives that somebody wrote by hand, of a step or of a cell, against those that JAX derives of the same function.

They are compared at single steps, each with a scale of its own, at adjoints of several kinds: random ones, ones of the
state or of the output alone, and zeros, from which nothing may come back.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.certificate.check import Check, raised
from rnnjax.certificate.difference import SMALLEST_SHARE, of_leaf
from rnnjax.certificate.exact import quick
from rnnjax.gradients.claim import ROUNDING
from rnnjax.model.cells import Cell, Hyper
from rnnjax.model.leaves import put, reals
from rnnjax.model.network import leaf_name
from rnnjax.model.recurrence import Adjoint, Step, with_adjoint

Array = jax.Array
Tree = Any

NUMBER = 9
"""Place of these checks in the list of docs/certificate.md."""

STATES, UNITS = 12, 3
"""Random states of so many units, at which a cell is tried."""

LEAST = 1e-5
"""Least scale of a step, as a share of the largest entry at all steps: below it rounding is no small share."""

KINDS = {"all": (1.0, 1.0), "the state": (1.0, 0.0), "the output": (0.0, 1.0), "nothing": (0.0, 0.0)}
"""Adjoints that are handed back, as factors of random ones of the state and of the output."""


def of_step(step: Step, adjoint: Adjoint, params: Tree, states: Tree, xs: Tree) -> Iterator[Check]:
    """Checks of an adjoint at every one of M steps.

    Args:
      states: before each step, each leaf [M, ...].
      xs: at each step, each leaf [M, ...].
    """
    on = "the step"
    try:
        found, truth = jax.device_get(quick(both_ways(step, adjoint))(params, states, xs))
        for part, by_hand, derived in zip(("params", "state"), found, truth, strict=True):
            claim = f"∂/∂{part} by hand = JAX's, at each of {count(states)} steps"
            yield worst_of(on, claim, tuple(KINDS), by_hand, derived)
    except Exception as error:  # as in `matrix.row_of`
        yield Check(NUMBER, "adjoint", "by hand = JAX's", on, None, reason=raised(error))


def count(tree: Tree) -> int:
    """Steps of a tree whose leaves lead with them."""
    return jax.tree.leaves(tree)[0].shape[0]


def both_ways(step: Step, adjoint: Adjoint) -> Callable:
    """(params, states, xs) -> what comes back by hand, and by JAX: to parameters and state, leaves [M, kinds, ...]."""

    def pull(function: Step, params: Tree, state: Tree, x: Tree) -> Callable:
        def of_reals(real_params: Tree, real_state: Tree) -> tuple[Tree, Tree]:
            new, out = function(put(real_params, params), put(real_state, state), x)
            return reals(new), reals(out)

        return jax.vjp(of_reals, reals(params), reals(state))[1]

    def at_one(params: Tree, state: Tree, x: Tree, key: Array) -> tuple[tuple, tuple]:
        d_state, d_out = random_like(key, jax.eval_shape(lambda: tuple(map(reals, step(params, state, x)))))
        of_state, of_out = jnp.array(list(KINDS.values())).T
        scaled = lambda by, d: jax.tree.map(lambda leaf: jnp.multiply.outer(by, leaf), d)
        d = scaled(of_state, d_state), scaled(of_out, d_out)
        by_hand, derived = pull(with_adjoint(step, adjoint), params, state, x), pull(step, params, state, x)
        return jax.vmap(by_hand)(d), jax.vmap(derived)(d)

    def at_all(params: Tree, states: Tree, xs: Tree) -> tuple[tuple, tuple]:
        keys = jax.random.split(jax.random.key(NUMBER), count(states))
        return jax.lax.map(lambda one: at_one(params, *one), (states, xs, keys))

    return at_all


def of_cell(cell: Cell) -> Iterator[Check]:
    """Checks of a cell's adjoint at random states, a kind for each part of the state; none where JAX derives it."""
    if cell.adjoint is None:
        return
    on = f"cell {cell}"
    try:
        found, truth = jax.device_get(quick(cell_both_ways(cell))(jax.random.key(NUMBER)))
        yield worst_of(on, f"its adjoint by hand = JAX's, at each of {STATES} states", cell.states, found, truth)
    except Exception as error:  # as in `matrix.row_of`
        yield Check(NUMBER, "adjoint", "by hand = JAX's", on, None, reason=raised(error))


def cell_both_ways(cell: Cell) -> Callable:
    """key -> what comes back by hand, and by JAX, each leaf [M, parts of the state, ...]."""
    G, parts, hyper = len(cell.gates), len(cell.states), Hyper(leak=0.6)

    def pulled(a: Array, z: Array | None, state: tuple, own: tuple, d: tuple, local: Any) -> tuple[dict, dict]:
        """One state of two streams."""
        d_a, d_z, d_state, *d_own = cell.adjoint(hyper, local, d)
        pull = jax.vjp(lambda *given: cell.forward(hyper, *given)[0], a, z, state, *own)[1]
        of_a, of_z, of_state, *of_own = pull(d)
        whole = lambda leaf: jnp.sum(leaf, axis=tuple(range(leaf.ndim - 1)))
        if z is None:
            d_z = of_z = None
        by_hand = {"a": d_a, "z": d_z, "state": d_state, "own": [whole(leaf) for leaf in d_own]}
        return by_hand, {"a": of_a, "z": of_z, "state": of_state, "own": of_own}

    def at_all(key: Array) -> tuple[dict, dict]:
        shape = jax.ShapeDtypeStruct((STATES, 2, UNITS), float)
        wide = jax.ShapeDtypeStruct((STATES, 2, G * UNITS), float)
        own_shapes = tuple(jax.ShapeDtypeStruct((UNITS,), float) for _ in cell.own)
        shapes = wide, wide if cell.recurrence != "none" else None, (shape,) * parts, own_shapes, (shape,) * parts
        a, z, state, own, d = random_like(key, shapes)
        saved = jax.vmap(lambda a, z, state: cell.forward(hyper, a, z, state, *own)[1])(a, z, state)
        local = cell.derivatives(hyper, saved, *own)
        by_state = tuple(jnp.einsum("k,m...->mk...", one, leaf) for one, leaf in zip(jnp.eye(parts), d, strict=True))

        def at_one(one: tuple) -> tuple[dict, dict]:
            a, z, state, local, alone = one
            return jax.vmap(lambda d: pulled(a, z, state, own, d, local))(alone)

        return jax.lax.map(at_one, (a, z, state, local, by_state))

    return at_all


def random_like(key: Array, shapes: Tree) -> Tree:
    """Independent Gaussian numbers in the shapes of a tree."""
    leaves, structure = jax.tree.flatten(shapes)
    keys = jax.random.split(key, max(len(leaves), 1))
    drawn = [jax.random.normal(key, leaf.shape, leaf.dtype) for key, leaf in zip(keys, leaves, strict=False)]
    return jax.tree.unflatten(structure, drawn)


def worst_of(on: str, claim: str, kinds: tuple[str, ...], found: Tree, truth: Tree) -> Check:
    """Check of the worst leaf [M, kinds, ...], at the worst step and kind; a fault is named by them."""
    value, where = 0.0, ""
    named = jax.tree_util.tree_leaves_with_path(truth)
    for by_hand, (path, derived) in zip(jax.tree.leaves(found), named, strict=True):
        largest = float(np.abs(derived).max(initial=0))
        for m, kind in np.ndindex(derived.shape[:2]):
            error = of_leaf(by_hand[m, kind], derived[m, kind], SMALLEST_SHARE * largest, LEAST * largest)
            if not error <= value:
                value, where = error, f"{leaf_name(path) or '-'} at step {m}, where {kinds[kind]} is handed back"
    fault = f": {where}" if not value <= ROUNDING else ""
    return Check(NUMBER, "adjoint", claim + fault, on, value)
