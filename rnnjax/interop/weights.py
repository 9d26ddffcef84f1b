"""Parts that all layouts share: a network as arrays by name, and one line for arrays that do not fit."""

import errno
from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.errors import UserError
from rnnjax.files import write_whole
from rnnjax.model.cells import built_in
from rnnjax.model.network import Model

Array = jax.Array
Named = Mapping[str, Any]
"""Arrays, or their shapes, by name."""


def library(name: str, *parts: str) -> ModuleType:
    """An optional library, with some of its submodules. Raises UserError where it is not installed."""
    try:
        module = import_module(name)
        for part in parts:
            import_module(f"{name}.{part}")
    except ImportError:
        title = {"torch": "PyTorch"}.get(name, name)
        raise UserError(f"{title} is not installed; pip install 'rnnjax[interop]' adds it") from None
    return module


def refuse_options(model: Model, library: str, cells: Collection[str]) -> None:
    """Raises UserError for a network that a library's cells cannot express, naming the option.

    Args:
      cells: the built-in cells that the library has.
    """
    if built_in(model.cell) not in cells:
        instead = "the safetensors format holds every built-in cell"
        if not built_in(model.cell):
            instead = "a cell of your own stays with its code: rnnjax.load(run) gives its weights as arrays"
        raise UserError(f"model.cell {model.cell}: {library} has {', '.join(cells)}, and no other; {instead}")
    options = {
        "model.layer_norm": model.layer_norm,
        "model.residual": model.residual,
        "model.learned_state": model.learned_state,
    }
    for option, is_on in options.items():
        if is_on:
            raise UserError(f"{option}: {library} has no such cell; the safetensors format holds every network")


def check(found: Named, expected: Named, source: str) -> None:
    """Raises UserError, naming the leaf, where a leaf is missing, has another shape, or has no place in the network."""
    for name, leaf in expected.items():
        if name not in found:
            alike = next((other for other in found if str(other).endswith(f".{name}")), None)
            hint = f"; there is {alike}" if alike else ""
            raise UserError(f"{source}: {name} is missing, where the model needs {list(leaf.shape)}{hint}")
        if np.shape(found[name]) != leaf.shape:
            has = list(np.shape(found[name]))
            raise UserError(f"{source}: {name} is {has}, where the model needs {list(leaf.shape)}")
    for name in found:
        if name not in expected:
            raise UserError(f"{source}: {name} has no place in the model")


def check_cell(found: str | None, model: Model, source: str) -> None:
    """Raises UserError where a file holds the weights of another cell."""
    cell = model.cell.name
    if found not in (None, cell):
        raise UserError(f"{source} holds the weights of {article(found)} cell, but the model's cell is {cell}")


def article(cell: str | None) -> str:
    return f"an {cell}" if cell == "lstm" else f"a {cell}"


def as_floats(arrays: Named, source: str) -> dict[str, np.ndarray]:
    """All leaves in float32, or in float64 where one of them is that: the weights of a network have one precision.

    Raises:
      UserError: naming the leaf, if it holds no floating-point numbers.
    """
    found = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in found.items():
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise UserError(f"{source}: {name} is {array.dtype}, but weights are floating-point numbers")
    wide = any(array.dtype == np.float64 for array in found.values())
    return {name: array.astype(np.float64 if wide else np.float32) for name, array in found.items()}


def read(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
      UserError: if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def write(path: Path, content: bytes) -> None:
    """Replaces a file in one move, as `write_whole` does.

    Raises:
      UserError: if the directory is not there or cannot be written to, or the path is one.
    """
    try:
        write_whole(path, content)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise UserError(f"cannot write {path}: {error.strerror}; write to another place (--out)") from None
