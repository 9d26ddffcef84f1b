"""This package's own layout in a safetensors file.

Each leaf has its name, such as layers.0.W. The metadata have the rest of the network: its shape, its numbers that are
no weights, its characters.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.errors import UserError
from rnnjax.interop import weights
from rnnjax.model.cells import Hyper, built_in
from rnnjax.model.initializers import param_shapes
from rnnjax.model.network import Batch, Model, Params, initial_carry, leaf_names
from rnnjax.model.rnn import apply
from rnnjax.training.state import from_arrays, to_arrays

FORMAT = "rnnjax 1"


class Network(NamedTuple):
    """A network with its shape and its characters.

    Attributes:
      characters: in the order of their ids; the id after the last stands for any other.
    """

    model: Model
    params: Params
    hyper: Hyper
    characters: str


def save(path: Path, network: Network) -> None:
    """Writes a network.

    Raises:
      UserError: if safetensors is missing.
    """
    about = {
        "format": FORMAT,
        "model": json.dumps(to_fields(network.model)),
        "hyper": json.dumps({name: float(value) for name, value in network.hyper._asdict().items()}),
        "characters": network.characters,
    }
    weights.write(path, weights.library("safetensors", "numpy").numpy.save(to_arrays(network.params), metadata=about))


def load(path: Path | str) -> Network:
    """Reads a network.

    Raises:
      UserError: if safetensors is missing, or the file is not one of `save`.
    """
    arrays, about = read(Path(path))
    if about.get("format") != FORMAT:
        raise UserError(f"{path} was not written by rnnjax: its metadata have no format {FORMAT!r}")
    try:
        model = from_fields(json.loads(about["model"]))
        hyper = Hyper(**{name: float(value) for name, value in dict(json.loads(about["hyper"])).items()})
        expected = to_named_shapes(model)
        characters = about["characters"]
    except (KeyError, TypeError, ValueError, RecursionError, UserError):
        raise UserError(f"{path} is damaged: its metadata describe no network") from None
    weights.check(arrays, expected, str(path))
    dtypes = {array.dtype for array in arrays.values()}
    if len(dtypes) > 1 or not dtypes <= {np.dtype("float32"), np.dtype("float64")}:
        raise UserError(f"{path} is damaged: its weights are {', '.join(sorted(map(str, dtypes)))}")
    dtype = jax.dtypes.canonicalize_dtype(dtypes.pop())
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    params = from_arrays(param_shapes(model, dtype), arrays)
    return Network(model, params, jax.tree.map(lambda number: jnp.asarray(number, dtype), hyper), characters)


def to_fields(model: Model) -> dict[str, Any]:
    """The fields of a model by name, its cell by the cell's name.

    Raises:
      UserError: for a cell of one's own, whose equations no file of numbers holds.
    """
    if not built_in(model.cell):
        raise UserError(
            f"model.cell {model.cell}: a safetensors file holds no code, and so no cell of your own; rnnjax.load(run) "
            "gives its weights as arrays"
        )
    return {field.name: getattr(model, field.name) for field in dataclasses.fields(model)} | {"cell": model.cell.name}


def from_fields(fields: dict[str, Any]) -> Model:
    """The inverse of `to_fields`; before version 0.2 the cell's name was called unit."""
    renamed = {"cell" if name == "unit" else name: value for name, value in dict(fields).items()}
    return Model(**renamed)


def to_named_shapes(model: Model) -> dict[str, jax.ShapeDtypeStruct]:
    """The shape of each leaf, by name."""
    shapes = param_shapes(model)
    return dict(zip(leaf_names(shapes), jax.tree.leaves(shapes), strict=True))


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays and the metadata of a file."""
    open_file = weights.library("safetensors").safe_open
    weights.read(path)
    try:
        with open_file(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except Exception:  # its errors are of its own class, of the Rust core
        raise UserError(f"{path} is no safetensors file, or is damaged") from None


def logits(path: Path, ids: np.ndarray) -> np.ndarray:
    """Logits of this package with a file's network, from ids [T, B], from the initial state: [T, B, V]."""
    network = load(path)
    carry = initial_carry(network.model, network.params, ids.shape[1:])
    batch = Batch(jnp.asarray(ids), jnp.asarray(ids))
    return np.asarray(apply(network.model, network.params, network.hyper, carry, batch)[1])
