"""A recurrence: a pure step, the loss of what it puts out, and the state that it begins from.

    sₜ, oₜ = step(params, sₜ₋₁, xₜ)      Lₜ = loss(oₜ, yₜ)      L = Σ wₜ Lₜ / Σ wₜ

Everything that is true of recurrent networks in general is written for it. State, input, target, output and parameters
are trees of arrays of any kind (`leaves`). `of_step` makes one from any step, `of_network` from a `Model`, whose
structure it keeps, so that what is faster on a network of cells can be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import jax
import jax.numpy as jnp

from rnnjax.errors import UserError
from rnnjax.model import rnn
from rnnjax.model.leaves import is_real, reals
from rnnjax.model.loss import Loss, denominator, make_loss, over_axes
from rnnjax.model.network import Batch, Model
from rnnjax.model.rnn import Unroll

Array = jax.Array
Tree = Any

Step = Callable[[Tree, Tree, Tree], tuple[Tree, Tree]]
"""(params, state, x_t) -> (state, out): one time step of one stream."""

Adjoint = Callable[[Tree, Tree, Tree, Tree, Tree], tuple[Tree, Tree]]
"""(params, state, x_t, d_state, d_out) -> (d_params, d_state_before): a step's pull-back, written by hand."""

Initial = Callable[[Tree, Tree], Tree]
"""(params, state of one stream) -> the state of one stream that a reset leads back to."""


@dataclass(frozen=True, eq=False)
class Recurrence:
    """A step, its loss and its first state: all that a gradient method differentiates.

    Attributes:
      step: (params, hyper, state, batch_t) -> (state, out), one time step of any number of streams; a step that is not
        valid holds the state, one with a reset begins from the initial state.
      loss: (out, batch_t) -> the loss of each stream and step, not weighted.
      streams: (state) -> the batch axes *B of a state.
      reduce: mean: a window's loss is Σ wₜ Lₜ / Σ wₜ; sum: Σ wₜ Lₜ, so that the gradients of windows, or of single
        steps forward in time, add up to that of their stream.
      model: the structure of a network of cells; None for any other step.
      by_hand: the same step with a derivative written by hand, where there is one.
    """

    step: Callable[[Tree, Tree, Tree, Batch], tuple[Tree, Tree]]
    loss: Callable[[Tree, Batch], Array]
    streams: Callable[[Tree], tuple[int, ...]]
    reduce: Literal["mean", "sum"] = "mean"
    model: Model | None = None
    by_hand: Callable[[Tree, Tree, Tree, Batch], tuple[Tree, Tree]] | None = None


def zeros(params: Tree, state: Tree) -> Tree:
    """The state before the first step where nothing else is said: 0 in every real and whole number; keys stay."""
    return jax.tree.map(lambda leaf: leaf if is_key(leaf) else jnp.zeros_like(leaf), state)


