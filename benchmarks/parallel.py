"""Recurrences in parallel over time beside the loop: python -m benchmarks.parallel, on a GPU with --gpu.

A GRU of S units reads T random vectors; forward, and one gradient of its squared error, float32. The loop is the
network's scan, with the gradient by hand; deer and quasi find all states at once by Newton's method, with whole
Jacobians and with what each unit does to itself. The programs of a row run in turn, and their medians are told, with
the iterations and the temporary memory of each. What would take too much work is left out. Writes
benchmarks/results/parallel.{json,md}, on a GPU parallel_gpu.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.markdown import Markdown

from benchmarks import saving
from benchmarks.calibration import device_kind
from benchmarks.machine import describe
from benchmarks.spread import seconds
from rnnjax.config import GradientConfig
from rnnjax.gradients import make_method
from rnnjax.gradients.effort import Noted
from rnnjax.gradients.method import Window
from rnnjax.model import rnn
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import init_params
from rnnjax.model.network import Batch, Model, Params, zero_carry
from rnnjax.model.recurrence import of_network
from rnnjax.parallel.layer import InParallel
from rnnjax.parallel.newton import Solver

Array = jax.Array

RESULTS = Path(__file__).parent / "results"
WAYS = ("loop", "deer", "quasi")
SIZES = {  # (T, S, B), what tells most first
    "cpu": [
        *((10_000, 1, 1), (100_000, 1, 1), (10_000, 8, 1), (1_000, 32, 1), (1_000, 1, 16), (64, 1, 1), (64, 32, 1)),
        *((1_000, 8, 1), (1_000, 1, 1), (100_000, 8, 1), (10_000, 32, 1), (64, 8, 1), (64, 128, 1), (1_000, 32, 16)),
    ],
    "gpu": [(T, S, B) for T in (64, 1_000, 10_000, 100_000) for S in (1, 8, 32, 128) for B in (1, 16)],
}
MOST_NUMBERS = {"cpu": 3e7, "gpu": 3e9}
"""Limit of T B S², the numbers of all Jacobians of a row, beyond which deer is left out."""

MOST_PRODUCTS = {"cpu": 1e9, "gpu": 1e12}
"""Limit of T B S³, the products of one composition of these Jacobians, beyond which deer is left out."""

ROUNDS = 7
ENOUGH_SECONDS = 8.0
"""Time after which a row has no further round; three it always has."""


class Row(NamedTuple):
    """One size and what was done; for each way median seconds, iterations (0: none), bytes; None: left out."""

    T: int
    S: int
    B: int
    what: str
    seconds: dict[str, float | None]
    iterations: dict[str, float | None]
    memory: dict[str, int | None]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("benchmarks.parallel", description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", action="store_true", help="the sizes for a GPU")
    parser.add_argument("--seconds", type=float, default=420, help="time after which no further row is begun")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    kind, end, rows = "gpu" if options.gpu else "cpu", time.monotonic() + options.seconds, []
    for T, S, B in SIZES[kind]:
        for what in ("forward", "gradient"):
            if time.monotonic() < end:
                rows.append(measure(kind, T, S, B, what))
                print(line(rows[-1]), flush=True)
    path = options.out / ("parallel_gpu" if options.gpu else "parallel")
    left = 2 * len(SIZES[kind]) - len(rows)
    about = {"machine": describe(), "device": device_kind(), "rows left out for time": left}
    saving.save(path, {**about, "rows": [row._asdict() for row in rows]}, markdown(rows, about))
    Console().print(Markdown(markdown(rows, about)))


def measure(kind: str, T: int, S: int, B: int, what: str) -> Row:
    """One row: compiles the programs, and runs them in turn."""
    model, window = draw(T, S, B)
    make = forward if what == "forward" else gradient
    share = T * B * S**2 * max(1 / MOST_NUMBERS[kind], S / MOST_PRODUCTS[kind])
    ways = [way for way in WAYS if way != "deer" or share <= 1]
    programs = {way: jax.jit(make(model, way)).lower(window).compile() for way in ways}
    iterations = {way: float(program(window)[1]) for way, program in programs.items()}
    times: dict[str, list[float]] = {way: [] for way in ways}
    began = time.perf_counter()
    for count in range(ROUNDS):
        if count >= 3 and time.perf_counter() - began > ENOUGH_SECONDS:
            break
        for way, program in programs.items():
            times[way].append(seconds(lambda program=program: program(window)))
    memory = {way: program.memory_analysis().temp_size_in_bytes for way, program in programs.items()}
    medians = {way: float(np.median(found)) for way, found in times.items()}
    of_all = lambda found: {way: found.get(way) for way in WAYS}
    return Row(T, S, B, what, of_all(medians), of_all(iterations), of_all(memory))


def draw(T: int, S: int, B: int) -> tuple[Model, Window]:
    """A fresh GRU and random vectors for it to read."""
    model = Model(vocabulary=1, inputs=S, hidden=S, cell="gru", loss="squared_error")
    rng = np.random.default_rng(0)
    params = init_params(jax.random.key(0), model, "uniform", 1.0, jnp.float32)
    x, y = (jnp.asarray(rng.normal(size=(T, B, width)), jnp.float32) for width in (S, 1))
    return model, Window(params, Hyper(), zero_carry(model, (B,), jnp.float32), Batch(x, y))


def forward(model: Model, way: str) -> Callable[[Window], tuple[Any, Array | float]]:
    """(window) -> its outputs, and the iterations."""

    def run(window: Window) -> tuple[Any, Array | float]:
        given = (model, window.params, window.hyper, window.carry, window.batch)
        if way == "loop":
            return rnn.apply(*given), 0.0
        noted = Noted(InParallel(Solver(way)))  # type: ignore[arg-type]  # one of two kinds
        return rnn.apply(*given, unroll=noted), noted.spent.iterations

    return run


def gradient(model: Model, way: str) -> Callable[[Window], tuple[Params, Array | float]]:
    """(window) -> the gradient of its loss, and the iterations."""
    config = GradientConfig("manual") if way == "loop" else GradientConfig("deer", solver=way)  # type: ignore[arg-type]

    def run(window: Window) -> tuple[Params, Array | float]:
        found = make_method(config).gradient(of_network(model), window)
        return found.params, found.spent.iterations if found.spent else 0.0

    return run


def line(row: Row) -> str:
    return " | ".join(cells(row))


def cells(row: Row) -> Iterator[str]:
    """The cells of a row of the table."""
    yield from (f"{row.T:,}", f"{row.S}", f"{row.B}", row.what)
    loop = row.seconds["loop"] or 0.0
    yield f"{1e3 * loop:.3g}"
    for way in WAYS[1:]:
        spent, count, memory = row.seconds[way], row.iterations[way], row.memory[way]
        if spent is None or count is None or memory is None:
            yield from ("-",) * 4
        else:
            yield from (f"{1e3 * spent:.3g}", f"{loop / spent:.2g}", f"{count:.0f}", f"{memory / 1e6:.3g}")


def markdown(rows: list[Row], about: dict) -> str:
    """The table, with the machine."""
    columns = ["T", "S", "B", "what", "loop, ms"]
    for way in WAYS[1:]:
        columns += [f"{way}, ms", "times as fast", "iterations", "MB"]
    machine = about["machine"]
    versions = ", ".join(
        f"{name} {machine['versions'][name]}" for name in ("jax", "jaxlib") if name in machine["versions"]
    )
    head = (
        f"A GRU of S units, float32, T steps of B streams; medians of programs run in turn. {about['device']}, "
        f"{machine['processor']}, {machine['cores']} cores, {versions}. "
        f"Rows left out for time: {about['rows left out for time']}."
    )
    return "\n".join([head, "", *saving.table(columns, map(cells, rows), words=0), ""])


if __name__ == "__main__":
    main()
