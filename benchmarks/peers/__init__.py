"""The programs that `benchmarks.training` times. Each file has one function,

    make(cell, size, weights, text, style) -> Run

and imports its library only there or at its top: a file is imported in a process of its own. A Run takes a number of
training steps, trains on for as many, waits until the last is done, and returns the loss of each.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Run = Callable[[int], np.ndarray]


class Peer(NamedTuple):
    """One library.

    Attributes:
      title: its name in a table.
      module: its file in this package.
      imports: the packages that must be there.
      cells: the cells that it has with the same equations.
      products: how precisely its matrix products can be asked to read their factors.
      styles: `documented`, as its documentation trains such a network, and `best`, as fast as we could make it without
        rewriting the library's own layer; for PyTorch one with a CUDA graph; for rnnjax the gradient methods, one with
        numba's kernel, and one with the streams divided.
    """

    title: str
    module: str
    imports: tuple[str, ...]
    cells: tuple[str, ...] = ("rnn", "gru", "lstm")
    products: tuple[str, ...] = ("float32", "tensorfloat32", "bfloat16")
    styles: tuple[str, ...] = ("documented", "best")


DIVIDED = "manual, 2 devices"
"""The style of rnnjax in which each half of the streams has a device of its own: half of a CPU's threads, or a GPU."""

KERNEL = "manual, kernel"
"""The style of rnnjax in which numba's kernel computes the loops, where there is one."""

GRAPH = "best, CUDA graph"
"""The style of PyTorch in which a training step is one CUDA graph."""

PEERS = {
    "rnnjax": Peer("rnnjax", "rnnjax_", ("rnnjax",), styles=("manual", KERNEL, "autodiff", DIVIDED)),
    "tf1": Peer(
        "TensorFlow 1 graph", "tf1", ("tensorflow",), cells=("rnn",), products=("float32",), styles=("documented",)
    ),
    "torch": Peer("PyTorch", "torch_", ("torch",), styles=("documented", "best", GRAPH)),
    "keras": Peer("Keras on TensorFlow", "keras_", ("keras", "tensorflow")),
    "flax": Peer("Flax", "flax_", ("flax",)),
    # Haiku's GRU resets before the product, which is another network.
    "haiku": Peer("Haiku", "haiku_", ("haiku",), cells=("rnn", "lstm")),
    "equinox": Peer("Equinox", "equinox_", ("equinox",)),
}
