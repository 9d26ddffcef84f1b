"""Effect of each kind of clipping on real gradients: python -m rnnjax.clipping --run runs/lyrics, or --config C.

For a trained network (--run) or a fresh one (--config, with any of its fields): the gradients of N consecutive training
windows, at fixed weights and in float64, before and after clipping by value, by global norm and by the norm of each
leaf; at the config's threshold and at multiples of the gradients' median norm. Writes clipping.json and figures.
"""

from __future__ import annotations

from jsonargparse import Namespace

from rnnjax.cli import check_numbers, run
from rnnjax.config.checks import more_than_zero
from rnnjax.text_network import TextNetwork, parser_for, read_text_network

MULTIPLES = [0.01, 0.1, 0.5, 1.0]


def main(argv: list[str] | None = None) -> int:
    parser = parser_for("clipping", __doc__, argv)
    parser.add_argument("--windows", type=int, default=20, help="N, consecutive training windows of every stream")
    parser.add_argument(
        "--multiples", type=float, nargs="+", default=MULTIPLES, help="thresholds, as multiples of the median norm"
    )
    options = parser.parse_args(argv)
    check_numbers(options, windows=1)
    for multiple in options.multiples:
        more_than_zero(**{"--multiples": multiple})
    return clipping(read_text_network("clipping", parser, options), options)


def clipping(network: TextNetwork, options: Namespace) -> int:
    """Computes the gradients, clips them, prints the tables, and writes clipping.json and the figures."""
    from rich.console import Console

    from rnnjax.clipping.figures import plot_clipping
    from rnnjax.clipping.measure import gradients, measure
    from rnnjax.clipping.tables import tables
    from rnnjax.run.results import make_directory, write_json

    grads = gradients(network, options.windows)
    make_directory(network.out)
    found = measure(network, grads, options)
    console = Console(highlight=False, soft_wrap=True)
    for table in tables(found):
        console.print(table)
    write_json(network.out / "clipping.json", found)
    written = plot_clipping(network.out, found)
    console.print(f"clipping.json and {', '.join(written)} are in {network.out}")
    return 0


if __name__ == "__main__":
    run(main)
