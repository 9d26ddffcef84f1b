"""Series from a CSV table: a row is a step, and its columns are the numbers of that step."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rnnjax.config import DataConfig, TaskConfig
from rnnjax.data.padding import pad
from rnnjax.data.series import Names, Series
from rnnjax.data.song_tables import listed
from rnnjax.data.songs import read_cells
from rnnjax.errors import UserError

if TYPE_CHECKING:  # late where it runs: arrays do not need it
    import pandas as pd

DECIMAL_COMMA = r"[+-]?\d*,\d+([eE][+-]?\d+)?"
THOUSANDS = r"[+-]?[1-9]\d{0,2},\d{3}"

HEADER = 2
"""Offset from a row's index to its number in an editor, where the header is row 1."""


def series_of_table(data: DataConfig, task: TaskConfig, path: Path) -> Series:
    """Reads the series in the columns that a config names.

    Raises:
      UserError: for a missing column, or a field that is no number, with its row.
    """
    table = cells_of(path)
    columns = named(data.columns, "data.columns", table, path) or others(table, data.series, path)
    targets = named(data.targets, "data.targets", table, path) or (columns if task.name == "forecasting" else [])
    if not targets:
        raise UserError(f"data.targets names no column of {path}, but the task {task.name} needs what it is to predict")
    if not data.columns and task.name != "forecasting":
        columns = [name for name in columns if name not in targets]
    if task.series_loss == "cross_entropy" and len(targets) > 1:
        raise UserError(f"data.targets names {len(targets)} columns, but a class stands in one")
    if task.name == "forecasting" and task.series_loss == "cross_entropy":
        raise UserError("task.loss is 'cross_entropy', but a table is forecast by squared_error or bernoulli")
    if not columns:
        raise UserError(f"data.columns: {path} has no column left to read; name some")
    keys, rows = rows_of(table, data.series, path)
    x = side_by_side(numbers(table, columns, path), rows)
    y, labels = targets_of(table, targets, task, path)
    y = side_by_side(y, rows)
    length = np.array([len(row) for row in rows])
    each_step = task.name != "classification"
    if not each_step:
        y = of_each_series(y, length, keys, targets, path)
    return Series(x, y, length, Names(columns, 0, targets, labels, each_step), keys, str(path))


