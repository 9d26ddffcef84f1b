"""Newton's method on a whole trajectory (Lim et al., 2024, "Parallelizing non-linear sequential models over the
sequence length"; Gonzalez et al., 2024, "Towards scalable and stable parallelization of nonlinear RNNs").

The trajectory of a recurrence is the zero of rₜ = f(sₜ₋₁, xₜ) - sₜ, all t at once. Newton's step δ from a guess solves

    δₜ = Dₜ δₜ₋₁ + rₜ        Dₜ = ∂f/∂s at (sₜ₋₁, xₜ)

which is one scan. Whatever stands for Dₜ, a step whose predecessors are exact becomes exact, so that T iterations are
enough; how many fewer depends on how fast the recurrence forgets, not on T. Where a guess is not finite f(sₜ₋₁, xₜ) is
taken. What has not converged is computed one step after the other, from the first step that is not within the
tolerance: no trajectory is returned that does not follow the recurrence.
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
    """How a trajectory is found.

    Attributes:
      kind: deer: Newton's method. quasi: with the blocks on the Jacobian's diagonal, what each unit does to itself.
        elk, quasi_elk: the same two within a trust region, which grows and shrinks as steps fail and succeed.
      tolerance: of each |rₜ|, as a share of max(1, |sₜ|); 0: that of the precision, see `Solver.within`.
      iterations: at most as many; what is then not within the tolerance is computed in sequence.
      damping: from 0, none, to 1: the share of the Jacobian that is left out. 1 is Picard's iteration.
      chunk_steps: the window is cut into chunks of as many steps, solved one after the other; 0: it is solved at once.
      start: the first guess where none is given: zeros, or held, the state before the first step throughout.
    """

    kind: Kind = "deer"
    tolerance: float = 0.0
    iterations: int = 100
    damping: float = 0.0
    chunk_steps: int = 0
    start: Literal["zeros", "held"] = "zeros"

    @property
    def is_whole(self) -> bool:
        """Whether Jacobians are kept whole."""
        return self.kind in ("deer", "elk")

    def within(self, dtype: jnp.dtype) -> float:
        """The tolerance: by default 1e-12 in float64, and 3e-6 in float32."""
        return self.tolerance or (1e-12 if jnp.dtype(dtype) == jnp.float64 else 3e-6)


class Solution(NamedTuple):
    """A trajectory, and what it took.

    Attributes:
      states: sₜ of every step [T, *B, S].
      iterations: how often all steps were computed at once, the time that confirms included, by stream, int32 [*B].
      sequential: steps that were computed one after the other, by stream, int32 [*B].
    """

    states: Array
    iterations: Array
    sequential: Array


class Guess(NamedTuple):
    """The loop's state: s [T, *B, S], f(sₜ₋₁, xₜ) of it, λ and the iterations so far of each stream [*B]."""

    s: Array
    image: Array
    trust: Array
    iterations: Array


Step = Callable[[Array, Any], Array]
"""(s [..., S], x [..., *]) -> the next s, each vector on its own: for one time step or for all of them."""


def solve(
    f: Step, jacobian: Callable[[Array, Any], Array], first: Array, x: Any, solver: Solver, start: Array | None = None
) -> Solution:
    """The trajectory of a recurrence; the same, within the tolerance at each step, as

        for t in range(T):
            s = states[t] = f(s, x[t])

    Each stream converges on its own: neither its states nor its counts depend on those beside it.

    Args:
      f: one step.
      jacobian: (s, x) -> the blocks that stand for ∂f/∂s, [..., S/n, n, n].
      first: the state before the first step [*B, S].
      x: a tree of arrays [T, *B, ...].
      start: the first guess [T, *B, S]; None: the solver's.
    """
    T = jax.tree.leaves(x)[0].shape[0]
    if start is None:
        start = jnp.broadcast_to(first if solver.start == "held" else jnp.zeros_like(first), (T, *first.shape))
    length = solver.chunk_steps or T
    if length >= T:
        return solve_chunk(f, jacobian, first, x, start, solver)

    def body(s: Array, chunk: tuple[Any, Array]) -> tuple[Array, Solution]:
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


def before(first: Array, states: Array) -> Array:
    """The state before each step [T, *B, S]."""
    return jnp.concatenate([first[None], states[:-1]])


def solve_chunk(
    f: Step, jacobian: Callable[[Array, Any], Array], first: Array, x: Any, start: Array, solver: Solver
) -> Solution:
    """`solve` without chunks."""
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
    """Whether each step follows from the one before, bool [T, *B]; what is not finite does not."""
    scale = jnp.maximum(1, jnp.abs(guess.s))
    return jnp.all(jnp.abs(guess.image - guess.s) <= within * scale, axis=-1)


def exact_steps(follows: Array) -> Array:
    """How many steps follow before the first that does not, int32 [*B]."""
    return jnp.sum(jnp.cumprod(follows.astype(jnp.int32), axis=0), axis=0, dtype=jnp.int32)


def shaped(stream: Array, like: Array) -> Array:
    """A number of each stream [*B], to be broadcast over [T, *B, S] or [*B]."""
    return stream if like.ndim == stream.ndim else stream[..., None]


def newton(image: Callable[[Array], Array], D: Array, guess: Guess) -> Guess:
    """The next guess s + δ, or f(sₜ₋₁, xₜ) where that is not finite."""
    moved = guess.s + run(D, guess.image - guess.s)
    s = jnp.where(jnp.isfinite(moved), moved, guess.image)
    return guess._replace(s=s, image=image(s))


def in_trust_region(image: Callable[[Array], Array], D: Array, guess: Guess) -> Guess:
    """The next guess, if Σ|rₜ|² is then smaller, and λ a tenth; else this one, and λ ten times as large."""
    r = guess.image - guess.s
    s = guess.s + smooth(D, r, guess.trust)
    then = image(s)
    is_better = size(then - s) < size(r)
    tried = Guess(s, then, guess.trust / TRUST_FACTOR, guess.iterations)
    stayed = guess._replace(trust=guess.trust * TRUST_FACTOR)
    return jax.tree.map(lambda new, old: jnp.where(shaped(is_better, new), new, old), tried, stayed)


def size(r: Array) -> Array:
    """Σ|rₜ|² of each stream [*B]."""
    return jnp.sum(r * r, axis=(0, -1))


def finish(f: Step, first: Array, x: Any, states: Array, exact: Array) -> Array:
    """The trajectory, computed step by step from where each stream is no longer exact [*B]."""

    def body(loop: tuple[Array, Array]) -> tuple[Array, Array]:
        t, states = loop
        s_prev = jnp.where(t == 0, first, states[jnp.maximum(t - 1, 0)])
        s = f(s_prev, jax.tree.map(lambda leaf: leaf[t], x))
        return t + 1, states.at[t].set(jnp.where((t < exact)[..., None], states[t], s))

    T = states.shape[0]
    return jax.lax.while_loop(lambda loop: loop[0] < T, body, (jnp.min(exact), states))[1]
