"""The results of a study: parquet part files, each whole from the moment that it has its name.

One row an arm and evaluation: arm, name, seed, step; training_loss, grad_norm and clipped, means over the steps since
the last evaluation that were not skipped; validation_loss at that step; test_loss, at the end, of the weights with the
lowest validation loss; skipped steps so far; whether the arm has diverged; seconds, the group's share for one arm;
group; memory_bytes of the group's program; whether it is the arm's last row; the values of the axes; what else the task
measures on validation, and, with test_ before its name, on test; floor, where the task has one.
"""

import io
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
"""The metrics that every task has."""


def check_extra() -> None:
    """Raises UserError where what writes parquet is not installed."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise UserError("a study needs an extra for its results: pip install 'rnnjax[study]'") from None


def table(study: Study, arms: Sequence[Arm], numbers: dict[str, Any]) -> pd.DataFrame:
    """The rows of one evaluation.

    Args:
      numbers: columns, arrays [A] or numbers that all share.
    """
    about = {"arm": [a.index for a in arms], "name": [a.name for a in arms], "seed": [a.seed for a in arms]}
    axes = {name: column([columns(study, arm)[name] for arm in arms]) for name in study.axes.fields()}
    return pd.DataFrame({**about, **numbers, **axes})


def column(values: list[Any]) -> list[Any]:
    """Numbers as numbers, all else as text, so that the parts of a study agree on a column's type."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return [float(value) for value in values] if numeric else [str(value) for value in values]


def write_part(
    folder: Path, group: int, number: int, study: Study, arms: Sequence[Arm], numbers: dict[str, Any]
) -> None:
    """Writes the rows of one evaluation as part-<group>-<number>.parquet; the same numbers again replace the file."""
    content = io.BytesIO()
    table(study, arms, numbers).to_parquet(content, index=False)
    write_whole(folder / f"part-{group}-{number:05d}.parquet", content.getvalue())


class Means:
    """Sums over the steps since the last evaluation, arm by arm: loss, grad_norm, clipped, and the number of steps."""

    FIELDS = ("loss", "grad_norm", "clipped")

    def __init__(self, arms: int, sums: np.ndarray | None = None) -> None:
        self.sums = np.zeros((arms, len(self.FIELDS) + 1)) if sums is None else sums

    def add(self, infos: np.ndarray) -> None:
        """Takes what the next steps tell, [steps, A, fields of StepInfo]."""
        told = dict(zip(StepInfo._fields, np.moveaxis(infos, -1, 0), strict=True))
        good = told["skipped"] == 0
        for index, name in enumerate(self.FIELDS):
            self.sums[:, index] += np.where(good, told[name], 0).sum(axis=0, dtype=np.float64)
        self.sums[:, -1] += good.sum(axis=0)

    def take(self) -> dict[str, np.ndarray]:
        """The means [A], nan where every step was skipped; begins anew."""
        with np.errstate(invalid="ignore"):
            means = self.sums[:, :-1] / self.sums[:, -1:]
        self.sums = np.zeros_like(self.sums)
        return {name: means[:, index] for index, name in enumerate(("training_loss", "grad_norm", "clipped"))}
