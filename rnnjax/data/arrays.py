"""Series from arrays, of a .npz file or from Python, each checked to be what its task wants.

x         real [N, T, I], or ids, integer [N, T]
y         regression: real, of every step [N, T] or [N, T, K], or of a whole series [N] or [N, K]
          tagging: classes [N, T]; with bernoulli labels of 0 and 1 [N, T, K]
          classification: classes [N]; with bernoulli labels [N, K]
          forecasting: none, as the targets are later steps of x
lengths   integer [N], the steps of each series; without them all have T. Steps after the end are not read.
"""

from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np

from rnnjax.config import TaskConfig
from rnnjax.data.series import Names, Series
from rnnjax.errors import UserError

FIELDS = ("x", "y", "lengths")

MOST_IDS = 1_000_000
"""Largest number of ids, each of which has a row of weights; a larger id is taken for a mistake."""


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Reads the arrays of a .npz file, by name.

    Raises:
      UserError: if it is no .npz, holds Python objects, or has other arrays than FIELDS.
    """
    broken = UserError(f"data.path: {path} is no whole .npz file; write one with numpy.savez(path, x=x, y=y)")
    if not is_zipfile(path):
        raise broken
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except MemoryError as error:
        raise UserError(f"data.path: {path} says that an array of it is larger than the memory: {error}") from None
    except OSError:
        raise
    except Exception as error:  # a damaged header can make NumPy raise anything
        if "allow_pickle" not in str(error):
            raise broken from None
        raise UserError(
            f"data.path: {path} holds Python objects, which are not read, as reading them could run code; pad the "
            "series to one array [N, T, I] and give their lengths"
        ) from None
    if strange := sorted(set(found) - set(FIELDS)):
        raise UserError(f"data.path: {path} has an array {strange[0]!r}; it may have {', '.join(FIELDS)}")
    if "x" not in found:
        raise UserError(f"data.path: {path} has no array x; it has {', '.join(found) or 'none'}")
    return found


def series_of(task: TaskConfig, x: Any, y: Any = None, lengths: Any = None, source: str = "the arrays") -> Series:
    """Makes series for a task from arrays as above.

    Raises:
      UserError: naming the array, its fault, and the array that the task wants.
    """
    x, lengths = inputs_of(x, lengths, source)
    ids = int(x.max(initial=0)) + 1 if x.ndim == 2 else 0
    inputs = None if ids else [f"x{i}" for i in range(x.shape[2])]
    if task.name == "forecasting":
        demand(y is None, source, "y is not read in forecasting, whose targets are x itself, later; leave it out")
        y, labels, targets = *future_of(task, x, ids, source), inputs or ["x"]
    else:
        demand(y is not None, source, f"there is no y, the targets of the task {task.name}")
        y, labels = targets_of(task, np.asarray(y), lengths, x.shape[1], source)
        targets = ["y"] if labels is not None else [f"y{k}" for k in range(y.shape[-1])]
    each_step = y.ndim == (3 if labels is None else 2)
    keys = [str(n) for n in range(len(x))]
    names = Names(inputs, ids, targets, labels, each_step)
    return Series(x, y, lengths, names, keys, source.removeprefix("data.path: "))


def inputs_of(x: Any, lengths: Any, source: str, names: Names | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and lengths, checked; 0 after the end of each series.

    Args:
      names: names of the series that a network was trained on; None: any will do.
    """
    x = np.asarray(x)
    demand(
        x.ndim in (2, 3),
        source,
        f"x is {shape(x)}; it must be real [N, T, I] or integer ids [N, T], a single series with N = 1",
    )
    demand(x.size > 0, source, f"x is {shape(x)}, which has no number")
    if x.ndim == 2:
        demand(x.dtype.kind in "iu", source, f"x is {shape(x)}, so must be integer ids; real inputs are [N, T, I]")
    demand(x.dtype.kind in "iufb", source, f"x is {shape(x)}; it must be of numbers")
    N, T = x.shape[:2]
    lengths = lengths_of(lengths, N, T, source)
    inside = np.arange(T) < lengths[:, None]
    if x.ndim == 3:
        x = check_finite("x", x.astype(np.float64), inside, source)
        known = x.shape[2] if names is None or names.inputs is None else len(names.inputs)
        demand(
            names is None or names.inputs is not None, source, "x is real, but the network reads ids, integer [N, T]"
        )
        demand(x.shape[2] == known, source, f"x has {x.shape[2]} inputs at each step, but the network reads {known}")
        return x, lengths
    demand(names is None or names.ids > 0, source, "x is of ids, but the network reads real inputs [N, T, I]")
    most = MOST_IDS if names is None else names.ids
    check_range("x", x, inside, most, "an id", source)
    return np.where(inside, x, 0).astype(np.int32), lengths


def lengths_of(lengths: Any, N: int, T: int, source: str) -> np.ndarray:
    """Lengths from 1 to T, one for each series: integer [N]."""
    if lengths is None:
        return np.full(N, T)
    lengths = np.asarray(lengths)
    demand(
        lengths.shape == (N,) and lengths.dtype.kind in "iu",
        source,
        f"lengths is {shape(lengths)}; it must be integer [{N}], as x has {N} series",
    )
    if wrong := np.flatnonzero((lengths < 1) | (lengths > T)).tolist():
        raise UserError(f"{source}: lengths[{wrong[0]}] is {lengths[wrong[0]]}, but must be from 1 to T = {T}")
    return lengths.astype(int)


