"""What is true of a window, by definition: the loss written once more, step by step, and JAX's derivatives of it.

No gradient method is used here.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from rnnjax.model.cells import Hyper
from rnnjax.model.loss import denominator, negative_log_likelihood
from rnnjax.model.network import Batch, Carry, Model, Params
from rnnjax.model.rnn import apply, handed_up, hidden_to_output, step

Array = jax.Array

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""For programs that run once: compiling them is what takes the time."""


def quick(function: Callable, static: int | tuple[int, ...] = ()) -> Callable:
    """`jax.jit` for a program that runs a few times and is not timed."""
    return jax.jit(function, static_argnums=static, compiler_options=QUICK)


class Truth(NamedTuple):
    """Loss, gradient of the parameters and of the initial state, and the state after the window."""

    loss: Array
    params: Params
    carry: Carry
    new_carry: Carry

    @property
    def gradient(self) -> dict[str, Any]:
        return {"params": self.params, "carry": self.carry}


def loss(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> tuple[Carry, Array]:
    """The carry after a window, and Σ wₜ Lₜ / Σ wₜ."""
    if model.bidirectional:  # it has no steps
        carry, logits = apply(model, params, hyper, carry, batch)
        surprise = weighted(negative_log_likelihood(logits, batch.y), batch)
        return carry, jnp.sum(surprise) / denominator(batch.y, batch.weight)

    def body(loop: tuple[Carry, Array], batch_t: Batch) -> tuple[tuple[Carry, Array], None]:
        carry, total = loop
        carry, logits = step(model, params, hyper, carry, batch_t)
        return (carry, total + jnp.sum(weighted(negative_log_likelihood(logits, batch_t.y), batch_t))), None

    carry, total = jax.lax.scan(body, (carry, jnp.zeros((), params.V.dtype)), batch)[0]
    return carry, total / denominator(batch.y, batch.weight)


def weighted(surprise: Array, batch: Batch) -> Array:
    return surprise if batch.weight is None else surprise * batch.weight


@partial(quick, static=0)
def gradient(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> Truth:
    """The exact gradient of a window whose initial state is a constant; of the whole stream, where it is one window."""

    def of(params: Params, carry: Carry) -> tuple[Array, Carry]:
        new_carry, value = loss(model, params, hyper, carry, batch)
        return value, new_carry

    (value, new_carry), found = jax.value_and_grad(of, argnums=(0, 1), has_aux=True)(params, carry)
    d_params, d_carry = found
    return Truth(value, d_params, d_carry, new_carry)


@partial(quick, static=0)
def slopes(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch, directions: Any) -> Array:
    """JVP(v), the loss's derivative along each direction v of (params, carry), each leaf [K, ...]: [K]."""

    def slope(v: tuple[Params, Carry]) -> Array:
        return jax.jvp(lambda params, carry: loss(model, params, hyper, carry, batch)[1], (params, carry), v)[1]

    return jax.vmap(slope)(directions)


@partial(quick, static=0)
def third(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> tuple[Params, Carry]:
    """∂³L/∂θᵢ³ for every number of the parameters and of the initial state, one after the other."""
    point, restore = ravel_pytree((params, carry))

    def along(index: Array) -> Array:
        def line(shift: Array) -> Array:
            params, carry = restore(point.at[index].add(shift))
            return loss(model, params, hyper, carry, batch)[1]

        return jax.jacfwd(jax.jacfwd(jax.jacfwd(line)))(jnp.zeros((), point.dtype))

    return restore(jax.lax.map(along, jnp.arange(point.size)))


@partial(quick, static=0)
def pairs(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> Params:
    """The double sum, open: what the loss of step j says of a weight through its use at step k, each leaf [T, T, ...].

    Every step gets parameters of its own, and every loss is differentiated with respect to each of them.
    """
    T = batch.y.shape[0]
    total = denominator(batch.y, batch.weight)

    def losses(own: Params) -> Array:
        def body(carry: Carry, step_t: tuple[Params, Batch]) -> tuple[Carry, Array]:
            params, batch_t = step_t
            carry, logits = step(model, params, hyper, carry, batch_t)
            return carry, jnp.sum(weighted(negative_log_likelihood(logits, batch_t.y), batch_t)) / total

        return jax.lax.scan(body, carry, (own, batch))[1]

    return jax.jacrev(losses)(jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (T, *leaf.shape)), params))


@partial(quick, static=0)
def influence(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> tuple[Array, Array]:
    """`jacfwd` of the last state s with respect to the parameters that act on it, in the order of `ravel_pytree` of
    (layers, embedding), [B, S, P], and with respect to the initial state [B, S, S]."""
    p, restore = ravel_pytree((params.layers, params.embedding))

    def last(p: Array, shift: Array) -> Array:
        layers, embedding = restore(p)
        shifts = jnp.split(shift, model.layers)
        moved = tuple(state + by for state, by in zip(carry, shifts, strict=True))
        new = params._replace(layers=layers, embedding=embedding)
        return jnp.concatenate(loss(model, new, hyper, moved, batch)[0], axis=-1)

    S = sum(state.shape[-1] for state in carry)
    return jax.jacfwd(last, argnums=(0, 1))(p, jnp.zeros(S, p.dtype))


@partial(quick, static=0)
def adjoints(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> tuple[Carry, Carry]:
    """The state after each step, and the loss's derivative with respect to a zero added to it, [T, B, S] a layer."""

    def run(zeros: Carry) -> tuple[Array, Carry]:
        def body(carry: Carry, step_t: tuple[Batch, Carry]) -> tuple[Carry, tuple[Carry, Array]]:
            batch_t, zero_t = step_t
            carry, _ = step(model, params, hyper, carry, batch_t)
            carry = jax.tree.map(jnp.add, carry, zero_t)
            logits = hidden_to_output(params, handed_up(model, hyper, carry, batch_t.noise))
            surprise = negative_log_likelihood(logits, batch_t.y)
            return carry, (carry, weighted(surprise, batch_t))

        states, surprises = jax.lax.scan(body, carry, (batch, zeros))[1]
        return jnp.sum(surprises) / denominator(batch.y, batch.weight), states

    T = batch.y.shape[0]
    zeros = tuple(jnp.zeros((T, *state.shape), state.dtype) for state in carry)
    found, states = jax.grad(run, has_aux=True)(zeros)
    return states, found
