"""Asks a network that was trained on examples: python -m rnnjax.predict --run runs/seq2seq --input 407."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from jsonargparse import Namespace

from rnnjax.cli import make_parser, run
from rnnjax.config import Platform
from rnnjax.errors import UserError


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("predict", __doc__)
    parser.add_argument("--run", type=str, required=True, help="directory of the run, such as runs/seq2seq")
    parser.add_argument("--checkpoint", type=str, default="best", help="best, newest, or a step")
    parser.add_argument(
        "--input", type=str, help="what to read: a label, a text, a number, 64 pixels, or a sequence, by task"
    )
    parser.add_argument("--file", type=str, help="a file to read it from")
    parser.add_argument("--length", type=int, default=300, help="one_to_many: characters to write")
    parser.add_argument("--temperature", type=float, default=0.8, help="one_to_many: 0 takes the likeliest character")
    parser.add_argument("--seed", type=int, default=0, help="one_to_many: seed of the draws")
    parser.add_argument("--beam", type=int, default=0, help="seq2seq: width of the search, 1 is greedy; 0: the run's")
    parser.add_argument("--platform", type=str, default="auto", help="auto, cpu, gpu, cuda, rocm, or tpu")
    options = parser.parse_args(argv)
    for name, low in (("length", 1), ("seed", 0), ("temperature", 0), ("beam", 0)):
        if not low <= getattr(options, name) < 2**31:
            raise UserError(f"--{name} is {getattr(options, name)}, but must be at least {low}, and below 2^31")
    if options.platform not in get_args(Platform):
        raise UserError(f"--platform is {options.platform!r}, but must be one of {', '.join(get_args(Platform))}")
    print(predict(options, read_input(options)))
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


def predict(options: Namespace, text: str) -> str:
    """What the network of the run says of a text.

    Raises:
      UserError: if there is no such run, it is of another kind, or the text is not one that it can read.
    """
    from rnnjax.run.device import set_up
    from rnnjax.trained import read_checkpoint, read_config

    path = Path(options.run)
    config = read_config(path)
    set_up(options.platform, config.run.precision, compilation_cache=config.run.compilation_cache)

    # Late, so that --help and a wrong option answer at once.
    import jax
    import jax.numpy as jnp

    from rnnjax.build import make_hyper
    from rnnjax.run.directory import read_json
    from rnnjax.tasks import NETWORKS
    from rnnjax.tasks.task import AnswerOptions
    from rnnjax.training.state import from_arrays

    if config.task.name not in NETWORKS:
        raise UserError(f"--run: {path} is a {config.task.name} run, which writes songs; use python -m rnnjax.sample")
    try:
        network = NETWORKS[config.task.name](config, read_json(path / "vocabulary.json"))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path / 'vocabulary.json'} is damaged: {error!r}") from None
    dtype = jnp.dtype(config.run.precision)
    template = jax.eval_shape(lambda: network.init(jax.random.key(0), dtype))
    try:
        params = from_arrays(template, read_checkpoint(path, options.checkpoint).arrays, "params.")
    except ValueError as error:
        raise UserError(f"the checkpoint does not fit the run's config.yaml: {error}") from None
    asked = AnswerOptions(options.length, options.temperature, options.seed, options.beam)
    return network.answer(params, make_hyper(config, dtype), text, asked)


if __name__ == "__main__":
    run(main)
