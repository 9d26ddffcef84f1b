"""How time and memory of a training step grow with T, B, H and layers: python -m benchmarks.scaling.

Around a base of one layer, B = 32, T = 64, H = 256, one axis at a time. Memory is the temporary memory of the compiled
gradient, against T, for each method.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks import scaling_chart
from benchmarks.machine import describe
from benchmarks.memory import gradient_memory
from benchmarks.peers.rnnjax_ import CELLS, make_config
from benchmarks.problem import STEPS_PER_DISPATCH, VOCABULARY, Size, make_text
from benchmarks.spread import spread
from rnnjax.gradients import METHODS
from rnnjax.trained import make_model
from rnnjax.training.state import init_state
from rnnjax.training.step import make_chunk

BASE = {"length": 64, "batch": 32, "hidden": 256, "layers": 1}
AXES = {
    "length": (16, 32, 64, 128, 256),
    "batch": (4, 8, 16, 32, 64, 128),
    "hidden": (64, 128, 256, 512),
    "layers": (1, 2, 3, 4),
}
"""The values of each axis. Another axis, such as devices, is a line here, one in BASE, and its use in `build`."""

NAMES = {"length": "T", "batch": "B", "hidden": "H", "layers": "L"}
BLOCK_SECONDS = 0.3


class Curve(NamedTuple):
    """Values along an axis: seconds a step, or bytes."""

    method: str
    axis: str
    quantity: str
    at: list[int]
    values: list[float]

    @property
    def exponent(self) -> float:
        """p of the fit value = c · at^p, over all points."""
        return float(np.polyfit(np.log(self.at), np.log(self.values), 1)[0])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("benchmarks.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--cell", default="rnn", choices=CELLS)
    parser.add_argument("--methods", nargs="+", default=["manual", "autodiff"], choices=METHODS)
    parser.add_argument("--axes", nargs="+", default=list(AXES), choices=AXES)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="directory of the results")
    options = parser.parse_args(argv)
    curves = []
    for axis in options.axes:
        curves += times(options.cell, options.methods, axis, options.repetitions)
    curves += [memory(options.cell, method) for method in options.methods]
    Console(highlight=False).print(table(curves))
    save(options.out, options.cell, curves)


def build(cell: str, method: str, *, length: int, batch: int, hidden: int, layers: int) -> tuple:
    """The config, the model and the state of a network before its first step."""
    config = make_config(cell, Size(batch, length, hidden), method, layers)
    model = make_model(config, range(VOCABULARY))
    return config, model, init_state(config, model, jnp.dtype("float32"))


def times(cell: str, methods: list[str], axis: str, repetitions: int) -> list[Curve]:
    """Median seconds a step along an axis; all points and methods take turns."""
    points = [(method, value) for method in methods for value in AXES[axis]]
    steps = {point: stepper(cell, point[0], **{**BASE, axis: point[1]}) for point in points}
    taken: dict[tuple, list[float]] = {point: [] for point in points}
    for _ in range(repetitions):
        for point, step in steps.items():
            taken[point].append(step())
    return [
        Curve(method, axis, "time", [*AXES[axis]], [spread(taken[method, value]).median for value in AXES[axis]])
        for method in methods
    ]


def stepper(cell: str, method: str, **shape: int) -> Callable[[], float]:
    """Returns a function that trains for about BLOCK_SECONDS, and tells how long a step took."""
    config, model, state = build(cell, method, **shape)
    chunk = make_chunk(config, model)
    streams = jnp.asarray(make_text(Size(shape["batch"], shape["length"], shape["hidden"])).streams)

    def run(count: int) -> float:
        nonlocal state
        began = time.perf_counter()
        state, _ = jax.block_until_ready(chunk(state, streams, np.int32(count)))
        return (time.perf_counter() - began) / count

    run(1)
    count = int(np.clip(BLOCK_SECONDS / run(1), 1, STEPS_PER_DISPATCH))
    return lambda: run(count)


def memory(cell: str, method: str) -> Curve:
    """Bytes of temporary memory of the compiled gradient, against T; nothing is run."""
    values = []
    for length in AXES["length"]:
        config, model, _ = build(cell, method, **{**BASE, "length": length})
        values.append(float(gradient_memory(config, model)))
    return Curve(method, "length", "memory", [*AXES["length"]], values)


def table(curves: list[Curve]) -> Table:
    result = Table("method", "quantity", "against", "values", title="Exponents fitted over all points")
    result.add_column("exponent", justify="right")
    for curve in curves:
        result.add_row(curve.method, curve.quantity, NAMES[curve.axis], in_words(curve), f"{curve.exponent:.2f}")
    return result


def in_words(curve: Curve) -> str:
    """The values of a curve, each with its place."""
    unit, scale = ("ms", 1e3) if curve.quantity == "time" else ("MB", 1e-6)
    return ", ".join(f"{at}: {scale * value:.3g} {unit}" for at, value in zip(curve.at, curve.values, strict=True))


def save(out: Path, cell: str, curves: list[Curve]) -> None:
    """Writes scaling.json, scaling.md and scaling.png."""
    out.mkdir(parents=True, exist_ok=True)
    rows = [{**curve._asdict(), "exponent": curve.exponent} for curve in curves]
    content = {"machine": describe(), "cell": cell, "base": BASE, "curves": rows}
    (out / "scaling.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    lines = [f"# How a training step grows ({cell}, around T = 64, B = 32, H = 256, one layer)", ""]
    lines += ["| method | quantity | against | values | exponent |", "|---|---|---|---|---:|"]
    lines += [f"| {c.method} | {c.quantity} | {NAMES[c.axis]} | {in_words(c)} | {c.exponent:.2f} |" for c in curves]
    (out / "scaling.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    scaling_chart.draw(out / "scaling.png", curves, NAMES)


if __name__ == "__main__":
    main()
