"""The certificate of the gradient methods: python -m rnnjax.compare --config configs/lyrics.yaml --methods all.

Holds every gradient method against the exact gradient and against theory: equal where theory says equal, different
where it says different. The config's own model and data are cut to a size that takes a minute. Prints one matrix and
the list of the identities, writes both as JSON and as a figure, and exits with 1 where a method fails.
"""

import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rnnjax.cli import add_config, config_of, make_parser, run
from rnnjax.compare.names import methods_of
from rnnjax.config import Config

if TYPE_CHECKING:
    from rnnjax.certificate.certificate import Certificate
    from rnnjax.model.network import Model

FAILED = 1


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("compare", __doc__)
    add_config(parser)
    parser.add_argument("--methods", type=str, default="all", help="all, or names with commas between: snap,rflo")
    parser.add_argument("--out", type=str, help="directory for the results; by default compare-<run.name> in run.root")
    options = parser.parse_args(argv)
    config = config_of(parser, options)
    names = methods_of(options.methods)
    out = Path(options.out or Path(config.run.root) / f"compare-{config.run.name}")

    from rnnjax.run.device import set_up

    set_up(config.run.platform, "float64", compilation_cache=config.run.compilation_cache)
    return compare(config, names, out)


def compare(config: Config, names: list[str], out: Path) -> int:
    """Makes the certificate, prints it and writes it. Returns the exit code."""
    import jax
    from rich.console import Console

    from rnnjax.build import check_writes_text, kernel_of, make_text_model
    from rnnjax.certificate.certificate import certify
    from rnnjax.compare import figures, tables
    from rnnjax.compare.report import Report
    from rnnjax.data.corpus import load_corpus
    from rnnjax.data.streams import fold_into_streams
    from rnnjax.run.results import make_directory

    check_writes_text(config)
    config = replace(config, gradient=replace(config.gradient, kernel=kernel_of(config)))
    make_directory(out)
    corpus = load_corpus(config.data)
    model = make_text_model(config, corpus.vocabulary)
    fold_into_streams(corpus.ids.train, config.training.batch_size, config.training.sequence_length)  # or it says why
    jax.config.update("jax_default_matmul_precision", "highest")  # of all threads, which a context manager is not
    with Console(stderr=True).status("...") as line, warnings.catch_warnings():
        # The verdict on a number that is not finite is the certificate's.
        warnings.filterwarnings("ignore", ".* encountered in ", RuntimeWarning)
        found = certify(names, config, model, corpus.ids.train, lambda what: line.update(f"{what} ..."))
    report = Report(heading_of(config, model, found), found, {"config": config})
    wide = None if sys.stdout.isatty() else tables.WIDTH
    tables.show(Console(highlight=False, width=wide), report)
    report.save(out / "certificate.json")
    figures.plot(out / "certificate.png", config.run.name, found)
    print(f"written to {out}/certificate.json and certificate.png")
    return FAILED if report.failed else 0


def heading_of(config: Config, model: "Model", found: "Certificate") -> list[str]:
    """Lines about the network and its cut."""
    import jax

    count, T, B = found.shape
    full = f"{config.training.batch_size} x {config.training.sequence_length} characters"
    return [
        f"{config.run.name}: {model.layers} x {model.hidden} {model.activation} units ({model.cell.name}), windows of "
        f"{full}, init {config.model.init}, jax {jax.__version__} on {jax.default_backend()}",
        f"cut for the matrix: {'; '.join(found.cut) or 'nothing'}",
        f"{count} windows in a row, each of {T} characters of {B} streams, in float64",
    ]


if __name__ == "__main__":
    run(main)
