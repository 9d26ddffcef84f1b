"""The layout of Flax's linen cells: SimpleCell, GRUCell, LSTMCell and OptimizedLSTMCell, with Embed and Dense.

    layer_<k> (layer_<k>_reverse)   the cell's own names, a kernel [in, out] for each gate: i and h of the SimpleCell;
                                    ir iz in hr hz hn of the GRUCell; ii if ig io hi hf hg ho of the LSTM cells
    embedding, readout

The GRUCell has no bias in hr and hz: those of bz are added to ir and iz. The bias of the LSTM lies in h, ours in a, and
only the sum acts.
"""

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization, traverse_util

from rnnjax.errors import UserError
from rnnjax.interop import weights
from rnnjax.model.cells import ACTIVATIONS
from rnnjax.model.initializers import param_shapes
from rnnjax.model.network import Layer, Model, Params

Array = jax.Array
Tree = dict[str, Any]

GATES = {"vanilla": ("",), "gru": ("r", "z", "n"), "lstm": ("i", "f", "g", "o")}
"""The gates of each cell by Flax's letters, in our order."""


def layer_names(model: Model) -> list[str]:
    return [f"layer_{level}{end}" for level in range(model.layers) for end in ("", "_reverse")[: model.directions]]


def to_params(model: Model, params: Params) -> Tree:
    """The weights as the `params` of `module(model)`.

    Raises:
      UserError: if Flax's cells cannot express the network.
    """
    weights.refuse_options(model, "Flax", GATES)
    tree: Tree = {} if params.embedding is None else {"embedding": {"embedding": params.embedding}}
    for name, layer in zip(layer_names(model), params.layers, strict=True):
        tree[name] = to_cell(model, layer)
    return tree | {"readout": {"kernel": params.V, "bias": params.by}}


def to_cell(model: Model, layer: Layer) -> Tree:
    """A layer as a cell's params."""
    gates = GATES[model.cell.name]
    cut = lambda array: jnp.split(array, len(gates), axis=-1)
    cell: Tree = {}
    for gate, U, W, bias in zip(gates, cut(layer.U), cut(layer.W), cut(layer.bh), strict=True):
        cell |= {f"i{gate}": {"kernel": U}, f"h{gate}": {"kernel": W}}
        cell[f"h{gate}" if model.cell.name == "lstm" else f"i{gate}"]["bias"] = bias
    if layer.bz is not None:
        for gate, bias in zip("rz", cut(layer.bz), strict=False):
            cell[f"i{gate}"]["bias"] += bias
        cell["hn"]["bias"] = cut(layer.bz)[2]
    return cell


def from_params(model: Model, tree: Tree, source: str = "the params") -> Params:
    """The inverse of `to_params` for the network as a function: bz of the GRU's r and u come back inside bh.

    Args:
      source: the origin of the arrays, for messages.

    Raises:
      UserError: naming the leaf, where the weights are not those of the model.
    """
    flat = flatten(tree)
    weights.check_cell(cell_of(tree), model, source)
    expected = jax.eval_shape(lambda params: to_params(model, params), param_shapes(model))
    weights.check(flat, flatten(expected), source)
    layers = tuple(from_cell(model, tree[name]) for name in layer_names(model))
    embedding = tree["embedding"]["embedding"] if model.embedding else None
    return Params(layers, tree["readout"]["kernel"], tree["readout"]["bias"], embedding)


def from_cell(model: Model, cell: Tree) -> Layer:
    """A cell's params as a layer."""
    gates = GATES[model.cell.name]
    join = lambda side, leaf: jnp.concatenate([cell[f"{side}{gate}"][leaf] for gate in gates], axis=-1)
    bh = join("h" if model.cell.name == "lstm" else "i", "bias")
    bz = None
    if model.cell.recurrent_bias:
        bias = cell["hn"]["bias"]
        bz = jnp.concatenate([jnp.zeros_like(bias), jnp.zeros_like(bias), bias])
    return Layer(join("i", "kernel"), join("h", "kernel"), bh, bz)


def flatten(tree: Tree) -> dict[str, Any]:
    """The leaves by name, such as layer_0.hn.bias."""
    return traverse_util.flatten_dict(tree, sep=".")


def cell_of(tree: Tree) -> str | None:
    """The cell whose names the first layer has; None where it has none of them."""
    names = set(tree.get("layer_0", {}))
    return next(
        (cell for cell, gates in GATES.items() if names == {f"{side}{g}" for side in "ih" for g in gates}), None
    )


def save(path: Path, model: Model, params: Params) -> None:
    """Writes {"params": ...} as msgpack, for `module(model).apply(flax.serialization.msgpack_restore(...), ids)`.

    Raises:
      UserError: if Flax's cells cannot express the network.
    """
    tree = jax.tree.map(np.asarray, to_params(model, params))
    weights.write(path, serialization.msgpack_serialize({"params": tree}))


def load(path: Path | str, model: Model) -> Params:
    """Reads the msgpack of {"params": ...}, or of the params alone.

    Raises:
      UserError: if the file does not hold the weights of the model.
    """
    weights.refuse_options(model, "Flax", GATES)
    tree = read(Path(path))
    tree = tree.get("params", tree)
    flat = weights.as_floats(flatten(tree), str(path))
    return jax.tree.map(jnp.asarray, from_params(model, traverse_util.unflatten_dict(flat, sep="."), str(path)))


def read(path: Path) -> Tree:
    """The tree of a file."""
    content = weights.read(path)
    try:
        tree = serialization.msgpack_restore(content)
    except Exception:  # a damaged file can make msgpack raise anything
        tree = None
    if not isinstance(tree, dict) or not all(isinstance(part, dict) for part in tree.values()):
        raise UserError(f"{path} is no msgpack of Flax's params")
    return tree


def module(model: Model) -> nn.Module:
    """The network as a linen module: ids [T, B] -> logits [T, B, V], from the state zero.

    Raises:
      UserError: if Flax's cells cannot express the network.
    """
    weights.refuse_options(model, "Flax", GATES)
    return Network(model)


class Network(nn.Module):
    """See `module`."""

    shape: Model

    @nn.compact
    def __call__(self, ids: Array) -> Array:
        shape = self.shape
        readout = nn.Dense(shape.vocabulary, name="readout", param_dtype=float)
        if shape.embedding:
            x = nn.Embed(shape.vocabulary, shape.embedding, name="embedding", param_dtype=float)(ids)
        else:
            x = jax.nn.one_hot(ids, shape.vocabulary)
        cells = [self.cell(name) for name in layer_names(shape)]
        for level in range(shape.layers):
            first = level * shape.directions
            hs: list[Any] = [
                nn.RNN(cell, time_major=True, reverse=bool(direction), keep_order=True)(x)
                for direction, cell in enumerate(cells[first : first + shape.directions])
            ]
            x = jnp.concatenate(hs, axis=-1)
        return readout(x)

    def cell(self, name: str) -> nn.RNNCellBase:
        options: dict[str, Any] = {"features": self.shape.hidden, "name": name, "param_dtype": float}
        if self.shape.cell.name == "vanilla":
            return nn.SimpleCell(activation_fn=ACTIVATIONS[self.shape.activation].function, **options)
        return {"gru": nn.GRUCell, "lstm": nn.OptimizedLSTMCell}[self.shape.cell.name](**options)


def logits(path: Path, model: Model, ids: np.ndarray) -> np.ndarray:
    """Logits of Flax with a file's weights, from ids [T, B], from the state zero: [T, B, V]."""
    return np.asarray(module(model).apply(read(path), jnp.asarray(ids)))
