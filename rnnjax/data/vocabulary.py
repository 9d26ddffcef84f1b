"""The characters that a model knows: the sorted set of those in its training text, and one id for all others."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Vocabulary:
    """A one-to-one map of characters and ids 0 … len(characters) - 1, as the book's char_to_ix and ix_to_char.

    Attributes:
      characters: in the order of their ids.
    """

    characters: str

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        """Number of ids: one more than there are characters."""
        return len(self.characters) + 1

    @property
    def unknown(self) -> int:
        """Id of every character that is not in the training text: the last."""
        return len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """Ids of a text [len(text)], in the smallest unsigned integers that hold the vocabulary."""
        codes, known = code_points(text), code_points(self.characters)
        table = np.full(int(max(codes.max(initial=0), known.max(initial=0))) + 1, self.unknown, self.dtype)
        table[known] = np.arange(len(known))
        return table[codes]

    @property
    def dtype(self) -> np.dtype:
        return np.min_scalar_type(self.unknown)

    def decode(self, ids: np.ndarray) -> str:
        """Text of ids; the unknown is written as U+FFFD."""
        return "".join(np.array([*self.characters, "\ufffd"])[np.asarray(ids)].tolist())

    def missing(self, text: str) -> list[str]:
        """Characters of a text that have no id of their own, sorted."""
        return sorted(set(text) - set(self.characters))

    def song_start(self, separator: str) -> np.ndarray:
        """Ids of the characters before a song: the end of a line and the separator, as far as they are known."""
        known = "".join(c for c in "\n" + separator if c in self.characters)
        return self.encode(known or self.characters[0])


def code_points(text: str) -> np.ndarray:
    """Code points of a text, uint32 [len(text)]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
