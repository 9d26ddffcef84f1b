"""Training, validation and test parts of series as a network reads them, scaled by the training part."""

from typing import Any, NamedTuple

import numpy as np

from rnnjax.config import DataConfig
from rnnjax.data.known.problem import Sequence
from rnnjax.data.scaling import Scaling, learn_scaling
from rnnjax.data.series import Series, cut_in_time
from rnnjax.data.split import Split, draw_parts
from rnnjax.errors import UserError

LARGEST = 1e150
"""Largest number that is read."""

CONTEXT = 1000
"""Most steps of a single series that are read before a held-out part, to give it a state; they do not count."""


class Part(NamedTuple):
    """Rows of a part.

    Attributes:
      rows: scaled [n, T, ...], with weight 1 where an answer counts.
      series: number of each row's series in the file, integer [n].
      first: step at which the rows begin in their series.
    """

    rows: Sequence
    series: np.ndarray
    first: int = 0

    @property
    def counted(self) -> np.ndarray:
        """True where an answer counts, bool [n, T]."""
        shape = self.rows.x.shape[:2]
        return np.ones(shape, bool) if self.rows.weight is None else np.asarray(self.rows.weight) > 0


class Parts(NamedTuple):
    """Training, validation and test part; a held-out part that is empty is None.

    Attributes:
      inputs: scaling of real inputs; None for ids.
      targets: scaling of real targets; None for classes and labels.
    """

    of: Split[Any]
    inputs: Scaling | None
    targets: Scaling | None

    @property
    def rows(self) -> Split[Any]:
        """Rows of each part, None where it is empty."""
        return Split(*(part and part.rows for part in self.of))


def make_parts(series: Series, data: DataConfig, is_real: bool, dtype: Any) -> Parts:
    """Divides series, shifted by the horizon: a single one in time, several by drawing.

    Args:
      is_real: True where targets are numbers to be scaled.
      dtype: type of the network's inputs.

    Raises:
      UserError: if there are too few series or steps for the parts, or numbers too large for their squares.
    """
    for values in (series.x, series.y):
        if values.dtype.kind == "f" and (largest := np.abs(values).max(initial=0)) > LARGEST:
            raise UserError(f"{series.source}: {largest:.3g} is too large, as squares overflow above {LARGEST:g}")
    if series.is_single and series.names.each_step:
        chosen = Split(*(stretch_of(series, steps) for steps in in_time(series, data)))
    else:
        part = draw_parts(len(series.length), "series", series.source, data)
        chosen = Split(*(several(series, np.flatnonzero(part == index)) for index in range(3)))
    train: Any = chosen.train
    read = train.rows.x if train.rows.valid is None else train.rows.x[train.rows.valid]
    inputs = learn_scaling(read.reshape(-1, read.shape[-1])) if series.names.ids == 0 else None
    targets = learn_scaling(train.rows.y[train.counted]) if is_real else None
    scaled = lambda part: part and part._replace(rows=as_read(part.rows, inputs, targets, dtype))
    return Parts(Split(*map(scaled, chosen)), inputs, targets)


def in_time(series: Series, data: DataConfig) -> Split[range]:
    """Steps of each part of a single series; raises UserError where none is left to train on."""
    steps = cut_in_time(int(series.length[0]), data.validation_fraction, data.test_fraction)
    if not len(steps.train):
        raise UserError(
            f"data.path: {series.source} is one series of {series.length[0]} step(s), too short to hold out "
            f"{len(steps.validation)} for validation and {len(steps.test)} for test; set data.validation_fraction and "
            "data.test_fraction to 0, or name the column that tells several series apart with data.series"
        )
    return steps


def stretch_of(series: Series, steps: range) -> Part | None:
    """Stretch of a single series, with its context; None where it is empty."""
    if not len(steps):
        return None
    first = max(0, steps.start - CONTEXT)
    cut = lambda array: array[:, first : steps.stop]
    weight = None if first == steps.start else (np.arange(first, steps.stop) >= steps.start)[None].astype(float)
    return Part(Sequence(cut(series.x), cut(series.y), weight), np.zeros(1, int), first)


def several(series: Series, chosen: np.ndarray) -> Part | None:
    """Part of some of the series, each whole; None where there are none."""
    if not len(chosen):
        return None
    x, y, length = series.x[chosen], series.y[chosen], series.length[chosen]
    T = x.shape[1]
    inside = np.arange(T) < length[:, None]
    if not series.names.each_step:
        y = np.repeat(y[:, None], T, axis=1)
    counted = inside if series.names.each_step else np.arange(T) == length[:, None] - 1
    return Part(
        Sequence(x, y, None if counted.all() else counted.astype(float), None if inside.all() else inside), chosen
    )


def as_read(rows: Sequence, inputs: Scaling | None, targets: Scaling | None, dtype: Any) -> Sequence:
    """Rows as the network reads them: scaled, reals in its precision."""
    x = rows.x if inputs is None else inputs.scale(rows.x)
    y = rows.y if targets is None else targets.scale(rows.y)
    cast = lambda leaf: leaf if leaf is None or leaf.dtype.kind in "ib" else leaf.astype(dtype)
    return Sequence(*map(cast, (x, y, rows.weight, rows.valid)))


def fold(rows: Sequence, batch_size: int, sequence_length: int) -> Sequence:
    """Cuts the training part of a single series into B stretches that are read side by side: each leaf [B, S, ...].

    Raises:
      UserError: if it is too short for one window of every stretch.
    """
    steps = rows.x.shape[1]
    S = steps // batch_size
    if sequence_length > S:
        raise UserError(
            f"data.path: the training part has {steps} steps, too few for training.batch_size {batch_size} x "
            f"training.sequence_length {sequence_length}; lower one"
        )
    fold = lambda leaf: leaf[0, : batch_size * S].reshape(batch_size, S, *leaf.shape[2:])
    return Sequence(fold(rows.x), fold(rows.y))
