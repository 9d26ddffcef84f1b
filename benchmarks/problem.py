"""The problem of `benchmarks.training`: sizes, cells and text, the same for every peer."""

from typing import NamedTuple

import numpy as np

VOCABULARY = 76
"""V, the number of ids."""

LEARNING_RATE = 1e-3
CLIP_NORM = 5.0
ADAM_EPSILON = 1e-8
"""The default of most peers; Keras has 1e-7, which is given this one so that all train the same network."""

STEPS_PER_DISPATCH = 100
"""K, the most training steps that one call of a compiled program takes, where a peer can take more than one."""

GATES = {"rnn": 1, "gru": 3, "lstm": 4}
"""G, the pre-activations of a unit, by cell."""


class Size(NamedTuple):
    """Streams B, window length T and hidden units H."""

    batch: int
    length: int
    hidden: int


SIZES = {"S": Size(1, 25, 100), "M": Size(32, 64, 256), "L": Size(64, 128, 512)}


class Text(NamedTuple):
    """Ids of N windows, x and y [N, T, B] int32; window n + 1 goes on where n ends, so that the state carries."""

    x: np.ndarray
    y: np.ndarray

    @property
    def streams(self) -> np.ndarray:
        """The same as contiguous streams [B, N·T + 1] uint8, as `rnnjax` reads them."""
        x = self.x.transpose(2, 0, 1).reshape(self.x.shape[2], -1)
        return np.concatenate([x, self.y[-1, -1][:, None]], axis=1).astype(np.uint8)


def make_text(size: Size) -> Text:
    """Ids drawn with probabilities 1, 1/2, 1/3 …, about as unequal as those of characters.

    Long enough not to be learnt by heart within a benchmark: the gradients would fade into subnormal numbers, which are
    slow, and sooner for the faster peer.
    """
    windows = max(20, 50_000 // (size.batch * size.length))
    probabilities = 1 / np.arange(1, VOCABULARY + 1)
    shape = (windows * size.length + 1, size.batch)
    ids = np.random.default_rng(1).choice(VOCABULARY, shape, p=probabilities / probabilities.sum()).astype(np.int32)
    fold = (windows, size.length, size.batch)
    return Text(ids[:-1].reshape(fold), ids[1:].reshape(fold))


def flops(cell: str, size: Size) -> int:
    """Floating-point operations of the products that no implementation can leave out of a training step.

    For each of T·B characters: h W takes 2·H·GH forward and twice that backward (dh and dW), h V 2·H·V and twice that.
    The input costs a look-up and no product; Adam and the cell's own functions are left out.
    """
    return 3 * (recurrent_flops(cell, size) + readout_flops(size))


def recurrent_flops(cell: str, size: Size) -> int:
    """Floating-point operations of h W in a window, once."""
    return 2 * size.length * size.batch * size.hidden**2 * GATES[cell]


def readout_flops(size: Size) -> int:
    """Floating-point operations of h V in a window, once."""
    return 2 * size.length * size.batch * size.hidden * VOCABULARY
