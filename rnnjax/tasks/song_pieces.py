"""Pieces of labelled songs as examples."""

from typing import Any, NamedTuple

import numpy as np

from rnnjax.data.labelled import Labelled
from rnnjax.data.padding import pad
from rnnjax.data.split import Split
from rnnjax.data.vocabulary import Vocabulary


class Example(NamedTuple):
    """N sequences and their labels.

    Attributes:
      x: ids `[N, T]`, or numbers `[N, T]`.
      length: number of steps that are not padding, `[N]`.
      label: class of each sequence, `[N]`.
    """

    x: Any
    length: Any
    label: Any


class Pieces(NamedTuple):
    """Pieces of labelled songs.

    Attributes:
      vocabulary: vocabulary of the training pieces.
      examples: examples of each part; None for a part without pieces.
      song: index of the song of each example of a part.
    """

    vocabulary: Vocabulary
    examples: Split[Any]
    song: Split[np.ndarray]


def make_pieces(songs: Labelled, most: int, also: str = "") -> Pieces:
    """Cuts songs into pieces of at most `most` characters; `also` adds characters to the vocabulary."""
    parts = [songs.pieces(part, most) for part in range(3)]
    vocabulary = Vocabulary.of("".join(parts[0][0]) + also)
    examples = []
    for pieces, label, _ in parts:
        padded = pad([vocabulary.encode(piece) for piece in pieces], most)
        examples.append(Example(padded.ids, padded.length, label) if pieces else None)
    return Pieces(vocabulary, Split(*examples), Split(*(song for _, _, song in parts)))


def count_pairs(truth: np.ndarray, guess: np.ndarray, labels: int) -> np.ndarray:
    """Counts the confusion matrix `[labels, labels]`, truth by row, guess by column."""
    counts = np.zeros((labels, labels), int)
    np.add.at(counts, (truth, guess), 1)
    return counts
