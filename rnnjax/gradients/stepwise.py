"""The walk through a window one step at a time, shared by the methods that never look back further than one step.

For one stream everything that a step knows is two vectors: p, the parameters that act on the state (of a network all
but the read-out's V and by), and s, the state. One step of the recurrence is then

    sₜ = F(p, sₜ₋₁, xₜ)      ℓₜ = wₜ L(p, sₜ₋₁, xₜ, yₜ) / Σw

and Dₜ = ∂sₜ/∂sₜ₋₁ [S, S], Iₜ = ∂sₜ/∂p [S, P], ∂ℓₜ/∂p and ∂ℓₜ/∂sₜ₋₁ are all that an online method may
ask for. Σw is that of the whole window, known before its first step.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from rnnjax.errors import UserError
from rnnjax.gradients.influences import acting
from rnnjax.gradients.method import Gradient, Window
from rnnjax.model.initializers import param_shapes
from rnnjax.model.leaves import is_real, pack, put, reals, unpack
from rnnjax.model.network import Batch, Layer, Model, Params
from rnnjax.model.recurrence import Recurrence, losses, precision, total_weight
from rnnjax.model.rnn import handed_up, hidden_to_output

Array = jax.Array


class Step(NamedTuple):
    """One step of one stream, as functions of vectors.

    Attributes:
      advance: (p [P], readout, s [S], batch_t) -> (the next s [S], ℓₜ).
      params: p -> all parameters, with the read-out of the window.
      state_of: (all parameters, s [S], batch_t) -> the next s, for parameters that were changed.
    """

    advance: Callable[[Array, Any, Array, Batch], tuple[Array, Array]]
    params: Callable[[Array], Any]
    state_of: Callable[[Any, Array, Batch], Array]


class StepGradient(NamedTuple):
    """Results of a method at one step of one stream: the new state [S] and trace, ℓₜ, and what is added to the
    gradient with respect to p [P], to the read-out, and to the state with which the trace began [S]."""

    state: Array
    trace: Any
    loss: Array
    params: Array
    readout: Any
    carry: Array


Visit = Callable[[Step, Array, Any, Array, Any, Batch, Any], StepGradient]
"""(step, p, readout, s, trace, batch_t, noise_t) -> StepGradient: a method at one step of one stream."""


def walk(recurrence: Recurrence, window: Window, visit: Visit) -> Gradient:
    """Loss and gradient of one window by a method that visits each step once, in the order of time; the same as

        for t in range(T):
            for each stream:
                found = visit(step, p, readout, s, trace, batch[t], noise[t])
                s, trace = found.state, found.trace
                gradient += found.params, found.readout, found.carry

    Args:
      window: its memory, each leaf [B, ...]; its noise, each leaf [T, B, ...].
      visit: one step of one stream.
    """
    window.check("trace")
    params, hyper, carry, batch, trace, noise = window
    batch_shape = recurrence.streams(carry)
    state, trace = jax.tree.map(partial(as_streams, axes=len(batch_shape)), (carry, trace))
    flat = lambda leaf: leaf.reshape(leaf.shape[0], -1, *leaf.shape[1 + len(batch_shape) :])
    steps = jax.tree.map(flat, (batch, noise))
    total = total_weight(recurrence, batch)
    own, readout = apart(params, followed(recurrence, params, state, steps[0], trace))
    p = pack(own)

    def of_stream(state: Any, trace: Any, batch_t: Batch, noise_t: Any) -> tuple[Any, StepGradient]:
        step = make_step(recurrence, params, hyper, own, state, total)
        found = visit(step, p, readout, pack(state), trace, batch_t, noise_t)
        after = state
        if not all(map(is_real, jax.tree.leaves(state))):
            after, _ = recurrence.step(params, hyper, state, batch_t)
        return unpack(found.state, after), found

    def body(loop: tuple, step_t: tuple) -> tuple[tuple, None]:
        state, trace, loss, d_p, d_readout, d_carry = loop
        state, found = jax.vmap(of_stream)(state, trace, *step_t)
        d_readout = jax.tree.map(lambda total, d: total + jnp.sum(d, axis=0), d_readout, found.readout)
        sums = (loss + jnp.sum(found.loss), d_p + jnp.sum(found.params, axis=0), d_readout, d_carry + found.carry)
        return (state, found.trace, *sums), None

    zero = jnp.zeros((), precision(params)), *jax.tree.map(jnp.zeros_like, (p, readout, pack(state, 1)))
    state, trace, loss, d_p, d_readout, d_carry = jax.lax.scan(body, (state, trace, *zero), steps)[0]

    of_carry = unpack(d_carry, reals(state), 1)
    of_carry, new_carry, trace = jax.tree.map(
        lambda leaf: leaf.reshape(*batch_shape, *leaf.shape[1:]), (of_carry, state, trace)
    )
    return Gradient(loss, put(unpack(d_p, own), d_readout), of_carry, new_carry, trace)


def make_step(recurrence: Recurrence, params: Any, hyper: Any, own: Any, state: Any, total: Array | float) -> Step:
    """One step of a recurrence as functions of vectors.

    Args:
      own: the parameters that p holds, None in place of the others.
      state: before the step; of it only the leaves that are not real are taken.
      total: Σw of the window.
    """

    def to_params(p: Array) -> Any:
        return put(unpack(p, own), params)

    def advance(p: Array, readout: Any, s: Array, batch_t: Batch) -> tuple[Array, Array]:
        moved = put(readout, to_params(p))
        new, out = recurrence.step(moved, hyper, unpack(s, state), batch_t)
        return pack(new), losses(recurrence, moved, out, batch_t) / total

    def state_of(params: Any, s: Array, batch_t: Batch) -> Array:
        return pack(recurrence.step(params, hyper, unpack(s, state), batch_t)[0])

    return Step(advance, to_params, state_of)


def apart(params: Any, acts: Any) -> tuple[Any, Any]:
    """The real parameters that act on the state, and the others: two trees with None in place of what the other has."""
    own = jax.tree.map(lambda leaf, acts: leaf if acts else None, reals(params), acts)
    return own, jax.tree.map(lambda leaf, acts: None if acts else leaf, reals(params), acts)


def followed(recurrence: Recurrence, params: Any, state: Any, steps: Batch, trace: Any) -> Any:
    """Real parameters that a trace follows: those that act on the state, or all, if it was made without an input."""
    one = jax.tree.map(lambda leaf: leaf[0], (state, jax.tree.map(lambda leaf: leaf[0], steps)))
    acts = acting(recurrence, params, *one)
    if recurrence.model is None and pack(apart(params, acts)[0]).size != trace.params.shape[-1]:
        return jax.tree.map(lambda leaf: True, reals(params))
    return acts


def read(recurrence: Recurrence, params: Params, hyper: Any, total: Array | float) -> Callable[..., Array]:
    """The read-out of a network: (readout, the next s, batch_t) -> ℓₜ, the loss as a function of the new state."""

    def loss_of(readout: Any, s: Array, batch_t: Batch) -> Array:
        logits = hidden_to_output(put(readout, params), read_out_of(recurrence, hyper, s, batch_t))
        return losses(recurrence, params, logits, batch_t) / total

    return loss_of


def read_out_of(recurrence: Recurrence, hyper: Any, s: Array, batch_t: Batch) -> Array:
    """The part that the read-out of a network reads of a state [S], [H]."""
    model = structure(recurrence)
    return handed_up(model, hyper, layers_of(model, s), batch_t.noise)


def as_streams(leaf: Array, axes: int) -> Array:
    """[*B, ...] with any number of batch axes, none included, as [N, ...]."""
    return leaf.reshape(-1, *leaf.shape[axes:])


def layers_of(model: Model, s: Array) -> tuple[Array, ...]:
    """The state of each layer from the vector of all of them."""
    return tuple(jnp.split(s, model.layers, axis=-1))


def structure(recurrence: Recurrence) -> Model:
    """The cells of a network.

    Raises:
      UserError: where the recurrence is any step.
    """
    if recurrence.model is None:
        raise UserError("this method needs the structure of a network of cells, which a step of its own does not show")
    return recurrence.model


def sizes(model: Model) -> tuple[int, int]:
    """S, the numbers of a stream's state, and P, the parameters that act on it."""
    shapes = param_shapes(model)
    P = sum(leaf.size for leaf in jax.tree.leaves((shapes.layers, shapes.embedding)))
    return model.layers * model.state_width, P


def lengths(recurrence: Recurrence, params: Any, state: Any, batch_t: Batch | None) -> tuple[int, int]:
    """S, the numbers of a stream's state, and P, the parameters that a trace follows; all where no input is shown."""
    axes = len(recurrence.streams(state))
    S = pack(state, axes).shape[-1]
    if recurrence.model is None and batch_t is None:
        return S, pack(params).size
    one = jax.tree.map(lambda leaf: as_streams(leaf, axes)[0], (state, batch_t))
    return S, pack(apart(params, acting(recurrence, params, *one))[0]).size


def refuse_bidirectional(model: Model) -> str | None:
    """A walk forward in time cannot know what a backward layer has read."""
    return "a bidirectional network has no single step" if model.bidirectional else None


def unit_of(model: Model, params: Params) -> Array:
    """The unit that each parameter of p acts on first, by ℓ H + its number within layer ℓ [P]; without an embedding,
    whose entries act on all units of the first layer."""

    def of_layer(index: int, layer: Layer) -> Layer:
        return jax.tree.map(lambda leaf: index * model.hidden + jnp.arange(leaf.size) % model.hidden, layer)

    return ravel_pytree(tuple(of_layer(index, layer) for index, layer in enumerate(params.layers)))[0]
