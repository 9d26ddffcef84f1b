"""Anybody's step over a window of time, one step after the other or all at once."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.config.checks import check, check_options
from rnnjax.gradients import deer
from rnnjax.gradients.arguments import (
    arrays,
    check_leading,
    check_numbers,
    check_step,
    check_streams,
    check_window,
    of_one,
    with_masks,
)
from rnnjax.model import recurrence as recurrences
from rnnjax.model.network import Batch
from rnnjax.model.recurrence import Initial, Recurrence, Step, of_step, precision
from rnnjax.parallel import any_step
from rnnjax.parallel.newton import Solver

Array = jax.Array
Tree = Any

METHODS = ("sequential", "deer", "quasi", "elk", "quasi_elk")


class Trajectory(NamedTuple):
    """Run of a step over a window.

    Attributes:
      state: the state after the window, each leaf [*B, ...].
      outs: the output of every step, each leaf [T, *B, ...].
      states: the state after every step, each leaf [T, *B, ...].
      iterations: times that all steps were computed at once, of each stream, int32 [*B]; 0 one after the other.
      sequential: steps that were computed one after the other, of each stream, int32 [*B].
    """

    state: Tree
    outs: Tree
    states: Tree
    iterations: Array
    sequential: Array


def unroll(
    step: Step,
    params: Tree,
    state: Tree,
    xs: Tree,
    method: Literal["sequential", "deer", "quasi", "elk", "quasi_elk"] = "deer",
    *,
    batch_axes: int = 1,
    valid: Any = None,
    reset: Any = None,
    initial: Initial = recurrences.zeros,
    start: Tree = "zeros",
    **options: Any,
) -> Trajectory:
    """Runs a step over a window: by Newton's method for all steps at once, or one after the other.

    Each stream converges on its own. Steps that do not are computed one after the other and counted, so that every
    trajectory follows the step within the tolerance. Has first derivatives, forward and reverse, by all real leaves.

    >>> import jax.numpy as jnp, rnnjax
    >>> def step(w, h, x):
    ...     h = jnp.tanh(w * h + x)
    ...     return h, h
    >>> xs = jnp.ones((1000, 1)) / 2
    >>> at_once = rnnjax.unroll(step, 0.5, jnp.zeros(1), xs)
    >>> in_turn = rnnjax.unroll(step, 0.5, jnp.zeros(1), xs, "sequential")
    >>> bool(jnp.allclose(at_once.states, in_turn.states)), int(at_once.iterations[0]) < 10, int(at_once.sequential[0])
    (True, True, 0)

    `params`, `state`, `xs`, `valid`, `reset`, `batch_axes` and `initial` are as in `rnnjax.gradient`.

    Args:
      step: (params, state, x_t) -> (state, output) of one stream at one time.
      method: sequential; deer: Newton's method, T·S² memory and S³ work a step; quasi: with the diagonal of the
        Jacobian, T·S; elk, quasi_elk: the same two in a trust region.
      start: the first guess: zeros, held (the state before the window), or states such as `Trajectory.states` of the
        same window with other parameters, each leaf [T, *B, ...].
      options: tolerance, iterations (the most), damping, chunk_steps and start_steps, as in `rnnjax.gradient`.

    Raises:
      UserError: for an argument that does not fit, and for a state that is not real and depends on real numbers.
    """
    check(method in METHODS, "method", method, f"one of {', '.join(METHODS)}")
    check_options(options, ("tolerance", "iterations", "damping", "chunk_steps", "start_steps"))
    params, state, batch = read(step, batch_axes, params, state, xs, valid, reset)
    recurrence = of_step(step, nothing, batch_axes=batch_axes, initial=initial)
    if method == "sequential":
        return in_turn(recurrence, params, state, batch)
    guess = None
    if not isinstance(start, str):
        guess, start = arrays("start", start), "zeros"
        check_leading("start", guess, batch.shape[:1], batch.shape[1:])
        shapes = lambda tree: jax.tree.map(lambda leaf: leaf.shape, tree)
        like = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (batch.shape[0], *leaf.shape)), state)
        check(shapes(guess) == shapes(like), "start", shapes(guess), f"states of every step, {shapes(like)}")
    solver = deer.make_solver(GradientConfig("deer", solver=method, start=start, **options))
    return at_once(recurrence, params, state, batch, solver, guess)


def read(
    step: Step, batch_axes: int, params: Tree, state: Tree, xs: Tree, valid: Any, reset: Any
) -> tuple[Tree, Tree, Batch]:
    """Parameters, state and window as arrays that fit the step, see `arguments.read`."""
    params, state, xs = arrays("params", params), arrays("state", state), arrays("xs", xs)
    for name, tree in (("params", params), ("state", state)):
        check_numbers(name, tree)
    streams = check_streams(state, batch_axes)
    check_window(xs, (), streams)
    (state_of_one,), (x,) = of_one(batch_axes, state), of_one(batch_axes + 1, xs)
    check_step(step, params, state_of_one, x)
    return params, state, with_masks(xs, (), streams, precision(params), valid, reset, None)


def nothing(out: Tree, y: Tree) -> Array:
    """The loss of what has none."""
    return jnp.zeros(())


def in_turn(recurrence: Recurrence, params: Tree, state: Tree, batch: Batch) -> Trajectory:
    """The loop over time."""

    def body(state: Tree, batch_t: Batch) -> tuple[Tree, tuple[Tree, Tree]]:
        state, out = recurrence.step(params, (), state, batch_t)
        return state, (state, out)

    last, (states, outs) = jax.lax.scan(body, state, batch)
    T, *streams = batch.shape
    return Trajectory(last, outs, states, jnp.zeros(streams, jnp.int32), jnp.full(streams, T, jnp.int32))


def at_once(recurrence: Recurrence, params: Tree, state: Tree, batch: Batch, solver: Solver, guess: Tree) -> Trajectory:
    """The same by a solver."""
    states, outs, found = any_step.run(recurrence, params, (), state, batch, solver, guess)
    return Trajectory(jax.tree.map(lambda leaf: leaf[-1], states), outs, states, found.iterations, found.sequential)
