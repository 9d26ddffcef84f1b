"""The measurement: the gradients of training windows, clipped in every way."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jsonargparse import Namespace

from rnnjax.analysis.clipping import Effect, effect, value_threshold
from rnnjax.data.streams import fold_into_streams
from rnnjax.errors import UserError
from rnnjax.gradients import make_applicable
from rnnjax.gradients.method import Window
from rnnjax.model.initializers import count_parameters
from rnnjax.model.network import Carry, Params, initial_carry, leaf_names
from rnnjax.model.norm import global_norm
from rnnjax.model.recurrence import of_network
from rnnjax.quantities import in_bytes
from rnnjax.text_network import TextNetwork
from rnnjax.training.clipping import clipped_by, make_clip
from rnnjax.training.step import draw_noise_of, window_at

KINDS = ("value", "global_norm", "per_leaf_norm")

SWEEP = np.geomspace(1e-4, 3, 19)
"""Thresholds of the figure, as multiples of the median norm."""

SHARE = 0.5
"""Share of the length that both kinds leave, where they are compared at the same length."""

TINY = np.finfo(np.float64).tiny
"""Divisor in the place of a length of 0."""

MOST_BYTES = 1e9
"""Bytes of gradients to keep; clipping needs several times as much."""


def measure(network: TextNetwork, grads: Params, options: Namespace) -> dict:
    """Effect of every kind on the gradients [N, ...]; all numbers are medians over the windows.

    Raises:
      UserError: if there is nothing to measure.
    """
    norms, for_share, shares = lengths(grads)
    median = float(np.median(norms))
    if not np.isfinite(norms).all():
        raise UserError(f"{network.name}: the gradient of a window is not finite; clipping cannot mend it")
    if not median:
        raise UserError(f"{network.name}: the gradients of half the windows or more are zero; no clipping changes them")
    config = network.trained.config.optimizer
    wanted = {"config": config.clip_threshold}
    wanted |= {f"{multiple:g} x median": multiple * median for multiple in options.multiples}
    names = leaf_names(network.trained.params)
    rows, sweeps, same_length = [], {}, {}
    for kind in KINDS:
        own = for_share if kind == "value" else SHARE * norms
        of_kind, sweeps[kind], same = measure_kind(kind, wanted, own, norms, names, grads)
        rows += of_kind
        if kind != "per_leaf_norm":  # which has no threshold that leaves every leaf the same share
            same_length[kind] = same
    return {
        "name": network.name,
        "windows": options.windows,
        "config": {"clip": config.clip, "clip_threshold": config.clip_threshold},
        "norm": {"median": median, "smallest": norms.min(), "largest": norms.max()},
        "share_of_length": dict(zip(names, np.median(shares, axis=0), strict=True)),
        "rows": rows,
        "same_length": {"share_of_length": SHARE, **same_length},
        "sweep": {"multiples_of_median_norm": SWEEP, **sweeps},
    }


def measure_kind(
    kind: str, wanted: dict[str, float], own: np.ndarray, norms: np.ndarray, names: list[str], grads: Params
) -> tuple[list[dict], dict, dict]:
    """Effect of one kind at the thresholds of the table, along the sweep, and at each window's own threshold.

    Args:
      wanted: thresholds of the table, by name.
      own: threshold of each window that leaves it a share of its length [N].
      norms: norm of each window's gradient [N].
    """
    thresholds = np.array([*wanted.values(), *(np.median(norms) * SWEEP)])
    whole, leaves = effects(kind, np.vstack([np.tile(thresholds[:, None], len(norms)), own]), grads)
    kept = np.median(whole.after / np.maximum(norms, TINY), axis=1)
    shares = np.median(leaves.after / np.maximum(whole.after, TINY)[..., None], axis=1)
    rows = []
    for index, (which, threshold) in enumerate(wanted.items()):
        by_leaf = {
            name: {**medians(leaves, (index, ..., leaf)), "share_of_length": shares[index, leaf]}
            for leaf, name in enumerate(names)
        }
        row = {"kind": kind, "which": which, "threshold": threshold}
        rows.append({**row, "whole": medians(whole, index), "leaves": by_leaf})
    swept = slice(len(wanted), len(thresholds))
    sweep = {"length_kept": kept[swept], "angle": np.median(whole.angle[swept], axis=1)}
    return rows, sweep, {"threshold": np.median(own), "length_kept": kept[-1], **medians(whole, -1)}


def gradients(network: TextNetwork, windows: int) -> Params:
    """Gradients of consecutive windows of the training text, as a training step computes them, stacked [N, ...].

    One more window, before them, gives the first state.

    Raises:
      UserError: if the text has fewer windows, or their gradients are too big to keep.
    """
    trained = network.trained
    config, model, params = trained.config, trained.model, trained.params
    T, B = config.training.sequence_length, config.training.batch_size
    streams = jnp.asarray(fold_into_streams(network.corpus.ids.train, B, T))
    check_size(windows, (streams.shape[1] - 1) // T, count_parameters(params))
    method, recurrence = make_applicable(config.gradient, model, T, B, "float64"), of_network(model)

    def body(loop: tuple[Carry, object], step: jax.Array) -> tuple[tuple[Carry, object], Params]:
        carry, trace = loop
        batch, _ = window_at(streams, step, T, config.training.windows)
        batch, noise = draw_noise_of(model, method, params, batch, jnp.int32(config.training.seed), step)
        result = method.gradient(recurrence, Window(params, trained.hyper, carry, batch, trace, noise))
        return (result.new_carry, result.trace), result.params

    carry = initial_carry(model, params, (B,))
    after_first, _ = jax.jit(body)((carry, method.init(recurrence, params, carry)), jnp.int32(0))
    run_windows = jax.jit(lambda loop: jax.lax.scan(body, loop, 1 + jnp.arange(windows, dtype=jnp.int32))[1])
    return run_windows(after_first)


def check_size(windows: int, has: int, weights: int) -> None:
    """Raises UserError where the text has too few windows, or their gradients are too big to keep."""
    if has < windows + 1:
        raise UserError(f"--windows is {windows}, but the training text has {has} windows, one of them for the state")
    if (size := 8 * windows * weights) > MOST_BYTES:
        raise UserError(
            f"--windows {windows} x {weights:,} weights are {in_bytes(size)} of gradients, more than "
            f"{in_bytes(MOST_BYTES)}; lower one"
        )


def lengths(grads: Params) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lengths of every window's gradient, and the threshold by value that shortens it.

    Returns:
      The norm [N], the threshold by value that leaves SHARE of it [N], and the length of each leaf as a share of the
      norm [N, leaves].
    """

    def of_one(g: Params) -> tuple:
        norm = global_norm(g)
        leaves = jnp.stack([global_norm(leaf) for leaf in jax.tree.leaves(g)])
        return norm, value_threshold(g, SHARE * norm), leaves / jnp.maximum(norm, TINY)

    return jax.tree.map(np.asarray, jax.jit(lambda grads: jax.lax.map(of_one, grads))(grads))


def effects(kind: str, thresholds: np.ndarray, grads: Params) -> tuple[Effect, Effect]:
    """Effect of a kind of clipping, as training applies it, on every window's gradient.

    Args:
      thresholds: M for each window, [M, N].

    Returns:
      The effect on the whole gradient [M, N], and on each leaf [M, N, leaves].
    """

    def of_window(threshold: jax.Array, g: Params) -> tuple[Effect, Effect]:
        return effect(partial(clipped_by, make_clip(kind, threshold)), g)

    @jax.jit
    def of_all(thresholds: jax.Array, grads: Params) -> tuple[Effect, Effect]:
        return jax.lax.map(lambda row: jax.vmap(of_window)(row, grads), thresholds)

    return jax.tree.map(np.asarray, of_all(jnp.asarray(thresholds), grads))


def medians(found: Effect, index) -> dict[str, float]:
    """Medians over the windows, at one of the thresholds."""
    return {field: float(np.median(values[index])) for field, values in found._asdict().items()}
