"""The schema of a study, as in `configs/ablations/*.yaml`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

import numpy as np

from rnnjax.config.checks import at_least, check, plain_name
from rnnjax.errors import UserError

Assignment = dict[str, Any]
"""Values of config fields, such as {"optimizer.clip": "value"}."""


@dataclass(frozen=True)
class Range:
    """Range from which the values of a field are drawn.

    Attributes:
      low, high: ends of the range.
      scale: uniform in the number (linear) or in its logarithm (log). A field of whole numbers takes the nearest.
    """

    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"

    def __post_init__(self) -> None:
        check(self.low < self.high, "axes.random: low", self.low, f"below high, {self.high}")
        check(self.scale == "linear" or self.low > 0, "axes.random: low", self.low, "above 0 on a log scale")

    def at(self, share: float) -> float:
        """The number with this share of the range below it."""
        if self.scale == "log":
            return float(self.low * (self.high / self.low) ** share)
        return float(self.low + share * (self.high - self.low))


MOST_RUNS = 100_000
"""Most runs of a study, each of which has a config of its own."""


@dataclass(frozen=True)
class Axes:
    """Fields in which the arms differ: every point of the grid with every row of zip and every draw, and single arms.

    Attributes:
      grid: lists of values by field, all combined with all.
      zip: lists of values by field, of equal length, taken in step: the first of each, the second of each, and so on.
      random: ranges by field; each draw takes a new value of every field.
      draws: number of draws.
      draw_seed: seed of the draws.
      also: single arms, such as one without clipping beside a grid of kinds and thresholds.
    """

    grid: dict[str, list[Any]] = field(default_factory=dict)
    zip: dict[str, list[Any]] = field(default_factory=dict)
    random: dict[str, Range] = field(default_factory=dict)
    draws: int = 0
    draw_seed: int = 0
    also: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not (self.grid or self.zip or self.random or self.also):
            raise UserError("axes names no field; give axes.grid, axes.zip or axes.random")
        for kind in ("grid", "zip"):
            for name, values in getattr(self, kind).items():
                if not values:
                    raise UserError(f"axes.{kind} has no values for {name}; give some, or remove it")
        if len({len(values) for values in self.zip.values()}) > 1:
            lengths = ", ".join(f"{name} {len(values)}" for name, values in self.zip.items())
            raise UserError(f"axes.zip has different numbers of values: {lengths}")
        at_least(0, axes__draws=self.draws, axes__draw_seed=self.draw_seed)
        check(bool(self.draws) == bool(self.random), "axes.draws", self.draws, "above 0 with axes.random, else 0")
        names = [*self.grid, *self.zip, *self.random]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UserError(f"axes has {', '.join(twice)} twice; keep one")

    def fields(self) -> list[str]:
        """Fields of the axes, each once."""
        return [*dict.fromkeys([*self.grid, *self.zip, *self.random, *(name for arm in self.also for name in arm)])]

    def count(self) -> int:
        """Number of arms."""
        rows = next((len(values) for values in self.zip.values()), 1)
        combined = math.prod(map(len, self.grid.values())) * rows * max(self.draws, 1)
        return (combined if self.grid or self.zip or self.random else 0) + len(self.also)

    def assignments(self) -> Iterator[Assignment]:
        """Yields the values of each arm, without seeds."""
        if self.grid or self.zip or self.random:
            grid = [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]
            rows = [dict(zip(self.zip, values, strict=True)) for values in zip(*self.zip.values(), strict=True)]
            for parts in product(grid, rows or [{}], self._drawn() or [{}]):
                yield {name: value for part in parts for name, value in part.items()}
        yield from self.also

    def _drawn(self) -> list[Assignment]:
        draws = np.random.default_rng(self.draw_seed).random((self.draws, len(self.random)))
        return [{name: r.at(share) for (name, r), share in zip(self.random.items(), row, strict=True)} for row in draws]


@dataclass(frozen=True)
class Tune:
    """Tuning: each arm takes, of these learning rates, the one with the lowest validation loss.

    Attributes:
      learning_rates: rates to try; empty: each arm keeps its own.
      seeds: seeds of the trials; none of the study's, so that no arm is compared on a run that chose its rate.
    """

    learning_rates: list[float] = field(default_factory=list)
    seeds: list[int] = field(default_factory=lambda: [1_000_000])

    def __post_init__(self) -> None:
        for rate in self.learning_rates:
            check(rate > 0, "tune.learning_rates", rate, "above 0")
        for name in ("learning_rates", "seeds"):
            values = getattr(self, name)
            check(len(set(values)) == len(values), f"tune.{name}", values, "each once")
        check(bool(self.seeds), "tune.seeds", self.seeds, "one seed or more")


@dataclass(frozen=True)
class Study:
    """Study of the effect of some fields on one metric.

    Attributes:
      name: folder of the study under runs/; the same command again goes on where it stopped.
      base: path of the config that all arms share; its fields may be given beside the study's own.
      axes: fields in which the arms differ, with their values.
      seeds: seeds of each arm's runs; a number n stands for 0, 1 ... n - 1.
      metric: column of the results that is compared at the end of the runs: validation_loss, test_loss,
        training_loss, or another metric of the task.
      direction: lower or higher, the better end of the metric.
      baseline: values of the arm that the others are compared with; empty: no comparison.
      tune: learning rates to choose from before the arms are compared.
    """

    axes: Axes
    name: str = "study"
    base: str = ""
    seeds: int | list[int] = 5
    metric: str = "validation_loss"
    direction: Literal["lower", "higher"] = "lower"
    baseline: dict[str, Any] = field(default_factory=dict)
    tune: Tune = field(default_factory=Tune)

    def __post_init__(self) -> None:
        plain_name(name=self.name)
        runs = self.axes.count() * (self.seeds if isinstance(self.seeds, int) else len(self.seeds))
        check(runs <= MOST_RUNS, "the number of runs, arms times seeds,", runs, f"at most {MOST_RUNS:,}")
        seeds = self.all_seeds()
        check(bool(seeds) and len(set(seeds)) == len(seeds), "seeds", self.seeds, "one seed or more, each once")
        if "optimizer.learning_rate" in self.axes.fields() and self.tune.learning_rates:
            raise UserError("tune.learning_rates: optimizer.learning_rate is an axis already; keep one of the two")
        if self.tune.learning_rates and (both := {*seeds} & {*self.tune.seeds}):
            raise UserError(
                f"tune.seeds: {min(both)} is one of seeds too; a run that chose a rate must not be compared"
            )

    def all_seeds(self) -> list[int]:
        """Seeds of each arm, one by one."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds
