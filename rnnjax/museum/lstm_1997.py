"""The network and the learning rule of Hochreiter & Schmidhuber, 1997, "Long short-term memory", as its appendix A.1
has them: memory cell blocks without forget gates, gates that feed the hidden layer, and errors cut at the gates.

A block has S memory cells behind one input gate and one output gate. Cells and gates alike see the input, and the
outputs of all cells and of all gates one step before; the output layer sees the cells alone:

    v = (xₜ, yₜ₋₁, 1)      i, o = σ(W v)      s ← s + i g(W v)      cell = o h(s)      yₜ = (cells, i, o)
    g(x) = 4 σ(x) - 2      h(x) = 2 σ(x) - 1      output k = σ(V cells + b)

An error goes into a cell and back along s, where it is never scaled, and it changes the weights that it meets on its
way; what would leave a net input for the step before is cut. So ∂s/∂W is all that must be carried forward in time:

    ∂s/∂W_cell ← ∂s/∂W_cell + i g'(net) v      ∂s/∂W_in ← ∂s/∂W_in + i' g(net) v
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

Array = jax.Array
Biased = Literal["gates", "hidden", "all", "none"]
Reads = Literal["cells", "cells and inputs"]

TABLE_10 = {"g": 1.0, "h": 2.0}
"""Bounds of the squashing functions in Table 10; the text has them the other way."""

READINGS = {
    "Table 10, no half": "Table 10's squashing and an error without its half",
    "Table 10": "Table 10's squashing",
    "no half": "an error without its half",
    "linear output": "a linear output",
}
"""Readings of the paper in words, by the end of the name of an arm."""


def reading(arm: str) -> str:
    """The reading of the paper that an arm follows; empty for that of the settings."""
    return next((words for end, words in READINGS.items() if arm.endswith(f", {end}")), "")


class Shape(NamedTuple):
    """Numbers of input units, blocks, cells of a block and output units, the units that have a bias, the bounds of the
    squashing functions, g in [-2, 2] and h in [-1, 1], and of the output units the squashing function, logistic in
    [0, 1] or none, and what they read: the paper's read the cells alone."""

    inputs: int
    blocks: int
    size: int
    outputs: int
    biased: Biased
    g: float = 2.0
    h: float = 1.0
    read_out: Literal["logistic", "linear"] = "logistic"
    reads: Reads = "cells"

    @property
    def cells(self) -> int:
        """Cells of all blocks."""
        return self.blocks * self.size

    @property
    def hidden(self) -> int:
        """N, cells and gates."""
        return self.cells + 2 * self.blocks

    @property
    def seen(self) -> int:
        """M, the length of v."""
        return self.inputs + self.hidden + 1

    @property
    def read(self) -> int:
        """R, what an output unit reads: cells, inputs if it sees them, and 1."""
        return self.cells + (self.inputs if self.reads == "cells and inputs" else 0) + 1


class Weights(NamedTuple):
    """Weights of hidden units W [N, M], in the order cells, input gates, output gates; of output units V [K, R].

    The last column is the bias, 0 where a unit has none."""

    hidden: Array
    output: Array


class Memory(NamedTuple):
    """State of a network within a sequence, and the derivatives that are carried forward.

    Attributes:
      y: outputs of cells, input gates and output gates [N].
      s: internal states [blocks, size].
      by_cell: ∂s/∂ the cell's own weights [blocks, size, M].
      by_gate: ∂s/∂ the weights of the block's input gate [blocks, size, M].
    """

    y: Array
    s: Array
    by_cell: Array
    by_gate: Array


class Seen(NamedTuple):
    """Values of one step for the errors of the same step: v [M], tanh(s/2) [blocks, size], output gates [blocks], the
    cells' outputs [cells], and ∂s/∂ the net inputs of the cell, and of its input gate [blocks, size]."""

    v: Array
    h: Array
    gate: Array
    cells: Array
    to_cell: Array
    to_gate: Array