def future_of(task: TaskConfig, x: np.ndarray, ids: int, source: str) -> tuple[np.ndarray, list[str] | None]:
    """Targets of forecasting, which are the inputs themselves, and the names of the classes."""
    if task.series_loss == "cross_entropy":
        demand(ids > 0, source, f"x is {shape(x)}; to forecast by cross_entropy it must be integer ids [N, T]")
        return x, [str(label) for label in range(ids)]
    demand(not ids, source, f"x is {shape(x)}, ids; to forecast them set task.loss to cross_entropy")
    return zeros_and_ones("x", x, source) if task.series_loss == "bernoulli" else x, None


def targets_of(
    task: TaskConfig, y: np.ndarray, lengths: np.ndarray, T: int, source: str
) -> tuple[np.ndarray, list[str] | None]:
    """Targets as `Series` has them, 0 after the end of each series, and the names of the classes."""
    loss, N = task.series_loss, len(lengths)
    demand(y.shape[:1] == (N,), source, f"y is {shape(y)}, but x has {N} series; its first axis must be as long")
    each_step = {"tagging": True, "classification": False}.get(task.name, y.shape[1:2] == (T,))
    axes = (N, T) if each_step else (N,)
    form = [*axes] if loss == "cross_entropy" else [*axes, "K"]
    if loss == "squared_error" and y.shape == axes:
        y = y[..., None]
    demand(
        y.shape[: len(axes)] == axes and y.ndim == len(form) and y.size > 0,
        source,
        f"y is {shape(y)}; for the task {task.name} with the loss {loss} it must be [{', '.join(map(str, form))}]",
    )
    inside = np.arange(T) < lengths[:, None] if each_step else np.ones(N, bool)
    if loss == "cross_entropy":
        return classes_of(y, inside, source)
    demand(y.dtype.kind in "iufb", source, f"y is {shape(y)}; it must be of numbers")
    y = check_finite("y", y.astype(np.float64), inside, source)
    return zeros_and_ones("y", y, source) if loss == "bernoulli" else y, None


def zeros_and_ones(name: str, values: np.ndarray, source: str) -> np.ndarray:
    """Returns the values; raises UserError where one is neither 0 nor 1."""
    if np.any(strange := (values != 0) & (values != 1)):
        raise UserError(f"{source}: {place(name, values, strange)}; with the loss bernoulli each label is 0 or 1")
    return values


def classes_of(y: np.ndarray, inside: np.ndarray, source: str) -> tuple[np.ndarray, list[str]]:
    """Class ids and the names of the classes: numbers 0 … K - 1, all of them there, or words."""
    if y.dtype.kind == "U":
        labels, found = np.unique(y[inside], return_inverse=True)
        demand(len(labels) > 1, source, f"y has the one class {labels[0]!r}; it takes two")
        ids = np.zeros(y.shape, np.int32)
        ids[inside] = found
        return ids, labels.tolist()
    y = y.astype(int) if y.dtype.kind == "b" else y
    demand(
        y.dtype.kind in "iu",
        source,
        f"y is {shape(y)}; classes must be integers 0 … K - 1, or words (numbers are the targets of regression)",
    )
    check_range("y", y, inside, MOST_IDS, "a class", source)
    counts = np.bincount(y[inside])
    demand(len(counts) > 1, source, "y has the one class 0; it takes two")
    if missing := np.flatnonzero(counts == 0).tolist():
        raise UserError(
            f"{source}: y has classes up to {len(counts) - 1}, but none is {missing[0]}; number them 0 … K - 1 "
            "without a gap"
        )
    return np.where(inside, y, 0).astype(np.int32), [str(label) for label in range(len(counts))]


def check_finite(name: str, values: np.ndarray, inside: np.ndarray, source: str) -> np.ndarray:
    """Returns the values, 0 after the end of each series; raises UserError where one before the end is not finite."""
    inside = inside.reshape(*inside.shape, *[1] * (values.ndim - inside.ndim))
    values = np.where(inside, values, 0)
    if np.any(strange := ~np.isfinite(values)):
        raise UserError(f"{source}: {place(name, values, strange)}; fill it in, or leave its series out")
    return values


def check_range(name: str, values: np.ndarray, inside: np.ndarray, most: int, what: str, source: str) -> None:
    """Raises UserError where a value before the end of its series is below 0, or not below `most`."""
    if np.any(strange := inside & ((values < 0) | (values >= most))):
        raise UserError(f"{source}: {place(name, values, strange)}; {what} must be from 0 to {most - 1:,}")


def place(name: str, values: np.ndarray, where: np.ndarray) -> str:
    """Words for the first of some values, such as x[3, 17, 0] is nan."""
    index = tuple(int(i) for i in np.argwhere(where)[0])
    return f"{name}[{', '.join(map(str, index))}] is {values[index]}"


def shape(array: np.ndarray) -> str:
    """Type and shape of an array, such as float64[100, 20, 3]."""
    return f"{array.dtype}{list(array.shape)}"


def demand(condition: bool, source: str, otherwise: str) -> None:
    """Raises UserError, with the source, where a condition does not hold."""
    if not condition:
        raise UserError(f"{source}: {otherwise}")
