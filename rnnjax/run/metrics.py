"""metrics.jsonl: one JSON object a line, each about a stretch of training steps; together they cover every step once.

Keys: `step`, the last step of the stretch; `window`, its number of steps; `loss`, their mean in nats per character;
`grad_norm`, mean global norm before clipping; `clipped` and `clipped_elements`, mean shares of steps and of gradient
elements that clipping changed; `skipped`, the steps left out because something was not finite (the means are over the
others, and null without any); `learning_rate` at the last step; `seconds` of training so far in this process; where the
validation text was read after that step, `validation_loss` in nats per character; and with `gradient.method deer` or
`model.unroll` the mean `iterations` of the solver and `sequential`, the mean share of steps that it left to be computed
one by one, and with the validation loss of a text the largest Lyapunov `exponent`, in nats per step.
"""

import json
import math
import os
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from rnnjax.files import write_whole
from rnnjax.run.progress import warn


class MetricsLog:
    """Open metrics file, and the steps that no line covers yet.

    Attributes:
      mark: checksum of the lines so far.
    """

    def __init__(self, path: Path, last_step: int, every: int, also: Callable[[dict], None] | None = None) -> None:
        """Opens the file, and removes the lines after `last_step`, from which training goes on.

        Args:
          every: steps whose multiples end a line, as `flush` does.
          also: function called with every line.
        """
        text = lines_up_to(path, last_step)
        write_whole(path, text)
        self.mark = mark_of(text)
        self.step = last_step
        self._every = every
        self._also = also
        self._pending: list[dict[str, np.ndarray]] = []
        self._began = time.monotonic()
        self._file = open(path, "a", encoding="utf-8")

    def add(self, infos: dict[str, np.ndarray]) -> None:
        """Takes the infos of the next steps, each field [steps]."""
        count, taken = len(infos["loss"]), 0
        while taken < count:
            if self._pending and self.step % self._every == 0:
                self.flush()  # only now, so that a validation loss could still join the line
            some = min(count - taken, self._every - self.step % self._every)
            self._pending.append({name: values[taken : taken + some] for name, values in infos.items()})
            taken += some
            self.step += some

    def flush(self, **more: float) -> None:
        """Writes a line about the steps since the last line, with more keys; nothing where there are none."""
        if not self._pending:
            return
        infos = {name: np.concatenate([part[name] for part in self._pending]) for name in self._pending[0]}
        self._pending = []
        seconds = {"seconds": round(time.monotonic() - self._began, 3)}
        row = {"step": self.step} | averaged(infos) | seconds | more
        row = {name: _finite(value) for name, value in row.items()}
        line = json.dumps(row) + "\n"
        self._file.write(line)
        self._file.flush()
        self.mark = mark_of(line, self.mark)
        if self._also:
            self._also(row)

    def sync(self) -> None:
        """Writes the file through to the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def averaged(infos: dict[str, np.ndarray]) -> dict[str, Any]:
    """Means over a stretch of steps, by field of `StepInfo` [steps]; without the solver's where there is none."""
    good = infos["skipped"] == 0
    row: dict[str, Any] = {"window": len(good), "learning_rate": float(infos["learning_rate"][-1])}
    for name, values in infos.items():
        solver = name in ("iterations", "sequential")
        if name not in ("skipped", "skipped_in_a_row", "learning_rate") and not (solver and np.isnan(values).all()):
            row[name] = float(np.mean(values[good], dtype=np.float64)) if good.any() else None
    return row | {"skipped": int((~good).sum())}


def _finite(value: float | None) -> float | None:
    """The value, or None where it is not finite: JSON knows no NaN."""
    return value if value is None or math.isfinite(value) else None


def read_metrics(path: Path) -> Iterator[dict]:
    """Reads the lines of a metrics file, none where there is no file; a line that a crash cut short is left out."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # ValueError: as of a number of 5,000 digits
            continue
        if is_row(row):
            yield row


def is_row(row: object) -> bool:
    """True where a line is about a stretch of steps, in numbers."""
    if not isinstance(row, dict) or not all(isinstance(row.get(name), int) for name in ("step", "window")):
        return False
    return all(value is None or isinstance(value, int | float) for value in row.values())


def tells_all(path: Path, step: int, mark: str | None) -> bool:
    """True where a file has all lines up to a step as they were written; warns where it has not.

    Args:
      mark: mark of these lines; None where no checkpoint has one, and only the steps can be counted.
    """
    text = lines_up_to(path, step)
    covered = sum(json.loads(line)["window"] for line in text.splitlines())
    if covered < step:
        warn(f"{path} tells of {covered:,} of the {step:,} steps so far; the lines of the others are lost")
    elif mark and mark != mark_of(text):
        warn(f"{path} was changed: its lines up to step {step:,} are not those that were written")
    else:
        return True
    return False


def lines_up_to(path: Path, step: int) -> str:
    """Lines of a metrics file about the steps up to this one."""
    return "".join(json.dumps(row) + "\n" for row in read_metrics(path) if row["step"] <= step)


def mark_of(text: str, before: str = "0") -> str:
    """CRC-32 of lines, or of all lines after the mark of those before."""
    return f"{zlib.crc32(text.encode(), int(before, 16)):08x}"
