"""A finished run: what its directory holds, read back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rnnjax.errors import UserError
from rnnjax.files import read_text
from rnnjax.run.directory import read_json
from rnnjax.run.metrics import read_metrics
from rnnjax.trained import Trained, load


@dataclass(frozen=True)
class Finished:
    """A finished run.

    Attributes:
      network: with the best weights, ready to be used; its config, params and hyper.
      metrics: a row for each stretch of steps, with the columns of `rnnjax.run.metrics`.
      result: the held-out losses and what else the task measures.
      predictions: a row for each held-out answer and its truth, in the units of the data.
      path: the directory; None where there was none to keep.
    """

    network: Trained
    metrics: pd.DataFrame
    result: dict[str, Any]
    predictions: pd.DataFrame
    path: Path | None


def read_finished(path: Path, keep: bool = True) -> Finished:
    """Reads the directory of a run that has come to its end.

    Raises:
      UserError: if a part of it is missing or damaged.
    """
    metrics, result = pd.DataFrame(read_metrics(path / "metrics.jsonl")), read_json(path / "result.json")
    said = pd.DataFrame(read_predictions(path / "predictions.jsonl"))
    return Finished(load(path), metrics, result, said, path if keep else None)


def read_predictions(path: Path) -> list[dict[str, Any]]:
    """Reads a task's answers to the held-out examples; none where the task writes none."""
    try:
        return [json.loads(line) for line in read_text(path).split("\n") if line] if path.exists() else []
    except (OSError, ValueError, RecursionError):
        raise UserError(f"{path} is damaged; remove it and result.json, and the same command writes both") from None
