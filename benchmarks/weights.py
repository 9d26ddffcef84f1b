"""The weights that every peer starts from, drawn once, in one layout."""

from typing import NamedTuple

import numpy as np

from benchmarks.problem import GATES, VOCABULARY, Size


class Weights(NamedTuple):
    """Vectors are rows: a = x U + bh, z = h W + bz, logits = h V + by. float32.

    Attributes:
      U: [V, G·H], gates side by side in PyTorch's order: i, f, g, o of an LSTM, r, z, n of a GRU.
      W: [H, G·H].
      bh: [G·H]. Nothing is added to an LSTM's forget gate behind the scenes.
      bz: [G·H], a GRU's: n = tanh(a_n + r ⊙ z_n), the reset gate after the product. Only its part n is not zero, as
        Flax and Equinox have only that. Zero for the other cells.
      V: [H, V].
      by: [V].
    """

    U: np.ndarray
    W: np.ndarray
    bh: np.ndarray
    bz: np.ndarray
    V: np.ndarray
    by: np.ndarray


def draw_weights(cell: str, size: Size) -> Weights:
    """All uniform in ±sqrt(1/H), PyTorch's default."""
    H, GH = size.hidden, GATES[cell] * size.hidden
    generator = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return generator.uniform(-(H**-0.5), H**-0.5, shape).astype(np.float32)

    bz = np.zeros(GH, np.float32)
    if cell == "gru":
        bz[2 * H :] = draw(H)
    return Weights(draw(VOCABULARY, GH), draw(H, GH), draw(GH), bz, draw(H, VOCABULARY), draw(VOCABULARY))


def reorder(array: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """An array [..., G·H] with its gates in another order: place k gets gate order[k]."""
    gates = np.split(array, len(order), axis=-1)
    return np.concatenate([gates[gate] for gate in order], axis=-1)
