"""SnAp-n, the sparse n-step approximation (Menick et al., 2020, "Practical real time recurrent learning with a sparse
approximation").

Of the influence matrix of real-time recurrent learning only those entries are kept through which a parameter can act on
a unit within n steps, its own first step included:

    J̃ₜ = M ⊙ (Dₜ J̃ₜ₋₁ + Iₜ)      ∂L/∂p ≈ Σₜ ∂ℓₜ/∂sₜ J̃ₜ

M follows from which entries of W are zero (`model.sparsity`): with A the graph of W, of a unit with itself and of each
layer with those above it, the first unit that a parameter acts on is spread by n - 1 steps of A. SnAp-1 keeps for each
parameter the units that its own step reaches; once n covers the graph nothing is left out. With a dense W, n = 2 does
already.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from rnnjax.config import GradientConfig
from rnnjax.gradients import rtrl
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.rtrl import Influence
from rnnjax.gradients.stepwise import Step, StepGradient, read, refuse_bidirectional, unit_of, walk
from rnnjax.model.network import Batch, Model, Params
from rnnjax.model.recurrence import Recurrence, total_weight

Array = jax.Array


def gradient(recurrence: Recurrence, window: Window, *, n: int = 1) -> Gradient:
    """Loss and approximate gradient of one window.

    Cost: as `rtrl`, O(T·S²·P) time and O(S·P) memory a stream, as the dropped entries are zeros of a dense array;
    a store of the kept ones alone would take, for SnAp-1 of one layer, O(P) of both. Biased, but where M is full.

    Args:
      n: steps within which an influence must arrive to be kept.

    Returns:
      Its `carry` approximates ∂L/∂ the state with which the trace began.
    """
    if recurrence.model is None:
        return walk(recurrence, window, partial(visit_any, n=n))
    mask = pattern(recurrence.model, window.params, n)
    loss_of = read(recurrence, window.params, window.hyper, total_weight(recurrence, window.batch))

    def visit(
        step: Step, p: Array, readout: Any, s: Array, trace: Influence, batch_t: Batch, noise_t: Any
    ) -> StepGradient:
        new, pull = jax.vjp(lambda p, s: step.advance(p, readout, s, batch_t)[0], p, s)
        I_t, D_t = jax.vmap(pull)(jnp.eye(s.size, dtype=s.dtype))
        influence = Influence(
            jnp.where(mask.params, D_t @ trace.params + I_t, 0), jnp.where(mask.carry, D_t @ trace.carry, 0)
        )
        loss, (d_readout, d_new) = jax.value_and_grad(loss_of, argnums=(0, 1))(readout, new, batch_t)
        return StepGradient(new, influence, loss, d_new @ influence.params, d_readout, d_new @ influence.carry)

    return walk(recurrence, window, visit)


class Seen(NamedTuple):
    """J̃ [B, S, P] and K̃ [B, S, S]; and where Iₜ and Dₜ have not been zero so far, bool of the same shapes."""

    params: Array
    carry: Array
    immediate: Array
    graph: Array


def visit_any(
    step: Step, p: Array, readout: Any, s: Array, trace: Seen, batch_t: Batch, noise_t: Any, *, n: int
) -> StepGradient:
    """One step of one stream of any recurrence, whose pattern is seen in its derivatives: M has the entries that
    a way of n steps leads to, along which no derivative has been zero at all times so far. As the output may be any
    function of parameters and state, ∂ℓₜ/∂p and ∂ℓₜ/∂sₜ₋₁ J̃ₜ₋₁ are what a step adds, its own influence exact."""
    (new, loss), pull = jax.vjp(lambda p, readout, s: step.advance(p, readout, s, batch_t), p, readout, s)
    d_p, d_readout, d_s = pull((jnp.zeros_like(new), jnp.ones_like(loss)))
    I_t, _, D_t = jax.vmap(lambda row: pull((row, jnp.zeros_like(loss))))(jnp.eye(s.size, dtype=s.dtype))
    immediate = trace.immediate | (I_t != 0)
    graph = trace.graph | (D_t != 0)
    reached, from_state = immediate, graph
    for _ in range(min(n, s.size) - 1):
        reached, from_state = compose(graph, reached), compose(graph, from_state)
    seen = Seen(
        jnp.where(reached, D_t @ trace.params + I_t, 0),
        jnp.where(from_state, D_t @ trace.carry, 0),
        immediate,
        graph,
    )
    return StepGradient(new, seen, loss, d_p + d_s @ trace.params, d_readout, d_s @ trace.carry)


def init(recurrence: Recurrence, params: Any, state: Any, batch_t: Batch | None = None) -> Influence | Seen:
    """No parameter has acted yet, and the state is the initial one; a number of it is connected with itself."""
    influence = rtrl.init(recurrence, params, state, batch_t)
    if recurrence.model:
        return influence
    return Seen(*influence, jnp.zeros_like(influence.params, bool), influence.carry != 0)


def pattern(model: Model, params: Params, n: int) -> Influence:
    """M, bool: which entries of the influence matrix [S, P], and of ∂sₜ/∂s₋₁ [S, S], are kept.

    A learned initial state acts, as the initial state itself, through the step that follows it: its own first.
    """
    L, H = model.layers, model.hidden
    layer_of = jnp.arange(L * H) // H
    at_once = jnp.eye(L * H, dtype=bool) | (layer_of[:, None] < layer_of)  # [from, to], within one step
    through_W = jax.scipy.linalg.block_diag(*(connections(layer.W, H) for layer in params.layers))
    graph = compose(through_W | jnp.eye(L * H, dtype=bool), at_once)
    reached, from_state = at_once, graph
    for _ in range(min(n, L * H) - 1):  # no path through a graph has more steps than it has units
        reached, from_state = compose(reached, graph), compose(from_state, graph)

    index = jnp.arange(L * model.state_width)
    of_state = index // model.state_width * H + index % H  # the unit of each number of the state
    kept = reached[unit_of(model, params)]
    if model.learned_state:
        none = jax.tree.map(lambda leaf: jnp.zeros_like(leaf, bool), params.layers)
        is_s0 = ravel_pytree([layer._replace(s0=~layer.s0) for layer in none])[0]
        kept = jnp.where(is_s0[:, None], from_state[unit_of(model, params)], kept)
    return Influence(kept[:, of_state].T, from_state[of_state][:, of_state].T)


def connections(W: Array | None, H: int) -> Array:
    """Graph of the units, by who acts on whom: bool [from, to] from W [H, G·H]; each on itself where W is none or
    diagonal."""
    if W is None or W.ndim == 1:
        return jnp.eye(H, dtype=bool)
    return jnp.any(W.reshape(H, -1, H) != 0, axis=1)


def compose(first: Array, then: Array) -> Array:
    """The pairs that are connected by a step of one relation and a step of another."""
    return first.astype(jnp.float32) @ then.astype(jnp.float32) > 0


def method(config: GradientConfig) -> Method:
    n = config.snap_steps
    variants = ({"snap_steps": 1}, {"snap_steps": 3})
    claim = Claim("approximate", "stream", exact_if=partial(covers, n=n), definition="snap", variants=variants)
    memory = (Influence, Seen)
    return Method(partial(gradient, n=n), init, refuse=refuse, price=rtrl.PRICE, memory=memory, claim=claim)


def covers(model: Model, params: Params, T: int, count: int, *, n: int) -> bool:
    """True where every influence that can arrive in a stream of T·count steps arrives within n."""
    of_n, of_all = (jax.jit(pattern, static_argnums=(0, 2))(model, params, steps) for steps in (n, T * count))
    return all(bool(jnp.all(kept | ~arrives)) for kept, arrives in zip(of_n, of_all, strict=True))


def refuse(model: Model) -> str | None:
    """The pattern must be that of W."""
    if model.layer_norm:
        return "layer normalisation couples every unit to every other at each step, which leaves nothing to drop"
    if model.embedding:
        return "an embedding acts on every unit at its first step, which leaves nothing to drop"
    return refuse_bidirectional(model)
