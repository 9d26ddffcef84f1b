"""Tiny-Shakespeare beside the best published figures of networks that small: python -m benchmarks.shakespeare.

Trains configs/shakespeare_{rnn,gru,lstm}.yaml, at most 1.1 million parameters each, one process after the other, and
writes losses, passes and training time to benchmarks/results/shakespeare.{json,md}. Runs that have been made are only
read; runs that were stopped go on. Options that it does not know go to each training, as in `--data.path FILE`.

The published figures are those of github.com/shonczinner/char-level-shakespeare: the lowest validation loss of 20
passes of half-overlapping windows, for 0.97, 0.82 and 1.09 million parameters.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.markdown import Markdown

from benchmarks import machine, saving
from rnnjax.data.corpus import load_corpus
from rnnjax.model.initializers import count_parameters
from rnnjax.run.metrics import read_metrics
from rnnjax.trained import load_trained

CONFIGS = Path(__file__).parents[1] / "configs"
RESULTS = Path(__file__).parent / "results"
PUBLISHED = {"rnn": 1.488, "gru": 1.469, "lstm": 1.509}


class Row(NamedTuple):
    """One run: losses in nats per character, passes through the training text, seconds of training.

    Attributes:
      curve: validation loss by step.
    """

    name: str
    parameters: int
    passes: float
    seconds: float
    validation_loss: float
    test_loss: float
    published: float
    curve: dict[int, float]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("benchmarks.shakespeare", description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", choices=PUBLISHED, default=list(PUBLISHED))
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options, more = parser.parse_known_args(argv)
    rows = []
    for cell in options.cells:
        train(cell, options.runs, more)
        rows.append(read(cell, options.runs / f"shakespeare_{cell}"))
    results = {"machine": machine.describe(), "runs": [row._asdict() for row in rows]}
    saving.save(options.out / "shakespeare", results, markdown(rows))
    Console().print(Markdown(markdown(rows)))


def train(cell: str, runs: Path, more: list[str]) -> None:
    """Trains in a process of its own, as a user would."""
    config = ["--config", str(CONFIGS / f"shakespeare_{cell}.yaml"), "--run.root", str(runs)]
    if code := subprocess.run([sys.executable, "-m", "rnnjax.train", *config, *more]).returncode:
        raise SystemExit(code)


def read(cell: str, run: Path) -> Row:
    trained = load_trained(run)
    result = json.loads((run / "result.json").read_text())
    training = trained.config.training
    characters = training.steps * training.batch_size * training.sequence_length
    metrics = list(read_metrics(run / "metrics.jsonl"))
    return Row(
        f"shakespeare_{cell}",
        count_parameters(trained.params),
        characters / len(load_corpus(trained.config.data).text.train),
        seconds_of(metrics),
        result["validation_loss"],
        result["test_loss"],
        PUBLISHED[cell],
        {row["step"]: row["validation_loss"] for row in metrics if "validation_loss" in row},
    )


def seconds_of(metrics: list[dict]) -> float:
    """Seconds of training, over all processes that took part: each counts from zero."""
    seconds = [row["seconds"] for row in metrics]
    return sum(here for here, after in zip(seconds, [*seconds[1:], 0.0], strict=True) if after < here)


def markdown(rows: list[Row]) -> str:
    columns = ["`configs/`", "parameters", "passes", "minutes", "validation", "best published", "test"]
    cells = [
        [f"{row.name}.yaml", f"{row.parameters:,}", f"{row.passes:.0f}", f"{row.seconds / 60:.0f}"]
        + [f"{loss:.3f}" for loss in (row.validation_loss, row.published, row.test_loss)]
        for row in rows
    ]
    return "\n".join(saving.table(columns, cells)) + "\n"


if __name__ == "__main__":
    main()