def has_bias(shape: Shape) -> tuple[Array, Array]:
    """1 for each weight there is, 0 for a bias that there is not: [N, M] and [K, R]."""
    is_gate = jnp.arange(shape.hidden) >= shape.cells
    hidden = {"gates": is_gate, "none": False}.get(shape.biased, True)
    return (
        jnp.ones((shape.hidden, shape.seen)).at[:, -1].set(hidden),
        jnp.ones((shape.outputs, shape.read)).at[:, -1].set(shape.biased == "all"),
    )


def count(shape: Shape) -> int:
    """The number of weights, as in the paper's tables."""
    return sum(int(mask.sum()) for mask in has_bias(shape))


def draw_weights(
    key: Array, shape: Shape, reach: float, input_bias: tuple[float, ...] = (), output_bias: tuple[float, ...] = ()
) -> Weights:
    """Weights from the uniform distribution on [-reach, reach]; gates with the biases given, one for each block."""
    masks = has_bias(shape)
    hidden, output = (
        mask * jax.random.uniform(part, mask.shape, minval=-reach, maxval=reach)
        for part, mask in zip(jax.random.split(key), masks, strict=True)
    )
    first = {shape.cells: input_bias, shape.cells + shape.blocks: output_bias}
    for row, biases in first.items():
        if biases:
            hidden = hidden.at[row : row + shape.blocks, -1].set(jnp.array(biases))
    return Weights(hidden, output)


def begin(shape: Shape) -> Memory:
    """The memory before a sequence: all zeros."""
    cells, M = (shape.blocks, shape.size), shape.seen
    return Memory(jnp.zeros(shape.hidden), jnp.zeros(cells), jnp.zeros((*cells, M)), jnp.zeros((*cells, M)))


def step(shape: Shape, weights: Weights, memory: Memory, x: Array) -> tuple[Memory, Seen]:
    """One step forward: the state, and its derivatives by the weights."""
    y, s, seen = forward(shape, weights, memory.y, memory.s, x)
    by_cell = memory.by_cell + seen.to_cell[..., None] * seen.v
    by_gate = memory.by_gate + seen.to_gate[..., None] * seen.v
    return Memory(y, s, by_cell, by_gate), seen


def forward(shape: Shape, weights: Weights, y: Array, s: Array, x: Array) -> tuple[Array, Array, Seen]:
    """Outputs and internal states of one step."""
    v = jnp.concatenate([x, y, jnp.ones(1)])
    return activate(shape, jnp.sum(weights.hidden * v, axis=1), s, v)


def activate(shape: Shape, net: Array, s: Array, v: Array) -> tuple[Array, Array, Seen]:
    """Outputs and internal states from the net inputs [N] of cells, input gates and output gates."""
    cells, blocks = shape.cells, shape.blocks
    to_cell, to_in, to_out = jnp.split(net, (cells, cells + blocks))
    opened, gate = jax.nn.sigmoid(to_in), jax.nn.sigmoid(to_out)
    tanh_g = jnp.tanh(to_cell.reshape(blocks, -1) / 2)  # 4 σ(x) - 2 = 2 tanh(x/2)
    s = s + opened[:, None] * shape.g * tanh_g
    h = jnp.tanh(s / 2)
    y_cells = (gate[:, None] * shape.h * h).ravel()
    by_net_cell = opened[:, None] * shape.g / 2 * (1 - tanh_g**2)
    by_net_gate = (opened * (1 - opened))[:, None] * shape.g * tanh_g
    seen = Seen(v, h, gate, y_cells, by_net_cell, by_net_gate)
    return jnp.concatenate([y_cells, opened, gate]), s, seen


def to_output(shape: Shape, seen: Seen) -> Array:
    """Values that the output units read [R]; v begins with the inputs."""
    return jnp.concatenate([seen.cells, seen.v[: shape.read - shape.cells - 1], jnp.ones(1)])


def output(shape: Shape, weights: Weights, seen: Seen) -> Array:
    """The output units [K]."""
    net = jnp.sum(weights.output * to_output(shape, seen), axis=1)
    return jax.nn.sigmoid(net) if shape.read_out == "logistic" else net


