"""Statistics of a corpus before training on it, as plain numbers and strings, ready for a JSON file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rnnjax.config import DataConfig
from rnnjax.data.corpus import Corpus
from rnnjax.data.songs import Songs
from rnnjax.data.split import part_of_each

if TYPE_CHECKING:
    import pandas as pd

SHOWN_ROWS = 5
SHOWN_CHARACTERS = 300

MOST_BINS = 60
MOST_SHARE = 99.5
"""Percent of the songs in the histogram where the few longest would squeeze it."""


def song_statistics(songs: Songs, config: DataConfig) -> dict[str, Any]:
    """Rows, copies, and lengths in characters; nothing for a plain text, which has no songs."""
    if songs.is_one_text:
        return {}
    part = part_of_each(songs, config)
    trained_on = {text for text, p in zip(songs.texts, part, strict=True) if p == 0}
    copies = sum(p != 0 and text in trained_on for text, p in zip(songs.texts, part, strict=True))
    return {
        "rows": len(songs.texts) + songs.skipped,
        "rows_without_text": songs.skipped,
        "songs": len(songs.texts),
        "songs_equal_to_an_earlier_one": len(songs.texts) - len(set(songs.texts)),
        "held_out_songs_equal_to_a_training_song": int(copies),
        "song_lengths": _lengths(np.array([len(text) for text in songs.texts])),
    }


def _lengths(lengths: np.ndarray) -> dict[str, Any]:
    usual = np.percentile(lengths, MOST_SHARE)
    shown = lengths[lengths <= usual] if lengths.max() > 2 * usual else lengths
    bins = min(MOST_BINS, int(2 * np.sqrt(len(shown))), int(np.ptp(shown)) + 1)
    counts, edges = np.histogram(shown, bins)
    return {
        "min": int(lengths.min()),
        "median": float(np.median(lengths)),
        "mean": float(lengths.mean()),
        "max": int(lengths.max()),
        "histogram": {"counts": counts.tolist(), "edges": edges.tolist(), "longer": len(lengths) - len(shown)},
    }


def artist_statistics(table: pd.DataFrame, column: str) -> dict[str, Any]:
    """Number of songs of each artist, most first; the reason where the table has no artists."""
    if column not in table.columns:
        return {"no_artists": f"there is no column {column!r}, only {', '.join(map(repr, table.columns))}"}
    songs = table[column].value_counts()
    if songs.empty:
        return {"no_artists": f"the column {column!r} is empty"}
    return {
        "artists": len(songs),
        "rows_without_artist": int(table[column].isna().sum()),
        "songs_per_artist": {"mean": float(songs.mean()), "median": float(songs.median())},
        "songs_of_artist": {str(artist): int(count) for artist, count in songs.items()},
    }


def first_rows(table: pd.DataFrame) -> list[dict[str, str | None]]:
    """First rows, each long text cut short."""
    return [
        {str(name): None if value != value else str(value)[:SHOWN_CHARACTERS] for name, value in row.items()}
        for row in table.head(SHOWN_ROWS).to_dict("records")
    ]


def text_statistics(corpus: Corpus, config: DataConfig) -> dict[str, Any]:
    """Statistics of the joined text, its characters, and their counts in the training text."""
    beginning = _beginning(corpus.songs.texts, config.separator)
    counts = np.bincount(corpus.ids.train, minlength=len(corpus.vocabulary))
    characters = zip(corpus.vocabulary.characters, counts.tolist(), strict=False)  # the unknown is not in it
    return {
        "summary": corpus.summary,
        "beginning": beginning,
        "characters_in": {name: len(text) for name, text in corpus.text._asdict().items()},
        "ids": len(corpus.vocabulary),
        "vocabulary": [{"id": i, "character": c, "count": count} for i, (c, count) in enumerate(characters)],
        "example": {"id": int(corpus.vocabulary.encode(beginning[0])[0]), "character": beginning[0]},
    }


def _beginning(texts: list[str], separator: str) -> str:
    text = ""
    for number, song in enumerate(texts):
        text += (separator if number else "") + song
        if len(text) >= SHOWN_CHARACTERS:
            break
    return text[:SHOWN_CHARACTERS]
