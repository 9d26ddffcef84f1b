"""Every gradient method at equal steps: python -m benchmarks.methods.

Trains configs/gradients/lyrics.yaml (the bundled songs) and configs/gradients/recall.yaml (a letter to be recalled from
before the window) with the method of each other file of that folder, one process after the other, and writes held-out
bits per character, wall time and the temporary memory of a gradient to benchmarks/results/methods.{json,md}.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.markdown import Markdown

from benchmarks import saving
from benchmarks.memory import gradient_memory
from rnnjax.build import make_text_model
from rnnjax.cli import add_config, config_of, make_parser
from rnnjax.config import Config
from rnnjax.data.corpus import load_corpus
from rnnjax.data.recall_text import recall_floor
from rnnjax.model.loss import NATS_PER_BIT

CONFIGS = Path(__file__).parents[1] / "configs" / "gradients"
RESULTS = Path(__file__).parent / "results"
PROBLEMS = ("lyrics", "recall")
METHODS = tuple(sorted(path.stem for path in CONFIGS.glob("*.yaml") if path.stem not in PROBLEMS))


class Row(NamedTuple):
    """One run: held-out bits per character (test), seconds of the whole process, bytes of a gradient's memory."""

    problem: str
    method: str
    bits: float
    seconds: float
    memory: int


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser("benchmarks.methods", description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=PROBLEMS)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as runs:
        for problem in options.problems:
            for method in options.methods:
                rows.append(run(problem, method, Path(runs)))
                print(f"{problem} {method}: {rows[-1].bits:.3f} bits, {rows[-1].seconds:.0f} s", flush=True)
    path = options.out / "methods"
    rows = added(path, rows)
    Console().print(Markdown(markdown(rows)))
    saving.save(path, [row._asdict() for row in rows], markdown(rows))


def added(path: Path, rows: list[Row]) -> list[Row]:
    """The rows that a file has from before and the new ones in the place of their like, in the order of a whole run."""
    earlier = [Row(**row) for row in saving.load(path) or []]
    found = {(row.problem, row.method): row for row in earlier + rows}
    return [found[key] for key in sorted(found)]


def run(problem: str, method: str, runs: Path) -> Row:
    """Trains in a process of its own, as a user would."""
    configs = [part for name in (problem, method) for part in ("--config", str(CONFIGS / f"{name}.yaml"))]
    name = f"{problem}-{method}"
    began = time.perf_counter()
    command = [sys.executable, "-m", "rnnjax.train", *configs, "--run.root", str(runs), "--run.name", name]
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr.strip()}")
    loss = json.loads((runs / name / "result.json").read_text())["test_loss"]
    return Row(problem, method, loss / NATS_PER_BIT, seconds, memory_of(read(configs)))


def read(configs: list[str]) -> Config:
    parser = make_parser("train", "")
    add_config(parser)
    return config_of(parser, parser.parse_args(configs))


def memory_of(config: Config) -> int:
    """Bytes of a gradient of the config's window."""
    return gradient_memory(config, make_text_model(config, load_corpus(config.data).vocabulary))


def markdown(rows: list[Row]) -> str:
    """Methods down, problems across; the recall task's floors below."""
    problems = list(dict.fromkeys(row.problem for row in rows))
    columns = [name for p in problems for name in (f"{p}: bits per character", "seconds", "memory (kB)")]
    found: dict[str, list[str]] = {}
    for row in rows:
        cells = found.setdefault(row.method, [f"`{row.method}`"])
        cells += [f"{row.bits:.3f}", f"{row.seconds:.0f}", f"{row.memory / 1e3:,.0f}"]
    lines = saving.table(["method", *columns], found.values())
    if "recall" in problems:
        lag = read(["--config", str(CONFIGS / "recall.yaml")]).data.recall_lag
        with_memory, without = (recall_floor(lag, remembers) / NATS_PER_BIT for remembers in (True, False))
        lines += ["", f"The recall task can be learned to {with_memory:.3f} bits; without memory, to {without:.3f}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
