"""Progress of a run on the screen: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from rnnjax.errors import printable

SECONDS_BETWEEN_LINES = 5.0


class Reporter:
    """Writes to standard output. As a context manager it owns the bar."""

    def __init__(self, total_steps: int, first_step: int, per_step: int, counted: str = "chars") -> None:
        """Makes a reporter of steps that read `per_step` of the unit `counted`."""
        self.console = Console(highlight=False, soft_wrap=True)
        self._per_step, self._counted = per_step, counted
        self._first_step = first_step
        self._total = total_steps
        self._start = self._last_line = time.monotonic()
        self._validation = self._at_end = ""
        self._bar = None
        if self.console.is_terminal:
            columns = (
                TextColumn("step {task.completed:,}/{task.total:,}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[numbers]}"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self.console)
            self._task = self._bar.add_task("", total=total_steps, completed=first_step, numbers="")

    def __enter__(self) -> "Reporter":
        self._start = self._last_line = time.monotonic()
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()
        elif self._at_end:
            self.say(self._at_end.format(self._validation))

    def say(self, line: str = "") -> None:
        """Prints a line above the bar."""
        self.console.print(Text(line))

    def update(self, step: int, loss: float) -> None:
        """Shows the run's progress; off a terminal, as a line every few seconds, and one more on leaving."""
        now = time.monotonic()
        elapsed = now - self._start
        done = step - self._first_step
        speed = f"{done * self._per_step / elapsed:,.0f} {self._counted}/s"
        numbers = f"loss {loss:#.4g}{self._validation}  {speed}"
        if self._bar:
            self._bar.update(self._task, completed=step, numbers=numbers)
        elif step == self._total:  # its validation is still to come
            self._at_end = f"step {step:,}/{self._total:,}  loss {loss:#.4g}{{}}  {speed}"
        elif now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            left = elapsed / done * (self._total - step)
            self.say(f"step {step:,}/{self._total:,}  {numbers}  {left:.0f} s left")

    def show_validation(self, loss: float) -> None:
        """Shows a validation loss beside the training loss from now on."""
        self._validation = f"  validation {loss:#.4g}"


class Stages:
    """Stages of a command on the screen, one after the other. As a context manager it owns the bar."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
        self._bar = Progress(*columns, console=console, disable=not console.is_terminal)

    def __enter__(self) -> "Stages":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()
        self._bar.stop()

    def begin(self, name: str, total: int | None = None) -> Callable[[int], None]:
        """Ends the stage before and begins one.

        Args:
          total: amount of the stage's work, where it is known.

        Returns:
          A function to call with the amount of work done since its last call.
        """
        self._finish()
        if not self._console.is_terminal:
            self._console.print(Text(name))
        task = self._bar.add_task(name, total=total)
        return lambda more: self._bar.advance(task, more)

    def _finish(self) -> None:
        for task in self._bar.tasks:
            self._bar.update(task.id, total=task.total or 1, completed=task.total or 1)
            self._bar.stop_task(task.id)


def warn(line: str) -> None:
    """Prints a line on standard error."""
    print(f"rnnjax: {printable(line)}", file=sys.stderr)
