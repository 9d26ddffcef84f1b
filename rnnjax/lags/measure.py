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
from rnnjax.model.network import Batch, Carry, initial_carry, leaf_names
from rnnjax.text_network import TextNetwork
from rnnjax.trained import Trained

trajectory, by_lag, spectra = (jax.jit(f, static_argnums=0) for f in (lags.trajectory, lags.by_lag, lyapunov.spectra))


class AnalysedText(NamedTuple):
    """Text that is analysed: T characters before the window, the window, both [T, B], and a line about them.

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
    network = trained.model, trained.params, trained.hyper
    start = initial_carry(trained.model, trained.params, (text.streams,))
    _, after = trajectory(*network, start, text.before)
    carry = jax.tree.map(lambda states: states[-1], after)
    report = by_lag(*network, carry, text.batch)
    if not all(np.isfinite(size).all() for size in report.sizes):
        raise UserError(f"{name}: the gradient of {text.window} steps is too long for float64; lower --window")
    before, _ = trajectory(*network, carry, text.batch)
    return {
        "name": name,
        "loss": float(report.loss),
        **reach(report, text, leaf_names(trained.params), options.bias),
        "lyapunov": exponents(trained, text, start, options.exponents),
        "recurrent_weights": units.spectra(*network),
        "saturation": units.saturation(*network, before, text.batch),
    }


def reach(report: lags.LagReport, text: AnalysedText, names: list[str], wanted: float) -> dict:
    """Gradient norm at every lag, and truncation at every k, of the whole gradient and of each leaf."""
    K = text.lags
    norms = np.asarray(report.norms)[: K + 1, K:].reshape(K + 1, -1)
    low, median, high = np.quantile(norms, [0.1, 0.5, 0.9], axis=1)
    sizes, whole, leaves = jax.tree.map(np.asarray, (report.sizes, *lags.truncation(report.sizes)))
    return {
        "gradient_norm": {"mean": norms.mean(1), "p10": low, "median": median, "p90": high},
        "truncation": {"k": list(range(1, text.window + 1)), "bias": whole.bias, "cosine": whole.cosine},
        "wanted": {"bias": wanted, "k": lags.steps_for(whole.bias[: K + 1], wanted)},
        "parts_against_bptt": float(whole.bias[-1]),
        "leaves": {
            name: {
                "norm": math.sqrt(sizes.whole[index]),
                "norm_by_lag": np.sqrt(sizes.part[:, index]),
                "bias": leaves.bias[:, index],
                "cosine": leaves.cosine[:, index],
            }
            for index, name in enumerate(names)
        },
    }


def exponents(trained: Trained, text: AnalysedText, start: Carry, count: int) -> dict:
    """The largest Lyapunov exponents, mean over the streams, with their standard error."""
    network, S = (trained.model, trained.params, trained.hyper), state_size(trained)
    directions = jax.random.orthogonal(jax.random.key(0), S, dtype=jnp.float64)[:, :count]
    window = text.batch._replace(weight=None)
    found = np.asarray(spectra(*network, start, text.before, window, directions))
    # Over a finite time directions of nearly the same growth may still come in another order.
    found = found[:, np.argsort(-found.mean(0))]
    spread = np.full(found.shape[1], np.nan)
    if text.streams > 1:
        finite = np.isfinite(found).all(0)  # a direction in which nothing at all is left: minus infinity
        spread[finite] = found[:, finite].std(0, ddof=1)
    return {"exponents": found.mean(0), "standard_error": spread / math.sqrt(text.streams), "state": S}
