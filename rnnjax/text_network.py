"""A network to analyse, trained or fresh, the text that it reads, and the directory of the findings."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from rnnjax.cli import Parser, add_config, add_platform, add_run, check_platform, config_of, make_parser
from rnnjax.config import Config
from rnnjax.errors import UserError

if TYPE_CHECKING:  # late where it runs, so that --help and a wrong option answer at once
    import numpy as np

    from rnnjax.data.corpus import Corpus
    from rnnjax.trained import Trained


@dataclass(frozen=True)
class TextNetwork:
    """A network and its text.

    Attributes:
      name: name of the network in figures.
      trained: the network, its numbers in float64; step 0 at initialisation.
      corpus: text of its config.
      is_fresh: True where its weights are as drawn.
      out: directory of the findings.
    """

    name: str
    trained: Trained
    corpus: Corpus
    is_fresh: bool
    out: Path

    @property
    def held_out(self) -> tuple[str, np.ndarray]:
        """Name and ids of the text to analyse: validation, or training where nothing is held out."""
        ids = self.corpus.ids
        return ("validation", ids.validation) if ids.validation.size else ("training", ids.train)


def parser_for(command: str, description: str, argv: list[str] | None) -> Parser:
    """Parser for a door that takes a run (--run, --checkpoint), or a config and its fields.

    The fields' group `run` and the option `--run` cannot stand in one parser: the command line decides which it needs.
    """
    given = sys.argv[1:] if argv is None else argv
    parser = make_parser(command, description)
    if _names_a_run(given):
        if any(argument.split("=")[0] == "--config" for argument in given):
            raise UserError("--run and --config: give one of them; a run has its own config")
        add_run(parser)
        add_platform(parser)
    else:
        add_config(parser)
    parser.add_argument("--out", type=str, help=f"directory of the findings; by default {command} in the run's")
    return parser


def _names_a_run(arguments: list[str]) -> bool:
    return any(argument.split("=")[0] == "--run" for argument in arguments)


def read_text_network(command: str, parser: Parser, options: Namespace) -> TextNetwork:
    """Reads the network that the command line names, or draws the one that a run of the config would begin with.

    Raises:
      UserError: if there is no such run or checkpoint, or its text has changed.
    """
    from rnnjax.build import check_writes_text
    from rnnjax.data.corpus import load_corpus
    from rnnjax.run.device import set_up
    from rnnjax.trained import load_trained, read_config

    if "checkpoint" not in options:
        config = config_of(parser, options)
        check_writes_text(config)
        set_up(config.run.platform, "float64", compilation_cache=config.run.compilation_cache)
        out = Path(options.out or Path(config.run.root) / f"{command}-{config.run.name}")
        corpus = load_corpus(config.data)
        return TextNetwork(f"{config.run.name} at initialisation", fresh(config, corpus), corpus, True, out)

    check_platform(options)
    from rnnjax.run.origin import data_of

    run = Path(options.run)
    config = read_config(run)
    set_up(options.platform, "float64", compilation_cache=config.run.compilation_cache)
    trained = load_trained(run, options.checkpoint, config)
    corpus = load_corpus(config.data)
    if corpus.sha256 != data_of(run):
        raise UserError(f"data.path: the text is not the one that {run} was started with")
    name = f"{config.run.name}, step {trained.step:,}"
    return TextNetwork(name, in_float64(trained), corpus, False, Path(options.out or run / command))


def fresh(config: Config, corpus: Corpus) -> Trained:
    """Network with the weights that a run of the config begins with: drawn in its precision, then in float64."""
    from rnnjax.build import draw_network
    from rnnjax.trained import Trained

    return in_float64(Trained(config, corpus.vocabulary, *draw_network(config, corpus.vocabulary), step=0))


def in_float64(trained: Trained) -> Trained:
    """The network with its numbers in float64."""
    import jax

    widened = jax.tree.map(lambda leaf: leaf.astype("float64"), (trained.params, trained.hyper))
    return dataclasses.replace(trained, params=widened[0], hyper=widened[1])
