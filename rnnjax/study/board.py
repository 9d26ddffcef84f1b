"""The progress of a study on the screen: runs done, running and failed, and the time left."""

import time
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from rnnjax.run.progress import SECONDS_BETWEEN_LINES


class GroupProgress(NamedTuple):
    """Progress of a group since its last report.

    Attributes:
      steps: training steps since then, summed over the arms.
      running, failed, finished: numbers of arms in the current batch; the batch is over when none is running.
      fresh: True if the steps ran just now; False for steps of an earlier run, which give no estimate of time.
    """

    steps: int
    running: int = 0
    failed: int = 0
    finished: int = 0
    fresh: bool = True


class Board:
    """Writes to standard output: a bar on a terminal, plain lines elsewhere. As a context manager it owns the bar."""

    def __init__(self, runs: int, total: int) -> None:
        """Starts the count of runs, one for each arm and seed; `total` is the training steps of all together."""
        self.console = Console(highlight=False, soft_wrap=True)
        self._runs, self._total = runs, total
        self._done = self._fresh = 0
        self._finished = self._failed = 0
        self._batches: dict[int, tuple[int, int]] = {}
        self._began = self._last_line = time.monotonic()
        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
        self._bar = Progress(*columns, console=self.console, disable=not self.console.is_terminal)
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> "Board":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, line: str) -> None:
        """Writes a line above the bar."""
        self.console.print(Text(line))

    def take(self, word: GroupProgress, group: int = 0) -> None:
        """Shows the progress of a group; groups that are trained side by side each have a number."""
        self._done += word.steps
        self._fresh += word.steps if word.fresh else 0
        if not word.running:
            self._finished, self._failed = self._finished + word.finished, self._failed + word.failed
        self._batches[group] = (word.running, word.failed if word.running else 0)
        running, failed = map(sum, zip(*self._batches.values(), strict=True))
        words = [f"{self._finished} of {self._runs} runs done", f"{running} running", f"{self._failed + failed} failed"]
        line = ", ".join(words) + self._left()
        self._bar.update(self._task, completed=self._done, description=line)
        now = time.monotonic()
        if not self.console.is_terminal and (now - self._last_line >= SECONDS_BETWEEN_LINES or not word.running):
            self._last_line = now
            self.say(line)

    def _left(self) -> str:
        elapsed = time.monotonic() - self._began
        left = self._total - self._done
        return f"; {elapsed / self._fresh * left:.0f} s left" if self._fresh and left > 0 else ""
