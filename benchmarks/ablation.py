"""32 arms in one program beside 32 runs one after the other: python -m benchmarks.ablation.

The textbook's cell on the bundled songs, H = 32, T = 25, clipping and Adam as in training, arms that differ in seed and
learning rate; one program over two devices (of a CPU: halves of its threads), against the program of a single run. All
take turns, so that a busy moment of the machine falls on all; compilation is apart. Run it on an idle machine.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe
from benchmarks.saving import save
from benchmarks.spread import seconds, spread
from rnnjax.config import Config, DataConfig, GradientConfig, ModelConfig, TrainingConfig
from rnnjax.quantities import in_time
from rnnjax.run.device import set_up
from rnnjax.study.arms import make_arms
from rnnjax.study.compiled import compile_arms
from rnnjax.study.program import make_mesh, place, start_arms
from rnnjax.study.study import Axes, Study
from rnnjax.tasks import make_task
from rnnjax.training.step import chunk_of

RATES = {"optimizer.learning_rate": [1e-4, 3e-4, 1e-3, 3e-3]}


class Measured(NamedTuple):
    """Seconds that a step of one run took, alone and as an arm, by repetition."""

    batch: int
    method: str
    alone: list[float]
    together: list[float]

    @property
    def ratio(self) -> float:
        """Speed-up of all arms together."""
        return spread(self.alone).median / spread(self.together).median


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("benchmarks.ablation", description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--methods", nargs="+", default=["manual"], choices=["manual", "autodiff"])
    parser.add_argument("--arms", type=int, default=32)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--length", type=int, default=25)
    parser.add_argument("--devices", type=int, default=2)
    parser.add_argument("--steps", type=int, default=200, help="steps of every arm in a repetition")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/ablation.json"))
    options = parser.parse_args(argv)
    set_up("auto", "float32", options.devices, compilation_cache=False)
    found = [measure(options, batch, method) for batch in options.batch for method in options.methods]
    Console(highlight=False).print(table(found, options.arms))
    about = {"machine": describe(), "options": {name: str(value) for name, value in vars(options).items()}}
    save(options.out, {**about, "measured": [one._asdict() for one in found]})


def measure(options: argparse.Namespace, batch: int, method: str) -> Measured:
    """Runs alone and together, in turns."""
    training = TrainingConfig(
        steps=1_000_000, batch_size=batch, sequence_length=options.length, steps_per_dispatch=options.steps
    )
    config = Config(
        data=DataConfig(validation_fraction=0.0, test_fraction=0.0),
        model=ModelConfig(hidden_size=options.hidden),
        gradient=GradientConfig(method),
        training=training,
    )
    arms = make_arms(Study(Axes(grid=RATES), seeds=options.arms // 4), config)
    task, mesh = make_task(arms[0].config), make_mesh(options.devices)
    programs = compile_arms(config, task, mesh, len(arms))
    together = runner(programs.chunk, place(mesh, start_arms(task, arms)), programs.data, options.steps)
    alone = runner(chunk_of(config, task.step), jax.jit(task.start)(), jax.device_put(task.data), options.steps)
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(options.repetitions):
        taken[0].append(alone() / options.steps)
        taken[1].append(together() / options.steps / len(arms))
    return Measured(batch, method, *taken)


def runner(chunk: Callable, state: Any, data: Any, steps: int) -> Callable[[], float]:
    """Returns a function that goes on training, and tells how long it took with the metrics read out."""

    def train() -> None:
        nonlocal state
        state, infos = chunk(state, data, np.int32(steps))
        jax.device_get(infos)

    train()
    return partial(seconds, train)


def table(found: list[Measured], arms: int) -> Table:
    """Median, and lowest, time of a step of one run."""
    shown = Table("B", "method", "alone", "lowest", f"one of {arms}", "lowest", "times faster")
    for one in found:
        alone, together = spread(one.alone), spread(one.together)
        times = in_time(alone.median), in_time(alone.low), in_time(together.median), in_time(together.low)
        shown.add_row(str(one.batch), one.method, *times, f"{one.ratio:.1f}")
    return shown


if __name__ == "__main__":
    main()
