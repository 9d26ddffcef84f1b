"""The reach of a network's gradient in time: python -m rnnjax.lags --run runs/lyrics, or --config configs/lyrics.yaml.

For a trained network (--run) or a fresh one (--config, with any of its fields), on windows of the held-out text and in
float64: the length of the loss's gradient at every lag, the gradient split by lag and what truncation leaves of it, the
Lyapunov spectrum, eigenvalues and singular values of W, saturated units, and whether Newton's method over time would
pay. Writes lags.json and figures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import jsonargparse
from jsonargparse import Namespace

from rnnjax.cli import check_numbers, run
from rnnjax.config.checks import more_than_zero
from rnnjax.errors import UserError
from rnnjax.text_network import TextNetwork, fresh, parser_for, read_text_network

if TYPE_CHECKING:  # late where it runs, so that --help and a wrong option answer at once
    from rnnjax.model.network import Model
    from rnnjax.trained import Trained

SCALES = [0.5, 1.0, 1.8]
"""W = scale x an orthogonal matrix: gradients that vanish, that live, and that explode."""


def main(argv: list[str] | None = None) -> int:
    parser = parser_for("lags", __doc__, argv)
    parser.add_argument("--window", type=int, default=128, help="T, characters of the window that is analysed")
    parser.add_argument("--lags", type=int, help="K, the longest lag of the figures; by default half the window")
    parser.add_argument("--streams", type=int, default=8, help="B, windows side by side, from equal parts of the text")
    parser.add_argument("--bias", type=float, default=0.1, help="bias of truncation whose smallest k is printed")
    parser.add_argument("--exponents", type=int, default=64, help="Lyapunov exponents, the largest first")
    parser.add_argument(
        "--side_by_side",
        action=jsonargparse.ActionYesNo,
        default=None,
        help="compare with fresh networks, W = scale x orthogonal; by default with a config, not with a run, and not "
        "for gated cells or layer normalisation, where the scale of W says little",
    )
    parser.add_argument("--scales", type=float, nargs="+", default=SCALES, help="scales of W of these networks")
    options = parser.parse_args(argv)
    check_numbers(options, window=2, lags=1, streams=1, exponents=1)
    options.lags = options.window // 2 if options.lags is None else options.lags
    if options.lags >= options.window:
        raise UserError(f"--lags is {options.lags}, but must be below --window, which is {options.window}")
    more_than_zero(**{"--bias": options.bias})
    for scale in options.scales:
        more_than_zero(**{"--scales": scale})
    return lags(read_text_network("lags", parser, options), options)


def lags(network: TextNetwork, options: Namespace) -> int:
    """Analyses the network, prints the tables, and writes lags.json and the figures."""
    from rich.console import Console

    from rnnjax.lags.figures import plot_lags, plot_side_by_side
    from rnnjax.lags.forecast import of_text
    from rnnjax.lags.measure import analyse, cut, refuse_too_much
    from rnnjax.lags.tables import summary, tables
    from rnnjax.run.results import make_directory, write_json

    text = cut(network, options)
    refuse_too_much(network.trained, options)
    make_directory(network.out)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{network.name}: {text.description}")

    about = {"window": text.window, "lags": text.lags, "streams": text.streams, "text": text.description}
    found = [analyse(network.name, network.trained, text, options)]
    for table in tables(found[0], text.lags):
        console.print(table)
    ahead = of_text(network.trained, text)
    console.print(f"in parallel over time (T = {2 * text.window}, {text.streams} streams): {ahead}")
    about["forecast"] = ahead if isinstance(ahead, str) else ahead._asdict()
    write_json(network.out / "lags.json", {**about, "networks": found})
    written = plot_lags(network.out, found[0], text.lags, text.description)
    for name, trained in others(network, options, console.print):
        try:
            found.append(analyse(name, trained, text, options))
        except UserError as error:
            console.print(f"left out of the comparison: {error}")
            continue
        console.print(summary(found[-1]))
    if len(found) > 1:
        write_json(network.out / "lags.json", {**about, "networks": found})
        written += plot_side_by_side(network.out, found, text.lags, text.description)
    console.print(f"lags.json and {', '.join(written)} are in {network.out}")
    return 0


def others(network: TextNetwork, options: Namespace, tell: Callable[[str], None]) -> list[tuple[str, Trained]]:
    """Networks to compare with, if they are asked for, or if the network is fresh and the scale of W matters."""
    asked, reason = options.side_by_side, scale_says_little(network.trained.model)
    if asked is False or (asked is None and not network.is_fresh):
        return []
    if reason:
        tell(
            f"W = scale x orthogonal side by side: {reason}"
            + ("" if asked else "; left out (--side_by_side asks for it)")
        )
    return rescaled(network, options.scales) if asked or not reason else []


def scale_says_little(model: Model) -> str | None:
    """Reason why the scale of W does not decide the reach of a gradient; None where it does."""
    if model.layer_norm:
        return "layer normalisation takes the scale of W out again"
    if model.cell.recurrence != "dense":
        return f"the cell {model.cell} has no matrix W"
    if model.cell.gated:
        return "in a gated cell the gates decide how far back a gradient reaches, more than the scale of W"
    return None


def rescaled(network: TextNetwork, scales: list[float]) -> list[tuple[str, Trained]]:
    """Fresh networks of the same config, with W an orthogonal matrix times each scale, but none that is the network."""
    config = network.trained.config
    found = []
    for scale in scales:
        model = dataclasses.replace(config.model, init="orthogonal", init_scale=scale)
        is_itself = network.is_fresh and (config.model.init, config.model.scale) == ("orthogonal", scale)
        if not is_itself:
            other = dataclasses.replace(config, model=model)
            found.append((f"W = {scale:g} x orthogonal, fresh", fresh(other, network.corpus)))
    return found


if __name__ == "__main__":
    run(main)
