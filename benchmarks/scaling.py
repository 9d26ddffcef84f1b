"""Growth of a training step's time and memory with T, B, H, layers and devices: python -m benchmarks.scaling.

Around a base of one layer on one device (by default B = 32, T = 64, H = 256), one axis at a time. A CPU is divided into
as many devices as the axis asks for, all of them on the same cores; an axis of which there is but one value here is
left out. Memory is the temporary memory of the compiled
gradient, against T and H. The methods that carry an influence from step to step want a smaller base:

    python -m benchmarks.scaling --methods manual rtrl kf_rtrl uoro --batch 1 --length 32 --hidden 64
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.markdown import Markdown

from benchmarks import saving, scaling_chart
from benchmarks.calibration import device_kind
from benchmarks.machine import describe
from benchmarks.memory import gradient_memory
from benchmarks.peers.rnnjax_ import CELLS, make_config
from benchmarks.problem import STEPS_PER_DISPATCH, VOCABULARY, Size, make_text
from benchmarks.spread import seconds, spread
from rnnjax.build import make_text_model
from rnnjax.gradients import METHODS
from rnnjax.run.device import set_up
from rnnjax.training.sharding import divide, make_mesh, place, shardings
from rnnjax.training.state import init_state
from rnnjax.training.step import make_chunk

AXES = {
    "length": (1 / 4, 1 / 2, 1, 2, 4),
    "batch": (1 / 8, 1 / 4, 1 / 2, 1, 2, 4),
    "hidden": (1 / 4, 1 / 2, 1, 2),
    "layers": (1, 2, 3, 4),
    "devices": (1, 2),
}
"""The values of each axis, as multiples of its base."""

CHOICES = (*METHODS, "checkpointed,recursive")
QUANTITIES = ("time", "memory")
NAMES = {"length": "T", "batch": "B", "hidden": "H", "layers": "L", "devices": "devices"}
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

    @property
    def last_exponent(self) -> float:
        """The same of the last two points, where what grows fastest weighs most."""
        return float(np.diff(np.log(self.values[-2:]))[0] / np.diff(np.log(self.at[-2:]))[0])


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "benchmarks.scaling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cell", default="rnn", choices=CELLS)
    parser.add_argument("--methods", nargs="+", default=["manual", "autodiff", "checkpointed"], choices=CHOICES)
    parser.add_argument("--axes", nargs="+", default=list(AXES), choices=AXES)
    parser.add_argument("--quantities", nargs="+", default=QUANTITIES, choices=QUANTITIES)
    parser.add_argument("--length", type=int, default=64, help="T of the base")
    parser.add_argument("--batch", type=int, default=32, help="B of the base")
    parser.add_argument("--hidden", type=int, default=256, help="H of the base")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="directory of the results")
    parser.add_argument("--name", default="scaling", help="name of the results' files")
    options = parser.parse_args(argv)
    devices = max(AXES["devices"]) if "devices" in options.axes else 1
    set_up("auto", "float32", devices, compilation_cache=False)
    base = {name: getattr(options, name) for name in ("length", "batch", "hidden")} | {"layers": 1, "devices": 1}
    values = {axis: found for axis in options.axes if len(found := along(base, axis)) > 1}
    curves = []
    for axis in [axis for axis in values if "time" in options.quantities]:
        curves += times(options.cell, options.methods, base, axis, values[axis], options.repetitions)
    for axis in [axis for axis in ("length", "hidden") if axis in values and "memory" in options.quantities]:
        curves += [memory(options.cell, method, base, axis, values[axis]) for method in options.methods]
    Console().print(Markdown(markdown(options.cell, base, curves)))
    path = options.out / options.name
    save(path, options.cell, base, added(path, options.cell, base, curves))


def added(path: Path, cell: str, base: dict[str, int], curves: list[Curve]) -> list[Curve]:
    """The curves that a file of the same cell and base has from before, the new ones in the place of their like."""
    content = saving.load(path) or {}
    same = (content.get("cell"), content.get("base")) == (cell, base)
    earlier = [Curve(*(row[field] for field in Curve._fields)) for row in content["curves"]] if same else []
    found = {(curve.quantity, curve.axis, curve.method): curve for curve in earlier + curves}
    return sorted(found.values(), key=lambda curve: (QUANTITIES.index(curve.quantity), list(AXES).index(curve.axis)))


def along(base: dict[str, int], axis: str) -> list[int]:
    """The different values of an axis, each at least 1; as many devices as there are, and as divide the batch."""
    values = sorted({max(1, round(factor * base[axis])) for factor in AXES[axis]})
    if axis == "devices":
        return [count for count in values if count <= jax.device_count() and base["batch"] % count == 0]
    return values


def build(cell: str, method: str, *, length: int, batch: int, hidden: int, layers: int) -> tuple:
    """The config, the model and the state of a network before its first step."""
    config = make_config(cell, Size(batch, length, hidden), method, layers)
    model = make_text_model(config, range(VOCABULARY))
    return config, model, init_state(config, model, jnp.dtype("float32"))


def times(
    cell: str, methods: list[str], base: dict[str, int], axis: str, values: list[int], repetitions: int
) -> list[Curve]:
    """Median seconds a step along an axis; all points and methods take turns."""
    points = [(method, value) for method in methods for value in values]
    steps = {point: stepper(cell, point[0], **{**base, axis: point[1]}) for point in points}
    taken: dict[tuple, list[float]] = {point: [] for point in points}
    for _ in range(repetitions):
        for point, step in steps.items():
            taken[point].append(step())
    return [
        Curve(method, axis, "time", values, [spread(taken[method, value]).median for value in values])
        for method in methods
    ]


def stepper(cell: str, method: str, **shape: int) -> Callable[[], float]:
    """Returns a function that trains for about BLOCK_SECONDS, and tells how long a step took."""
    mesh = make_mesh(shape.pop("devices"), shape["batch"])
    config, model, state = build(cell, method, **shape)
    state = place(mesh, state)
    chunk = make_chunk(config, model, shardings(mesh, state))
    streams = divide(mesh, make_text(Size(shape["batch"], shape["length"], shape["hidden"])).streams)

    def train(count: int) -> Any:
        nonlocal state
        state, infos = chunk(state, streams, np.int32(count))
        return infos

    seconds(lambda: train(1))
    count = int(np.clip(BLOCK_SECONDS / seconds(lambda: train(1)), 1, STEPS_PER_DISPATCH))
    return lambda: seconds(lambda: train(count)) / count


def memory(cell: str, method: str, base: dict[str, int], axis: str, values: list[int]) -> Curve:
    """Bytes of temporary memory of the compiled gradient on one device; nothing is run."""
    shape = {name: value for name, value in base.items() if name != "devices"}
    found = []
    for value in values:
        config, model, _ = build(cell, method, **{**shape, axis: value})
        found.append(float(gradient_memory(config, model)))
    return Curve(method, axis, "memory", values, found)


def in_words(curve: Curve) -> str:
    """The values of a curve, each with its place."""
    unit, scale = ("ms", 1e3) if curve.quantity == "time" else ("MB", 1e-6)
    return ", ".join(f"{at}: {scale * value:.3g} {unit}" for at, value in zip(curve.at, curve.values, strict=True))


def save(path: Path, cell: str, base: dict[str, int], curves: list[Curve]) -> None:
    """Writes path.json, path.md and path.png."""
    rows = [{**c._asdict(), "exponent": c.exponent, "last_exponent": c.last_exponent} for c in curves]
    content = {"machine": describe() | {"device": device_kind()}, "cell": cell, "base": base, "curves": rows}
    saving.save(path, content, markdown(cell, base, curves))
    scaling_chart.draw(path.with_suffix(".png"), curves, NAMES)


def markdown(cell: str, base: dict[str, int], curves: list[Curve]) -> str:
    where = ", ".join(f"{NAMES[axis]} = {base[axis]}" for axis in ("length", "batch", "hidden"))
    lines = [f"# How a training step grows ({cell}, around {where}, one layer on one device)", ""]
    lines += ["Exponents p of value = c · at^p, fitted over all points, and over the last two.", ""]
    columns = ["method", "quantity", "against", "values", "p, all", "p, last"]
    exponents = [(f"{c.exponent:.2f}", f"{c.last_exponent:.2f}") for c in curves]
    rows = [(c.method, c.quantity, NAMES[c.axis], in_words(c), *p) for c, p in zip(curves, exponents, strict=True)]
    lines += saving.table(columns, rows, words=4)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
