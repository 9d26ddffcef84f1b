"""Recurrences in parallel over time beside the loop: python -m benchmarks.parallel, on a GPU with --gpu.

A GRU of S units reads T random vectors; forward, and one gradient of its squared error, float32. The loop is the
network's scan, with the gradient by hand; deer and quasi find all states at once by Newton's method, with whole
Jacobians and with what each unit does to itself. The programs of a row run in turn, and their medians are told, with
the iterations and the temporary memory of each. What would take too much is left out, and the row says why. Rows can be
run in groups: --T 64 1000 --add. Writes benchmarks/results/parallel.{json,md}, on a GPU parallel_gpu.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping
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
SIZES = [(T, S, B) for B in (1, 16) for S in (1, 8, 32, 128) for T in (64, 1_000, 10_000, 100_000)]
MOST_NUMBERS = {"cpu": 3e7, "gpu": 3e9}
"""Limit of T B S², the numbers of all Jacobians of a row, beyond which deer is left out."""

MOST_PRODUCTS = {"cpu": 1e9, "gpu": 1e12}
"""Limit of T B S³, the products of one composition of these Jacobians, beyond which deer is left out."""

MOST_STATES = {"cpu": 2e7, "gpu": 1e9}
"""Limit of T B S, the states of a row, beyond which it is left out."""

ROUNDS = 7
ENOUGH_SECONDS = 4.0
"""Time after which a row has no further round; two it always has."""


class Row(NamedTuple):
    """One size and what was done; for each way median seconds, iterations (0: none), bytes; None: left out, and why."""

    T: int
    S: int
    B: int
    what: str
    seconds: Mapping[str, float | None]
    iterations: Mapping[str, float | None]
    memory: Mapping[str, int | None]
    left_out: dict[str, str]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("benchmarks.parallel", description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", action="store_true", help="the sizes for a GPU")
    parser.add_argument("--seconds", type=float, default=420, help="time after which no further row is begun")
    for name, word in (("T", "steps"), ("S", "units"), ("B", "streams")):
        parser.add_argument(f"--{name}", type=int, nargs="+", help=f"{word} of the rows that are run; all without")
    parser.add_argument("--add", action="store_true", help="keep the rows of the results that are not run now")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    kind, end = "gpu" if options.gpu else "cpu", time.monotonic() + options.seconds
    path = options.out / ("parallel_gpu" if options.gpu else "parallel")
    rows = {row[:4]: row for row in (kept(path.with_suffix(".json")) if options.add else [])}
    for size in chosen(options):
        for what in ("forward", "gradient"):
            if time.monotonic() < end:
                rows[*size, what] = row = measure(kind, *size, what)
                print(line(row), flush=True)
    wanted = [(*size, what) for size in SIZES for what in ("forward", "gradient")]
    found = [rows[key] for key in wanted if key in rows]
    about = {"machine": describe(), "device": device_kind(), "rows left out for time": len(wanted) - len(found)}
    saving.save(path, {**about, "rows": [row._asdict() for row in found]}, markdown(found, about))
    Console().print(Markdown(markdown(found, about)))


def chosen(options: argparse.Namespace) -> list[tuple[int, int, int]]:
    """The sizes that are run, the quick ones first."""
    asked = (options.T, options.S, options.B)
    takes = lambda size: all(allowed is None or part in allowed for part, allowed in zip(size, asked, strict=True))
    return sorted(filter(takes, SIZES), key=lambda size: size[0] * size[1] * size[2])


def kept(path: Path) -> list["Row"]:
    """The rows of results."""
    return [Row(**row) for row in json.loads(path.read_text())["rows"]] if path.exists() else []


def left_out(kind: str, T: int, S: int, B: int) -> dict[str, str]:
    """The ways that a row leaves out, and why."""
    numbers, products, states = T * B * S**2, T * B * S**3, T * B * S
    if states > MOST_STATES[kind]:
        return dict.fromkeys(WAYS, f"{states:.0e} states")
    if numbers > MOST_NUMBERS[kind]:
        return {"deer": f"Jacobians of {4e-9 * numbers:.2g} GB"}
    return {"deer": f"{products:.0e} products a scan level"} if products > MOST_PRODUCTS[kind] else {}


def measure(kind: str, T: int, S: int, B: int, what: str) -> Row:
    """One row: compiles the programs, and runs them in turn."""
    reasons = left_out(kind, T, S, B)
    ways = [way for way in WAYS if way not in reasons]
    if not ways:
        nothing = dict.fromkeys(WAYS)
        return Row(T, S, B, what, nothing, nothing, nothing, reasons)
    model, window = draw(T, S, B)
    make = forward if what == "forward" else gradient
    programs = {way: jax.jit(make(model, way)).lower(window).compile() for way in ways}
    iterations = {way: float(program(window)[1]) for way, program in programs.items()}
    times: dict[str, list[float]] = {way: [] for way in ways}
    began = time.perf_counter()
    for count in range(ROUNDS):
        if count >= 2 and time.perf_counter() - began > ENOUGH_SECONDS:
            break
        for way, program in programs.items():
            times[way].append(seconds(lambda program=program: program(window)))
    memory = {way: program.memory_analysis().temp_size_in_bytes for way, program in programs.items()}
    medians = {way: float(np.median(found)) for way, found in times.items()}
    of_all = lambda found: {way: found.get(way) for way in WAYS}
    return Row(T, S, B, what, of_all(medians), of_all(iterations), of_all(memory), reasons)


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
    yield f"{1e3 * loop:.3g}" if loop else f"left out: {row.left_out['loop']}"
    for way in WAYS[1:]:
        spent, count, memory = row.seconds[way], row.iterations[way], row.memory[way]
        if spent is None or count is None or memory is None:
            yield from (f"left out: {row.left_out[way]}" if loop else "", "", "", "")
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
