"""Iterations against the gain of the recurrent weights: python -m benchmarks.gains.

32 tanh units, W = gain x orthogonal, random inputs, float64, tolerance 1e-10, from zeros: iterations of Newton's method
over time with whole Jacobians and with their diagonals, beside the largest Lyapunov exponent. Writes
benchmarks/results/gains.{json,md}.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.markdown import Markdown

from benchmarks import saving
from benchmarks.machine import describe
from rnnjax.analysis.lyapunov import largest
from rnnjax.model.network import Batch
from rnnjax.model.recurrence import of_step
from rnnjax.parallel.newton import Kind, Solver
from rnnjax.parallel.trajectory import Transition, trajectory

Array = jax.Array

RESULTS = Path(__file__).parent / "results"
GAINS, LENGTHS = (0.5, 0.9, 1.2, 1.8), (256, 1024)
MOST = 200
"""Most iterations."""

TANH = Transition(lambda W, h, a: jnp.tanh(a + h @ W))


class Row(NamedTuple):
    """One gain: the exponent over the longest T, and for each solver its iterations by T; None: not in MOST."""

    gain: float
    exponent: float
    deer: dict[int, int | None]
    quasi: dict[int, int | None]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("benchmarks.gains", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    jax.config.update("jax_enable_x64", True)
    rows = [measure(gain) for gain in GAINS]
    saving.save(options.out / "gains", {"machine": describe(), "rows": [row._asdict() for row in rows]}, markdown(rows))
    Console().print(Markdown(markdown(rows)))


def tanh_units(gain: float, T: int, units: int = 32, seed: int = 0, inputs: float = 0.5) -> tuple[Array, Array]:
    """hₜ = tanh(aₜ + hₜ₋₁ W), W = gain x orthogonal: W [units, units] and a [T, units]."""
    rng = np.random.default_rng(seed)
    W = gain * np.linalg.qr(rng.normal(size=(units, units)))[0]
    return jnp.asarray(W), jnp.asarray(inputs * rng.normal(size=(T, units)))


def measure(gain: float) -> Row:
    """One row of the table."""
    counts = [{T: iterations(kind, gain, T) for T in LENGTHS} for kind in ("deer", "quasi")]
    return Row(gain, exponent(gain, max(LENGTHS)), *counts)


def iterations(kind: Kind, gain: float, T: int) -> int | None:
    """Iterations of a solver, from zeros; None where some steps had not converged."""
    W, a = tanh_units(gain, T)
    run = jax.jit(partial(trajectory, TANH, Solver(kind, tolerance=1e-10, iterations=MOST)))
    found = run(W, jnp.zeros(len(W)), a, None)
    return None if found.sequential else int(found.iterations)


def exponent(gain: float, T: int) -> float:
    """The largest Lyapunov exponent, the first quarter left out, nats per step."""
    W, a = tanh_units(gain, T)
    step = lambda W, h, a: 2 * (TANH.f(W, h, a),)
    units = of_step(step, lambda out, y: jnp.sum(out), batch_axes=0)
    read = Batch(a, a, weight=jnp.ones(T))
    return float(jax.jit(lambda W: largest(units, W, (), jnp.zeros(len(W)), read, settle=T // 4))(W))


def markdown(rows: list[Row]) -> str:
    """The table."""
    shown = lambda counts: " / ".join(f"not in {MOST}" if count is None else f"{count}" for count in counts.values())
    columns = ("gain", "largest exponent", "deer, T = 256 / 1,024", "quasi, T = 256 / 1,024")
    cells = [(f"{row.gain}", f"{row.exponent:+.2f}", shown(row.deer), shown(row.quasi)) for row in rows]
    head = "32 tanh units, W = gain x orthogonal, random inputs, float64, tolerance 1e-10: iterations from zeros."
    return "\n".join([head, "", *saving.table(columns, cells, words=0), ""])


if __name__ == "__main__":
    main()
