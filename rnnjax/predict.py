"""Asks a network that was trained on examples: python -m rnnjax.predict --run runs/seq2seq --input 407."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from rnnjax.cli import add_platform, add_run, check_numbers, check_platform, make_parser, run
from rnnjax.config.checks import can_be_written
from rnnjax.errors import UserError


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("predict", __doc__)
    add_run(parser, "runs/seq2seq")
    parser.add_argument(
        "--input", type=str, help="input of the network: a label, a text, a number, 64 pixels, or a sequence, by task"
    )
    parser.add_argument("--file", type=str, help="file with the input; for a run on series, a .csv or .npz of series")
    parser.add_argument("--length", type=int, default=300, help="one_to_many: characters to write")
    parser.add_argument("--temperature", type=float, default=0.8, help="one_to_many: 0 takes the likeliest character")
    parser.add_argument("--seed", type=int, default=0, help="one_to_many: seed of the draws")
    parser.add_argument("--beam", type=int, default=0, help="seq2seq: width of the search, 1 is greedy; 0: the run's")
    add_platform(parser)
    options = parser.parse_args(argv)
    check_numbers(options, length=1, seed=0, temperature=0, beam=0)
    can_be_written("--length", options.length)
    check_platform(options)
    print(predict(options))
    return 0


def read_input(options: Namespace) -> str:
    """The text to read, from the command line or a file.

    Raises:
      UserError: if there is none, or there are two, or the file cannot be read.
    """
    if (options.input is None) == (options.file is None):
        raise UserError("--input, --file: give one of them")
    if options.file is None:
        return options.input
    try:
        return Path(options.file).read_text(encoding="utf-8-sig").strip("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UserError(f"--file: cannot read {options.file}: {reason}") from None


def predict(options: Namespace) -> str:
    """Answer of the run's network to a text, or to the series in a file.

    Raises:
      UserError: if there is no such run, its network writes text, or it cannot read the input.
    """
    from rnnjax.run.device import set_up
    from rnnjax.trained import load, read_config

    path = Path(options.run)
    config = read_config(path)
    if config.task.is_series and (options.file is None or options.input is not None):
        raise UserError(
            f"--file: {path} is a run on series; give the .csv or .npz file to predict from, and no --input"
        )
    given = options.file if config.task.is_series else read_input(options)
    set_up(options.platform, config.run.precision, compilation_cache=config.run.compilation_cache)
    asked = ("length", "temperature", "seed", "beam")
    return load(path, options.checkpoint, config).answer(given, **{name: getattr(options, name) for name in asked})


if __name__ == "__main__":
    run(main)
