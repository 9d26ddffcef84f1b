"""A finished run: what its directory holds, read back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

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
    lines = path / "predictions.jsonl"
    said = [json.loads(line) for line in lines.open(encoding="utf-8")] if lines.exists() else []
    metrics, result = pd.DataFrame(read_metrics(path / "metrics.jsonl")), read_json(path / "result.json")
    return Finished(load(path), metrics, result, pd.DataFrame(said), path if keep else None)
