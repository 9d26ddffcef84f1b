"""Scaling of series to mean 0 and variance 1 on the training part, and its inverse."""

from typing import Any, NamedTuple

import numpy as np


class Scaling(NamedTuple):
    """(value - mean) / deviation, column by column.

    Attributes:
      mean: [K], in the units of the file.
      deviation: [K], above 0, in the same.
    """

    mean: np.ndarray
    deviation: np.ndarray

    def scale(self, values: np.ndarray) -> np.ndarray:
        """Scales values in the units of the file [..., K]."""
        return (values - self.mean) / self.deviation

    def unscale(self, values: np.ndarray) -> np.ndarray:
        """Returns values to the units of the file [..., K]."""
        return values * self.deviation + self.mean


def learn_scaling(values: np.ndarray) -> Scaling:
    """Learns mean and deviation of the training part [n, K]; a constant column gets deviation 1, and scales to 0."""
    largest = np.abs(values).max(axis=0)
    largest = np.where(largest > 0, largest, 1.0)  # sums of squares of the values themselves may overflow or vanish
    mean, deviation = (values / largest).mean(axis=0), (values / largest).std(axis=0)
    is_constant = deviation <= 1e-12 * np.abs(mean)
    return Scaling(mean * largest, np.where(is_constant, 1.0, deviation * largest))


def to_json(scaling: Scaling | None) -> dict[str, Any] | None:
    """The content of vocabulary.json; None where nothing is scaled."""
    return None if scaling is None else {name: array.tolist() for name, array in scaling._asdict().items()}


def from_json(found: dict[str, Any] | None) -> Scaling | None:
    """The inverse of `to_json`."""
    return None if found is None else Scaling(np.array(found["mean"]), np.array(found["deviation"]))
