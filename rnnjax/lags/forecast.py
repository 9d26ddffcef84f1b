"""Forecast for a network, or for any step: the T from which running it in parallel over time pays.

Where the largest Lyapunov exponent λ is below 0 the network forgets, and Newton's method over time takes a number of
iterations n that does not grow with T (Gonzalez et al., 2025, "Predictability enables parallelization of nonlinear
state space models"). With the time of an iteration α + β T and that of the loop c T, both timed on this device,

    n (α + β T) < c T        T > n α / (c - n β), or for no T

Above 0 errors grow from step to step, n grows with T, and nothing is gained.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.analysis.lyapunov import largest
from rnnjax.config import GradientConfig
from rnnjax.config.checks import check
from rnnjax.gradients import deer, over_time
from rnnjax.gradients.deer import make_solver
from rnnjax.gradients.effort import Noted
from rnnjax.gradients.limits import refusal
from rnnjax.model import recurrence as recurrences
from rnnjax.model.network import Batch, Model, initial_carry
from rnnjax.model.recurrence import Initial, Recurrence, Step, of_network, of_step
from rnnjax.model.rnn import run_layers
from rnnjax.parallel.layer import InParallel
from rnnjax.parallel.newton import Solver

if TYPE_CHECKING:  # a notebook needs neither
    from rnnjax.lags.measure import AnalysedText
    from rnnjax.trained import Trained

Array = jax.Array
Tree = Any

REPEATS, LONG = 6, 2.0
"""Runs of which the fastest counts, as other work of the machine can only add time; no new one begins after so many
seconds."""

SHORT = 8
"""Ratio of the lengths of the two windows that are timed."""


class Forecast(NamedTuple):
    """Forecast of a run in parallel over time.

    Attributes:
      exponent: the largest Lyapunov exponent, mean over the streams, nats per step.
      steps: T of the window that was run.
      iterations: iterations of the slowest stream in this window.
      sequential: share of the window's steps that did not converge.
      in_turn: seconds of the loop over the window, forward.
      at_once: seconds of the solver over the window, forward.
      memory_bytes: memory of the solver beside its arguments and results.
      pays_from: T from which the solver is faster on this device, with these streams; None: for no T.
    """

    exponent: float
    steps: int
    iterations: int
    sequential: float
    in_turn: float
    at_once: float
    memory_bytes: int
    pays_from: int | None

    @property
    def is_predictable(self) -> bool:
        """True where nearby states meet, so that iterations do not grow with T."""
        return self.exponent < 0

    def __str__(self) -> str:
        kind = "predictable" if self.is_predictable else "not predictable: iterations grow with T"
        left = f", {self.sequential:.0%} of the steps left to the loop" if self.sequential else ""
        pays = "for no T" if self.pays_from is None else f"from T = {self.pays_from:,} on"
        return (
            f"largest exponent {self.exponent:+.3f} nats per step, {kind}; {self.iterations} iterations for "
            f"{self.steps:,} steps{left}; forward {1e3 * self.at_once:.3g} ms at once, {1e3 * self.in_turn:.3g} ms in "
            f"turn; {self.memory_bytes / 1e6:.3g} MB; pays on this device {pays}"
        )


def forecast(
    step: Step,
    params: Tree,
    state: Tree,
    xs: Tree,
    method: str = "deer",
    *,
    batch_axes: int = 1,
    initial: Initial = recurrences.zeros,
    **options: Any,
) -> Forecast:
    """Forecast for a step on a window of inputs like those that it will read, by running it both ways.

    >>> import jax, jax.numpy as jnp, rnnjax
    >>> def step(w, h, x):
    ...     h = jnp.tanh(w * h + x)
    ...     return h, h
    >>> xs = jax.random.normal(jax.random.key(0), (256, 4))
    >>> found = rnnjax.forecast(step, 0.5, jnp.zeros(4), xs)
    >>> found.is_predictable, found.iterations < 10
    (True, True)

    All arguments are as in `rnnjax.unroll`, with xs of 16 steps or more.

    Raises:
      UserError: for an argument that does not fit.
    """
    check(method in over_time.METHODS[1:], "method", method, f"one of {', '.join(over_time.METHODS[1:])}")
    params, state, batch = over_time.read(step, batch_axes, params, state, xs, None, None)
    recurrence = of_step(step, over_time.nothing, batch_axes=batch_axes, initial=initial)
    solver = make_solver(GradientConfig("deer", solver=method, **options))  # type: ignore[arg-type]

    def at_once(params: Tree, state: Tree, batch: Batch) -> tuple[Tree, Array, Array]:
        found = over_time.at_once(recurrence, params, state, batch, solver, None)
        return found.outs, found.iterations, found.sequential

    in_turn = lambda *given: over_time.in_turn(recurrence, *given).outs
    return both_ways(recurrence, in_turn, at_once, params, (), state, batch)


def of_model(model: Model, params: Any, hyper: Any, batch: Batch, solver: Solver = Solver()) -> Forecast:  # noqa: B008
    """Forecast for a network of cells that reads windows from its initial state, layer by layer."""
    model = replace(model, over_time=None)
    state = initial_carry(model, params, batch.shape[1:])

    def at_once(params: Any, state: Any, batch: Batch) -> tuple[Any, Array, Array]:
        way = Noted(InParallel(solver))
        _, hs = run_layers(model, params, hyper, state, batch, unroll=way)
        slowest = lambda counts: jnp.max(jnp.stack(counts), axis=0)
        found = way.found
        return hs, slowest([one.iterations for one in found]), slowest([one.sequential for one in found])

    in_turn = lambda params, state, batch: run_layers(model, params, hyper, state, batch)[1]
    return both_ways(of_network(model), in_turn, at_once, params, hyper, state, batch)


def both_ways(
    recurrence: Recurrence, in_turn: Callable, at_once: Callable, params: Any, hyper: Any, state: Any, batch: Batch
) -> Forecast:
    """Runs and times a window both ways, and the solver on its beginning too."""
    T = batch.shape[0]
    check(T >= 2 * SHORT, "the number of steps", T, f"{2 * SHORT} or more, for a forecast")
    exponent = jax.jit(partial(largest, recurrence, settle=T // 4))(params, hyper, state, batch)
    loop = compiled(in_turn, params, state, batch)
    solver, short = (
        compiled(at_once, params, state, jax.tree.map(lambda leaf, n=steps: leaf[:n], batch))
        for steps in (T, T // SHORT)
    )
    n, brief = (int(jnp.max(found.result[1])) for found in (solver, short))
    slope = (solver.seconds / n - short.seconds / brief) / (T - T // SHORT)
    sequential = float(jnp.mean(solver.result[2])) / T
    return Forecast(
        float(jnp.mean(exponent)),
        T,
        n,
        sequential,
        loop.seconds,
        solver.seconds,
        solver.memory_bytes,
        None if sequential else pays_from(n, solver.seconds / n - slope * T, slope, loop.seconds / T),
    )


def pays_from(iterations: int, alpha: float, beta: float, c: float) -> int | None:
    """The least T with n (α + β T) < c T; None for no T."""
    gain = c - iterations * beta
    return max(1, int(iterations * max(alpha, 0.0) / gain) + 1) if gain > 0 else None


def of_text(trained: Trained, text: AnalysedText) -> Forecast | str:
    """Forecast for a network on the text that is analysed; or the reason why there is none."""
    solver = make_solver(trained.config.gradient)
    batch = jax.tree.map(lambda *parts: jnp.concatenate(parts), *(part._replace(weight=None) for part in text[:2]))
    T, B = batch.shape
    if reason := refusal(deer.method(trained.config.gradient), trained.model, T, B, "float64"):
        return reason
    if T < 2 * SHORT:
        return f"--window {text.window} is too short for a forecast"
    return of_model(trained.model, trained.params, trained.hyper, batch, solver)


class Timed(NamedTuple):
    """A program's result, its seconds, and its temporary memory."""

    result: Any
    seconds: float
    memory_bytes: int


def compiled(function: Callable, *arguments: Any) -> Timed:
    """Compiles and times a function."""
    program = jax.jit(function).lower(*arguments).compile()
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < LONG:
        began = time.perf_counter()
        result = jax.block_until_ready(program(*arguments))
        times.append(time.perf_counter() - began)
    memory = program.memory_analysis()
    return Timed(result, min(times), getattr(memory, "temp_size_in_bytes", 0))
