"""The results of a study: parquet part files, one row for each arm and evaluation. A file is whole once it has a name.

Columns:
  arm, name, seed, step
  training_loss, grad_norm, clipped: means over the steps since the last evaluation, skipped ones left out
  validation_loss: at this step
  test_loss: at the end, with the weights of the lowest validation loss
  skipped: number of skipped steps so far
  diverged, final: True for an arm that has diverged, for the last row of an arm
  seconds: training time of the batch, divided by its arms
  group, memory_bytes: program, and the memory that it needs
  other metrics of the task on validation, and on test with the prefix test_; floor, if the task has one
  the values of the axes
"""

import io
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rnnjax.errors import UserError
from rnnjax.files import write_whole
from rnnjax.study.arms import Arm, columns
from rnnjax.study.study import Study
from rnnjax.training.state import StepInfo

COLUMNS = ("training_loss", "validation_loss", "test_loss")
"""Metrics that every task has."""

CHECKSUM = b"rnnjax.checksum"
"""Key of a part's checksum in the metadata of its schema."""


def check_extra() -> None:
    """Raises UserError if the library that writes parquet is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UserError("a study needs an extra for its results: pip install 'rnnjax[study]'") from None


def table(study: Study, arms: Sequence[Arm], numbers: dict[str, Any]) -> pd.DataFrame:
    """Table of one evaluation, a row for each arm.

    Args:
      numbers: columns: arrays `[A]`, or numbers that all arms share.
    """
    about = {"arm": [a.index for a in arms], "name": [a.name for a in arms], "seed": [a.seed for a in arms]}
    axes = {name: column([columns(study, arm)[name] for arm in arms]) for name in study.axes.fields()}
    return pd.DataFrame({**about, **numbers, **axes})


def column(values: list[Any]) -> list[Any]:
    """Keeps a column of numbers, makes any other a column of text, so that all parts agree on its type."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return [float(value) for value in values] if numeric else [str(value) for value in values]


def write_part(
    folder: Path, group: int, number: int, study: Study, arms: Sequence[Arm], numbers: dict[str, Any]
) -> None:
    """Writes one evaluation as part-<group>-<number>.parquet; repeated, it replaces the file."""
    import pyarrow
    import pyarrow.parquet

    rows, content = table(study, arms, numbers), io.BytesIO()
    found = pyarrow.Table.from_pandas(rows, preserve_index=False)
    signed = found.replace_schema_metadata({**found.schema.metadata, CHECKSUM: checksum(rows)})
    pyarrow.parquet.write_table(signed, content, write_page_checksum=True)
    write_whole(part_path(folder, group, number), content.getvalue())


def part_path(folder: Path, group: int, number: int) -> Path:
    """Place of an evaluation of a group."""
    return folder / f"part-{group}-{number:05d}.parquet"


class DamagedPart(Exception):
    """Error of a part that cannot be read back as it was written."""


def read_part(path: Path) -> pd.DataFrame:
    """Reads a part, and compares its rows with their checksum, which parts older than it lack.

    Raises:
      DamagedPart: if it is gone, cannot be read, or the checksum differs.
    """
    import pyarrow.parquet

    try:
        found = pyarrow.parquet.ParquetFile(path, page_checksum_verification=True).read()
        rows, kept = found.to_pandas(), (found.schema.metadata or {}).get(CHECKSUM)
    except Exception as error:  # a damaged file can make the reader raise anything
        reason = str(error).strip().splitlines()
        raise DamagedPart(reason[0][:120] if reason else type(error).__name__) from error
    if kept is not None and kept != checksum(rows):
        raise DamagedPart("the checksum of its rows differs")
    return rows


def checksum(rows: pd.DataFrame) -> bytes:
    """CRC-32 of the names and values of a table."""
    return f"{zlib.crc32(rows.to_csv(index=False).encode()):08x}".encode()


class Means:
    """Sums for each arm since the last evaluation: loss, grad_norm, clipped, and the number of steps."""

    FIELDS = ("loss", "grad_norm", "clipped")

    def __init__(self, arms: int, sums: np.ndarray | None = None) -> None:
        self.sums = np.zeros((arms, len(self.FIELDS) + 1)) if sums is None else sums

    def add(self, infos: np.ndarray) -> None:
        """Adds the infos of the next steps, `[steps, A, fields of StepInfo]`."""
        told = dict(zip(StepInfo._fields, np.moveaxis(infos, -1, 0), strict=True))
        good = told["skipped"] == 0
        for index, name in enumerate(self.FIELDS):
            self.sums[:, index] += np.where(good, told[name], 0).sum(axis=0, dtype=np.float64)
        self.sums[:, -1] += good.sum(axis=0)

    def take(self) -> dict[str, np.ndarray]:
        """Returns the means `[A]`, nan where every step was skipped, and begins anew."""
        with np.errstate(invalid="ignore"):
            means = self.sums[:, :-1] / self.sums[:, -1:]
        self.sums = np.zeros_like(self.sums)
        return {name: means[:, index] for index, name in enumerate(("training_loss", "grad_norm", "clipped"))}
