"""Windows of the held-out text, and the measurement of one network on them."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jsonargparse import Namespace

from rnnjax.analysis import lags, lyapunov, units
from rnnjax.data.streams import fold_into_streams
from rnnjax.errors import UserError
from rnnjax.model.initializers import count_parameters
from rnnjax.model.network import Batch, initial_carry
from rnnjax.text_network import TextNetwork, leaf_names
from rnnjax.trained import Trained

trajectory, by_lag, spectra = (jax.jit(f, static_argnums=0) for f in (lags.trajectory, lags.by_lag, lyapunov.spectra))


class AnalysedText(NamedTuple):
    """Text under the microscope: T characters before the window [T, B], the window [T, B], and a line about both.

    The losses before step K of the window are left out.
    """

    before: Batch
    batch: Batch
    window: int
    lags: int
    streams: int
    description: str


def cut(network: TextNetwork, options: Namespace) -> AnalysedText:
    """Cuts windows from equal parts of the text, each with as many characters before it, which give its first state.

    Raises:
      UserError: if the text is too short.
    """
    name, ids = network.held_out
    T, K, B = options.window, options.lags, options.streams
    needed = 2 * T * B + 1
    if len(ids) < needed:
        raise UserError(
            f"--window: the {name} text has {len(ids):,} characters, but --streams {B} x 2 x --window {T} need "
            f"{needed:,}"
        )
    steps = jnp.asarray(fold_into_streams(ids, B, 2 * T)[:, : 2 * T + 1]).T
    counted = jnp.ones((T, B)).at[:K].set(0)  # every loss that counts has the whole history of K steps
    described = (
        f"mean over the {T - K} steps x {B} streams that have all {K} earlier steps inside the analysed window of {T} "
        f"characters ({name} text); exact relative to that window"
    )
    before, batch = Batch(steps[:T], steps[1 : T + 1]), Batch(steps[T:-1], steps[T + 1 :], counted)
    return AnalysedText(before, batch, T, K, B, described)


def refuse_too_much(trained: Trained, options: Namespace) -> None:
    """Raises UserError, before the analysis begins, where it is too big; the message has its size."""
    model, weights = trained.model, count_parameters(trained.params)
    if reason := lags.refuse(model, weights, options.window, options.streams):
        raise UserError(f"--window {options.window} x --streams {options.streams} take {reason}; lower one")
    state = state_size(trained)
    n = min(options.exponents, state)
    if reason := lyapunov.refuse(weights, state, n, 2 * options.window, options.streams):
        raise UserError(f"--exponents {options.exponents} take {reason}; lower them, --window or --streams")


def state_size(trained: Trained) -> int:
    """S, the size of the whole state."""
    return trained.model.layers * trained.model.state_width


def analyse(name: str, trained: Trained, text: AnalysedText, options: Namespace) -> dict:
    """Measurements of one network, the content of lags.json about it.

    Raises:
      UserError: if its gradient is too long for float64.
    """
    model, params, hyper = trained.model, trained.params, trained.hyper
    start = initial_carry(model, params, (text.streams,))
    _, after = trajectory(model, params, hyper, start, text.before)
    carry = jax.tree.map(lambda states: states[-1], after)
    report = by_lag(model, params, hyper, carry, text.batch)
    sizes = jax.tree.map(np.asarray, report.sizes)
    if not all(np.isfinite(size).all() for size in sizes):
        raise UserError(f"{name}: the gradient of {text.window} steps is too long for float64; lower --window")
    whole, leaves = lags.truncation(report.sizes)
    whole, leaves = jax.tree.map(np.asarray, (whole, leaves))

    K = text.lags
    norms = np.asarray(report.norms)[: K + 1, K:].reshape(K + 1, -1)
    low, median, high = np.quantile(norms, [0.1, 0.5, 0.9], axis=1)
    S = state_size(trained)
    directions = jax.random.orthogonal(jax.random.key(0), S, dtype=jnp.float64)[:, : options.exponents]
    batch = text.batch._replace(weight=None)
    exponents = np.asarray(spectra(model, params, hyper, start, text.before, batch, directions))
    # Over a finite time directions of nearly the same growth may still come in another order.
    exponents = exponents[:, np.argsort(-exponents.mean(0))]
    spread = np.full(exponents.shape[1], np.nan)
    if text.streams > 1:
        finite = np.isfinite(exponents).all(0)  # a direction in which nothing at all is left: minus infinity
        spread[finite] = exponents[:, finite].std(0, ddof=1)
    before, _ = trajectory(model, params, hyper, carry, batch)
    return {
        "name": name,
        "loss": float(report.loss),
        "gradient_norm": {"mean": norms.mean(1), "p10": low, "median": median, "p90": high},
        "truncation": {"k": list(range(1, text.window + 1)), "bias": whole.bias, "cosine": whole.cosine},
        "wanted": {"bias": options.bias, "k": lags.steps_for(whole.bias[: K + 1], options.bias)},
        "parts_against_bptt": float(whole.bias[-1]),
        "leaves": {
            leaf: {
                "norm": math.sqrt(sizes.whole[index]),
                "norm_by_lag": np.sqrt(sizes.part[:, index]),
                "bias": leaves.bias[:, index],
                "cosine": leaves.cosine[:, index],
            }
            for index, leaf in enumerate(leaf_names(params))
        },
        "lyapunov": {"exponents": exponents.mean(0), "standard_error": spread / math.sqrt(text.streams), "state": S},
        "recurrent_weights": units.spectra(model, params, hyper),
        "saturation": units.saturation(model, params, hyper, before, batch),
    }
