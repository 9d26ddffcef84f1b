"""Flax linen: nn.RNN over its cells, one-hot inputs. Its cells take vectors only, so the best style has one-hot rows
too, more steps a call, and the LSTM with joined products."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from benchmarks.peers import Run, jax_loop
from benchmarks.problem import VOCABULARY, Size, Text
from benchmarks.weights import Weights

GATES = {"rnn": ("",), "gru": ("r", "z", "n"), "lstm": ("i", "f", "g", "o")}


class Network(nn.Module):
    """One recurrent layer and the read-out."""

    cell: nn.RNNCellBase
    unroll: int

    @nn.compact
    def __call__(self, carry, ids):
        layer = nn.RNN(self.cell, time_major=True, return_carry=True, unroll=self.unroll)
        carry, hs = layer(jax.nn.one_hot(ids, VOCABULARY), initial_carry=carry)
        return carry, nn.Dense(VOCABULARY)(hs)


def make(cell: str, size: Size, weights: Weights, text: Text, style: str) -> Run:
    lstm = nn.OptimizedLSTMCell if style == "best" else nn.LSTMCell
    layer = {"rnn": nn.SimpleCell, "gru": nn.GRUCell, "lstm": lstm}[cell](size.hidden)
    network = Network(layer, jax_loop.unroll(style))
    h = jnp.zeros((size.batch, size.hidden))
    carry = (h, h) if cell == "lstm" else h
    template = network.init(jax.random.key(0), carry, jnp.asarray(text.x[0]))
    params = {"params": {"cell": convert(cell, weights), "Dense_0": {"kernel": weights.V, "bias": weights.by}}}
    params = jax.tree.map(lambda leaf, value: jnp.asarray(value).reshape(leaf.shape), template, params)
    return jax_loop.make_run(network.apply, params, carry, text, style)


def convert(cell: str, weights: Weights) -> dict:
    """The weights by gate and side, i for input and h for hidden; each cell keeps its biases where flax has them."""
    parts = {}
    sides = {"i": (weights.U, weights.bh, cell != "lstm"), "h": (weights.W, weights.bh, cell == "lstm")}
    count = len(GATES[cell])
    for side, (matrix, bias, with_bias) in sides.items():
        columns = zip(GATES[cell], np.split(matrix, count, axis=-1), np.split(bias, count), strict=True)
        for gate, kernel, b in columns:
            parts[side + gate] = {"kernel": kernel, "bias": b} if with_bias else {"kernel": kernel}
    if cell == "gru":
        parts["hn"]["bias"] = np.split(weights.bz, count)[2]
    return parts
