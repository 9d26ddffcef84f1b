"""Compares checkpoints on the validation part, and their average: python -m rnnjax.checkpoints --run runs/lyrics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rnnjax.cli import add_platform, check_platform, make_parser, run
from rnnjax.errors import UserError

if TYPE_CHECKING:  # late where it runs, so that --help and a wrong option answer at once
    from rnnjax.run.checkpoint import Arrays, Checkpoint

HEADING = f"{'checkpoint':>10}  {'measured':>10}  {'recorded':>10}  {'from the best':>13}"


class Row(NamedTuple):
    """Loss and distance of one checkpoint.

    Attributes:
      name: its step, or average.
      measured: validation loss of its weights, now.
      recorded: the same when it was saved; None where there was none.
      distance: distance of its weights from the best ones, |w - w_best| / |w_best|.
    """

    name: str
    measured: float
    recorded: float | None
    distance: float


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("checkpoints", __doc__ or "")
    parser.add_argument("--run", type=str, required=True, help="directory of the run, such as runs/lyrics")
    add_platform(parser)
    options = parser.parse_args(argv)
    check_platform(options)
    rows, unit = compare(Path(options.run), options.platform)
    print(f"validation loss ({unit})\n{HEADING}")
    best = min(rows, key=lambda row: row.measured)
    for row in rows:
        recorded = "" if row.recorded is None else f"{row.recorded:.4f}"
        mark = "  lowest" if row is best else ""
        print(f"{row.name:>10}  {row.measured:>10.4f}  {recorded:>10}  {row.distance:>13.4f}{mark}")
    return 0


def compare(path: Path, platform: str = "auto") -> tuple[list[Row], str]:
    """Rows of all whole checkpoints, oldest first, and of their average; and the unit of the loss.

    Raises:
      UserError: if there is no such run, its data are gone or others, or it has no validation part.
    """
    from rnnjax.run.device import set_up
    from rnnjax.trained import read_checkpoint, read_config

    config = read_config(path)
    set_up(platform, config.run.precision, compilation_cache=config.run.compilation_cache)
    from rnnjax.resumption import state_from
    from rnnjax.run.origin import data_of
    from rnnjax.tasks import make_task

    task = make_task(config)
    if task.fingerprint != data_of(path):
        raise UserError(f"data.path: {config.data.path} holds other data than {path} was trained on")
    if task.held_out is None:
        raise UserError(f"--run: {path} has no validation part to compare on; see data.validation_fraction")
    best = read_checkpoint(path).weights
    rows = []
    for name, found in [*whole_ones(path), ("average", read_checkpoint(path, "average"))]:
        state = state_from(found, task)
        measured = float(task.evaluate(state.params, state.hyper, task.held_out))
        rows.append(Row(name, measured, found.validation_loss, distance(found.weights, best)))
    return rows, f"nats per {task.unit}" if task.in_nats else "squared error"


def whole_ones(path: Path) -> Iterator[tuple[str, Checkpoint]]:
    """Yields the whole checkpoints of a run with their steps, oldest first; warns of the damaged ones."""
    from rnnjax.run.checkpoint import Checkpoints, DamagedCheckpoint
    from rnnjax.run.progress import warn

    opened = Checkpoints(path / "checkpoints", read_only=True)
    try:
        for step in sorted(opened.steps()):
            try:
                yield str(step), opened.restore(step)
            except DamagedCheckpoint as damage:
                warn(f"the checkpoint of step {step:,} is damaged: {damage}; left out")
    finally:
        opened.close()


def distance(weights: Arrays, others: Arrays) -> float:
    """Distance |w - w'| / |w'| of weights from others, all leaves together."""
    import numpy as np

    flat = lambda arrays: np.concatenate([arrays[name].ravel().astype(np.float64) for name in sorted(others)])
    return float(np.linalg.norm(flat(weights) - flat(others)) / np.linalg.norm(flat(others)))


if __name__ == "__main__":
    run(main)
