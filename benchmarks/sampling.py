"""Characters a second of the sampler at the book's size, untrained: python -m benchmarks.sampling.

The loop alone, `model.sampling.generate` with its noise in one compiled program, and the whole way of `rnnjax.sample`
from the weights to text, once all is compiled. The book's program writes 1,870 characters a second.
"""

import argparse
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from benchmarks.calibration import device_kind
from benchmarks.machine import describe
from benchmarks.problem import VOCABULARY
from benchmarks.saving import save
from benchmarks.spread import seconds, spread
from rnnjax.config import Config
from rnnjax.data.vocabulary import Vocabulary
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import init_params
from rnnjax.model.network import Model, zero_carry
from rnnjax.model.sampling import generate, gumbel_noise
from rnnjax.sample import CHUNK, make_writer
from rnnjax.screen import make_table
from rnnjax.trained import Trained

HIDDEN = 100
LENGTH = 2_000
TEMPERATURE = 0.8
BATCHES = (1, 32)
BOOK = 1_870
"""Characters a second of the book's program."""


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "benchmarks.sampling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="directory of the results")
    parser.add_argument("--name", default="sampling", help="name of the results' files")
    options = parser.parse_args(argv)
    model = Model(VOCABULARY, HIDDEN)
    params = init_params(jax.random.key(0), model, "normal", 0.1, jnp.dtype("float32"))
    programs = {("generate", batch): make_generate(model, params, batch) for batch in BATCHES}
    programs |= {("rnnjax.sample", batch): make_sample(model, params, batch) for batch in BATCHES}
    rates: dict[tuple, list[float]] = {key: [] for key in programs}
    for repetition in range(options.repetitions + 1):
        for key, program in programs.items():
            taken = seconds(program)
            if repetition:  # the first compiles
                rates[key].append(LENGTH * key[1] / taken)
    Console(highlight=False).print(table(rates))
    save(options.out / options.name, content_of(rates))


def make_generate(model: Model, params, batch: int):
    """The loop and its noise in one program."""

    @jax.jit
    def program(params, key):
        noise = gumbel_noise(key, 0, LENGTH, (batch, VOCABULARY), jnp.dtype("float32"))
        start = zero_carry(model, (batch,), jnp.dtype("float32"))
        return generate(model, params, Hyper(), start, jnp.zeros(batch, jnp.uint8), noise, TEMPERATURE)

    return lambda: program(params, jax.random.key(0))


def make_sample(model: Model, params, batch: int):
    """Makes the command's sampler after the run is read, in its pieces of CHUNK characters, decoded."""
    vocabulary = Vocabulary("".join(chr(ord("0") + number) for number in range(VOCABULARY - 1)))
    trained = Trained(Config(), vocabulary, model, params, Hyper(), 0)
    options = SimpleNamespace(prime="0", length=LENGTH, temperature=TEMPERATURE, top_k=0, seed=0)
    write = make_writer(trained, options, batch, CHUNK)
    return lambda: list(write(0))


def table(rates: dict[tuple, list[float]]) -> Table:
    title = f"H = {HIDDEN}, V = {VOCABULARY}, {LENGTH:,} characters a text"
    result = make_table(title, "", "texts at once", "characters/s", "quartiles", "× the book's")
    for (name, batch), values in rates.items():
        rate = spread(values)
        quartiles = f"{rate.quartile_1:,.0f} – {rate.quartile_3:,.0f}"
        result.add_row(name, str(batch), f"{rate.median:,.0f}", quartiles, f"{rate.median / BOOK:,.0f}")
    return result


def content_of(rates: dict[tuple, list[float]]) -> dict:
    """The content of sampling.json."""
    rows = [
        {"program": name, "texts_at_once": batch, "characters_per_s": spread(values)._asdict()}
        for (name, batch), values in rates.items()
    ]
    network = {"hidden": HIDDEN, "vocabulary": VOCABULARY, "length": LENGTH}
    machine = describe() | {"device": device_kind()}
    return {"machine": machine, **network, "book_characters_per_s": BOOK, "rows": rows}


if __name__ == "__main__":
    main()
