"""The truth about a window by definition: its loss, step by step, and JAX's derivatives of it.

No gradient method is used here. Only the forward equations are shared with them: `model.rnn.step` and its parts, and
the log-sum-exp of `model.loss`. An error in those would be the same on both sides; see the tests of the model.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from rnnjax.model.cells import Hyper
from rnnjax.model.loss import denominator, make_loss
from rnnjax.model.network import Batch, Carry, Model, Params
from rnnjax.model.rnn import apply, handed_up, hidden_to_output, step

Array = jax.Array

QUICK: dict[str, bool | int] = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Options for programs that run once, where compilation takes the time."""

if version("jaxlib").startswith("0.10."):  # which has two ways of compiling a fusion; this one takes half of the time
    QUICK["xla_cpu_use_fusion_emitters"] = False


def quick(function: Callable, static: int | tuple[int, ...] = ()) -> Callable:
    """Compiles a program that runs a few times and is not timed, by `jax.jit`."""
    return jax.jit(function, static_argnums=static, compiler_options=QUICK)


class ExactGradient(NamedTuple):
    """Loss, gradient of the parameters and of the initial state, and the state after the window."""

    loss: Array
    params: Params
    carry: Carry
    new_carry: Carry

    @property
    def gradient(self) -> dict[str, Any]:
        return {"params": self.params, "carry": self.carry}


def loss(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> tuple[Carry, Array]:
    """Carry after a window, and its loss Σ wₜ Lₜ / Σ wₜ."""
    if model.bidirectional:  # it has no steps
        carry, logits = apply(model, params, hyper, carry, batch)
        surprise = weighted(make_loss(model.loss)(logits, batch.y), batch)
        return carry, jnp.sum(surprise) / denominator(batch.shape, batch.weight)

    def body(loop: tuple[Carry, Array], batch_t: Batch) -> tuple[tuple[Carry, Array], None]:
        carry, total = loop
        carry, logits = step(model, params, hyper, carry, batch_t)
        return (carry, total + jnp.sum(weighted(make_loss(model.loss)(logits, batch_t.y), batch_t))), None

    carry, total = jax.lax.scan(body, (carry, jnp.zeros((), params.V.dtype)), batch)[0]
    return carry, total / denominator(batch.shape, batch.weight)


def weighted(surprise: Array, batch: Batch) -> Array:
    return surprise if batch.weight is None else surprise * batch.weight


@partial(quick, static=0)
def gradient(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> ExactGradient:
    """Exact gradient of a window whose initial state is a constant; of the whole stream, where it is one window."""

    def of(params: Params, carry: Carry) -> tuple[Array, Carry]:
        new_carry, value = loss(model, params, hyper, carry, batch)
        return value, new_carry

    (value, new_carry), found = jax.value_and_grad(of, argnums=(0, 1), has_aux=True)(params, carry)
    d_params, d_carry = found
    return ExactGradient(value, d_params, d_carry, new_carry)


@partial(quick, static=0)
def slopes(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch, directions: Any) -> Array:
    """Derivatives of the loss [K] along directions v of (params, carry), each leaf [K, ...]."""

    def slope(v: tuple[Params, Carry]) -> Array:
        return jax.jvp(lambda params, carry: loss(model, params, hyper, carry, batch)[1], (params, carry), v)[1]

    return jax.vmap(slope)(directions)


@partial(quick, static=0)
def bends(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch, reach: Array) -> tuple[Params, Carry]:
    """Distance of the mean of the slopes at θᵢ + ε and θᵢ - ε from the slope at θᵢ, for every number θᵢ.

    θᵢ runs over the parameters and the initial state. The distance is ε²/2 of the third derivative, and half of the
    jump at a kink between them.

    Args:
      reach: the step ε.
    """
    point, restore = ravel_pytree((params, carry))

    def along(index: Array) -> Array:
        def line(shift: Array) -> Array:
            params, carry = restore(point.at[index].add(shift))
            return loss(model, params, hyper, carry, batch)[1]

        back, here, ahead = jax.vmap(jax.grad(line))(reach * jnp.array([-1.0, 0.0, 1.0], point.dtype))
        return (back - here + ahead - here) / 2

    return restore(jax.lax.map(along, jnp.arange(point.size)))


@partial(quick, static=0)
def antithetic(
    model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch, directions: Any, sigma: Array
) -> Any:
    """Mean over directions v, each leaf [K, ...], of (L(p + σ v) - L(p - σ v)) / 2σ · v, with the initial state held.

    The mean over directions of the initial state holds the parameters.
    """

    def of(point: Any, directions: Any, loss_at: Callable[[Any], Array]) -> Any:
        def one(v: Any) -> Any:
            up = loss_at(jax.tree.map(lambda p, d: p + sigma * d, point, v))
            down = loss_at(jax.tree.map(lambda p, d: p - sigma * d, point, v))
            return jax.tree.map(lambda d: (up - down) / (2 * sigma) * d, v)

        return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), jax.lax.map(one, directions))

    return {
        "params": of(params, directions.params, lambda params: loss(model, params, hyper, carry, batch)[1]),
        "carry": of(carry, directions.carry, lambda carry: loss(model, params, hyper, carry, batch)[1]),
    }


