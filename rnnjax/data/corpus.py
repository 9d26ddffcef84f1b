"""A corpus ready for training: its texts, its vocabulary, its ids."""

import hashlib
from dataclasses import dataclass

import numpy as np

from rnnjax.config import DataConfig
from rnnjax.data.songs import Songs, read_songs
from rnnjax.data.split import Split, split_songs
from rnnjax.data.vocabulary import Vocabulary
from rnnjax.errors import UserError


@dataclass(frozen=True)
class Corpus:
    """Text of `data.path`, split and encoded.

    Attributes:
      songs: songs as read.
      text: the three joined texts.
      vocabulary: characters of the training text alone.
      ids: the three texts as ids [N].
    """

    songs: Songs
    text: Split[str]
    vocabulary: Vocabulary
    ids: Split[np.ndarray]

    @property
    def sha256(self) -> str:
        """Fingerprint of the three texts."""
        return hashlib.sha256("\0".join(self.text).encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def summary(self) -> str:
        """Summary of the data in one line."""
        parts = ", ".join(
            f"{name} {len(text):,}" for name, text in zip(self.text._fields, self.text, strict=True) if text
        )
        count = "one text" if self.songs.is_one_text else f"{len(self.songs.texts):,} songs"
        skipped = f", {self.songs.skipped:,} rows without text skipped" if self.songs.skipped else ""
        unknown = sum(int(np.sum(ids == self.vocabulary.unknown)) for ids in self.ids[1:])
        strange = f", {unknown:,} held-out characters not in the training text" if unknown else ""
        return f"{count}{skipped}: {parts} characters, {len(self.vocabulary.characters)} different{strange}"


def load_corpus(config: DataConfig) -> Corpus:
    """Reads, splits and encodes the songs of `data.path`.

    Raises:
      UserError: if it cannot be read, or the training or a wanted held-out text is too short.
    """
    return make_corpus(read_songs(config), config)


def make_corpus(songs: Songs, config: DataConfig) -> Corpus:
    """Splits and encodes songs; raises as `load_corpus` does."""
    text = split_songs(songs, config)
    for name, fraction in (("train", 1), ("validation", config.validation_fraction), ("test", config.test_fraction)):
        if fraction and len(getattr(text, name)) < 2:
            raise UserError(f"data.path: the {name} part of {songs.source} has fewer than 2 characters")
    vocabulary = Vocabulary.of(text.train)
    return Corpus(songs, text, vocabulary, Split(*(vocabulary.encode(part) for part in text)))