def is_key(leaf: Array) -> bool:
    """True of keys of `jax.random`."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def of_step(
    step: Step,
    loss: str | Loss,
    *,
    batch_axes: int = 1,
    initial: Initial = zeros,
    reduce: Literal["mean", "sum"] = "mean",
    adjoint: Adjoint | None = None,
) -> Recurrence:
    """The recurrence of any step, which is written for one stream and mapped over the batch axes.

    Its batches always have a weight, whose axes tell how many streams and steps there are.
    """
    loss_of_one = where_it_counts(loss if callable(loss) else make_loss(loss))
    return Recurrence(
        step=masked(step, initial),
        loss=lambda out, batch: over_axes(loss_of_one, len(batch.shape))(out, batch.y, batch.weight),
        streams=lambda state: jax.tree.leaves(state)[0].shape[:batch_axes],
        reduce=reduce,
        by_hand=None if adjoint is None else masked(with_adjoint(step, adjoint), initial),
    )


def where_it_counts(loss: Loss) -> Callable[[Tree, Tree, Array], Array]:
    """A loss of one step that is 0, and has no derivative, where the weight is 0: it need not be finite there."""

    def counted(out: Tree, y: Tree, weight: Array) -> Array:
        counts = weight != 0
        found = loss(where(counts, out, jax.lax.stop_gradient(out)), y)
        return jnp.where(counts, found, 0)

    return counted


def masked(step: Step, initial: Initial) -> Callable[[Tree, Tree, Tree, Batch], tuple[Tree, Tree]]:
    """A step of one stream as one of many, which obeys valid and reset."""

    def step_many(params: Tree, hyper: Tree, state: Tree, batch_t: Batch) -> tuple[Tree, Tree]:
        def of_one(state: Tree, batch_t: Batch) -> tuple[Tree, Tree]:
            if batch_t.reset is not None:
                state = where(batch_t.reset, initial(params, state), state)
            new, out = step(params, state, batch_t.x)
            return new if batch_t.valid is None else where(batch_t.valid, new, state), out

        return over_axes(of_one, len(batch_t.shape))(state, batch_t)

    return step_many


def where(mask: Array, state: Tree, other: Tree) -> Tree:
    """A state where the mask is true, elsewhere another."""
    return jax.tree.map(lambda a, b: jnp.where(mask, a, b), state, other)


def with_adjoint(step: Step, adjoint: Adjoint) -> Step:
    """The step, its derivative the one written by hand."""

    @jax.custom_vjp
    def by_hand(params: Tree, state: Tree, x: Tree) -> tuple[Tree, Tree]:
        return step(params, state, x)

    def forward(params: Tree, state: Tree, x: Tree) -> tuple[tuple[Tree, Tree], tuple[Tree, Tree, Tree]]:
        return step(params, state, x), (params, state, x)

    def backward(saved: tuple[Tree, Tree, Tree], d: tuple[Tree, Tree]) -> tuple[Tree, Tree, None]:
        params, state, x = saved
        found = adjoint(params, state, x, *d)
        if not isinstance(found, tuple) or len(found) != 2:
            raise UserError(f"adjoint returns a {type(found).__name__}, but must return (d_params, d_state_before)")
        return of_reals("params", found[0], params), of_reals("state", found[1], state), None

    by_hand.defvjp(forward, backward)
    return by_hand


def of_reals(name: str, d: Tree, tree: Tree) -> Tree:
    """Derivatives from an adjoint by hand, with None where the tree has no real leaf.

    Raises:
      UserError: where they are not a tree like that by which they are derivatives.
    """

    def of_leaf(path: tuple, leaf: Array, d_leaf: Any) -> Any:
        if is_real(leaf) and d_leaf is not None and jnp.shape(d_leaf) != leaf.shape:
            where = name + jax.tree_util.keystr(path)
            raise UserError(f"adjoint: the derivative by {where} is {list(jnp.shape(d_leaf))}, not {list(leaf.shape)}")
        return d_leaf if is_real(leaf) else None

    try:
        return jax.tree_util.tree_map_with_path(of_leaf, tree, d)
    except (TypeError, ValueError):
        has, given = jax.tree.structure(tree), jax.tree.structure(d)
        raise UserError(f"adjoint must give a d_{name} like {name}: {has}, not {given}") from None


@cache
def of_network(model: Model) -> Recurrence:
    """The recurrence of a network of cells; one for each model, so that it can be a static argument of `jax.jit`."""
    loss = make_loss(model.loss)
    return Recurrence(
        step=lambda params, hyper, state, batch_t: rnn.step(model, params, hyper, state, batch_t),
        loss=lambda logits, batch: loss(logits, batch.y),
        streams=lambda state: state[0].shape[:-1],
        model=model,
    )


def run(
    recurrence: Recurrence, params: Tree, hyper: Tree, state: Tree, batch: Batch, unroll: Unroll = rnn.unroll
) -> tuple[Tree, Tree]:
    """A window: the state after it, and the output of every step [T, ...]; of a network all read-outs at once.

    Args:
      unroll: the function that runs a layer of a network over time.
    """
    if recurrence.model:
        return rnn.apply(recurrence.model, params, hyper, state, batch, unroll=unroll)
    return jax.lax.scan(lambda state, batch_t: recurrence.step(params, hyper, state, batch_t), state, batch)


def total_weight(recurrence: Recurrence, batch: Batch) -> Array | float:
    """The divisor of a window's summed loss, fixed before its first step."""
    return denominator(batch.shape, batch.weight) if recurrence.reduce == "mean" else 1.0


def losses(recurrence: Recurrence, params: Tree, out: Tree, batch: Batch) -> Array:
    """wₜ Lₜ of each stream and step, in the precision of the parameters."""
    found = recurrence.loss(out, batch).astype(precision(params))
    return found if batch.weight is None else found * batch.weight.astype(found.dtype)


def precision(params: Tree) -> jnp.dtype:
    """The floating-point type of the real leaves of a tree."""
    return jnp.result_type(*jax.tree.leaves(reals(params)))


def window_loss(
    recurrence: Recurrence, params: Tree, hyper: Tree, state: Tree, batch: Batch, unroll: Unroll = rnn.unroll
) -> tuple[Array, Tree]:
    """The loss of a window, and the state after it; see `run`."""
    state, out = run(recurrence, params, hyper, state, batch, unroll)
    return jnp.sum(losses(recurrence, params, out, batch)) / total_weight(recurrence, batch), state
