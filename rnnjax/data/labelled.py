"""Songs with a label each, such as the band that sings them, and the pieces that a network reads."""

from typing import NamedTuple

import numpy as np

from rnnjax.config import Config
from rnnjax.data.songs import read_table, unix_lines, with_text
from rnnjax.errors import UserError


class Labelled(NamedTuple):
    """Songs and their labels.

    Attributes:
      texts: one string a song.
      label: label of each song, an index of names [songs].
      names: names of the labels, sorted.
      part: part of each song, an index of `data.split.Split`, drawn within each label [songs].
      source: the file that was read.
    """

    texts: list[str]
    label: np.ndarray
    names: list[str]
    part: np.ndarray
    source: str

    def pieces(self, part: int, most: int) -> tuple[list[str], np.ndarray, np.ndarray]:
        """Pieces of the songs in a part, the label of each, and its song, an index of texts."""
        found = [
            (piece, self.label[song], song)
            for song, text in enumerate(self.texts)
            if self.part[song] == part
            for piece in cut_into_pieces(text, most)
        ]
        label, song = (np.array([one[index] for one in found], np.int32) for index in (1, 2))
        return [piece for piece, _, _ in found], label, song


def load_labelled(config: Config) -> Labelled:
    """Reads the songs of `data.path` that have a label.

    Raises:
      UserError: if there are no columns, no such column, fewer than two labels, or too few songs of any to hold out.
    """
    column, text_column = config.task.label_column, config.data.text_column
    songs, table = read_table(config.data)
    if table is None:
        raise UserError(
            f"task.label_column: {songs.source} is a plain text; labels need a CSV file with a column of them"
        )
    if column not in table.columns:
        raise UserError(
            f"task.label_column: {songs.source} has no column {column!r}; it has {', '.join(map(repr, table.columns))}"
        )
    rows = table[with_text(table, text_column)].dropna(subset=column)
    counts = rows[column].value_counts()
    names = sorted(counts.index[: config.task.labels or None])
    rows = rows[rows[column].isin(names)]
    if len(names) < 2:
        raise UserError(
            f"task.label_column: {songs.source} has {len(names)} label(s) in column {column!r}; it takes two"
        )
    label = np.searchsorted(np.array(names, dtype=object), rows[column].to_numpy(object)).astype(np.int32)
    texts = [unix_lines(text) for text in rows[text_column]]
    part = draw_parts_within(label, config.data.validation_fraction, config.data.test_fraction, config.data.split_seed)
    for index, fraction in ((1, config.data.validation_fraction), (2, config.data.test_fraction)):
        if fraction and not np.any(part == index):
            raise UserError(
                f"data.path: no label of {songs.source} has songs enough to hold out {fraction:g} of them; raise the "
                "fraction, or set it to 0"
            )
    return Labelled(texts, label, names, part, songs.source)


def draw_parts_within(label: np.ndarray, validation: float, test: float, seed: int) -> np.ndarray:
    """Draws the part of each example within its label, so that each part has its share of every label.

    At least one example of each label is trained on.

    Returns:
      An index of Split for each example [N].
    """
    rng, part = np.random.default_rng(seed), np.zeros(len(label), int)
    for value in range(label.max() + 1):
        drawn = rng.permutation(np.flatnonzero(label == value))
        first, second = (min(round(fraction * len(drawn)), len(drawn) - 1) for fraction in (validation, test))
        part[drawn[:first]] = 1
        part[drawn[first : min(first + second, len(drawn) - 1)]] = 2
    return part


def cut_into_pieces(text: str, most: int) -> list[str]:
    """Cuts a text into pieces of whole lines, each at most so many characters long; a longer line is cut itself."""
    pieces, piece = [], ""
    for line in text.splitlines():
        for start in range(0, max(len(line), 1), most):
            stretch = line[start : start + most]
            longer = f"{piece}\n{stretch}" if piece else stretch
            if len(longer) > most:
                pieces.append(piece)
                piece = stretch
            else:
                piece = longer
    return [stripped for piece in [*pieces, piece] if (stripped := piece.strip("\n"))]
