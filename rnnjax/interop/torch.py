"""The layout of PyTorch: the `state_dict` of an nn.RNN, nn.GRU or nn.LSTM with its nn.Embedding and its nn.Linear.

Matrices are transposed, the gates stand in the same order (r, z, n and i, f, g, o). PyTorch has two biases for each
gate: they are added up where one is enough, and are bh and bz of the GRU. PyTorch is imported where it is needed: to
read and write its files, and to build its modules.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.errors import UserError
from rnnjax.interop import weights
from rnnjax.model.initializers import param_shapes
from rnnjax.model.network import Layer, Model, Params

Array = jax.Array

GATES = {1: "vanilla", 3: "gru", 4: "lstm"}
"""A cell by the number of its gates."""


class Names(NamedTuple):
    """Names of the parts of the network in a module; the empty name is that of a bare part."""

    embedding: str = "embedding"
    recurrent: str = "rnn"
    readout: str = "readout"

    def of(self, part: str, leaf: str) -> str:
        prefix = getattr(self, part)
        return f"{prefix}.{leaf}" if prefix else leaf


NAMES = Names()


def recurrent_leaves(model: Model, names: Names) -> list[tuple[str, str, str, str]]:
    """The names of each layer's weight_ih, weight_hh, bias_ih and bias_hh."""
    suffixes = [f"l{level}{end}" for level in range(model.layers) for end in ("", "_reverse")[: model.directions]]
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return [tuple(names.of("recurrent", f"{kind}_{suffix}") for kind in kinds) for suffix in suffixes]  # type: ignore[misc]


def refuse(model: Model) -> None:
    """Raises UserError for a network that PyTorch's cells cannot express, naming the option."""
    weights.refuse_options(model, "PyTorch", GATES.values())
    if model.activation == "linear":
        raise UserError("model.activation linear: nn.RNN of PyTorch has tanh and relu alone")


def to_state_dict(model: Model, params: Params, names: Names = NAMES) -> dict[str, Array]:
    """The weights by PyTorch's names, in PyTorch's shapes.

    Raises:
      UserError: if PyTorch's cells cannot express the network.
    """
    refuse(model)
    state: dict[str, Array] = {}
    if params.embedding is not None:
        state[names.of("embedding", "weight")] = params.embedding
    for layer, leaves in zip(params.layers, recurrent_leaves(model, names), strict=True):
        bz = jnp.zeros_like(layer.bh) if layer.bz is None else layer.bz
        state |= dict(zip(leaves, (layer.U.T, layer.W.T, layer.bh, bz), strict=True))
    return state | {names.of("readout", "weight"): params.V.T, names.of("readout", "bias"): params.by}


def from_state_dict(
    model: Model, state: Mapping[str, Any], names: Names = NAMES, source: str = "the state_dict"
) -> Params:
    """The inverse of `to_state_dict` for the network as a function: biases that are added up come back as one.

    Args:
      source: the origin of the arrays, for messages.

    Raises:
      UserError: naming the leaf, where the weights are not those of the model.
    """
    recurrent = recurrent_leaves(model, names)
    first = np.shape(state.get(recurrent[0][1], ()))
    if len(first) == 2 and first[1]:
        weights.check_cell(GATES.get(first[0] // first[1]), model, source)
    expected = jax.eval_shape(lambda params: to_state_dict(model, params, names), param_shapes(model))
    weights.check(state, expected, source)
    layers = []
    for leaves in recurrent:
        U, W, b_ih, b_hh = (state[leaf] for leaf in leaves)
        has_two = model.cell.recurrent_bias
        layers.append(Layer(U.T, W.T, b_ih if has_two else b_ih + b_hh, b_hh if has_two else None))
    embedding = state[names.of("embedding", "weight")] if model.embedding else None
    readout = state[names.of("readout", "weight")].T, state[names.of("readout", "bias")]
    return Params(tuple(layers), *readout, embedding)


def save(path: Path, model: Model, params: Params) -> None:
    """Writes a state_dict, for `module(model).load_state_dict(torch.load(path))`.

    Raises:
      UserError: if PyTorch is missing, or its cells cannot express the network.
    """
    state = to_state_dict(model, params)
    torch = weights.library("torch")
    content = io.BytesIO()
    torch.save({name: torch.from_numpy(np.array(leaf)) for name, leaf in state.items()}, content)
    weights.write(path, content.getvalue())


def load(path: Path | str, model: Model, names: Names = NAMES) -> Params:
    """Reads a state_dict that `torch.save` wrote; nothing in the file is executed.

    Args:
      names: the names of the parts in the module that the weights come from.

    Raises:
      UserError: if PyTorch is missing, or the file does not hold the weights of the model.
    """
    refuse(model)
    arrays = {name: to_numpy(tensor, name, str(path)) for name, tensor in read(Path(path)).items()}
    params = from_state_dict(model, weights.as_floats(arrays, str(path)), names, str(path))
    return jax.tree.map(jnp.asarray, params)


def to_numpy(tensor: Any, name: str, source: str) -> np.ndarray:
    """A tensor as NumPy's array; NumPy has no bfloat16: narrow floating-point numbers are widened.

    Raises:
      UserError: if it is not a plain tensor.
    """
    if str(tensor.layout) != "torch.strided" or tensor.is_quantized or tensor.is_meta:
        raise UserError(f"{source}: {name} is a sparse, quantized or meta tensor, but weights are plain ones")
    is_narrow = tensor.is_floating_point() and tensor.dtype.itemsize < 4
    return (tensor.float() if is_narrow else tensor).detach().numpy()


def read(path: Path) -> dict[str, Any]:
    """The tensors of a file, by name."""
    torch = weights.library("torch")
    content = weights.read(path)
    try:
        tensors = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
    except Exception:  # a damaged file can make the unpickler raise anything
        raise UserError(f"{path} is no file of PyTorch's weights, as torch.save writes a state_dict") from None
    if not isinstance(tensors, dict) or not all(torch.is_tensor(leaf) for leaf in tensors.values()):
        raise UserError(f"{path} is no state_dict: it holds other things than tensors by name")
    return tensors


def module(model: Model) -> Any:
    """The network as an nn.Module: (ids [T, B], state or None) -> (logits [T, B, V], state).

    Raises:
      UserError: if PyTorch is missing, or its cells cannot express the network.
    """
    refuse(model)
    nn: Any = weights.library("torch").nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if model.embedding:
                self.embedding = nn.Embedding(model.vocabulary, model.embedding)
            shape = (model.input(0), model.hidden, model.layers)
            kind = {"vanilla": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[model.cell.name]
            options = {"nonlinearity": model.activation} if model.cell.name == "vanilla" else {}
            self.rnn = kind(*shape, bidirectional=model.bidirectional, **options)
            self.readout = nn.Linear(model.output, model.vocabulary)

        def forward(self, ids: Any, state: Any = None) -> tuple[Any, Any]:
            one_hot = lambda: nn.functional.one_hot(ids, model.vocabulary).to(self.readout.weight.dtype)
            hs, state = self.rnn(self.embedding(ids) if model.embedding else one_hot(), state)
            return self.readout(hs), state

    return Network()


def logits(path: Path, model: Model, ids: np.ndarray) -> np.ndarray:
    """Logits of PyTorch with a file's weights, from ids [T, B], from the state zero: [T, B, V]."""
    torch = weights.library("torch")
    state = read(path)
    network = module(model).to(next(iter(state.values())).dtype)
    network.load_state_dict(state)
    with torch.no_grad():
        return network(torch.from_numpy(np.asarray(ids, np.int64)))[0].numpy()
