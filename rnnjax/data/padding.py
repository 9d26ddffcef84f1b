"""Sequences of unequal lengths, side by side in one array."""

from typing import NamedTuple

import numpy as np


class Padded(NamedTuple):
    """N sequences, each filled up with zeros at its end.

    Attributes:
      ids: [N, T].
      length: length of each, integer [N].
    """

    ids: np.ndarray
    length: np.ndarray


def pad(sequences: list[np.ndarray], steps: int) -> Padded:
    """Puts sequences of at most `steps` ids side by side.

    Raises:
      ValueError: for a longer sequence.
    """
    length = np.array([len(sequence) for sequence in sequences], np.int32)
    if length.max(initial=0) > steps:
        raise ValueError(f"a sequence has {length.max()} steps, more than {steps}")
    ids = np.zeros((len(sequences), steps), sequences[0].dtype if sequences else np.uint8)
    for row, sequence in zip(ids, sequences, strict=True):
        row[: len(sequence)] = sequence
    return Padded(ids, length)
