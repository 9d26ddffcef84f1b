"""Writes text with a trained network: python -m rnnjax.sample --run runs/lyrics --prime "I love" --temperature 0.8."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from rnnjax.callable_module import CallableModule
from rnnjax.cli import add_platform, add_run, check_numbers, check_platform, make_parser, run
from rnnjax.config.checks import at_least, can_be_written
from rnnjax.config.memory import check_fits
from rnnjax.errors import UserError

if TYPE_CHECKING:  # late where it runs, so that --help and a wrong option answer at once
    from rnnjax.trained import Trained

CHUNK = 100
"""Characters written in one dispatch."""

STREAM_CHUNK = 8
"""Characters written in one dispatch where each piece is printed at once."""


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("sample", __doc__)
    add_run(parser)
    parser.add_argument("--prime", type=str, default="", help="text to continue; by default the beginning of a song")
    parser.add_argument("--length", type=int, default=500, help="characters to write, after the prime")
    parser.add_argument("--temperature", type=float, default=0.8, help="below 1 is more cautious; 0: the likeliest")
    parser.add_argument("--top_k", "--top-k", type=int, default=0, help="draw from the k likeliest; 0: from all")
    parser.add_argument("--num", type=int, default=1, help="texts to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draws")
    parser.add_argument("--stream", action="store_true", help="print each text as it is written")
    add_platform(parser)
    options = parser.parse_args(argv)
    check_numbers(options, length=1, num=1, top_k=0, seed=0, temperature=0)
    can_be_written("--length, --num:", options.length, options.num)
    return print_texts(options)


def print_texts(options: Namespace) -> int:
    """Prints the texts, and the longest stretch of each that is copied from the training text, if that can be read."""
    from rnnjax.run.device import set_up

    check_platform(options)
    from rnnjax.trained import load_trained, read_config

    path = Path(options.run)
    config = read_config(path)
    set_up(options.platform, config.run.precision, compilation_cache=config.run.compilation_cache)
    trained = load_trained(path, options.checkpoint, config)
    check_prime(trained, options.prime, "--prime")
    texts = (_print_pieces if options.stream else _print_whole)(trained, options)
    _report_copies(trained, path, texts)
    return 0


def _print_pieces(trained: Trained, options: Namespace) -> list[str]:
    """Prints the texts one after the other, each piece as soon as it is written."""
    write, texts = make_writer(trained, options, 1, STREAM_CHUNK), []
    for number in range(options.num):
        _heading(number, options)
        print(options.prime, end="", flush=True)
        texts.append("")
        for (piece,) in write(number):
            texts[-1] += piece
            print(piece, end="", flush=True)
        print()
    return texts


def _print_whole(trained: Trained, options: Namespace) -> list[str]:
    """Writes the texts side by side, and prints them."""
    texts = write_texts(trained, options, options.num)
    for number, text in enumerate(texts):
        _heading(number, options)
        print(options.prime + text)
    return texts


def write_texts(trained: Trained, options: Namespace, count: int) -> list[str]:
    """Writes texts side by side, without the prime."""
    pieces = make_writer(trained, options, count, CHUNK)(0)
    return ["".join(piece) for piece in zip(*pieces, strict=True)]


def sample(
    network: Trained | str | Path,
    prime: str = "",
    length: int = 500,
    temperature: float = 0.8,
    top_k: int = 0,
    num: int = 1,
    seed: int = 0,
) -> list[str]:
    """Writes texts with a trained network, the same as `python -m rnnjax.sample` with these options.

    Args:
      network: from `rnnjax.load`, or the directory of a run.
      prime: text to continue; empty: the beginning of a song.
      length: characters to write.
      temperature: divisor of the logits; below 1 is more cautious, 0 takes the likeliest.
      top_k: number of likeliest characters to draw from; 0: all.
      num: texts to write.
      seed: seed of the draws.

    Returns:
      The texts, each of them after the prime [num].

    Raises:
      UserError: if the network writes no text, or an option is out of its range.
    """
    from rnnjax.build import check_writes_text
    from rnnjax.trained import load

    trained = load(network) if isinstance(network, str | Path) else network
    check_writes_text(trained.config)
    check_prime(trained, prime, "prime")
    at_least(1, length=length, num=num)
    can_be_written("length, num:", length, num)
    at_least(0, temperature=temperature, top_k=top_k, seed=seed)
    options = Namespace(prime=prime, length=length, temperature=temperature, top_k=top_k, seed=seed)
    return write_texts(trained, options, num)


def check_prime(trained: Trained, prime: str, name: str) -> None:
    """Raises UserError where a prime has characters that the network never saw."""
    if unknown := trained.vocabulary.missing(prime):
        raise UserError(f"{name} has characters that the network never saw: {', '.join(map(repr, unknown))}")


def _heading(number: int, options: Namespace) -> None:
    if options.num > 1:
        print(f"{'' if number == 0 else chr(10)}--- {number + 1} of {options.num} ---")


def make_writer(trained: Trained, options: Namespace, count: int, chunk: int) -> Callable[[int], Iterator[list[str]]]:
    """Returns a function that writes texts `first` … `first + count - 1` side by side, yielding the next piece of each.

    A text follows from seed and number alone: it is the same alone, beside others, and in pieces of any size.

    Raises:
      UserError: for more texts than the machine's memory holds.
    """
    check_fits("the texts side by side", trained.params.V.dtype.itemsize * count * chunk * trained.model.vocabulary)
    import jax
    import jax.numpy as jnp
    import numpy as np

    from rnnjax.model.sampling import absorb, generate, gumbel_noise

    model, params, hyper, vocabulary = trained.model, trained.params, trained.hyper, trained.vocabulary
    dtype = params.V.dtype
    prime = vocabulary.encode(options.prime) if options.prime else vocabulary.song_start(trained.config.data.separator)
    before = jnp.tile(jnp.asarray(prime)[:, None], (1, count))
    start = trained.left_off(count)
    if len(prime) > 1:
        start = jax.jit(partial(absorb, model))(params, hyper, start, before[:-1])

    @jax.jit
    def go_on(keys, carry, x, position):
        noise = jax.vmap(lambda key: gumbel_noise(key, position, chunk, (model.vocabulary,), dtype), out_axes=1)(keys)
        return generate(model, params, hyper, carry, x, noise, options.temperature, options.top_k)

    def write(first: int) -> Iterator[list[str]]:
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(options.seed)))(first + jnp.arange(count))
        carry, x = start, before[-1]
        for written in range(0, options.length, chunk):
            carry, ids = go_on(keys, carry, x, written)
            x = ids[-1]
            yield [vocabulary.decode(column) for column in np.asarray(ids)[: options.length - written].T]

    return write


def _report_copies(trained: Trained, run: Path, texts: list[str]) -> None:
    from rnnjax.data.corpus import load_corpus
    from rnnjax.data.novelty import longest_copied
    from rnnjax.run.origin import data_of

    try:
        corpus = load_corpus(trained.config.data)
        if corpus.sha256 != data_of(run):
            raise UserError("data.path holds another text now")
    except UserError as error:
        print(f"(the training text cannot be read to look for copies: {error})", file=sys.stderr)
        return
    copies = [longest_copied(text, corpus.text.train) for text in texts]
    for number, copied in enumerate(copies):
        which = f" of text {number + 1}" if len(copies) > 1 else ""
        print(
            f"longest stretch{which} that stands in the training text: {len(copied)} characters, {copied!r}",
            file=sys.stderr,
        )


if __name__ == "__main__":
    run(main)
else:
    sys.modules[__name__].__class__ = CallableModule
