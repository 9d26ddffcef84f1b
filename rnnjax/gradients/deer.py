"""Forward and backward in parallel over time (Lim et al., 2024, "Parallelizing non-linear sequential models over the
sequence length"): the trajectory of each layer by Newton's method, the gradient by one reverse scan at it.

Layers are solved one after the other, each on its own numbers alone, so that S is what one layer carries; of a step
that is no network of cells it is the whole state. The states follow the recurrence within a tolerance, and the gradient
is that of the trajectory that was found: exact, but for the error of its states, which is their tolerance times what
the window amplifies.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients.autodiff import differentiate
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.cost import Cost, Price, plain, weights
from rnnjax.gradients.effort import Noted, spent
from rnnjax.gradients.method import Gradient, Method, Spent, Window
from rnnjax.model.network import Carry, Model, Params
from rnnjax.model.recurrence import Recurrence, losses, total_weight, window_loss
from rnnjax.parallel import any_step
from rnnjax.parallel.layer import InParallel
from rnnjax.parallel.newton import Solver

Array = jax.Array

USUAL_ITERATIONS = 8
"""Iterations of a network that forgets, for the estimate of a gradient's cost."""


def gradient(recurrence: Recurrence, window: Window, *, solver: Solver = Solver()) -> Gradient:  # noqa: B008  (a tuple)
    """Loss and gradient of one window, its initial state held constant between windows.

    Cost: each iteration O(T·S³) work at depth O(log T) and O(T·S²) memory a stream; by blocks, as quasi has it, both
    O(T·S), and a product with W for each iteration forward and back. Exact within the window.
    """
    loss_of = of_layers if recurrence.model else of_any_step
    found = differentiate(partial(loss_of, recurrence, window, solver), window)
    new_carry, states, effort = found.new_carry
    return found._replace(new_carry=new_carry, trace=states, spent=effort)


def of_any_step(
    recurrence: Recurrence, window: Window, solver: Solver, params: Any, state: Any
) -> tuple[Array, tuple[Any, Any, Spent]]:
    """Loss of a window of any step, and the state after it."""
    batch, start = window.batch, window.trace
    states, out, found = any_step.run(recurrence, params, window.hyper, state, batch, solver, start)
    loss = jnp.sum(losses(recurrence, params, out, batch)) / total_weight(recurrence, batch)
    last = jax.tree.map(lambda leaf: leaf[-1], states)
    return loss, (last, None if start is None else states, spent([found]))


def of_layers(
    recurrence: Recurrence, window: Window, solver: Solver, params: Params, carry: Carry
) -> tuple[Array, tuple[Carry, Any, Spent]]:
    """Loss of a window of a network of cells, and the state after it, layer by layer."""
    way = Noted(InParallel(solver), window.trace)
    loss, new_carry = window_loss(recurrence, params, window.hyper, carry, window.batch, way)
    return loss, (new_carry, way.states, way.spent)


def make_solver(config: GradientConfig) -> Solver:
    """The solver that a config describes."""
    return Solver(
        config.solver,
        config.tolerance,
        config.iterations,
        config.damping,
        config.chunk_steps,
        "held" if config.start == "held" else "zeros",
        config.start_steps,
    )


def method(config: GradientConfig) -> Method:
    solver = make_solver(config)
    within = solver.within(jnp.dtype("float64"))
    residuals = within, 0.0 if solver.is_whole else within
    claim = Claim("exact", residuals=residuals, variants=({"solver": "quasi"}, {"solver": "elk"}))
    return Method(partial(gradient, solver=solver), price=price(solver), claim=claim)


def price(solver: Solver) -> Price:
    """Memory grows with T·S², time with T·S³; by blocks with T·S."""
    instead = "take quasi, gradient.chunk_steps, or a loop over time (gradient.method manual)"
    return Price(partial(cost, solver=solver), "the Jacobians of all steps of a layer", instead)


def cost(model: Model, T: int, B: int, *, solver: Solver = Solver()) -> Cost:  # noqa: B008  (a tuple)
    """The maps of all steps of a chunk stand side by side, three times while the scan puts them together; a smoother
    has five matrices in the place of one."""
    S, parts, layers = model.state_width, len(model.cell.states), model.layers * model.directions
    n = S if solver.is_whole and model.cell.recurrence == "dense" else parts
    length, kinds = min(solver.chunk_steps or T, T), 5 if solver.kind in ("elk", "quasi_elk") else 1
    each = T * B * layers * (kinds * 2 * S * n * n + weights(model) / layers)
    kept = T * B * (S * n + plain(model, 1, 1).numbers)
    return Cost(kept + 3 * kinds * length * B * S * n, USUAL_ITERATIONS * each, USUAL_ITERATIONS * T.bit_length())
