"""Splitting songs into training, validation and test; a song is never cut."""

from typing import Generic, NamedTuple, TypeVar

import numpy as np

from rnnjax.config import DataConfig
from rnnjax.data.songs import Songs
from rnnjax.errors import UserError

Part = TypeVar("Part")


class Split(NamedTuple, Generic[Part]):
    """Training, validation and test part of texts, ids, examples or rows; a held-out part may be empty, or None."""

    train: Part
    validation: Part
    test: Part


def split_songs(songs: Songs, config: DataConfig) -> Split[str]:
    """Draws the held-out songs, keeps the file's order within each part, and joins each part into one text.

    A plain text has no songs: it is cut into three consecutive parts, at the ends of lines where these are near.

    Raises:
      UserError: if there are too few songs for three parts.
    """
    if songs.is_one_text:
        return Split(*_cut(songs.texts[0], config.validation_fraction, config.test_fraction))
    part = part_of_each(songs, config)
    join = lambda which: config.separator.join(text for text, p in zip(songs.texts, part, strict=True) if p == which)
    return Split(join(0), join(1), join(2))


def part_of_each(songs: Songs, config: DataConfig) -> np.ndarray:
    """The part of each song, an index of Split [songs]; raises as `draw_parts` does."""
    return draw_parts(len(songs.texts), "song(s)", songs.source, config)


def draw_parts(count: int, what: str, source: str, config: DataConfig) -> np.ndarray:
    """Draws the part of each song or series, an index of Split [count].

    Raises:
      UserError: if there are too few for three parts.
    """
    validation, test = (share(count, fraction) for fraction in (config.validation_fraction, config.test_fraction))
    if validation + test >= count:
        raise UserError(
            f"data.path: {source} has {count} {what}, too few to hold out {validation} for validation and {test} for "
            "test; set data.validation_fraction and data.test_fraction to 0 to train on all"
        )
    part, drawn = np.zeros(count, int), np.random.default_rng(config.split_seed).permutation(count)
    part[drawn[:validation]] = 1
    part[drawn[validation : validation + test]] = 2
    return part


def share(count: int, fraction: float) -> int:
    """Fraction of a count, at least 1 where the fraction is above 0."""
    return max(1, round(fraction * count)) if fraction else 0


def _cut(text: str, validation: float, test: float) -> tuple[str, str, str]:
    held_out = [fraction for fraction in (validation, test) if fraction]
    slack = len(text) * min(held_out, default=0) / 4  # no part may lose much of its share to another
    first = _line_end(text, len(text) * (1 - validation - test), slack) if held_out else len(text)
    second = _line_end(text, len(text) * (1 - test), slack) if test else len(text)
    return text[:first], text[first:second], text[second:]


def _line_end(text: str, position: float, slack: float) -> int:
    """First line's end at or after a position and near it; the position itself where there is none."""
    start = max(round(position) - 1, 0)
    end = text.find("\n", start, start + 1 + round(slack))
    return end + 1 if 0 <= end < len(text) - 1 else round(position)
