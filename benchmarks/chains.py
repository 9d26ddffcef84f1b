"""Time of a training step by the chains in which its streams run: python -m benchmarks.chains.

One chain, and `model.streams.CHAINS` of them, for every cell over sizes around those of `benchmarks.training`, in turns
in one process. The bounds of `model.streams.chains_for` follow from it.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from benchmarks import saving
from benchmarks.machine import describe
from benchmarks.peers.rnnjax_ import make_config
from benchmarks.problem import GATES, VOCABULARY, Size, make_text
from rnnjax.build import make_cell, make_text_model
from rnnjax.config import Config
from rnnjax.model import streams
from rnnjax.quantities import in_time
from rnnjax.run.device import set_up
from rnnjax.screen import make_table
from rnnjax.training.state import init_state
from rnnjax.training.step import make_chunk

SIZES = ("8x32x256", "16x64x256", "32x64x128", "32x64x256", "64x64x128", "64x64x256", "32x64x384", "32x64x512")
SECONDS = 0.15
"""Length of a measurement, in which as many steps are made as take about that long."""
OPERATIONS = 1e11
"""Multiplications and additions a second, by which the number of steps is chosen."""


class Row(NamedTuple):
    """Median seconds of a training step."""

    cell: str
    size: str
    one: float
    divided: float


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("benchmarks.chains", description=__doc__)
    parser.add_argument("--cells", nargs="+", default=list(GATES), choices=GATES)
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="B x T x H, such as 32x64x256")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="directory of the results")
    options = parser.parse_args(argv)
    set_up("cpu", "float32", 1, compilation_cache=False)
    sizes = [(text, Size(*map(int, text.split("x")))) for text in options.sizes]
    rows = [measure(cell, text, size, options.repetitions) for cell in options.cells for text, size in sizes]
    saving.save(options.out / "chains", {"machine": describe(), "rows": [row._asdict() for row in rows]})
    table = make_table(
        "A training step", "cell", "B x T x H", "one chain", f"{streams.CHAINS} chains", "ratio", words=2
    )
    for row in rows:
        ratio = f"{row.divided / row.one:.2f}"
        table.add_row(row.cell, row.size, in_time(row.one), in_time(row.divided), ratio)
    Console(highlight=False).print(table)
    return 0


def measure(cell: str, text: str, size: Size, repetitions: int) -> Row:
    """One cell and size, in one chain and divided."""
    config, programs = make_config(cell, size, "manual"), []
    for chains in (1, streams.CHAINS):
        with mock.patch.object(streams, "chains_for", return_value=chains):
            programs.append(make_program(config, size))
    return Row(cell, text, *in_turns(programs, repetitions))


def in_turns(programs: list[Callable[[], float]], repetitions: int) -> list[float]:
    """The median of what each of some programs returns, called in turns."""
    found = [[program() for program in programs] for _ in range(repetitions)]
    return [statistics.median(times) for times in zip(*found, strict=True)]


def make_program(config: Config, size: Size) -> Callable[[], float]:
    """A function that takes some training steps and returns the seconds that one of them took; compiled."""
    operations = 6 * size.batch * size.length * size.hidden**2 * len(make_cell(config.model).gates)
    steps = int(np.clip(SECONDS * OPERATIONS / operations, 1, 200))
    config = replace(config, training=replace(config.training, steps_per_dispatch=steps))
    model = make_text_model(config, range(VOCABULARY))
    state, chunk = init_state(config, model, jnp.dtype("float32")), make_chunk(config, model)
    text, count = jnp.asarray(make_text(size).streams), np.int32(steps)

    def run() -> float:
        nonlocal state
        start = time.perf_counter()
        state, _ = jax.block_until_ready(chunk(state, text, count))
        return (time.perf_counter() - start) / steps

    run()
    return run


if __name__ == "__main__":
    main()
