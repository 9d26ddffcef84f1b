"""Sequences of unequal lengths, side by side in one array."""

from typing import NamedTuple

import numpy as np


class Padded(NamedTuple):
    """N sequences, each filled up with zeros at its end.

    Attributes:
      ids: [N, T, ...].
      length: length of each, integer [N].
    """

    ids: np.ndarray
    length: np.ndarray


def pad(sequences: list[np.ndarray], steps: int) -> Padded:
    """Puts sequences of at most `steps` steps side by side, each an array [steps, ...].

    Raises:
      ValueError: for a longer sequence.
    """
    length = np.array([len(sequence) for sequence in sequences], np.int32)
    if length.max(initial=0) > steps:
        raise ValueError(f"a sequence has {length.max()} steps, more than {steps}")
    first = sequences[0] if sequences else np.zeros(0, np.uint8)
    ids = np.zeros((len(sequences), steps, *first.shape[1:]), first.dtype)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return Padded(ids, length)
