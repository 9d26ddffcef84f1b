"""The network and learning rule of Gers, Schmidhuber & Cummins, 2000, "Learning to forget: continual prediction with
LSTM": the memory cell blocks of 1997, whose state a forget gate scales before each step adds to it.

Cells and gates see the input and the outputs of the cells one step before, and gates are biased; output units see the
cells, the input and a bias:

    v = (xₜ, cellsₜ₋₁, 1)    i, f, o = σ(W v)    s ← f s + i g(W v)    cell = o h(s)    output = σ(V (cells, xₜ, 1))

Errors are cut at the net inputs as in 1997. What goes back along s is scaled by f, and so is what is carried forward:

    ∂s/∂W_cell ← f ∂s/∂W_cell + i g'(net) v      ∂s/∂W_in ← f ∂s/∂W_in + i' g(net) v      ∂s/∂W_f ← f ∂s/∂W_f + f' s v
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.museum import lstm_1997
from rnnjax.museum.lstm_1997 import Seen, Shape, Weights

Array = jax.Array
Keep = float | None
"""The share of its state that a cell keeps at each step, 1 in the blocks of 1997; None: forget gates say it."""


class Memory(NamedTuple):
    """State of a network within a stream, and the derivatives that are carried forward.

    Attributes:
      cells: outputs of the cells [cells].
      s: internal states [blocks, size].
      by: ∂s/∂ the weights of the cell, of its input gate and of its forget gate, if any [2 or 3, blocks, size, M].
    """

    cells: Array
    s: Array
    by: Array


def draw_weights(key: Array, shape: Shape, keep: Keep, reach: float) -> Weights:
    """Weights from the uniform distribution on [-reach, reach], and biases of the gates by blocks.

    Those of input and output gates are -0.5, -1, -1.5 and so on, those of forget gates 0.5, 1, 1.5.

    Returns:
      W [N, M] of cells, input gates, forget gates, if any, and output gates; V [K, R].
    """
    to_hidden, to_output = jax.random.split(key)
    draw = lambda key, *size: jax.random.uniform(key, size, minval=-reach, maxval=reach)
    blockwise = 0.5 * jnp.arange(1, shape.blocks + 1)
    gates = [-blockwise, *([blockwise] if keep is None else []), -blockwise]
    bias = jnp.concatenate([jnp.zeros(shape.cells), *gates])
    hidden = draw(to_hidden, len(bias), width(shape)).at[:, -1].set(bias)
    return Weights(hidden, draw(to_output, shape.outputs, shape.read))


def width(shape: Shape) -> int:
    """M, the length of v."""
    return shape.inputs + shape.cells + 1


def count(shape: Shape, weights: Weights) -> int:
    """The number of weights: cells have no bias."""
    return weights.hidden.size + weights.output.size - shape.cells


def begin(shape: Shape, keep: Keep) -> Memory:
    """The memory before a stream: all zeros."""
    cells, learnt = (shape.blocks, shape.size), 3 if keep is None else 2
    return Memory(jnp.zeros(shape.cells), jnp.zeros(cells), jnp.zeros((learnt, *cells, width(shape))))


def step(shape: Shape, weights: Weights, memory: Memory, x: Array, keep: Keep) -> tuple[Memory, Seen]:
    """One step forward: the state, and its derivatives by the weights."""
    s, seen, kept = forward(shape, weights, memory.cells, memory.s, x, keep)
    to = [seen.to_cell, seen.to_gate, *([kept * (1 - kept) * memory.s] if keep is None else [])]
    by = kept[..., None] * memory.by + jnp.stack(to)[..., None] * seen.v
    return Memory(seen.cells, s, by), seen


def forward(shape: Shape, weights: Weights, cells: Array, s: Array, x: Array, keep: Keep) -> tuple[Array, Seen, Array]:
    """Internal states, values of one step, and the share of the states that was kept [blocks, 1]."""
    v = jnp.concatenate([x, cells, jnp.ones(1)])
    net, first, blocks = jnp.sum(weights.hidden * v, axis=1), shape.cells, shape.blocks
    to_cell, to_in, to_forget, to_out = jnp.split(net, (first, first + blocks, len(net) - blocks))
    kept = jax.nn.sigmoid(to_forget) if keep is None else jnp.full(blocks, keep)
    _, s, seen = lstm_1997.activate(shape, jnp.concatenate([to_cell, to_in, to_out]), kept[:, None] * s, v)
    return s, seen, kept[:, None]


def gradient(shape: Shape, weights: Weights, memory: Memory, seen: Seen, target: Array) -> Weights:
    """∂/∂W and ∂/∂V of Σ (target - output)² / 2 at one step, cut at the gates."""
    d_net, d_s, d_gate = lstm_1997.errors(shape, weights, seen, target)
    by_cell, *by_gates = d_s[..., None] * memory.by
    to_gates = [jnp.sum(by_gate, axis=1) for by_gate in by_gates]
    d_hidden = jnp.concatenate([by_cell.reshape(shape.cells, -1), *to_gates, d_gate[:, None] * seen.v])
    return Weights(d_hidden.at[: shape.cells, -1].set(0), d_net[:, None] * lstm_1997.to_output(shape, seen))
