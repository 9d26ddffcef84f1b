"""The gradient of a window, split by lag: how far back a loss still reaches, and what truncation leaves out.

The textbook's double sum over the step j of a loss and the step i at which a weight was used has one term for each lag
k = j - i. With sₜ the state of the whole stack after step t and δₜ,ₖ = ∂Lₜ/∂sₜ₋ₖ,

    δₜ,₀ = ∂Lₜ/∂sₜ        δₜ,ₖ₊₁ = δₜ,ₖ (∂sₜ₋ₖ/∂sₜ₋ₖ₋₁)        gₖ = Σₜ δₜ,ₖ (∂sₜ₋ₖ/∂θ at fixed sₜ₋ₖ₋₁)        g = Σₖ gₖ

where the read-out, which every loss uses at its own step, belongs to g₀. Back-propagation through time adds up all t
while it walks back one step; here all t walk back side by side and the sum over lags stays open, so that truncation at
every k,

    g_{<k} = g₀ + … + gₖ₋₁        each loss sees its own step and the k - 1 before it,

is read off one pass (Williams & Peng, 1990, "An efficient gradient-based algorithm for on-line training of recurrent
network trajectories"; Bengio et al., 1994, "Learning long-term dependencies with gradient descent is difficult").
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.gradients import autodiff
from rnnjax.gradients.method import Window
from rnnjax.model.cells import Hyper
from rnnjax.model.loss import denominator, make_loss
from rnnjax.model.network import Batch, Carry, Model, Params
from rnnjax.model.recurrence import of_network
from rnnjax.model.rnn import handed_up, hidden_to_output, step
from rnnjax.quantities import in_bytes

Array = jax.Array

MOST_PRODUCTS = 2e13
"""Products beyond which an analysis takes a quarter of an hour and more on a few cores."""

MOST_BYTES = 8e9


class Sizes(NamedTuple):
    """Squared lengths and products of each leaf, at every number k of kept steps.

    Leaves stand in the order of `jax.tree.leaves(params)`.

    Attributes:
      part: ‖gₖ₋₁‖², [T, leaves].
      kept: ‖g_{<k}‖², [T, leaves].
      along: ⟨g_{<k}, g⟩, [T, leaves].
      missing: ‖g_{<k} - g‖², [T, leaves].
      whole: ‖g‖², [leaves].
    """

    part: Array
    kept: Array
    along: Array
    missing: Array
    whole: Array


class LagReport(NamedTuple):
    """Result of `by_lag`.

    Attributes:
      loss: scalar, nats per character.
      norms: ‖∂Lₜ/∂sₜ₋ₖ‖ at [k, t, *B], Lₜ = -log ŷₜ of one stream, nats per unit of state; 0 where t < k, nan where
        the step has weight 0 in the loss.
      gradient: g, by `gradients.autodiff`.
      sizes: lengths of the parts of g.
    """

    loss: Array
    norms: Array
    gradient: Params
    sizes: Sizes


def trajectory(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> tuple[Carry, Carry]:
    """States before each step and after it, each [T, *B, states·H] for every layer."""

    def body(carry: Carry, batch_t: Batch) -> tuple[Carry, tuple[Carry, Carry]]:
        new, _ = step(model, params, hyper, carry, batch_t)
        return new, (carry, new)

    return jax.lax.scan(body, carry, batch)[1]


def walk_back(
    model: Model,
    params: Params,
    hyper: Hyper,
    carry: Carry,
    batch: Batch,
    observe: Callable[[Any, Params], tuple[Any, Any]],
    memory: Any = None,
) -> tuple[Array, Any]:
    """Takes the losses of all steps back through the window side by side, one lag after the other.

    Time is one more batch axis here: the step is linearised once, at every state of the trajectory at the same time,
    and one pull-back takes all the losses one step further back and sums gₖ over steps and streams as it goes.

    Cost: T pull-backs of T·B steps, O(T²·B·weights) time; O(T·B·L·G·H) memory, without what `observe` keeps.

    Args:
      carry: state before the window, a constant of the gradient.
      batch: window [T, *B]; masks and weights are obeyed, and a step held by `valid` counts in the lag.
      observe: (memory, gₖ) -> (memory, record of lag k), called for k = 0 … T-1.

    Returns:
      norms as in `LagReport`, and the records, stacked over k.
    """
    T = batch.x.shape[0]
    before, after = trajectory(model, params, hyper, carry, batch)
    weight = jnp.ones(batch.shape, params.V.dtype) if batch.weight is None else batch.weight
    share = weight / denominator(batch.shape, batch.weight)

    def losses(params: Params, states: Carry) -> Array:
        logits = hidden_to_output(params, handed_up(model, hyper, states, batch.noise))
        return jnp.sum(share * make_loss(model.loss)(logits, batch.y))

    of_read_out, d_states = jax.grad(losses, argnums=(0, 1))(params, after)
    pull_back = jax.vjp(lambda params, states: step(model, params, hyper, states, batch)[0], params, before)[1]

    def body(loop: tuple[Carry, Any], k: Array) -> tuple[tuple[Carry, Any], tuple[Array, Any]]:
        d_states, memory = loop  # at position i: the adjoint of the state after step i, of the loss of step i + k
        g_k, d_before = pull_back(d_states)
        g_k = jax.tree.map(lambda used, read: used + jnp.where(k == 0, read, 0), g_k, of_read_out)
        memory, seen = observe(memory, g_k)
        norm = jnp.sqrt(sum(jnp.sum(d * d, axis=-1) for d in d_states))
        # The state before step i is the one after step i - 1; that before the window is not a step's.
        d_states = jax.tree.map(lambda d: jnp.concatenate([d[1:], jnp.zeros_like(d[:1])]), d_before)
        return (d_states, memory), (jnp.roll(norm, k, axis=0), seen)

    _, (norms, seen) = jax.lax.scan(body, (d_states, memory), jnp.arange(T))
    return jnp.where(share > 0, norms / jnp.where(share > 0, share, 1), jnp.nan), seen


def split(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> Params:
    """gₖ for every lag k = 0 … T-1, stacked in front of each leaf. O(T·weights) memory: for small networks."""
    return walk_back(model, params, hyper, carry, batch, lambda memory, g_k: (memory, g_k))[1]


def by_lag(model: Model, params: Params, hyper: Hyper, carry: Carry, batch: Batch) -> LagReport:
    """Norms of the loss's gradient at every lag, and the window's gradient truncated at every k.

    All is exact for this window; the state before it is a constant. Memory: `walk_back`'s and four times the weights.
    """
    bptt = autodiff.gradient(of_network(model), Window(params, hyper, carry, batch))

    def observe(kept: Params, g_k: Params) -> tuple[Params, tuple[Array, ...]]:
        kept = jax.tree.map(jnp.add, kept, g_k)
        missing = jax.tree.map(jnp.subtract, kept, bptt.params)
        return kept, (inner(g_k, g_k), inner(kept, kept), inner(kept, bptt.params), inner(missing, missing))

    nothing = jax.tree.map(jnp.zeros_like, params)
    norms, seen = walk_back(model, params, hyper, carry, batch, observe, nothing)
    part, kept, along, missing = seen
    sizes = Sizes(part, kept, along, missing, inner(bptt.params, bptt.params))
    return LagReport(bptt.loss, norms, bptt.params, sizes)


def inner(a: Params, b: Params) -> Array:
    """⟨a, b⟩ of each leaf, [leaves]."""
    return jnp.stack([jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)])


class Truncation(NamedTuple):
    """Error of a gradient that keeps k steps, at k = 1 … T.

    Attributes:
      bias: ‖g_{<k} - g‖ / ‖g‖, [T, ...].
      cosine: cosine of the angle between g_{<k} and g, [T, ...]; nan where one of them is zero.
    """

    bias: Array
    cosine: Array


def truncation(sizes: Sizes) -> tuple[Truncation, Truncation]:
    """Bias and cosine of the whole gradient [T], and of each leaf [T, leaves]."""
    whole = Sizes(*(jnp.sum(size, axis=-1) for size in sizes))
    return _truncation(whole), _truncation(sizes)


def _truncation(sizes: Sizes) -> Truncation:
    return Truncation(
        jnp.sqrt(sizes.missing / sizes.whole), jnp.clip(sizes.along / jnp.sqrt(sizes.kept * sizes.whole), -1, 1)
    )


def steps_for(bias: Array, wanted: float) -> int | None:
    """Smallest k from which on the bias [k - 1] stays within the wanted one; None where the last bias is above it."""
    above = [k for k, value in enumerate(bias.tolist(), start=1) if not value <= wanted]
    needed = max(above, default=0) + 1
    return needed if needed <= len(bias) else None


def refuse(model: Model, weights: int, T: int, B: int) -> str | None:
    """Reason why a window is too big for `by_lag`, with its size; None where it is not.

    Args:
      weights: number of parameters.
    """
    # A pull-back has two products with each matrix: one for the weight, one for the state.
    products = 2 * T * T * B * weights
    if products > MOST_PRODUCTS:
        return f"2 T^2 B x {weights:,} weights = {products:.0e} products, more than {MOST_PRODUCTS:.0e}"
    width = (4 * len(model.cell.gates) * model.hidden + 6 * model.state_width) * model.layers + 3 * model.vocabulary
    size = 8 * (T * B * (width + 2 * T) + 6 * weights)
    if size > MOST_BYTES:
        return f"about {in_bytes(size)} of memory, more than {in_bytes(MOST_BYTES)}"
    return None
