"""The results of `benchmarks.training`: a table on the terminal, JSON, Markdown and a picture."""

from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from benchmarks import chart, saving
from benchmarks.problem import SIZES, flops
from benchmarks.programs import Program
from benchmarks.spread import spread
from rnnjax.quantities import in_time
from rnnjax.screen import make_table

REFERENCE = ("rnnjax", "manual")
"""Program in the denominator of the ratios."""

COLUMNS = (
    "step",
    "lowest",
    "quartiles",
    "× manual",
    "× floor",
    "first step",
    "memory (MB)",
    "of it loading",
    "first loss",
)


class Case(NamedTuple):
    """One cell at one size.

    Attributes:
      gemm: floating-point operations a second of a large matrix product on this machine.
      loop: seconds of a turn of a compiled loop that hardly computes.
      others: mean number of cores that other processes kept busy meanwhile, where known.
      programs: all programs of the case.
    """

    cell: str
    size: str
    gemm: float
    loop: float
    others: float | None
    programs: list[Program]

    @property
    def floor(self) -> float:
        """Seconds that the unavoidable products would take at the rate of a large one."""
        return flops(self.cell, SIZES[self.size]) / self.gemm

    @property
    def turns(self) -> float:
        """Seconds of the 2T turns of the loops over time, forward and backward."""
        return 2 * SIZES[self.size].length * self.loop

    @property
    def reference(self) -> float | None:
        """Median seconds of rnnjax's manual gradient."""
        times = [p.times for p in self.programs if (p.peer, p.style) == REFERENCE and p.times]
        return spread(times[0]).median if times else None

    @property
    def title(self) -> str:
        batch, length, hidden = SIZES[self.size]
        return f"{self.cell}, size {self.size}: B = {batch}, T = {length}, H = {hidden}"

    @property
    def company(self) -> str:
        return "" if self.others is None else f" Other processes kept {self.others:.2f} cores busy meanwhile."

    @property
    def notes(self) -> list[str]:
        """Reasons of programs without numbers."""
        return [f"{program.title}: {program.status}" for program in self.programs if not program.times]

    @property
    def calibration(self) -> str:
        work = flops(self.cell, SIZES[self.size]) / 1e9
        return (
            f"Floor: {in_time(self.floor)}, the {work:.3g} GFLOP of the products at the {self.gemm / 1e9:.0f} GFLOP/s "
            f"of a large one; 2T turns of an almost empty loop: {in_time(self.turns)}.{self.company}"
        )


def cells_of(case: Case, program: Program) -> list[str]:
    """A program's row of a table."""
    if not program.times:
        return ["–", *[""] * (len(COLUMNS) - 1)]
    taken = spread(program.times)
    return [
        in_time(taken.median),
        in_time(taken.low),
        f"{in_time(taken.quartile_1)} – {in_time(taken.quartile_3)}",
        f"{taken.median / case.reference:.2f}" if case.reference else "",
        f"{taken.median / case.floor:.1f}",
        in_time(program.build),
        f"{program.peak_mb:,.0f}",
        f"{program.imported_mb:,.0f}",
        f"{program.losses[0]:.5f}",
    ]


def show(case: Case) -> None:
    """Prints a case."""
    table = make_table(case.title, "program", *COLUMNS)
    table.caption, table.caption_justify = "\n".join([case.calibration, *case.notes]), "left"
    for program in case.programs:
        table.add_row(program.title, *cells_of(case, program))
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, 160)  # a table that is cut says nothing
    console.print(table)


def save(path: Path, machine: dict, cases: list[Case]) -> None:
    """Writes path.json, path.md and path.png."""
    content = {"machine": machine, "cases": [as_json(case) for case in cases]}
    saving.save(path, content, markdown(machine, cases))
    chart.draw(path.with_suffix(".png"), machine, cases)


def as_json(case: Case) -> dict:
    return {
        "cell": case.cell,
        "size": {"name": case.size, **SIZES[case.size]._asdict()},
        "gemm_flop_per_s": case.gemm,
        "loop_turn_s": case.loop,
        "cores_busy_with_others": case.others,
        "flop": flops(case.cell, SIZES[case.size]),
        "floor_s": case.floor,
        "programs": [
            {
                "peer": program.peer,
                "style": program.style,
                "status": program.status,
                "step_s": spread(program.times)._asdict() if program.times else None,
                "steps_per_repetition": program.steps,
                "first_step_s": program.build,
                "peak_mb": program.peak_mb,
                "loading_mb": program.imported_mb,
                "losses": program.losses,
            }
            for program in case.programs
        ],
    }


def markdown(machine: dict, cases: list[Case]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    lines = [
        "# Time of a training step",
        "",
        f"`python -m benchmarks.training` on {machine['processor']}, {machine['cores']} cores, Python "
        f"{machine['python']}; on {machine['device']}, {machine['products']} products; {versions}."
        + (f" XLA_FLAGS={machine['xla_flags']}" if machine["xla_flags"] else ""),
        "",
        "Medians and quartiles of repetitions that took turns. First step: from the weights to the end of the first "
        "step, compilation included. Memory: peak of the process on a CPU, of its allocations on a GPU, and of it what "
        "it had when library and data were loaded.",
    ]
    for case in cases:
        lines += ["", f"## {case.title}", "", case.calibration, ""]
        lines += saving.table(["program", *COLUMNS], ([p.title, *cells_of(case, p)] for p in case.programs))
        lines += ["", *(f"- {note}" for note in case.notes)] if case.notes else []
    return "\n".join(lines) + "\n"
