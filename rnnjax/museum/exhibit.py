"""An exhibit: one published result, its settings line by line, and the criteria by which ours is judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnnjax.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Measures = Mapping[str, np.ndarray]
"""Numbers of a batch of seeds by name: `[n]`, or `[n, ...]` for the picture; nan where a seed has none."""

Results = Mapping[str, Measures]
"""The measures of each arm."""

HERE = Path(__file__).parent / "exhibits"


class Setting(NamedTuple):
    """One line of the settings.

    Attributes:
      paper: the paper's value, with section, table or page; or a note that the paper does not say.
      ours: our value, where it differs; empty: the same.
      why: the reason for a deviation.
    """

    name: str
    paper: str
    ours: str = ""
    why: str = ""


class Published(NamedTuple):
    """A published number, or word, and its place: table, section or page."""

    value: float | str
    place: str


@dataclass(frozen=True)
class Criterion:
    """A range in which a claim puts the mean of a measure, written before the runs.

    The claim is reproduced if the whole 95% interval over seeds lies in the range, refuted if it lies outside of it,
    and not settled if it has parts in both. Runs that were cut short of the paper's can show what succeeds, not what
    fails: they cannot refute that a network learns, nor reproduce that it does not. Where some of their trials have no
    number yet, the mean of the others decides nothing that a longer run could turn.

    Attributes:
      claim: one clause, as the page says it.
      arm, measure: the numbers that are judged. Those that are true or false are shares of seeds.
      low, high: the range; an end that is not given is open.
      than: another arm with the same seeds; the range is then of the difference, arm minus than.
      published: the paper's number, shown beside ours.
      cut_short: True where the runs of the arm are much smaller, or shorter, than the paper's.
      fails: True where the claim is that something fails.
      until: True where the measure counts what a trial took until it succeeded, and nearly all the paper's did. Those
        without a number took more than they were given: the mean is then too low, and can only be refuted from above.
      reading: where the arm reads the paper in another way than the settings say, that way, such as "linear output".
        The exhibit's verdict leaves it out.
    """

    claim: str
    arm: str
    measure: str
    low: float = -np.inf
    high: float = np.inf
    than: str = ""
    published: Published | None = None
    cut_short: bool = False
    fails: bool = False
    until: bool = False
    reading: str = ""


@dataclass(frozen=True)
class Exhibit:
    """One published result.

    Attributes:
      paper: authors (year). Title. Journal and volume.
      place: the table or figure.
      claim: the result in one sentence.
      settings: every setting of the paper, deviations marked.
      arms: for each arm the options of `run`, by name.
      run: (seeds [n], **options) -> measures, the seeds as one program; a function with a name.
      criteria: written before the runs.
      picture: draws the results into an empty figure.
      learned: paragraphs of the page, for a reader to take home.
      seeds: number of seeds of a full run; below 30 the settings say why, and no exhibit is reproduced or refuted.
      batch: seeds that run at once; each batch is saved when it is done.
      quick_seeds: number of seeds of a quick run.
      quick: options that differ in a quick run.
      quick_arms: arms of a quick run; empty: all.
      threads: threads of the processor; 1 for networks so small that several would wait for each other; 0: all.
    """

    paper: str
    place: str
    claim: str
    settings: tuple[Setting, ...]
    arms: Mapping[str, Mapping[str, Any]]
    run: Callable[..., Mapping[str, Any]]
    criteria: tuple[Criterion, ...]
    picture: Callable[["Figure", Results], None]
    learned: tuple[str, ...] = ()
    seeds: int = 30
    batch: int = 100
    quick_seeds: int = 5
    quick: Mapping[str, Any] | None = None
    quick_arms: tuple[str, ...] = ()
    threads: int = 0

    @property
    def authors(self) -> str:
        """Authors and year of the paper."""
        return self.paper.split(". ")[0]

    def count(self, quick: bool) -> int:
        """The seeds of a run."""
        return self.quick_seeds if quick else self.seeds

    def plan(self, quick: bool) -> dict[str, dict[str, Any]]:
        """The arms of a run and their options."""
        names = self.quick_arms if quick and self.quick_arms else tuple(self.arms)
        return {name: {**self.arms[name], **((self.quick or {}) if quick else {})} for name in names}

    def shrunk(self) -> dict[str, dict[str, Any]]:
        """The arms of a quick run that differ from the full run's: the full run's value of each option that differs."""
        plan = self.plan(quick=True).items()
        differs = {arm: {key: self.arms[arm][key] for key in of if of[key] != self.arms[arm][key]} for arm, of in plan}
        return {arm: options for arm, options in differs.items() if options}


def names() -> list[str]:
    """The exhibits, one for each file in `museum/exhibits`."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem != "__init__")


def load(name: str) -> Exhibit:
    """The `EXHIBIT` of a file.

    Raises:
      UserError: if there is no such file.
    """
    if name not in names():
        raise UserError(f"no exhibit {name}; there are {', '.join(names())}")
    return import_module(f"rnnjax.museum.exhibits.{name}").EXHIBIT
