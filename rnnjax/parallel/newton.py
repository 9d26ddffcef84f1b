"""Newton's method on a whole trajectory (Lim et al., 2024, "Parallelizing non-linear sequential models over the
sequence length"; Gonzalez et al., 2024, "Towards scalable and stable parallelization of nonlinear RNNs").

The trajectory of a recurrence is the zero of rₜ = f(sₜ₋₁, xₜ) - sₜ, all t at once. Newton's step δ from a guess solves

    δₜ = Dₜ δₜ₋₁ + rₜ        Dₜ = ∂f/∂s at (sₜ₋₁, xₜ)

which is one scan. With any Dₜ a step whose predecessors are exact becomes exact, so that T iterations are enough. Fewer
are needed the faster the recurrence forgets, whatever T. Where a guess is not finite f(sₜ₋₁, xₜ) is taken. Steps that
have not converged are computed one after the other, from the first that is not within the tolerance: every trajectory
that is returned follows the recurrence.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.parallel.blocks import run
from rnnjax.parallel.smoother import smooth

Array = jax.Array
Kind = Literal["deer", "quasi", "elk", "quasi_elk"]

FIRST_TRUST = 1.0
TRUST_FACTOR = 10.0


class Solver(NamedTuple):
    """Solver of a trajectory.

    Attributes:
      kind: deer: Newton's method. quasi: with the blocks on the Jacobian's diagonal, of each unit on itself.
        elk, quasi_elk: the same two within a trust region, which grows and shrinks as steps fail and succeed.
      tolerance: largest |rₜ|, as a share of max(1, |sₜ|); 0: that of the precision, see `Solver.within`.
      iterations: most iterations; steps not within the tolerance by then are computed in sequence.
      damping: share of the Jacobian that is left out, from 0 to 1. 1 is Picard's iteration.
      chunk_steps: steps of the chunks of a window, solved one after the other; 0: the window is solved at once.
      start: first guess, where none is given: zeros, or held, the state before the window (or the chunk) throughout.
      start_steps: first steps of that guess that are computed one after the other; held then holds the last of them.
    """

    kind: Kind = "deer"
    tolerance: float = 0.0
    iterations: int = 100
    damping: float = 0.0
    chunk_steps: int = 0
    start: Literal["zeros", "held"] = "zeros"
    start_steps: int = 0

    @property
    def is_whole(self) -> bool:
        """True where Jacobians are kept whole."""
        return self.kind in ("deer", "elk")

    def within(self, dtype: jnp.dtype) -> float:
        """Tolerance: by default 1e-12 in float64, and 25 units of rounding in other types: 3e-6 in float32."""
        return self.tolerance or (1e-12 if jnp.dtype(dtype) == jnp.float64 else 25 * float(jnp.finfo(dtype).eps))


class Solution(NamedTuple):
    """Trajectory and its cost.

    Attributes:
      states: sₜ of every step [T, *B, S].
      iterations: times that all steps were computed at once, the last check included, by stream, int32 [*B].
      sequential: steps that were computed one after the other, by stream, int32 [*B].
    """

    states: Array
    iterations: Array
    sequential: Array


class Guess(NamedTuple):
    """State of the loop: s [T, *B, S], its f(sₜ₋₁, xₜ), and λ and iterations so far of each stream [*B]."""

    s: Array
    image: Array
    trust: Array
    iterations: Array


Step = Callable[[Array, Any], Array]
"""Step (s [..., S], x [..., *]) -> the next s, each vector on its own: for one time step or for all of them."""


def solve(
    f: Step, jacobian: Callable[[Array, Any], Array], first: Array, x: Any, solver: Solver, start: Array | None = None
) -> Solution:
    """Solves for the trajectory of a recurrence, which equals, within the tolerance at each step, the one of

        for t in range(T):
            s = states[t] = f(s, x[t])

    Each stream converges on its own: neither its states nor its counts depend on those beside it.

    Args:
      f: one step.
      jacobian: (s, x) -> the blocks that stand for ∂f/∂s, [..., S/n, n, n].
      first: state before the first step [*B, S].
      x: tree of arrays [T, *B, ...].
      start: first guess [T, *B, S]; None: the solver's.
    """
    T = steps_of(x)
    length = solver.chunk_steps or T
    if length >= T:
        return solve_chunk(f, jacobian, first, x, start, solver)

    def body(s: Array, chunk: tuple[Any, Array | None]) -> tuple[Array, Solution]:
        found = solve_chunk(f, jacobian, s, *chunk, solver)
        return found.states[-1], found

    whole, rest = divmod(T, length)
    parts = jax.tree.map(lambda leaf: leaf[: whole * length].reshape(whole, length, *leaf.shape[1:]), (x, start))
    last, found = jax.lax.scan(body, first, parts)
    states = found.states.reshape(whole * length, *first.shape)
    found = Solution(states, jnp.sum(found.iterations, axis=0), jnp.sum(found.sequential, axis=0))
    if not rest:
        return found
    x, start = jax.tree.map(lambda leaf: leaf[whole * length :], (x, start))
    end = solve_chunk(f, jacobian, last, x, start, solver)
    states = jnp.concatenate([states, end.states])
    return Solution(states, found.iterations + end.iterations, found.sequential + end.sequential)


def steps_of(x: Any) -> int:
    """T of a tree of arrays [T, ...]."""
    return jax.tree.leaves(x)[0].shape[0]


def first_guess(f: Step, first: Array, x: Any, solver: Solver) -> Array:
    """First guess of a solver [T, *B, S]: its first steps in sequence, then zeros, or their last state held."""
    T = steps_of(x)
    count = min(solver.start_steps, T)

    def body(s: Array, x_t: Any) -> tuple[Array, Array]:
        s = f(s, x_t)
        return s, s

    last, begun = jax.lax.scan(body, first, jax.tree.map(lambda leaf: leaf[:count], x))
    rest = last if solver.start == "held" else jnp.zeros_like(first)
    return jnp.concatenate([begun, jnp.broadcast_to(rest, (T - count, *first.shape))])


def before(first: Array, states: Array) -> Array:
    """State before each step [T, *B, S]."""
    return jnp.concatenate([first[None], states[:-1]])


def solve_chunk(
    f: Step, jacobian: Callable[[Array, Any], Array], first: Array, x: Any, start: Array | None, solver: Solver
) -> Solution:
    """Solves as `solve` does, without chunks."""
    start = first_guess(f, first, x, solver) if start is None else start
    within = solver.within(start.dtype)
    next_guess = in_trust_region if solver.kind in ("elk", "quasi_elk") else newton

    def is_open(guess: Guess) -> Array:
        return ~jnp.all(follows(guess, within), axis=0)

    def again(guess: Guess) -> Array:
        return jnp.any(is_open(guess) & (guess.iterations < solver.iterations))

    def body(guess: Guess) -> Guess:
        open_ = is_open(guess)
        D = (1 - solver.damping) * jacobian(before(first, guess.s), x)
        new = next_guess(lambda s: f(before(first, s), x), D, guess)
        kept = jax.tree.map(lambda new, old: jnp.where(shaped(open_, new), new, old), new, guess)
        return kept._replace(iterations=guess.iterations + open_)

    image, streams = f(before(first, start), x), first.shape[:-1]
    trust, once = jnp.full(streams, FIRST_TRUST, start.dtype), jnp.ones(streams, jnp.int32)
    guess = jax.lax.while_loop(again, body, Guess(start, image, trust, once))
    exact = exact_steps(follows(guess, within))
    return Solution(finish(f, first, x, guess.s, exact), guess.iterations, start.shape[0] - exact)


def follows(guess: Guess, within: float) -> Array:
    """True where a step follows from the one before, bool [T, *B]; False where it is not finite."""
    scale = jnp.maximum(1, jnp.abs(guess.s))
    return jnp.all(jnp.abs(guess.image - guess.s) <= within * scale, axis=-1)


def exact_steps(follows: Array) -> Array:
    """Number of steps before the first that does not follow, int32 [*B]."""
    return jnp.sum(jnp.cumprod(follows.astype(jnp.int32), axis=0), axis=0, dtype=jnp.int32)


def shaped(stream: Array, like: Array) -> Array:
    """Reshapes a number of each stream [*B] to broadcast over [T, *B, S] or [*B]."""
    return stream if like.ndim == stream.ndim else stream[..., None]


def newton(image: Callable[[Array], Array], D: Array, guess: Guess) -> Guess:
    """Next guess s + δ, or f(sₜ₋₁, xₜ) where that is not finite."""
    moved = guess.s + run(D, guess.image - guess.s)
    s = jnp.where(jnp.isfinite(moved), moved, guess.image)
    return guess._replace(s=s, image=image(s))


def in_trust_region(image: Callable[[Array], Array], D: Array, guess: Guess) -> Guess:
    """Next guess with a tenth of λ, if it lowers Σ|rₜ|²; else this guess with ten times λ."""
    r = guess.image - guess.s
    s = guess.s + smooth(D, r, guess.trust)
    then = image(s)
    is_better = squared_norm(then - s) < squared_norm(r)
    tried = Guess(s, then, guess.trust / TRUST_FACTOR, guess.iterations)
    stayed = guess._replace(trust=guess.trust * TRUST_FACTOR)
    return jax.tree.map(lambda new, old: jnp.where(shaped(is_better, new), new, old), tried, stayed)


def squared_norm(r: Array) -> Array:
    """Σ|rₜ|² of each stream [*B]."""
    return jnp.sum(r * r, axis=(0, -1))


def finish(f: Step, first: Array, x: Any, states: Array, exact: Array) -> Array:
    """Computes the trajectory step by step from the place where each stream is no longer exact [*B]."""

    def body(loop: tuple[Array, Array]) -> tuple[Array, Array]:
        t, states = loop
        s_prev = jnp.where(t == 0, first, states[jnp.maximum(t - 1, 0)])
        s = f(s_prev, jax.tree.map(lambda leaf: leaf[t], x))
        return t + 1, states.at[t].set(jnp.where((t < exact)[..., None], states[t], s))

    T = states.shape[0]
    return jax.lax.while_loop(lambda loop: loop[0] < T, body, (jnp.min(exact), states))[1]
