"""The approximate and truncated methods by their definitions: written once more, in NumPy, as plain loops over steps,
from the derivatives of single steps and from the double sum.

Each gives the gradient of every window of a stream, {"params", "carry"}; no method of the table is used here.
"""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.certificate import exact
from rnnjax.certificate.bench import Bench
from rnnjax.config import GradientConfig
from rnnjax.model.cells import Hyper, built_in, with_tanh
from rnnjax.model.leaves import pack, unpack
from rnnjax.model.loss import Loss, make_loss
from rnnjax.model.network import Batch, Layer, Model, Params
from rnnjax.model.recurrence import of_network, total_weight

Windows = list[dict[str, Any]]


def truncated(bench: Bench, config: GradientConfig) -> Windows:
    """Sum over a window's pairs (step of the loss j, step of the use k) within k₂ steps.

    k is at most k₂ steps before the end to which j belongs. The ends are k₁ steps apart; the last is the window's.
    """
    (j, k), T = bench.steps, bench.instance.shape[0]
    end = np.minimum((j % T // config.k1_steps + 1) * config.k1_steps, T)
    found = []
    for index in range(bench.instance.number):
        within = (j // T == index) & (k // T == index) & (k <= j) & (k % T >= end - config.k2_steps)
        first = index * T  # a zero added before it is one added to the initial state
        reach_it = within[:, first].astype(float)
        carry = jax.tree.map(lambda leaf: np.tensordot(reach_it, leaf[:, first], axes=1), bench.pairs_of_state)  # noqa: B023
        whole = {"params": bench.sum_of_pairs(within), "carry": carry}
        found.append(bench.of_window(index, whole))
    return found


def snap(bench: Bench, config: GradientConfig) -> Windows:
    """J̃ₜ = M ⊙ (Dₜ J̃ₜ₋₁ + Iₜ), and for the initial state K̃ₜ = M' ⊙ Dₜ K̃ₜ₋₁ (Menick et al., 2020).

    Of a network M follows from W, and a step adds ∂ℓₜ/∂sₜ J̃ₜ. Of any step M is what its derivatives have shown so
    far, and a step adds ∂ℓₜ/∂p + ∂ℓₜ/∂sₜ₋₁ J̃ₜ₋₁, its own influence exact.
    """
    instance, of = bench.instance, bench.derivatives
    T, (N, S, P) = instance.shape[0], of.of_params.shape[1:]
    J, K = np.zeros((N, S, P)), np.broadcast_to(np.eye(S), (N, S, S))
    d_p, d_s0 = np.zeros((instance.number, P)), np.zeros((instance.number, N, S))
    for t, (M, M_of_state) in enumerate(patterns(bench, config.snap_steps)):
        before = J, K
        J, K = M * (of.of_state[t] @ J + of.of_params[t]), M_of_state * (of.of_state[t] @ K)
        if of.loss_of_new is None:
            error, through, own = of.loss_of_state[t], before, np.ones(P)
        else:
            error, through, own = of.loss_of_new[t], (J, K), ~bench.numbers_that_act
        d_p[t // T] += own * of.loss_of_params[t].sum(axis=0) + np.einsum("ns,nsp->p", error, through[0])
        d_s0[t // T] += np.einsum("ns,nsr->nr", error, through[1])
    return [bench.of_window(index, bench.restore(d_p[index], d_s0[index])) for index in range(instance.number)]


def patterns(bench: Bench, n: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """M for the parameters and for the initial state, at each step of the stream."""
    instance = bench.instance
    acted, graph = (np.asarray(part) != 0 for part in (bench.derivatives.of_params, bench.derivatives.of_state))
    if instance.recurrence.model is None:
        return (seen_so_far(acted[: t + 1], graph[: t + 1], n) for t in range(len(acted)))
    return repeat(pattern(instance.model, instance.params, n), len(acted))


def seen_so_far(acted: np.ndarray, graph: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """True where a parameter [N, S, P], or a number of the initial state [N, S, S], can act within n steps.

    It can by the derivatives that have not been zero at some time.

    Args:
      acted: bool [t, N, S, P]; graph: bool [t, N, S, S]. A number of the state is connected with itself.
    """
    of_params: np.ndarray = np.any(acted, axis=0)
    connected: np.ndarray = np.any(graph, axis=0) | np.eye(graph.shape[-1], dtype=bool)
    of_state = connected
    for _ in range(n - 1):
        of_params, of_state = connected @ of_params, connected @ of_state
    return of_params, of_state


def pattern(model: Model, params: Params, n: int) -> tuple[np.ndarray, np.ndarray]:
    """True where a parameter [S, P], or a number of the initial state [S, S], can act on the state within n steps.

    Read off the derivatives of one step, at random input and random values of the weights that are not 0: a
    derivative is zero where there is no way. A unit counts as a whole, and as connected with itself.
    """
    draw = np.random.default_rng(0)
    H, L, width = model.hidden, model.layers, model.state_width
    smooth = dataclasses.replace(
        model, cell=with_tanh(model.cell), activation="", dropout=False, loss="cross_entropy", inputs=model.width
    )
    filled = jax.tree.map(lambda leaf: 0.5 * draw.normal(size=leaf.shape), params)
    alone = np.tile(np.eye(H, dtype=bool), len(model.cell.gates))
    if model.cell.recurrence == "dense":
        layers = (
            random._replace(W=np.where((np.asarray(layer.W) != 0) | alone, random.W, 0))
            for random, layer in zip(filled.layers, params.layers, strict=True)
        )
        filled = filled._replace(layers=tuple(layers))
    carry = tuple(draw.normal(size=(1, width)) for _ in range(L))
    recurrence = of_network(smooth)
    x: Any = draw.normal(size=(1, 1, model.width))
    nothing: Any = np.zeros((1, 1), int)

    def one(reset: bool) -> exact.Derivatives:
        batch = Batch(x, nothing, reset=nothing + reset > 0)
        return jax.device_get(exact.derivatives(recurrence, filled, Hyper(0.5), carry, batch))

    as_units = np.kron(np.eye(L), np.tile(np.eye(H), len(model.cell.states)))  # [L·H, S]
    acts = as_units @ (one(False).of_state[0, 0] != 0) @ as_units.T > 0
    at_once = as_units @ (one(False).of_params[0, 0] != 0) > 0
    if model.learned_state:  # which acts where a reset leads back to it
        at_once |= as_units @ (one(True).of_params[0, 0] != 0) > 0
    of_params, of_state = at_once, acts
    for _ in range(min(n, L * H) - 1):
        of_params, of_state = acts @ of_params, acts @ of_state
    return np.asarray(as_units.T @ of_params > 0), np.asarray(as_units.T @ of_state @ as_units > 0)


def direct(bench: Bench, index: int) -> Params:
    """∂L/∂p of a window at a fixed state before each step; of V and by, which need no memory, the whole."""
    T = bench.instance.shape[0]
    of_steps = np.asarray(bench.derivatives.loss_of_params)[index * T : (index + 1) * T]
    return unpack(of_steps.sum(axis=(0, 1)), bench.instance.params)


PHI: dict[str, tuple[Callable, Callable]] = {
    "tanh": (np.tanh, lambda u: 1 - np.tanh(u) ** 2),
    "relu": (lambda u: np.maximum(u, 0), lambda u: (u > 0).astype(float)),
    "linear": (lambda u: u, np.ones_like),
}


def rflo(bench: Bench, config: GradientConfig) -> Windows:
    """Equations of Murray, 2019: an eligibility for each weight of unit b, which forgets by the leak alone,

    p_ab ← (1 - α) p_ab + α φ'(u_b) (what the weight is multiplied by)_a        ∂L/∂w_ab ≈ Σₜ (errorₜ F)_b p_ab

    with F = Vᵀ, or the fixed matrix of numbers uniform in ±1/√H.
    """
    instance, model, params, T = bench.instance, bench.instance.model, bench.instance.params, bench.instance.shape[0]
    (state,), stream = exact.streams_apart(instance.recurrence, instance.carry, instance.stream)
    B, divisor = state.shape[0], float(total_weight(instance.recurrence, instance.stream))
    phi, slope = PHI[model.activation]
    alpha = float(instance.hyper.leak) if built_in(model.cell) == "leaky" else 1.0
    U, W, bh, V, by = (np.asarray(leaf) for leaf in (*params.layers[0][:3], params.V, params.by))
    H, outputs = V.shape
    weight = np.ones(stream.shape) if stream.weight is None else stream.weight
    F = V.T if config.feedback == "readout" else np.asarray(fixed_feedback(outputs, H))
    found: Any = [([np.zeros_like(leaf) for leaf in (U, W, bh)], np.zeros((B, H))) for _ in range(instance.number)]
    for b in range(B):
        h, left, p = np.asarray(state[b]), np.ones(H), [np.zeros_like(leaf) for leaf in (U, W, bh)]
        for t in range(instance.number * T):
            if stream.reset is not None and stream.reset[t, b]:
                h, left, p = 0 * h, 0 * left, [0 * e for e in p]
            x = stream.x[t, b] if stream.x.ndim > 2 else np.eye(model.width)[stream.x[t, b]]
            u = x @ U + h @ W + bh
            if stream.valid is None or stream.valid[t, b]:
                immediate = (np.outer(x, slope(u)), np.outer(h, slope(u)), slope(u))
                p = [(1 - alpha) * e + alpha * new for e, new in zip(p, immediate, strict=True)]
                h, left = (1 - alpha) * h + alpha * phi(u), (1 - alpha) * left
            thinned = np.ones(H)
            if stream.noise is not None:
                rate = float(instance.hyper.dropout)
                thinned = (np.asarray(stream.noise[0][t, b]) >= rate) / (1 - rate)
            error = output_error(model.loss, (h * thinned) @ V + by, stream.y[t, b]) * weight[t, b] / divisor
            signal, (d_layer, d_h0) = thinned * (error @ F), found[t // T]
            for d, e in zip(d_layer, p, strict=True):
                d += signal * e
            d_h0[b] += signal * left
    parts = []
    for index, (d_layer, d_h0) in enumerate(found):
        own = direct(bench, index)
        whole = {"params": Params((Layer(*d_layer),), own.V, own.by), "carry": (d_h0,)}
        parts.append(bench.of_window(index, whole))
    return parts


def output_error(loss: str | Loss, out: np.ndarray, y: Any) -> np.ndarray:
    """∂L/∂o of one step: ŷ - y of softmax cross-entropy, 2 (ŷ - y) of squares; of any other loss JAX's."""
    if loss == "cross_entropy":
        return np.exp(log_softmax(out)) - np.eye(len(out))[y]
    if loss == "squared_error":
        return 2 * (out - np.reshape(y, out.shape))
    return np.asarray(jax.grad(lambda out: jnp.sum(make_loss(loss)(out, y)))(jnp.asarray(out)))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


@partial(jax.jit, static_argnums=(0, 1))
def fixed_feedback(outputs: int, H: int) -> jax.Array:
    """Random F [V, H] of `gradient.feedback random`: uniform in ±1/√H, from key 0."""
    return jax.random.uniform(jax.random.key(0), (outputs, H), float, -(H**-0.5), H**-0.5)


def truncated_gates(bench: Bench, config: GradientConfig) -> Windows:
    """Jₜ = D̃ₜ Jₜ₋₁ + Ĩₜ from zero in every window, with D̃ₜ = Dₜ - (∂sₜ/∂zₜ) Wᵀ, and a step adds ∂ℓₜ/∂sₜ Jₜ.

    A bias is added to z, so that ∂sₜ/∂zₜ = ∂sₜ/∂bh. After a reset h is s0, or zero: the same is then taken from the
    columns of a learned s0.
    """
    instance, of = bench.instance, bench.derivatives
    T, (N, S, P) = instance.shape[0], of.of_params.shape[1:]
    W, error = np.asarray(instance.params.layers[0].W), np.asarray(of.loss_of_new)
    to_h = np.pad(W, ((0, S - len(W)), (0, 0)))  # the rest of the state does not meet W
    bias, first = (columns(instance.params, name) for name in ("bh", "s0"))
    found = []
    for index in range(instance.number):
        J, K = np.zeros((N, S, P)), np.broadcast_to(np.eye(S), (N, S, S))
        d_p, d_s0 = np.zeros(P), np.zeros((N, S))
        for t in range(index * T, (index + 1) * T):
            D, immediate = np.array(of.of_state[t]), np.array(of.of_params[t])
            through_W = immediate[:, :, bias] @ to_h.T
            anew = np.zeros(N, bool) if instance.stream.reset is None else np.ravel(instance.stream.reset[t])
            D -= np.where(anew[:, None, None], 0, through_W)
            if first.any():
                immediate[:, :, first] -= np.where(anew[:, None, None], through_W, 0)
            J, K = D @ J + immediate, D @ K
            d_p += of.loss_of_params[t].sum(axis=0) * ~bench.numbers_that_act
            d_p += np.einsum("ns,nsp->p", error[t], J)
            d_s0 += np.einsum("ns,nsr->nr", error[t], K)
        found.append(bench.of_window(index, bench.restore(d_p, d_s0)))
    return found


def columns(params: Params, field: str) -> np.ndarray:
    """True for the numbers of one field of the layer in `leaves.pack` of the parameters [P]."""
    none = jax.tree.map(jnp.zeros_like, params)
    (layer,) = none.layers
    one = (
        none
        if getattr(layer, field) is None
        else none._replace(layers=(layer._replace(**{field: jnp.ones_like(getattr(layer, field))}),))
    )
    return np.asarray(pack(one), bool)


DEFINITIONS: dict[str, Callable[[Bench, GradientConfig], Windows]] = {
    "truncated": truncated,
    "snap": snap,
    "rflo": rflo,
    "truncated_gates": truncated_gates,
}
