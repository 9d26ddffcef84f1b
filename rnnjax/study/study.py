"""The schema of `configs/ablations/*.yaml`: what a study asks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

import numpy as np

from rnnjax.config.checks import at_least, check, plain_name
from rnnjax.errors import UserError

Assignment = dict[str, Any]
"""Values of fields of a config, such as {"optimizer.clip": "value"}."""


@dataclass(frozen=True)
class Range:
    """Where the values of a field are drawn from.

    Attributes:
      low, high: the ends.
      scale: evenly along the numbers, or along their logarithms. A field of whole numbers takes the nearest.
    """

    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"

    def __post_init__(self) -> None:
        check(self.low < self.high, "axes.random: low", self.low, f"below high, {self.high}")
        check(self.scale == "linear" or self.low > 0, "axes.random: low", self.low, "above 0 on a log scale")

    def at(self, share: float) -> float:
        """The number that has this share of the range below it."""
        if self.scale == "log":
            return float(self.low * (self.high / self.low) ** share)
        return float(self.low + share * (self.high - self.low))


@dataclass(frozen=True)
class Axes:
    """In what the arms differ: every choice of the grid, with every row of zip, with every draw; and a few more.

    Attributes:
      grid: values of a field of the config, all combined with all.
      zip: values of fields that go together: the first of each, the second of each, and so on.
      random: fields whose values are drawn, all anew for each draw.
      draws: how often.
      draw_seed: of the draws.
      also: single arms beside those, such as one without any clipping beside a grid of kinds and thresholds.
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
        """The fields that the axes are over, each once."""
        return [*dict.fromkeys([*self.grid, *self.zip, *self.random, *(name for arm in self.also for name in arm)])]

    def assignments(self) -> Iterator[Assignment]:
        """The values of each arm, seeds apart."""
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
    """Learning rates that each arm tries before arms are compared; the one with the lowest validation loss is its own.

    Attributes:
      learning_rates: to try; none: each arm keeps the config's.
      seeds: of the trials, other than the study's, so that no arm is compared on a run that chose for it.
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
    """A question: what do these fields do to that number?

    Attributes:
      name: the study is kept in runs/<name>; the same command again goes on where it stopped.
      base: path of the config that all arms share, but for their axes; its fields may be given beside the study's own.
      axes: in what the arms differ.
      seeds: of each arm's runs; a number n stands for 0, 1 ... n - 1.
      metric: a column of the results, compared at the end of the runs: validation_loss, test_loss, training_loss, or
        another number that the task measures.
      direction: whether lower or higher is better.
      baseline: the values of the arm that others are compared with; none: they are not compared.
      tune: whether each arm's learning rate is chosen first.
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
        seeds = self.all_seeds()
        check(bool(seeds) and len(set(seeds)) == len(seeds), "seeds", self.seeds, "one seed or more, each once")
        if "optimizer.learning_rate" in self.axes.fields() and self.tune.learning_rates:
            raise UserError("tune.learning_rates: optimizer.learning_rate is an axis already; keep one of the two")
        if self.tune.learning_rates and (both := {*seeds} & {*self.tune.seeds}):
            raise UserError(
                f"tune.seeds: {min(both)} is one of seeds too; a run that chose a rate must not be compared"
            )

    def all_seeds(self) -> list[int]:
        return list(range(self.seeds)) if isinstance(self.seeds, int) else self.seeds
