"""Time of a training step with and without numba's kernel: python -m benchmarks.kernels.

Over sizes around those of `benchmarks.training`, in turns in one process; `build.kernel_of` decides by it.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from benchmarks import saving
from benchmarks.chains import in_turns, make_program
from benchmarks.machine import describe
from benchmarks.peers.rnnjax_ import make_config
from benchmarks.problem import Size
from rnnjax.quantities import in_time
from rnnjax.run.device import set_up
from rnnjax.screen import make_table

SIZES = (
    *("1x32x64", "1x32x256", "1x32x512", "4x32x128", "4x32x256", "8x32x64", "8x32x128", "8x64x256", "16x64x256"),
    *("32x64x64", "32x64x128", "32x64x256", "32x32x512", "64x64x256", "64x64x512", "32x16x1024"),
    *("4x32x100", "8x64x100", "16x50x100", "32x64x100", "8x64x200", "32x64x200", "32x64x300", "64x64x500", "32x32x650"),
)
"""The last ones have units that fill no whole panel."""

CELLS = ("rnn", "lstm")


class Row(NamedTuple):
    """Median seconds of a training step."""

    cell: str
    size: str
    xla: float
    kernel: float


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("benchmarks.kernels", description=__doc__)
    parser.add_argument("--cells", nargs="+", default=CELLS, choices=CELLS)
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="B x T x H, such as 32x64x256")
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="directory of the results")
    options = parser.parse_args(argv)
    set_up("cpu", "float32", 1, compilation_cache=False)
    rows = [measure(cell, size, options.repetitions) for cell in options.cells for size in options.sizes]
    saving.save(options.out / "kernels", {"machine": describe(), "rows": [row._asdict() for row in rows]})
    table = make_table("A training step", "cell", "B x T x H", "XLA's loop", "kernel", "ratio", words=2)
    for row in rows:
        table.add_row(row.cell, row.size, in_time(row.xla), in_time(row.kernel), f"{row.kernel / row.xla:.2f}")
    Console(highlight=False).print(table)
    return 0


def measure(cell: str, text: str, repetitions: int) -> Row:
    """One cell and size, by XLA's loop and by the kernel."""
    size, programs = Size(*map(int, text.split("x"))), []
    for kernel in ("none", "numba"):
        config = make_config(cell, size, "manual")
        config = replace(config, gradient=replace(config.gradient, kernel=kernel))
        programs.append(make_program(config, size))
    return Row(cell, text, *in_turns(programs, repetitions))


if __name__ == "__main__":
    main()
