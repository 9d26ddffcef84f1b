"""The user's own series: inputs and targets, in the units of their file."""

from typing import NamedTuple

import numpy as np

from rnnjax.data.split import Split, share
from rnnjax.errors import UserError


class Names(NamedTuple):
    """Names of the numbers in series; the content of vocabulary.json.

    Attributes:
      inputs: a name for each real input; None where inputs are ids.
      ids: number of input ids; 0 where inputs are real.
      targets: a name for each number, or label, of a target.
      labels: a name for each class; None where targets are no classes.
      each_step: True where every step has a target; False where the whole series has one.
    """

    inputs: list[str] | None
    ids: int
    targets: list[str]
    labels: list[str] | None
    each_step: bool

    @property
    def outputs(self) -> int:
        """Number of a network's outputs: one for each class, or for each number of a target."""
        return len(self.targets if self.labels is None else self.labels)


class Series(NamedTuple):
    """N series side by side, padded at their ends.

    Attributes:
      x: real inputs [N, T, I], or ids, integer [N, T].
      y: numbers [N, T, K] or [N, K], or classes, integer [N, T] or [N]; in forecasting not yet shifted.
      length: length of each, integer [N].
      names: names of the numbers.
      keys: keys of the series.
      source: the file or arrays, for messages.
    """

    x: np.ndarray
    y: np.ndarray
    length: np.ndarray
    names: Names
    keys: list[str]
    source: str

    @property
    def is_single(self) -> bool:
        """True for one series, whose parts follow each other in time."""
        return len(self.length) == 1


def shifted(series: Series, horizon: int) -> Series:
    """Series whose target at each step is the one `horizon` steps later; 0 leaves them.

    Raises:
      UserError: if a series is not longer than the horizon.
    """
    if not horizon:
        return series
    if shorter := np.flatnonzero(series.length <= horizon).tolist():
        length = series.length[shorter[0]]
        raise UserError(
            f"data.horizon is {horizon}, but {series.source} has a series of {length} step(s) (number {shorter[0]}, "
            "counted from 0); lower it, or leave the series out"
        )
    end = series.x.shape[1] - horizon
    return series._replace(x=series.x[:, :end], y=series.y[:, horizon:], length=series.length - horizon)


def cut_in_time(steps: int, validation: float, test: float) -> Split[range]:
    """Steps of a single series to train on, and later ones to hold out."""
    first, second = share(steps, validation), share(steps, test)
    start, middle = steps - first - second, steps - second
    return Split(range(max(start, 0)), range(max(start, 0), middle), range(middle, steps))
