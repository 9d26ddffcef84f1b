"""Compares the gradient methods: python -m rnnjax.compare --config configs/lyrics.yaml.

Computes the gradient of one window of the config's own model and data by every method, in float64 and float32, and
prints how far each is from autodiff, leaf by leaf, and what it costs. Exits with 1 where two exact methods disagree.
"""

import time
from typing import NamedTuple

from rnnjax.cli import add_config, config_of, make_parser, run

DISAGREE = 1

TOLERANCE = {"float64": 1e-10, "float32": 2e-4}
"""Largest difference, as a share of the leaf's largest entry. Rounding errors grow with the window's length: float32
has room for windows of some hundred steps, at a network that does not explode."""

REPEATS = 5


class Cost(NamedTuple):
    """Seconds to compile, median seconds of a gradient, bytes of temporary memory (None: not known)."""

    compile: float
    run: float
    memory: int | None


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("compare", __doc__)
    add_config(parser)
    config = config_of(parser, parser.parse_args(argv))

    from rnnjax.run.device import set_up

    set_up(config.run.platform, "float64")
    return compare(config)


def compare(config) -> int:
    """Prints the tables. Returns the exit code."""
    import jax
    from rich.console import Console

    from rnnjax.data.corpus import load_corpus
    from rnnjax.data.streams import fold_into_streams
    from rnnjax.gradients import EXACT, METHODS
    from rnnjax.trained import make_model

    console = Console(highlight=False, soft_wrap=True)
    corpus = load_corpus(config.data)
    model = make_model(config, corpus.vocabulary)
    T, B = config.training.sequence_length, config.training.batch_size
    streams = fold_into_streams(corpus.ids.train, B, T)
    console.print(
        f"one window of {B} x {T} characters, {model.layers} x {model.hidden} {model.activation} units, "
        f"init {config.model.init}"
    )

    methods = {}
    for name in (name for name in METHODS if name in EXACT):
        method = METHODS[name](config.gradient)
        if reason := method.refuse(model, T, B):
            console.print(f"{name}: n/a: {reason}")
        else:
            methods[name] = method
    costs, gradients = {}, {}
    with jax.default_matmul_precision("highest"):
        for precision in TOLERANCE:
            case = make_case(config, model, streams, precision)
            for name, method in methods.items():
                gradients[precision, name], costs[precision, name] = measure(method, model, case)
    rows = [
        (precision, name, *difference)
        for precision in TOLERANCE
        for name in methods
        if name != "autodiff"
        for difference in differences(gradients[precision, name], gradients[precision, "autodiff"])
    ]
    agree = all(relative <= TOLERANCE[precision] for precision, _, _, _, relative in rows)
    console.print(difference_table(rows))
    console.print(cost_table(costs))
    console.print("all methods agree" if agree else "the methods DISAGREE")
    return 0 if agree else DISAGREE


def make_case(config, model, streams, precision: str) -> tuple:
    """Parameters as drawn in float64, the carry after one window, and the second window; in a precision."""
    import jax
    import jax.numpy as jnp

    from rnnjax.model.initializers import init_params
    from rnnjax.model.network import initial_carry
    from rnnjax.model.rnn import apply
    from rnnjax.training.state import make_hyper
    from rnnjax.training.step import window_at

    T, B = config.training.sequence_length, config.training.batch_size
    key = jax.random.key(config.training.seed)
    hyper = make_hyper(config, jnp.dtype("float64"))
    params = init_params(
        key, model, config.model.init, config.model.scale, jnp.float64, forget_bias=config.model.forget_bias
    )
    before, _ = window_at(jnp.asarray(streams), jnp.int32(0), T)
    batch, _ = window_at(jnp.asarray(streams), jnp.int32(1), T)
    carry, _ = jax.jit(apply, static_argnums=0)(model, params, hyper, initial_carry(model, params, (B,)), before)
    return *jax.tree.map(lambda leaf: leaf.astype(precision), (params, hyper, carry)), batch


def measure(method, model, case) -> tuple:
    """Compiles a method for a case and runs it. Returns its gradient and its cost."""
    import jax
    import numpy as np

    params, hyper, carry, batch = case
    arguments = (params, hyper, carry, batch, method.init(model, params, batch.x.shape[1:]))
    began = time.perf_counter()
    program = jax.jit(method.gradient, static_argnums=0).lower(model, *arguments).compile()
    seconds_to_compile = time.perf_counter() - began
    gradient = jax.block_until_ready(program(*arguments))
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        jax.block_until_ready(program(*arguments))
        times.append(time.perf_counter() - began)
    analysis = program.memory_analysis()
    return gradient, Cost(seconds_to_compile, float(np.median(times)), getattr(analysis, "temp_size_in_bytes", None))


def differences(gradient, reference) -> list[tuple[str, float, float]]:
    """Name, largest absolute difference, and the same as a share of the leaf's largest entry, for each leaf.

    Where the reference is exactly zero the other must be too: the share is then 0, or infinite.
    """
    import jax
    import numpy as np

    leaves, _ = jax.tree_util.tree_flatten_with_path({"params": gradient.params, "carry": gradient.carry})
    references = jax.tree.leaves({"params": reference.params, "carry": reference.carry})
    rows = []
    for (path, leaf), other in zip(leaves, references, strict=True):
        leaf, other = np.asarray(leaf, np.float64), np.asarray(other, np.float64)
        absolute, largest = float(np.abs(leaf - other).max()), float(np.abs(other).max())
        relative = absolute / largest if largest else (0.0 if absolute == 0 else float("inf"))
        finite = np.isfinite(absolute) and np.isfinite(largest)
        name = jax.tree_util.keystr(path, simple=True, separator=".").removeprefix("params.")
        rows.append((name, absolute, relative if finite else float("inf")))
    return rows


def difference_table(rows: list[tuple]):
    from rich.table import Table

    table = Table(
        "precision", "method", "gradient of", title="against autodiff (relative: to the largest entry of the leaf)"
    )
    for column in ("max |diff|", "relative", "allowed", ""):
        table.add_column(column, justify="right")
    for precision, method, leaf, absolute, relative in rows:
        allowed = TOLERANCE[precision]
        verdict = "ok" if relative <= allowed else "DIFFERS"
        table.add_row(precision, method, leaf, f"{absolute:.2e}", f"{relative:.2e}", f"{allowed:.0e}", verdict)
    return table


def cost_table(costs: dict[tuple[str, str], Cost]):
    from rich.table import Table

    table = Table(
        "precision", "method", title="cost (median time of a gradient; temporary memory of the compiled program)"
    )
    for column in ("compile (s)", "gradient (ms)", "memory (MB)"):
        table.add_column(column, justify="right")
    for (precision, method), cost in costs.items():
        memory = "-" if cost.memory is None else f"{cost.memory / 1e6:.2f}"
        table.add_row(precision, method, f"{cost.compile:.2f}", f"{1e3 * cost.run:.3f}", memory)
    return table


if __name__ == "__main__":
    run(main)
