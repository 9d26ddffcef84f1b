"""How far back a network's gradient reaches: python -m rnnjax.lags --run runs/lyrics, or --config configs/lyrics.yaml.

For a trained network (--run) or a fresh one (--config, with any of its fields), on windows of the held-out text and in
float64: the length of the loss's gradient at every lag, the gradient split by lag and what truncation leaves of it, the
Lyapunov spectrum, eigenvalues and singular values of W, and saturated units. Writes lags.json and figures.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jsonargparse
from jsonargparse import Namespace

from rnnjax.cli import run
from rnnjax.errors import UserError
from rnnjax.text_network import Specimen, fresh, leaf_names, parser_for, specimen_of, whole_numbers

if TYPE_CHECKING:  # late where it runs, so that --help and a wrong option answer at once
    from rnnjax.model.network import Batch, Model
    from rnnjax.trained import Trained

SCALES = [0.5, 1.0, 1.8]
"""W = scale x an orthogonal matrix: gradients that vanish, that live, and that explode."""


def main(argv: list[str] | None = None) -> int:
    parser = parser_for("lags", __doc__, argv)
    parser.add_argument("--window", type=int, default=128, help="T, characters of the window that is analysed")
    parser.add_argument("--lags", type=int, help="K, the longest lag of the figures; by default half the window")
    parser.add_argument("--streams", type=int, default=8, help="B, windows side by side, from equal parts of the text")
    parser.add_argument("--bias", type=float, default=0.1, help="the bias for which the smallest k is wanted")
    parser.add_argument("--exponents", type=int, default=64, help="Lyapunov exponents, the largest first")
    parser.add_argument(
        "--side_by_side",
        action=jsonargparse.ActionYesNo,
        default=None,
        help="also fresh networks with W = scale x orthogonal; by default with a config, not with a run, and where the "
        "scale of W decides: not in gated cells or under layer normalisation",
    )
    parser.add_argument("--scales", type=float, nargs="+", default=SCALES, help="their scales")
    options = parser.parse_args(argv)
    whole_numbers(options, window=2, lags=1, streams=1, exponents=1)
    options.lags = options.window // 2 if options.lags is None else options.lags
    if options.lags >= options.window:
        raise UserError(f"--lags is {options.lags}, but must be below --window, which is {options.window}")
    for name, value in (("bias", options.bias), *(("scales", scale) for scale in options.scales)):
        if not (math.isfinite(value) and value > 0):
            raise UserError(f"--{name} is {value}, but must be a finite number above 0")
    return lags(specimen_of("lags", parser, options), options)


def lags(specimen: Specimen, options: Namespace) -> int:
    """Analyses, prints the tables, and writes lags.json and the figures."""
    from rich.console import Console

    from rnnjax.lags.figures import plot_lags, plot_side_by_side
    from rnnjax.lags.tables import summary, tables
    from rnnjax.run.results import make_directory, write_json

    sight = cut(specimen, options)
    refuse_too_much(specimen.trained, options)
    make_directory(specimen.out)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{specimen.name}: {sight.description}")

    about = {"window": sight.window, "lags": sight.lags, "streams": sight.streams, "text": sight.description}
    found = [analyse(specimen.name, specimen.trained, sight, options)]
    for table in tables(found[0], sight.lags):
        console.print(table)
    write_json(specimen.out / "lags.json", {**about, "networks": found})
    written = plot_lags(specimen.out, found[0], sight.lags, sight.description)
    for name, trained in others(specimen, options, console.print):
        try:
            found.append(analyse(name, trained, sight, options))
        except UserError as error:
            console.print(f"left out of the comparison: {error}")
            continue
        console.print(summary(found[-1]))
    if len(found) > 1:
        write_json(specimen.out / "lags.json", {**about, "networks": found})
        written += plot_side_by_side(specimen.out, found, sight.lags, sight.description)
    console.print(f"lags.json and {', '.join(written)} are in {specimen.out}")
    return 0


def others(specimen: Specimen, options: Namespace, tell: Callable[[str], None]) -> list[tuple[str, Trained]]:
    """The networks beside the specimen: where they are asked for, or it is fresh and the scale of W decides."""
    asked, reason = options.side_by_side, scale_says_little(specimen.trained.model)
    if asked is False or (asked is None and not specimen.is_fresh):
        return []
    if reason:
        tell(
            f"W = scale x orthogonal side by side: {reason}"
            + ("" if asked else "; left out (--side_by_side asks for it)")
        )
    return rescaled(specimen, options.scales) if asked or not reason else []


def scale_says_little(model: Model) -> str | None:
    """Why the scale of W does not decide how far back a gradient reaches; None where it does."""
    if model.layer_norm:
        return "layer normalisation takes the scale of W out again"
    if model.unit in ("gru", "lstm"):
        return "in a gated cell the gates decide how far back a gradient reaches, more than the scale of W"
    return None


class Sight(NamedTuple):
    """The text under the microscope: T characters before the window, [T, B], the window itself, [T, B], with the losses
    before step K left out, and a line that says so."""

    before: Batch
    batch: Batch
    window: int
    lags: int
    streams: int
    description: str


def cut(specimen: Specimen, options: Namespace) -> Sight:
    """Windows of equal parts of the text, each with as many characters before it, from which its first state comes.

    Raises:
      UserError: if the text is too short.
    """
    import jax.numpy as jnp

    from rnnjax.data.streams import fold_into_streams
    from rnnjax.model.network import Batch

    name, ids = specimen.held_out
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
    return Sight(before, batch, T, K, B, described)


def refuse_too_much(trained: Trained, options: Namespace) -> None:
    """Says how much too big an analysis is, before it is begun."""
    from rnnjax.analysis import lags, lyapunov
    from rnnjax.model.initializers import count_parameters

    model, weights = trained.model, count_parameters(trained.params)
    if reason := lags.refuse(model, weights, options.window, options.streams):
        raise UserError(f"--window {options.window} x --streams {options.streams} take {reason}; lower one")
    state = state_size(trained)
    n = min(options.exponents, state)
    if reason := lyapunov.refuse(weights, state, n, 2 * options.window, options.streams):
        raise UserError(f"--exponents {options.exponents} take {reason}; lower them, --window or --streams")


def state_size(trained: Trained) -> int:
    """S, the numbers of the whole state."""
    return trained.model.layers * trained.model.cell.states * trained.model.hidden


def rescaled(specimen: Specimen, scales: list[float]) -> list[tuple[str, Trained]]:
    """Fresh networks of the specimen's config but for W, which is an orthogonal matrix times each scale; not the
    specimen itself once more.
    """
    config = specimen.trained.config
    found = []
    for scale in scales:
        model = dataclasses.replace(config.model, init="orthogonal", init_scale=scale)
        is_itself = specimen.is_fresh and (config.model.init, config.model.scale) == ("orthogonal", scale)
        if not is_itself:
            other = dataclasses.replace(config, model=model)
            found.append((f"W = {scale:g} x orthogonal, fresh", fresh(other, specimen.corpus)))
    return found


def analyse(name: str, trained: Trained, sight: Sight, options: Namespace) -> dict:
    """All that is measured of one network.

    Raises:
      UserError: if its gradient is too long for float64.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from rnnjax.analysis import lags, units
    from rnnjax.model.network import initial_carry

    model, params, hyper = trained.model, trained.params, trained.hyper
    start = initial_carry(model, params, (sight.streams,))
    walk, of_lags, of_directions = compiled()
    _, after = walk(model, params, hyper, start, sight.before)
    carry = jax.tree.map(lambda states: states[-1], after)
    report = of_lags(model, params, hyper, carry, sight.batch)
    sizes = jax.tree.map(np.asarray, report.sizes)
    if not all(np.isfinite(size).all() for size in sizes):
        raise UserError(f"{name}: the gradient of {sight.window} steps is too long for float64; lower --window")
    whole, leaves = lags.truncation(report.sizes)
    whole, leaves = jax.tree.map(np.asarray, (whole, leaves))

    K = sight.lags
    norms = np.asarray(report.norms)[: K + 1, K:].reshape(K + 1, -1)
    low, median, high = np.quantile(norms, [0.1, 0.5, 0.9], axis=1)
    S = state_size(trained)
    directions = jax.random.orthogonal(jax.random.key(0), S, dtype=jnp.float64)[:, : options.exponents]
    batch = sight.batch._replace(weight=None)
    exponents = np.asarray(of_directions(model, params, hyper, start, sight.before, batch, directions))
    # Over a finite time directions of nearly the same growth may still come in another order.
    exponents = exponents[:, np.argsort(-exponents.mean(0))]
    spread = np.full(exponents.shape[1], np.nan)
    if sight.streams > 1:
        finite = np.isfinite(exponents).all(0)  # a direction in which nothing at all is left: minus infinity
        spread[finite] = exponents[:, finite].std(0, ddof=1)
    before, _ = walk(model, params, hyper, carry, batch)
    return {
        "name": name,
        "loss": float(report.loss),
        "gradient_norm": {"mean": norms.mean(1), "p10": low, "median": median, "p90": high},
        "truncation": {"k": list(range(1, sight.window + 1)), "bias": whole.bias, "cosine": whole.cosine},
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
        "lyapunov": {"exponents": exponents.mean(0), "standard_error": spread / math.sqrt(sight.streams), "state": S},
        "recurrent_weights": units.spectra(model, params, hyper),
        "saturation": units.saturation(model, params, hyper, before, batch),
    }


def compiled() -> tuple:
    """The programs of an analysis, compiled once for all networks of a shape."""
    import jax

    from rnnjax.analysis import lags, lyapunov

    return tuple(jax.jit(f, static_argnums=0) for f in (lags.trajectory, lags.by_lag, lyapunov.spectra))


if __name__ == "__main__":
    run(main)
