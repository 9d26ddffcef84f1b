"""Time of a training step by the settings that change speed alone: python -m benchmarks.settings.

Steps in one turn of the compiled loop (`model.scan_unroll`) by threads of the CPU (`run.threads`), for each cell and
size of `benchmarks.training`. The defaults, `build.SCAN_UNROLL` and `run.threads.SMALL`, follow from it. Each pair has
a process of its own; they take turns. Time to the first step, compilation included, stands beside the median.
"""

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks import saving
from benchmarks.machine import describe
from benchmarks.problem import GATES, SIZES
from benchmarks.programs import Program
from benchmarks.spread import spread
from benchmarks.training import BLOCK_SECONDS, settings_of
from rnnjax.quantities import in_time
from rnnjax.screen import make_table


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("benchmarks.settings", description=__doc__)
    parser.add_argument("--cells", nargs="+", default=list(GATES), choices=GATES)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--unroll", nargs="+", type=int, default=[1, 4, 16], help="steps in one turn of the loop")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], help="threads of a CPU")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--platform", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="directory of the results")
    parser.add_argument("--name", default="settings", help="name of the results' file")
    options = parser.parse_args(argv)
    pairs = [(unroll, threads) for unroll in options.unroll for threads in options.threads]
    rows = []
    for cell in options.cells:
        for size in options.sizes:
            rows += measure(cell, size, pairs, options.repetitions, settings_of(options.platform, "float32"))
            saving.save(options.out / options.name, {"machine": describe(), "rows": rows})
    columns = ("cell", "size", "scan_unroll", "threads", "median", "lowest", "first step")
    table = make_table("A training step", *columns, words=2)
    for row in rows:
        median, lowest, first = (in_time(row[name]) for name in ("median", "lowest", "first_step"))
        table.add_row(row["cell"], row["size"], str(row["scan_unroll"]), str(row["threads"]), median, lowest, first)
    Console(highlight=False).print(table)
    return 0


def measure(
    cell: str, size: str, pairs: list[tuple[int, int]], repetitions: int, settings: dict[str, str]
) -> list[dict]:
    """One cell and size under every pair of settings."""
    programs = [Program("rnnjax", f"manual scan_unroll={unroll} threads={threads}") for unroll, threads in pairs]
    try:
        for program in programs:
            program.start(cell, size, BLOCK_SECONDS, settings)
        for _ in range(repetitions):
            for program in programs:
                program.measure()
    finally:
        for program in programs:
            program.close()
    return [
        {
            "cell": cell,
            "size": size,
            "scan_unroll": unroll,
            "threads": threads,
            "median": spread(program.times).median,
            "lowest": min(program.times),
            "first_step": program.build,
        }
        for (unroll, threads), program in zip(pairs, programs, strict=True)
    ]


if __name__ == "__main__":
    main()
