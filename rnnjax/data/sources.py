"""Sources of series: a .npz of arrays, a CSV table, or an equation."""

from pathlib import Path

from rnnjax.config import Config
from rnnjax.data.arrays import read_npz, series_of
from rnnjax.data.mackey_glass import mackey_glass
from rnnjax.data.series import Series
from rnnjax.data.songs import is_table, read_file
from rnnjax.data.table import series_of_table
from rnnjax.errors import UserError

GENERATED = 4000
"""Values of the Mackey-Glass series."""


def read_series(config: Config) -> Series:
    """Reads the series of data.path, checked against the config's task.

    Raises:
      UserError: if they cannot be read, or do not fit the task.
    """
    if config.data.path == "mackey_glass":
        return series_of(config.task, mackey_glass(GENERATED)[None, :, None], source="the Mackey-Glass series")
    return read_file(config.data, lambda path: read_path(config, path))


def read_path(config: Config, path: Path) -> Series:
    """Reads the series of an existing file."""
    if is_table(path):
        return series_of_table(config.data, config.task, path)
    check_npz(config, path)
    found = read_npz(path)
    return series_of(config.task, found["x"], found.get("y"), found.get("lengths"), f"data.path: {path}")


def check_npz(config: Config, path: Path) -> None:
    """Raises UserError where a file is no .npz, or the config names columns of it."""
    if path.suffix.lower() != ".npz":
        raise UserError(f"data.path: {path} must be a .npz or .csv file (or a .tsv) for the task {config.task.name}")
    for name in ("columns", "targets", "series"):
        if getattr(config.data, name):
            raise UserError(f"data.{name} is of a table, but {path} is of arrays; leave it out")
