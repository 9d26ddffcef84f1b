"""A run and a study that are so small that faults can be injected by the hundred, and what they leave behind."""

import csv
import json
import random
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.faults.doors import Answer, apart
from rnnjax.run.checkpoint import Checkpoints

STEPS = 60

RUN = [
    *("--data.path", "songs.csv", "--model.hidden_size", "4", "--training.steps", str(STEPS)),
    *("--training.batch_size", "2", "--training.sequence_length", "5", "--training.steps_per_dispatch", "7"),
    *("--training.log_every_steps", "5", "--training.eval_every_steps", "10", "--run.checkpoint_every_steps", "10"),
    *("--sampling.every_steps", "20", "--sampling.length", "20", "--run.platform", "cpu"),
]

STUDY = """
name: tiny
axes: {grid: {optimizer.clip: [value, none]}}
seeds: 2
data: {path: songs.csv, validation_fraction: 0.2, test_fraction: 0.2}
model: {hidden_size: 4}
training: {steps: 12, batch_size: 2, sequence_length: 5, steps_per_dispatch: 5, eval_every_steps: 6}
sampling: {length: 20}
run: {checkpoint_every_steps: 4, platform: cpu}
"""


def prepare(place: Path) -> Path:
    """Writes the songs and the study's file into a directory."""
    place.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    with open(place / "songs.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["artist", "song", "text"])
        for number in range(12):
            words = " ".join(draw.choice(["la", "sun", "moon", "river", "oh"]) for _ in range(12))
            table.writerow([f"artist {number}", f"song {number}", words])
    (place / "study.yaml").write_text(STUDY)
    return place


def outcome(run: Path) -> dict[str, Any]:
    """All that a run leaves and that two equal runs must share, to the bit."""
    return apart(partial(_outcome, run))


def _outcome(run: Path) -> dict[str, Any]:
    opened = Checkpoints(run / "checkpoints", read_only=True)
    try:
        found = opened.restore(opened.steps()[0])
    finally:
        opened.close()
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "step": found.step,
        "arrays": {name: (array.dtype, array.tobytes()) for name, array in found.arrays.items()},
        "metrics": [{key: value for key, value in row.items() if key != "seconds"} for row in rows],
        "samples": {file.name: file.read_text() for file in (run / "samples").iterdir()},
        "result": (run / "result.json").read_text(),
        "names": (run / "vocabulary.json").read_text(),
    }


def results(study: Path) -> list[dict[str, Any]]:
    """All rows of a study but for what the clock says."""
    return apart(partial(rows_of, study))


def rows_of(study: Path) -> list[dict[str, Any]]:
    """The same, read in this process."""
    from rnnjax.study.results import read_part

    rows = [row for path in sorted((study / "results").glob("part-*")) for row in read_part(path).to_dict("records")]
    kept = [{key: repr(value) for key, value in row.items() if key != "seconds"} for row in rows]
    return sorted(kept, key=lambda row: (int(row["arm"]), int(row["step"])))


MOST_LINES = 4
"""Lines on standard error of a door that goes on in spite of a fault."""


def complaint(answer: Answer) -> str:
    """Fault of an answer itself: a traceback, an unknown exit code, more than one line; empty where there is none."""
    lines = [line for line in answer.stderr.splitlines() if line.strip()]
    if answer.code is None:
        return "it hung"
    if answer.code not in (0, 2, 130):
        return f"exit code {answer.code}: {lines[-1][:120] if lines else ''}"
    if "Traceback" in answer.stderr:
        return f"a traceback: {lines[-1][:120]}"
    if answer.code == 2 and (not lines or not lines[-1].startswith("rnnjax: error: ")):
        return f"exit code 2 without a line: {answer.stderr[-120:]!r}"
    return f"{len(lines)} lines: {lines[0][:120]}" if len(lines) > MOST_LINES else ""
