"""The truth about a window by definition: its loss, step by step, and JAX's derivatives of it.

No gradient method is used here. Only the forward equations are shared with them: the step of a recurrence and its loss.
An error in those would be the same on both sides; see the tests of the model, and `loops` for any step.
"""

import math
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.model.leaves import pack, put, reals, unpack
from rnnjax.model.network import Batch, Model
from rnnjax.model.recurrence import Recurrence, losses, precision, total_weight, window_loss
from rnnjax.model.rnn import handed_up, hidden_to_output

Array = jax.Array
Tree = Any

QUICK: dict[str, Any] = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Options for programs that run once, where compilation takes the time."""

if version("jaxlib").startswith("0.10."):  # which has two ways of compiling a fusion; this one takes half of the time
    QUICK["xla_cpu_use_fusion_emitters"] = False


def quick(function: Callable, static: int | tuple[int, ...] = ()) -> Callable:
    """Compiles a program that runs a few times and is not timed, by `jax.jit`."""
    return jax.jit(function, static_argnums=static, compiler_options=QUICK)


class ExactGradient(NamedTuple):
    """Loss, gradient of the parameters and of the initial state, and the state after the window."""

    loss: Array
    params: Tree
    carry: Tree
    new_carry: Tree

    @property
    def gradient(self) -> dict[str, Any]:
        return {"params": self.params, "carry": self.carry}


def loss(recurrence: Recurrence, params: Tree, hyper: Tree, carry: Tree, batch: Batch) -> tuple[Tree, Array]:
    """Carry after a window, and its loss Σ wₜ Lₜ / Σ wₜ."""
    if recurrence.model and recurrence.model.bidirectional:  # it has no steps
        value, carry = window_loss(recurrence, params, hyper, carry, batch)
        return carry, value

    def body(loop: tuple[Tree, Array], batch_t: Batch) -> tuple[tuple[Tree, Array], None]:
        carry, total = loop
        carry, out = recurrence.step(params, hyper, carry, batch_t)
        return (carry, total + jnp.sum(losses(recurrence, params, out, batch_t))), None

    carry, total = jax.lax.scan(body, (carry, jnp.zeros((), precision(params))), batch)[0]
    return carry, total / total_weight(recurrence, batch)


def of_reals(recurrence: Recurrence, params: Tree, hyper: Tree, carry: Tree, batch: Batch) -> Callable:
    """(the real parameters, the real part of the initial state) -> loss and new carry of a window."""

    def of(real_params: Tree, real_carry: Tree) -> tuple[Array, Tree]:
        new_carry, value = loss(recurrence, put(real_params, params), hyper, put(real_carry, carry), batch)
        return value, new_carry

    return of


@partial(quick, static=0)
def gradient(recurrence: Recurrence, params: Tree, hyper: Tree, carry: Tree, batch: Batch) -> ExactGradient:
    """Exact gradient of a window whose initial state is a constant; of the whole stream, where it is one window."""
    of = of_reals(recurrence, params, hyper, carry, batch)
    (value, new_carry), found = jax.value_and_grad(of, argnums=(0, 1), has_aux=True)(reals(params), reals(carry))
    d_params, d_carry = found
    return ExactGradient(value, d_params, d_carry, new_carry)


@partial(quick, static=0)
def slopes(recurrence: Recurrence, params: Tree, hyper: Tree, carry: Tree, batch: Batch, directions: Any) -> Array:
    """Derivatives of the loss [K] along directions v of (params, carry), each leaf [K, ...]."""
    of = of_reals(recurrence, params, hyper, carry, batch)
    slope = lambda v: jax.jvp(lambda *point: of(*point)[0], (reals(params), reals(carry)), v)[1]
    return jax.vmap(slope)(directions)


@partial(quick, static=0)
def bends(
    recurrence: Recurrence, params: Tree, hyper: Tree, carry: Tree, batch: Batch, reach: Array
) -> tuple[Tree, Tree]:
    """Distance of the slopes around θᵢ from the slope at θᵢ, for every number θᵢ of parameters and initial state.

    With b(ε) the mean of the slopes at θᵢ + ε and θᵢ - ε, less the slope at θᵢ, it is (4 b(ε/2) - b(ε)) / 3: ε⁴/96 of
    the fifth derivative, and up to half of the jump at a kink. Both are more than extrapolated central differences make
    of them.

    Args:
      reach: the step ε.
    """
    of, like = of_reals(recurrence, params, hyper, carry, batch), (reals(params), reals(carry))
    point = pack(like)

    def along(index: Array) -> Array:
        line = lambda shift: of(*unpack(point.at[index].add(shift), like))[0]
        slopes = jax.vmap(jax.grad(line))(reach * jnp.array([-1, -0.5, 0, 0.5, 1], point.dtype))
        far, near, here = slopes[0] + slopes[4], slopes[1] + slopes[3], slopes[2]
        return (4 * (near / 2 - here) - (far / 2 - here)) / 3

    return unpack(jax.lax.map(along, jnp.arange(point.size)), like)


@partial(quick, static=0)
def antithetic(
    recurrence: Recurrence, params: Tree, hyper: Tree, carry: Tree, batch: Batch, directions: Any, sigma: Array
) -> Any:
    """Mean over directions v, each leaf [K, ...], of (L(p + σ v) - L(p - σ v)) / 2σ · v, with the initial state held.

    The mean over directions of the initial state holds the parameters.
    """
    of = of_reals(recurrence, params, hyper, carry, batch)

    def mean_over(point: Any, directions: Any, loss_at: Callable[[Any], Array]) -> Any:
        def one(v: Any) -> Any:
            up = loss_at(jax.tree.map(lambda p, d: p + sigma * d, point, v))
            down = loss_at(jax.tree.map(lambda p, d: p - sigma * d, point, v))
            return jax.tree.map(lambda d: (up - down) / (2 * sigma) * d, v)

        return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), jax.lax.map(one, directions))

    return {
        "params": mean_over(reals(params), directions.params, lambda params: of(params, reals(carry))[0]),
        "carry": mean_over(reals(carry), directions.carry, lambda carry: of(reals(params), carry)[0]),
    }


@partial(quick, static=0)
def pairs(recurrence: Recurrence, params: Tree, hyper: Tree, carry: Tree, batch: Batch) -> tuple[Tree, Tree]:
    """Terms of the double sum: the derivative of the loss of step j by a parameter through its use at step k.

    Each leaf is [T, T, ...]. The derivative by the state before step k stands beside it.

    Every step gets parameters and zeros of its own, and every loss is differentiated with respect to each of them.
    """
    T, total = batch.shape[0], total_weight(recurrence, batch)

    def of_steps(own: Tree, zeros: Tree) -> Array:
        def body(carry: Tree, step_t: tuple[Tree, Tree, Batch]) -> tuple[Tree, Array]:
            params_t, zero, batch_t = step_t
            moved = put(jax.tree.map(jnp.add, reals(carry), zero), carry)
            carry, out = recurrence.step(put(params_t, params), hyper, moved, batch_t)
            return carry, jnp.sum(losses(recurrence, params, out, batch_t)) / total

        return jax.lax.scan(body, carry, (own, zeros, batch))[1]

    own = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (T, *leaf.shape)), reals(params))
    zeros = jax.tree.map(lambda leaf: jnp.zeros((T, *leaf.shape), leaf.dtype), reals(carry))
    return jax.jacrev(of_steps, argnums=(0, 1))(own, zeros)


class Derivatives(NamedTuple):
    """Derivatives of each step of each stream: ∂sₜ/∂sₜ₋₁ [T, N, S, S] and ∂sₜ/∂p [T, N, S, P].

    s are all real numbers of a stream's state, p all real parameters, in the order of `leaves.pack`; N are the streams.
    The step's share ℓₜ of the loss has ∂ℓₜ/∂sₜ₋₁ [T, N, S] and ∂ℓₜ/∂p [T, N, P] at fixed sₜ₋₁. A network reads its loss
    off the new state, and so has ∂ℓₜ/∂sₜ [T, N, S] as well.
    """

    of_state: Array
    of_params: Array
    loss_of_state: Array
    loss_of_params: Array
    loss_of_new: Array | None


@partial(quick, static=0)
def derivatives(recurrence: Recurrence, params: Tree, hyper: Tree, carry: Tree, batch: Batch) -> Derivatives:
    """Derivatives of every single step by `jacrev`."""
    total, model, p, own = total_weight(recurrence, batch), recurrence.model, pack(params), reals(params)
    states, steps = streams_apart(recurrence, carry, batch)

    def of_stream(state: Tree, batch_t: Batch) -> tuple[Tree, Derivatives]:
        def advance(p: Array, s: Array) -> tuple[Array, Array]:
            moved = put(unpack(p, own), params)
            new, out = recurrence.step(moved, hyper, unpack(s, state), batch_t)
            return pack(new), losses(recurrence, moved, out, batch_t) / total

        new, _ = recurrence.step(params, hyper, state, batch_t)
        (I_t, D_t), (d_p, d_s) = jax.jacrev(advance, argnums=(0, 1))(p, pack(state))
        d_new = None
        if model:
            read = lambda new: losses(recurrence, params, read_out(model, params, hyper, new, batch_t), batch_t) / total
            d_new = pack(jax.grad(read)(new))
        return new, Derivatives(D_t, I_t, d_s, d_p, d_new)

    return jax.lax.scan(jax.vmap(of_stream), states, steps)[1]


def read_out(model: Model, params: Tree, hyper: Tree, state: Tree, batch_t: Batch) -> Array:
    """The output of a network, read off the state that a step has left."""
    return hidden_to_output(params, handed_up(model, hyper, state, batch_t.noise))


def streams_apart(recurrence: Recurrence, carry: Tree, batch: Batch) -> tuple[Tree, Batch]:
    """State and batch with all batch axes as one, [N, ...] and [T, N, ...]."""
    streams = recurrence.streams(carry)
    N, axes = math.prod(streams), len(streams)
    states = jax.tree.map(lambda leaf: leaf.reshape(N, *leaf.shape[axes:]), carry)
    return states, jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[0], N, *leaf.shape[1 + axes :]), batch)


@partial(quick, static=0)
def influence(recurrence: Recurrence, params: Tree, hyper: Tree, carry: Tree, batch: Batch) -> tuple[Array, Array]:
    """Influence on the last state s, by `jacrev`: of all real parameters [*B, S, P], and of the initial state
    [*B, S, S], in the order of `leaves.pack`."""
    axes, own = len(recurrence.streams(carry)), reals(params)

    def last(p: Array, shift: Array) -> Array:
        moved = unpack(pack(carry, axes) + shift, carry, axes)
        return pack(loss(recurrence, put(unpack(p, own), params), hyper, moved, batch)[0], axes)

    return jax.jacrev(last, argnums=(0, 1))(pack(params), jnp.zeros(pack(carry, axes).shape[-1], precision(params)))


@partial(quick, static=0)
def states(recurrence: Recurrence, params: Tree, hyper: Tree, carry: Tree, batch: Batch) -> Tree:
    """State before each step, each leaf [T, *B, ...]."""
    advance = lambda carry, batch_t: (recurrence.step(params, hyper, carry, batch_t)[0], carry)
    return jax.lax.scan(advance, carry, batch)[1]
