"""What the methods share that walk through a window one step at a time, and never look back further than that step.

For one stream everything that a step knows is two vectors: p, the parameters that act on the state (all but the
read-out's V and by), and s, the states of all layers side by side. One `model.rnn.step` is then

    sₜ = f(p, sₜ₋₁)      ℓₜ = wₜ Lₜ / Σw, a function of p, V, by and sₜ₋₁

and its derivatives Dₜ = ∂sₜ/∂sₜ₋₁ [S, S], Iₜ = ∂sₜ/∂p [S, P], ∂ℓₜ/∂p and ∂ℓₜ/∂sₜ₋₁ are all that an online method may
ask for. Σw is that of the whole window, known before its first step.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from rnnjax.gradients.method import Gradient, Window
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import param_shapes
from rnnjax.model.loss import denominator, negative_log_likelihood
from rnnjax.model.network import Batch, Carry, Layer, Model, Params
from rnnjax.model.rnn import handed_up, hidden_to_output, step

Array = jax.Array
Readout = tuple[Array, Array]
"""V and by, which act on no state: their gradient needs no memory."""


class Step(NamedTuple):
    """One step of one stream.

    Attributes:
      advance: (p [P], readout, s [S], batch_t) -> (the next s [S], ℓₜ), both through one `model.rnn.step`.
      read: (readout, the next s, batch_t) -> ℓₜ, the same loss as a function of the new state.
      out: (the next s, batch_t) -> what the read-out reads [H].
      params: p -> Params, with V and by of the window.
      state_of: (Params, s [S], batch_t) -> the next s, for parameters that were changed.
    """

    advance: Callable[[Array, Readout, Array, Batch], tuple[Array, Array]]
    read: Callable[[Readout, Array, Batch], Array]
    out: Callable[[Array, Batch], Array]
    params: Callable[[Array], Params]
    state_of: Callable[[Params, Array, Batch], Array]


class StepGradient(NamedTuple):
    """What a method finds at one step of one stream: the new state [S] and trace, ℓₜ, and what is added to the gradient
    with respect to p [P], to V and by, and to the state with which the trace began [S]."""

    state: Array
    trace: Any
    loss: Array
    params: Array
    readout: Readout
    carry: Array


def walk(
    model: Model,
    window: Window,
    visit: Callable[[Step, Array, Readout, Array, Any, Batch, Any], StepGradient],
) -> Gradient:
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
    params, hyper, carry, batch, trace, noise = window
    axes = batch.y.ndim - 1
    batch_shape = batch.y.shape[1:]
    p, restore = ravel_pytree((params.layers, params.embedding))
    readout = (params.V, params.by)
    one = make_step(model, params, hyper, restore, denominator(batch.y, batch.weight))
    visit_streams = jax.vmap(partial(visit, one, p, readout))

    def body(loop: tuple, step_t: tuple) -> tuple[tuple, None]:
        s, trace, loss, d_p, d_readout, d_carry = loop
        found = visit_streams(s, trace, *step_t)
        d_readout = jax.tree.map(lambda total, d: total + jnp.sum(d, axis=0), d_readout, found.readout)
        total = (loss + jnp.sum(found.loss), d_p + jnp.sum(found.params, axis=0), d_readout, d_carry + found.carry)
        return (found.state, found.trace, *total), None

    s = as_streams(jnp.concatenate(carry, axis=-1), axes)
    zero = (jnp.zeros((), p.dtype), jnp.zeros_like(p), jax.tree.map(jnp.zeros_like, readout), jnp.zeros_like(s))
    steps = jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[0], -1, *leaf.shape[1 + axes :]), (batch, noise))
    loop = (s, jax.tree.map(partial(as_streams, axes=axes), trace), *zero)
    s, trace, loss, d_p, (d_V, d_by), d_carry = jax.lax.scan(body, loop, steps)[0]

    def as_batch(leaf: Array) -> Array:
        return leaf.reshape(*batch_shape, *leaf.shape[1:])

    d_layers, d_embedding = restore(d_p)
    d_params = Params(d_layers, d_V, d_by, d_embedding)
    of_carry, new_carry = (unpack(model, as_batch(states)) for states in (d_carry, s))
    return Gradient(loss, d_params, of_carry, new_carry, jax.tree.map(as_batch, trace))


def make_step(model: Model, params: Params, hyper: Hyper, restore: Callable, total: Array | float) -> Step:
    """One step of a network as functions of vectors; `total` is Σw of the window."""

    def to_params(p: Array, readout: Readout = (params.V, params.by)) -> Params:
        layers, embedding = restore(p)
        return Params(layers, *readout, embedding)

    def loss_of(logits: Array, batch_t: Batch) -> Array:
        surprise = negative_log_likelihood(logits, batch_t.y)
        return (surprise if batch_t.weight is None else surprise * batch_t.weight) / total

    def advance(p: Array, readout: Readout, s: Array, batch_t: Batch) -> tuple[Array, Array]:
        states, logits = step(model, to_params(p, readout), hyper, unpack(model, s), batch_t)
        return jnp.concatenate(states, axis=-1), loss_of(logits, batch_t)

    def state_of(params: Params, s: Array, batch_t: Batch) -> Array:
        return jnp.concatenate(step(model, params, hyper, unpack(model, s), batch_t)[0], axis=-1)

    def out(s: Array, batch_t: Batch) -> Array:
        return handed_up(model, hyper, unpack(model, s), batch_t.noise)

    def read(readout: Readout, s: Array, batch_t: Batch) -> Array:
        V, by = readout
        return loss_of(hidden_to_output(params._replace(V=V, by=by), out(s, batch_t)), batch_t)

    return Step(advance, read, out, to_params, state_of)


def as_streams(leaf: Array, axes: int) -> Array:
    """[*B, ...] with any number of batch axes, none included, as [N, ...]."""
    return leaf.reshape(-1, *leaf.shape[axes:])


def unpack(model: Model, s: Array) -> Carry:
    """The state of each layer from the vector of all of them."""
    return tuple(jnp.split(s, model.layers, axis=-1))


def sizes(model: Model) -> tuple[int, int]:
    """S, the numbers of a stream's state, and P, the parameters that act on it."""
    shapes = param_shapes(model)
    P = sum(leaf.size for leaf in jax.tree.leaves((shapes.layers, shapes.embedding)))
    return model.layers * model.state_width, P


def refuse_bidirectional(model: Model) -> str | None:
    """Whoever walks forward in time cannot know what a backward layer has read."""
    return "a bidirectional network has no single step" if model.bidirectional else None


def unit_of(model: Model, params: Params) -> Array:
    """The unit that each parameter of p acts on first, by ℓ H + its number within layer ℓ [P]; without an embedding,
    whose entries act on all units of the first layer."""

    def of_layer(index: int, layer: Layer) -> Layer:
        return jax.tree.map(lambda leaf: index * model.hidden + jnp.arange(leaf.size) % model.hidden, layer)

    return ravel_pytree(tuple(of_layer(index, layer) for index, layer in enumerate(params.layers)))[0]
