"""Fixed and slow points of a recurrence at constant input, and the linear dynamics around them (Sussillo & Barak, 2013,
"Opening the black box: low-dimensional dynamics in high-dimensional recurrent neural networks").

At an input that stays the same a step is a map s ← F(s). Its speed is |F(s) - s|, and

    q(s) = ½ |F(s) - s|²

is 0 at a fixed point, stable or not; at a local minimum above 0 the state lingers. From visited states q is made small
by damped Gauss-Newton steps (Levenberg, 1944; Marquardt, 1963), with J = ∂F/∂s:

    ((J - 1)ᵀ(J - 1) + μ) δ = -(J - 1)ᵀ(F(s) - s)

J's eigenvalues tell what a small deviation does at each step: it grows where |λ| > 1.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from rnnjax.errors import UserError
from rnnjax.model.recurrence import Step

Array = jax.Array
Tree = Any
Map = Callable[[Array], Array]

SPEED = {"float64": 1e-9, "float32": 1e-4}
"""Speed below which a point counts as fixed, by precision."""

LOWEST, HIGHEST = 1e-12, 1e12
"""Ends of the damping μ."""


class FixedPoints(NamedTuple):
    """n different points, the stable ones first, then by unstable directions.

    Attributes:
      states: leaves [n, ...], each as the state of the step.
      speeds: |F(s) - s| [n].
      eigenvalues: those of ∂F/∂s, complex [n, S], the largest first.
      unstable: eigenvalues above 1 in size [n]; 0: stable.
      found: starts that ended there [n].
    """

    states: Tree
    speeds: np.ndarray
    eigenvalues: np.ndarray
    unstable: np.ndarray
    found: np.ndarray


def fixed_points(
    step: Step,
    params: Tree,
    x: Tree,
    starts: Tree,
    *,
    slowest: float | None = None,
    apart: float = 1e-3,
    iterations: int = 200,
) -> FixedPoints:
    """The fixed points of a step at one input, from states that it has visited.

    >>> import jax.numpy as jnp, rnnjax
    >>> def step(params, state, x):
    ...     state = jnp.tanh(params * state + x)
    ...     return state, state
    >>> points = rnnjax.fixed_points(step, 2.0, 0.0, jnp.linspace(-1, 1, 9))
    >>> [round(float(s), 2) for s in points.states], points.unstable.tolist()
    ([-0.96, 0.96, 0.0], [0, 0, 1])

    Args:
      step: (params, state, x) -> (state, output) of one stream.
      x: the input that stays.
      starts: states, leaves [n, ...].
      slowest: largest speed of a point; None: that of a fixed point in this precision, 1e-9 or 1e-4. A larger one keeps
        slow points too.
      apart: points nearer than this, as a Euclidean distance, are one.
      iterations: Gauss-Newton steps from each start, O(S³) each.

    Raises:
      UserError: if the states hold anything but real numbers of one precision, or are no batch.
    """
    leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(starts)]
    if not leaves or any(leaf.ndim == 0 or len(leaf) != len(leaves[0]) for leaf in leaves):
        raise UserError("starts must be states side by side, each leaf [n, ...]")
    kinds = {str(leaf.dtype) for leaf in leaves}
    if len(kinds) > 1 or not kinds <= set(SPEED):
        raise UserError(f"starts are {', '.join(sorted(kinds))}, but must be real numbers of one precision")
    starts = jax.tree.map(jnp.asarray, starts)
    limit = SPEED[kinds.pop()] if slowest is None else slowest

    ends, vectors, speeds = search(step, params, x, starts, iterations)
    chosen, found = distinct(np.asarray(vectors), np.asarray(speeds), limit, apart)
    points = jax.tree.map(lambda leaf: leaf[chosen], ends)
    return ordered(points, np.asarray(speeds)[chosen], np.asarray(jacobians(step, params, x, points)), found)


@partial(jax.jit, static_argnames=("step", "iterations"))
def search(step: Step, params: Tree, x: Tree, starts: Tree, iterations: int) -> tuple[Tree, Array, Array]:
    """The end of the way down from each start, as a state and as a vector [n, S], and its speed [n]."""

    def of_one(start: Tree) -> tuple[Tree, Array, Array]:
        vector, unravel = ravel_pytree(start)
        advance = lambda s: ravel_pytree(step(params, unravel(s), x)[0])[0]
        end, speed = slow_down(advance, vector, iterations)
        return unravel(end), end, speed

    return jax.vmap(of_one)(starts)


@partial(jax.jit, static_argnames="step")
def jacobians(step: Step, params: Tree, x: Tree, points: Tree) -> Array:
    """∂F/∂s at each point [n, S, S]."""

    def of_one(point: Tree) -> Array:
        vector, unravel = ravel_pytree(point)
        return jax.jacfwd(lambda s: ravel_pytree(step(params, unravel(s), x)[0])[0])(vector)

    return jax.vmap(of_one)(points)


def slow_down(advance: Map, s: Array, iterations: int) -> tuple[Array, Array]:
    """A state [S] near s at which q is least, and its speed; a step that does not lower q is not taken."""

    def body(_: int, loop: tuple[Array, Array]) -> tuple[Array, Array]:
        s, damping = loop
        moves = advance(s) - s
        slope = jax.jacfwd(advance)(s) - jnp.eye(s.size, dtype=s.dtype)
        normal = slope.T @ slope + damping * jnp.eye(s.size, dtype=s.dtype)
        tried = s - jax.scipy.linalg.solve(normal, slope.T @ moves, assume_a="pos")
        better = jnp.sum((advance(tried) - tried) ** 2) < jnp.sum(moves**2)  # False for nan
        damping = jnp.clip(damping * jnp.where(better, 0.2, 5.0), LOWEST, HIGHEST)
        return jnp.where(better, tried, s), damping

    s, _ = jax.lax.fori_loop(0, iterations, body, (s, jnp.asarray(1e-2, s.dtype)))
    return s, jnp.linalg.norm(advance(s) - s)


def distinct(ends: np.ndarray, speeds: np.ndarray, limit: float, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the slowest state of each group of states [n, S] that are near each other, and the groups' sizes."""
    chosen: list[int] = []
    found: list[int] = []
    for index in np.argsort(speeds, kind="stable"):
        if not speeds[index] <= limit:
            break
        distances = np.linalg.norm(ends[chosen] - ends[index], axis=1) if chosen else np.array([])
        if len(distances) and distances.min() < apart:
            found[int(distances.argmin())] += 1
        else:
            chosen.append(int(index))
            found.append(1)
    return np.array(chosen, int), np.array(found, int)


def ordered(states: Tree, speeds: np.ndarray, jacobians: np.ndarray, found: np.ndarray) -> FixedPoints:
    """The points with their eigenvalues, the stable ones first; those found more often come first among their like."""
    eigenvalues = np.linalg.eigvals(jacobians) if len(jacobians) else np.zeros(jacobians.shape[:2], complex)
    eigenvalues = np.take_along_axis(eigenvalues.astype(complex), np.argsort(-np.abs(eigenvalues), axis=1), axis=1)
    unstable = np.sum(np.abs(eigenvalues) > 1, axis=1)
    order = np.lexsort((-found, unstable))
    states = jax.tree.map(lambda leaf: np.asarray(leaf)[order], states)
    return FixedPoints(states, speeds[order], eigenvalues[order], unstable[order], found[order])
