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

KINDS = {"both": (1.0, 1.0), "the state": (1.0, 0.0), "the output": (0.0, 1.0), "nothing": (0.0, 0.0)}
"""What is handed back, as factors of random adjoints of the state and of the output."""


def of_step(step: Step, adjoint: Adjoint, params: Tree, states: Tree, xs: Tree) -> Iterator[Check]:
    """Checks of an adjoint at every one of M steps.

    Args:
      states, xs: before and at each step, each leaf [M, ...].
    """
    on = "the step"
    try:
        found, truth = quick(both_ways(step, adjoint))(params, states, xs)
        for part in ("params", "state"):
            of_part = lambda way, part=part: {kind: back[part] for kind, back in way.items()}
            claim = f"∂/∂{part} by hand = JAX's, at each of {count(states)} steps"
            yield worst_of(on, claim, of_part(found), of_part(truth))
    except Exception as error:  # as in `matrix.row_of`
        yield Check(NUMBER, "adjoint", "by hand = JAX's", on, None, reason=raised(error))


def count(tree: Tree) -> int:
    """Steps of a tree whose leaves lead with them."""
    return jax.tree.leaves(tree)[0].shape[0]


def both_ways(step: Step, adjoint: Adjoint) -> Callable:
    """(params, states, xs) -> what comes back by hand, and by JAX: for each kind, of parameters and state."""

    def pull(function: Step, params: Tree, state: Tree, x: Tree) -> Callable:
        def of_reals(real_params: Tree, real_state: Tree) -> tuple[Tree, Tree]:
            new, out = function(put(real_params, params), put(real_state, state), x)
            return reals(new), reals(out)

        return jax.vjp(of_reals, reals(params), reals(state))[1]

    def at_one(params: Tree, state: Tree, x: Tree, key: Array) -> tuple[dict, dict]:
        d = random_like(key, jax.eval_shape(lambda: tuple(map(reals, step(params, state, x)))))
        scaled = lambda by: tuple(jax.tree.map(lambda leaf, s=s: s * leaf, part) for s, part in zip(by, d, strict=True))
        by_hand, derived = pull(with_adjoint(step, adjoint), params, state, x), pull(step, params, state, x)
        named = lambda back: dict(zip(("params", "state"), back, strict=True))
        of_kinds = lambda pull: {kind: named(pull(scaled(by))) for kind, by in KINDS.items()}
        return of_kinds(by_hand), of_kinds(derived)

    def at_all(params: Tree, states: Tree, xs: Tree) -> tuple[dict, dict]:
        keys = jax.random.split(jax.random.key(NUMBER), count(states))
        return jax.lax.map(lambda one: at_one(params, *one), (states, xs, keys))

    return at_all


def of_cell(cell: Cell) -> Iterator[Check]:
    """Checks of a cell's adjoint at random states, a kind for each part of the state; none where JAX derives it."""
    if cell.adjoint is None:
        return
    on = f"cell {cell}"
    try:
        found, truth = quick(cell_both_ways(cell))(jax.random.key(NUMBER))
        yield worst_of(on, f"its adjoint by hand = JAX's, at each of {STATES} states", found, truth)
    except Exception as error:  # as in `matrix.row_of`
        yield Check(NUMBER, "adjoint", "by hand = JAX's", on, None, reason=raised(error))


def cell_both_ways(cell: Cell) -> Callable:
    """key -> what comes back by hand, and by JAX, for each part of the state."""
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
        ways: tuple[dict, dict] = {}, {}
        for index, part in enumerate(cell.states):
            alone = tuple(leaf * (place == index) for place, leaf in enumerate(d))
            both = jax.lax.map(
                lambda one: pulled(one[0], one[1], one[2], own, one[3], one[4]), (a, z, state, alone, local)
            )
            for way, back in zip(ways, both, strict=True):
                way[part] = back
        return ways

    return at_all


def random_like(key: Array, shapes: Tree) -> Tree:
    """Independent Gaussian numbers in the shapes of a tree."""
    leaves, structure = jax.tree.flatten(shapes)
    keys = jax.random.split(key, max(len(leaves), 1))
    drawn = [jax.random.normal(key, leaf.shape, leaf.dtype) for key, leaf in zip(keys, leaves, strict=False)]
    return jax.tree.unflatten(structure, drawn)


def worst_of(on: str, claim: str, found: dict[str, Tree], truth: dict[str, Tree]) -> Check:
    """Check of the worst leaf [M, ...], at the worst step and kind; a fault is named by them."""
    value, where = 0.0, ""
    for kind in truth:
        parts: list[Any] = [jax.tree_util.tree_leaves_with_path(way[kind]) for way in (found, truth)]
        for (_, by_hand), (path, derived) in zip(*parts, strict=True):
            largest = float(np.abs(derived).max(initial=0))
            for m, pair in enumerate(zip(np.asarray(by_hand), np.asarray(derived), strict=True)):
                error = of_leaf(*pair, SMALLEST_SHARE * largest, LEAST * largest)
                if not error <= value:
                    value, where = error, f"{leaf_name(path) or '-'} at step {m}, where {kind} is handed back"
    fault = f": {where}" if not value <= ROUNDING else ""
    return Check(NUMBER, "adjoint", claim + fault, on, value)
