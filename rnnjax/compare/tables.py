"""The certificate on the screen."""

import math

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rnnjax.certificate.check import Check
from rnnjax.certificate.full_size import FullRow
from rnnjax.certificate.matrix import Row
from rnnjax.certificate.trial import MeasuredCost
from rnnjax.compare.report import Report
from rnnjax.config import Config
from rnnjax.quantities import in_bytes, in_time

WIDTH = 160
CAPTION = (
    "window: against each window's exact gradient, its initial state constant; stream: against that of all windows as "
    "one. Which of them a method is about is marked *. Cosine and bias are against that one. Time and memory: of one "
    "window; memory is temporary memory and the trace that goes on into the next window."
)
IN_SHORT = (
    "window: error against each window's exact gradient; stream: against that of all windows as one; *: a method's aim"
)
STYLE = {"PASS": "green", "FAIL": "bold red", "n/a": "dim"}


def show(console: Console, report: Report, full: bool = True) -> None:
    """Prints the matrix, the theory, the full size, and a last line with the verdict.

    Args:
      full: True for every identity; False for those that do not hold, and the columns explained in a line.
    """
    found = report.found
    for line in report.heading:
        console.print(line, markup=False)
    if not full:
        console.print(IN_SHORT)
    console.print(matrix_table(found.rows, full))
    if checks := found.checks if full else report.faults:
        console.print(theory_table(checks))
    if found.full:
        console.print(full_table(found.full, report.about["config"]))
    counts = ", ".join(f"{report.verdicts.count(verdict)} {verdict}" for verdict in STYLE)
    failed = f": FAIL in {', '.join(found.failed)}" if found.failed else ""
    console.print(f"{counts}{failed}")


def matrix_table(rows: list[Row], full: bool = True) -> Table:
    """A row for each method; columns of time and memory where they were measured."""
    table = Table(
        box=SIMPLE_HEAD,
        title="the matrix: error = largest |difference| as a share of the leaf's largest entry, of the worst leaf",
        caption=CAPTION if full else "",
    )
    timed = any(row.cost for row in rows)
    for column in ("method", "kind"):
        table.add_column(column, no_wrap=True)
    for column in ("window", "stream", "cosine", "bias", *(("time", "memory") if timed else ())):
        table.add_column(column, justify="right", no_wrap=column != "bias")
    table.add_column("")
    table.add_column("because")
    for row in rows:
        cells = matrix_cells(row)[: None if timed else 4]
        table.add_row(row.method, row.kind, *cells, verdict(row.verdict), escape(row.reason))
    return table


def matrix_cells(row: Row) -> list[str]:
    """Errors, cosine, bias, time and memory of a method; empty for one that does not apply."""
    if row.window is None or row.stream is None or row.target is None:
        return [""] * 6
    window, stream = (f"{part.error:.1e}" for part in (row.window, row.stream))
    marks = ("*", " ") if row.of == "window" else (" ", "*")
    cost = ["", ""] if row.cost is None else [in_time(row.cost.seconds), memory_of(row.cost)]
    return [window + marks[0], stream + marks[1], f"{row.target.cosine:.4f}", row.bias, *cost]


def theory_table(checks: list[Check]) -> Table:
    """A row for each identity."""
    table = Table(
        "no.",
        "method",
        "identity",
        "on",
        box=SIMPLE_HEAD,
        title="the theory: = must hold within the limit, ≠ must exceed it",
    )
    for column in ("error", "limit"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for check in checks:
        value = "" if check.value is None else f"{check.value:.1e}"
        limit = f"{'> ' if check.differs else ''}{check.limit:.0e}"
        claim = f"{check.claim}: {check.reason}" if check.reason else check.claim
        cells = str(check.number), check.method, escape(claim), check.on, value, limit
        table.add_row(*cells, verdict(check.verdict))
    return table


def full_table(rows: list[FullRow], config: Config) -> Table:
    """A row for each method at the config's own size."""
    size_of = f"{config.training.batch_size} x {config.training.sequence_length} characters, {config.run.precision}"
    table = Table(
        "method", box=SIMPLE_HEAD, title=f"the config at its own size: one window of {size_of}, against float64"
    )
    for column in ("error", "compile", "time", "memory"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    table.add_column("because")
    for row in rows:
        error = "" if row.error is None else f"{row.error:.1e}"
        cost = row.cost and [in_time(row.cost.compile), in_time(row.cost.seconds), memory_of(row.cost)]
        table.add_row(row.method, error, *(cost or [""] * 3), verdict(row.verdict), row.reason)
    return table


def memory_of(cost: MeasuredCost) -> str:
    return in_bytes(math.nan if cost.memory is None else cost.memory)


def verdict(text: str) -> str:
    return f"[{STYLE[text]}]{text}[/]"