@partial(quick, static=0)
def pairs(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> tuple[Params, Carry]:
    """Terms of the double sum: the derivative of the loss of step j by a weight through its use at step k.

    Each leaf is [T, T, ...]. The derivative by the state before step k stands beside it.

    Every step gets parameters and zeros of its own, and every loss is differentiated with respect to each of them.
    """
    T = batch.shape[0]
    total = denominator(batch.shape, batch.weight)

    def losses(own: Params, zeros: Carry) -> Array:
        def body(carry: Carry, step_t: tuple[Params, Carry, Batch]) -> tuple[Carry, Array]:
            params, zero, batch_t = step_t
            carry, logits = step(model, params, hyper, jax.tree.map(jnp.add, carry, zero), batch_t)
            return carry, jnp.sum(weighted(make_loss(model.loss)(logits, batch_t.y), batch_t)) / total

        return jax.lax.scan(body, carry, (own, zeros, batch))[1]

    own = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (T, *leaf.shape)), params)
    zeros = jax.tree.map(lambda leaf: jnp.zeros((T, *leaf.shape), leaf.dtype), carry)
    return jax.jacrev(losses, argnums=(0, 1))(own, zeros)


class Derivatives(NamedTuple):
    """Derivatives of each step of each stream: ∂sₜ/∂sₜ₋₁ [T, B, S, S] and ∂sₜ/∂p [T, B, S, P].

    s are the states of all layers, p the parameters that act on them in the order of `ravel_pytree` of (layers,
    embedding). The step's share ℓₜ of the loss has ∂ℓₜ/∂sₜ [T, B, S], ∂ℓₜ/∂V and ∂ℓₜ/∂by [T, B, ...].
    """

    of_state: Array
    of_params: Array
    of_loss: Array
    of_V: Array
    of_by: Array


@partial(quick, static=0)
def derivatives(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> Derivatives:
    """Derivatives of every single step by `jacfwd`."""
    p, restore = ravel_pytree((params.layers, params.embedding))
    total = denominator(batch.shape, batch.weight)
    apart = lambda s: tuple(jnp.split(s, model.layers, axis=-1))

    def advance(p: Array, s: Array, batch_t: Batch) -> Array:
        layers, embedding = restore(p)
        new = params._replace(layers=layers, embedding=embedding)
        return jnp.concatenate(step(model, new, hyper, apart(s), batch_t)[0], axis=-1)

    def read(s: Array, V: Array, by: Array, batch_t: Batch) -> Array:
        out = handed_up(model, hyper, apart(s), batch_t.noise)
        logits = hidden_to_output(params._replace(V=V, by=by), out)
        return weighted(make_loss(model.loss)(logits, batch_t.y), batch_t) / total

    def of_stream(s: Array, batch_t: Batch) -> tuple[Array, Derivatives]:
        new = advance(p, s, batch_t)
        I_t, D_t = jax.jacfwd(advance, argnums=(0, 1))(p, s, batch_t)
        return new, Derivatives(D_t, I_t, *jax.grad(read, argnums=(0, 1, 2))(new, params.V, params.by, batch_t))

    return jax.lax.scan(jax.vmap(of_stream), jnp.concatenate(carry, axis=-1), batch)[1]


@partial(quick, static=0)
def influence(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> tuple[Array, Array]:
    """Influence on the last state s, by `jacfwd`: of the parameters that act on it [B, S, P], in the order of
    `ravel_pytree` of (layers, embedding), and of the initial state [B, S, S]."""
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
    """State after each step, and the derivative of the loss by it, [T, B, S] for each layer."""

    def run(zeros: Carry) -> tuple[Array, Carry]:
        def body(carry: Carry, step_t: tuple[Batch, Carry]) -> tuple[Carry, tuple[Carry, Array]]:
            batch_t, zero_t = step_t
            carry, _ = step(model, params, hyper, carry, batch_t)
            carry = jax.tree.map(jnp.add, carry, zero_t)
            logits = hidden_to_output(params, handed_up(model, hyper, carry, batch_t.noise))
            surprise = make_loss(model.loss)(logits, batch_t.y)
            return carry, (carry, weighted(surprise, batch_t))

        states, surprises = jax.lax.scan(body, carry, (batch, zeros))[1]
        return jnp.sum(surprises) / denominator(batch.shape, batch.weight), states

    T = batch.shape[0]
    zeros = tuple(jnp.zeros((T, *state.shape), state.dtype) for state in carry)
    found, states = jax.grad(run, has_aux=True)(zeros)
    return states, found