def inputs_of_table(data: DataConfig, names: Names, path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Inputs [N, T, I], lengths [N] and keys of the series of another table, which need have no targets.

    Args:
      names: names of the series that the network was trained on.
    """
    table = cells_of(path)
    columns = existing(names.inputs or [], "--file", table, path)
    keys, rows = rows_of(table, data.series, path)
    return side_by_side(numbers(table, columns, path), rows), np.array([len(row) for row in rows]), keys


def cells_of(path: Path) -> "pd.DataFrame":
    """Fields of a table, as strings.

    Raises:
      UserError: if it has no row, or no names of columns.
    """
    table = read_cells(path)
    header = [str(name) for name in table.columns]
    if not len(table):
        raise UserError(f"data.path: {path} has a header, but no row")
    if all(is_number(name) for name in header):
        raise UserError(f"data.path: the first row of {path} is of numbers; write the names of its columns there")
    return table


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def named(columns: str, field: str, table: "pd.DataFrame", path: Path) -> list[str]:
    """Columns that a field names, each once and each in the table; a name with a comma stands in double quotes."""
    names = next(csv.reader([columns], skipinitialspace=True), [])
    return existing([name.strip() for name in names if name.strip()], field, table, path)


def existing(names: list[str], field: str, table: "pd.DataFrame", path: Path) -> list[str]:
    """Returns the names; raises UserError where one is not in the table, or stands twice."""
    for name in names:
        if name not in table.columns:
            raise UserError(f"{field}: {path} has no column {name!r}; it has {listed([*table.columns])}")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"{field} names a column twice: {twice}")
    return names


def others(table: "pd.DataFrame", series: str, path: Path) -> list[str]:
    """All columns but the one that names the series; raises UserError for one without a name, such as row numbers."""
    if nameless := next((name for name in table.columns if name.startswith("Unnamed: ")), None):
        number = list(table.columns).index(nameless) + 1
        raise UserError(
            f"data.path: column {number} of {path} has no name; name it, or name the columns to read with data.columns"
        )
    return [name for name in table.columns if name != series]


def rows_of(table: "pd.DataFrame", column: str, path: Path) -> tuple[list[str], list[np.ndarray]]:
    """Names and rows of the series, in the order in which they begin in the column that names them."""
    if not column:
        return ["0"], [np.arange(len(table))]
    named(column, "data.series", table, path)
    key = table[column]
    if empty := np.flatnonzero(key.isna()).tolist():
        raise UserError(f"data.series: row {empty[0] + HEADER} of {path} has nothing in column {column!r}")
    groups = key.groupby(key, sort=False).indices
    order = list(dict.fromkeys(key))
    return order, [np.asarray(groups[name]) for name in order]


def numbers(table: "pd.DataFrame", columns: list[str], path: Path) -> np.ndarray:
    """Numbers of some columns: float64 [rows, columns]."""
    return np.stack([numbers_of(table[name], name, path) for name in columns], axis=-1)


def with_points(column: "pd.Series") -> "pd.Series":
    """Fields with decimal points, where commas can only be decimal: one a field, not always before three digits."""
    fields = column.dropna().str.strip()
    commas = fields[fields.str.contains(",", regex=False)]
    if commas.empty or not commas.str.fullmatch(DECIMAL_COMMA).all() or commas.str.fullmatch(THOUSANDS).all():
        return column
    return column if fields.str.contains(".", regex=False).any() else column.str.replace(",", ".", regex=False)


def numbers_of(column: "pd.Series", name: str, path: Path) -> np.ndarray:
    """Numbers of a column. Raises UserError, with row and text, where a field is no number, or not finite."""
    import pandas as pd

    values = pd.to_numeric(with_points(column), errors="coerce").to_numpy(np.float64)
    if strange := np.flatnonzero(~np.isfinite(values)).tolist():
        row = strange[0]
        where = f"data.path: row {row + HEADER} of {path} (the header is row 1) has "
        if pd.isna(column.iloc[row]):
            raise UserError(f"{where}nothing in column {name!r}; fill it in, or leave the row or the column out")
        text = column.iloc[row]
        hint = "mend it, or name the columns to read with data.columns"
        if "," in text:
            hint = "write it with a decimal point and without separators of thousands"
        raise UserError(f"{where}{text!r} in column {name!r}, which is no finite number; {hint}")
    return values


def targets_of(
    table: "pd.DataFrame", targets: list[str], task: TaskConfig, path: Path
) -> tuple[np.ndarray, list[str] | None]:
    """Targets: numbers [rows, K], or classes, integer [rows], with their names."""
    if task.series_loss == "cross_entropy":
        column = table[targets[0]]
        if empty := np.flatnonzero(column.isna()).tolist():
            raise UserError(f"data.path: row {empty[0] + HEADER} of {path} has no class in column {targets[0]!r}")
        labels, ids = np.unique(column.to_numpy(str), return_inverse=True)
        if len(labels) < 2:
            raise UserError(f"data.targets: column {targets[0]!r} of {path} has the one class {str(labels[0])!r}")
        return ids.astype(np.int32), labels.tolist()
    values = numbers(table, targets, path)
    if task.series_loss == "bernoulli" and np.any(strange := (values != 0) & (values != 1)):
        row, column_at = np.argwhere(strange)[0].tolist()
        raise UserError(
            f"data.path: row {row + HEADER} of {path} has {values[row, column_at]:g} in column {targets[column_at]!r}; "
            "with the loss bernoulli each label is 0 or 1"
        )
    return values, None


def side_by_side(values: np.ndarray, rows: list[np.ndarray]) -> np.ndarray:
    """Rows of each series, padded with zeros: [N, T, ...]."""
    return pad([values[row] for row in rows], max(map(len, rows))).ids


def of_each_series(y: np.ndarray, length: np.ndarray, keys: list[str], targets: list[str], path: Path) -> np.ndarray:
    """Target of each series [N, ...], which must be the same in all of its rows."""
    for key, values, end in zip(keys, y, length, strict=True):
        if np.any(values[:end] != values[0]):
            raise UserError(
                f"data.targets: series {key!r} of {path} has more than one value in {', '.join(map(repr, targets))}; "
                "classification is of whole series (tagging has a class for each row)"
            )
    return y[:, 0]
