"""Time of each part of a training step: python -m benchmarks.parts --cells lstm --sizes M L --kernel numba.

The parts of `gradients.manual`, each compiled alone and called in turns, beside the products that they cannot do
without (`prod` and `prodT`: the loop over time with nothing but h W, or d Wᵀ) and what these would take at the rate of
a large product. Alone, a part also pays for its call and for touching its memory anew, so that the sum is more than a
step of training takes.
"""

import argparse
from collections.abc import Callable

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

from benchmarks.calibration import gemm_rate
from benchmarks.peers.rnnjax_ import make_config
from benchmarks.problem import GATES, SIZES, VOCABULARY, Size, make_text, readout_flops, recurrent_flops
from benchmarks.spread import seconds, spread
from rnnjax.build import make_text_model
from rnnjax.gradients import fused, manual
from rnnjax.model.network import Batch
from rnnjax.model.rnn import Inputs
from rnnjax.screen import make_table
from rnnjax.training.state import init_state


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("benchmarks.parts", description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", default=list(GATES), choices=GATES)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--kernel", default="none", choices=("none", "numba"), help="gradient.kernel")
    parser.add_argument("--repetitions", type=int, default=15)
    options = parser.parse_args(argv)
    for cell in options.cells:
        for name in options.sizes:
            Console(highlight=False).print(measure(cell, name, options.kernel, options.repetitions))


def measure(cell: str, name: str, kernel: str, repetitions: int) -> Table:
    """Median milliseconds of each part, and of its products at the rate of a large one."""
    size = SIZES[name]
    parts, work = make_parts(cell, size, kernel), flops(cell, size)
    times: dict[str, list[float]] = {part: [] for part in parts}
    for _ in range(repetitions):
        for part, run in parts.items():
            times[part].append(seconds(run))
    rate = gemm_rate()
    title = f"{cell}, size {name}, large products at {rate / 1e9:.0f} GFLOP/s"
    table = make_table(title, "part", "ms", "quartiles", "its products at that rate")
    for part, taken in times.items():
        of_part = spread(taken)
        low, median, high = (f"{1e3 * value:.3g}" for value in (of_part.quartile_1, of_part.median, of_part.quartile_3))
        floor = f"{1e3 * work[part] / rate:.3g}" if work[part] else ""
        table.add_row(part, median, f"{low} – {high}", floor)
    return table


def make_parts(cell: str, size: Size, kernel: str) -> dict[str, Callable]:
    """The parts in the order of a step, compiled, with their arguments."""
    config = make_config(cell, size, "manual")
    model = make_text_model(config, range(VOCABULARY))
    state, text = init_state(config, model, jnp.dtype("float32")), make_text(size)
    batch, params, hyper = Batch(jnp.asarray(text.x[0]), jnp.asarray(text.y[0])), state.params, state.hyper
    layer = params.layers[0]

    def loop(matrix):
        """T products one after the other, each of the result of the one before."""
        first = jnp.ones((size.batch, matrix.shape[0]))
        kept = min(matrix.shape)
        turn = lambda _, x: x.at[:, :kept].set(0.1 * (x @ matrix)[:, :kept])
        return jax.lax.fori_loop(0, size.length, turn, first)

    read = jax.jit(lambda layer, x: manual.read(layer, x)[0])
    a = read(layer, batch.x)
    known = fused.kernel()(model.cell, layer, Inputs(a)) if kernel == "numba" else None
    over_time, back_in_time = known or (manual.forward, manual.backward)
    forward = jax.jit(lambda layer, s, a: over_time(model.cell, layer, hyper, s, Inputs(a), 1))
    readout = jax.jit(lambda params, hs, batch: manual.readout(params, hs, batch, "cross_entropy", batch.y.size))
    backward = jax.jit(lambda layer, *found: back_in_time(model.cell, layer, hyper, *found, 1))
    recurrent = jax.jit(manual.recurrent_weights)
    inputs = jax.jit(lambda layer, x, d_a, d: manual.input_weights(layer, manual.InputTape(x, None), d_a, d))
    products = jax.jit(loop)

    last, hs, tape = forward(layer, state.carry[0], a)
    _, d_hs, *_ = readout(params, hs, batch)
    end, W_transposed = jnp.zeros_like(last), layer.W.T
    found = backward(layer, tape, end, d_hs)
    d_layer = recurrent(layer, tape, found)
    parts = {
        "read": lambda: read(layer, batch.x),
        "forward": lambda: forward(layer, state.carry[0], a),
        "prod": lambda: products(layer.W),
        "readout": lambda: readout(params, hs, batch),
        "backward": lambda: backward(layer, tape, end, d_hs),
        "prodT": lambda: products(W_transposed),
        "recurrent_weights": lambda: recurrent(layer, tape, found),
        "input_weights": lambda: inputs(layer, batch.x, found.a, d_layer),
    }
    for run in parts.values():
        jax.block_until_ready(run())
    return parts


def flops(cell: str, size: Size) -> dict[str, int]:
    """Floating-point operations of each part's products."""
    each = ("forward", "prod", "backward", "prodT", "recurrent_weights")
    recurrent = dict.fromkeys(each, recurrent_flops(cell, size))
    return {"read": 0, "input_weights": 0, "readout": 3 * readout_flops(size), **recurrent}


if __name__ == "__main__":
    main()