def gradient(shape: Shape, weights: Weights, memory: Memory, seen: Seen, target: Array) -> Weights:
    """∂/∂W and ∂/∂V of Σ (target - output)² / 2 at one step, cut at the gates."""
    d_net, d_s, d_gate = errors(shape, weights, seen, target)
    by_cell = (d_s[..., None] * memory.by_cell).reshape(shape.cells, -1)
    by_gate = jnp.sum(d_s[..., None] * memory.by_gate, axis=1)
    masks = has_bias(shape)
    d_hidden = jnp.concatenate([by_cell, by_gate, d_gate[:, None] * seen.v])
    return Weights(masks[0] * d_hidden, masks[1] * d_net[:, None] * to_output(shape, seen))


def errors(shape: Shape, weights: Weights, seen: Seen, target: Array) -> tuple[Array, Array, Array]:
    """Errors at the net inputs of the output units [K], at the internal states [blocks, size], and at the net inputs of
    the output gates [blocks]."""
    found = output(shape, weights, seen)
    d_net = (found - target) * (found * (1 - found) if shape.read_out == "logistic" else 1)
    d_cells = (d_net @ weights.output)[: shape.cells].reshape(shape.blocks, shape.size)
    d_s = d_cells * seen.gate[:, None] * shape.h / 2 * (1 - seen.h**2)
    return d_net, d_s, jnp.sum(d_cells * shape.h * seen.h, axis=1) * seen.gate * (1 - seen.gate)


def read_to_end(shape: Shape, weights: Weights, xs: Array, length: Array) -> tuple[Memory, Seen]:
    """Memory and values after step `length` of a sequence [T, inputs]: those of `step` after `step`.

    Where no step has an error but the last, ∂s/∂W is one product over time, Σₜ ∂s/∂netₜ vₜ, when all is read.
    """

    def body(state: tuple[Array, Array], x: Array) -> tuple[tuple[Array, Array], tuple]:
        y, s, seen = forward(shape, weights, *state, x)
        return (y, s), (y, s, seen)

    first = begin(shape)
    y, s, seen = jax.lax.scan(body, (first.y, first.s), xs, unroll=4)[1]
    read = (jnp.arange(len(xs)) < length).astype(s.dtype)
    by_cell, by_gate = (jnp.einsum("t,tbs,tm->bsm", read, by_net, seen.v) for by_net in (seen.to_cell, seen.to_gate))
    y, s, seen = jax.tree.map(lambda leaf: leaf[length - 1], (y, s, seen))
    return Memory(y, s, by_cell, by_gate), seen


def read_symbols(shape: Shape, weights: Weights, symbols: Array, length: Array) -> tuple[Memory, Seen]:
    """As `read_to_end`, of inputs that are all 0 but for a 1 at the place of each step's symbol [T].

    The product with the inputs is a row of weights, and the derivative by it a sum over the steps of the symbol.
    """
    of_symbol, recurrent = weights.hidden[:, : shape.inputs].T, weights.hidden[:, shape.inputs :]

    def body(state: tuple[Array, Array], from_input: Array) -> tuple[tuple[Array, Array], tuple]:
        v = jnp.append(state[0], 1.0)
        y, s, seen = activate(shape, from_input + jnp.sum(recurrent * v, axis=1), state[1], v)
        return (y, s), (y, s, seen)

    first = begin(shape)
    y, s, seen = jax.lax.scan(body, (first.y, first.s), of_symbol[symbols], unroll=4)[1]
    read = (jnp.arange(len(symbols)) < length).astype(s.dtype)[:, None, None]

    def by_weights(by_net: Array) -> Array:
        of_input = jnp.zeros((shape.inputs, *by_net.shape[1:]), s.dtype).at[symbols].add(read * by_net)
        of_state = jnp.einsum("tbs,tm->bsm", read * by_net, seen.v)
        return jnp.concatenate([jnp.moveaxis(of_input, 0, -1), of_state], axis=-1)

    by_cell, by_gate = by_weights(seen.to_cell), by_weights(seen.to_gate)
    y, s, last = jax.tree.map(lambda leaf: leaf[length - 1], (y, s, seen))
    x = jax.nn.one_hot(symbols[length - 1], shape.inputs, dtype=s.dtype)
    return Memory(y, s, by_cell, by_gate), last._replace(v=jnp.concatenate([x, last.v]))
