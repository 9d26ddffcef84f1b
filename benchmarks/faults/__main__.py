"""Injects faults into a tiny run and a tiny study, and counts the outcomes: python -m benchmarks.faults --kills 200.

Writes benchmarks/results/faults.md. Each kind draws its own random numbers, so a part alone (--only) repeats.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.faults import clusters, damage, fuzz, fuzz_data, interrupts, kills, writes
from benchmarks.faults.count import Count
from benchmarks.machine import describe

NAMES = ("runs", "studies", "signals", "starts", "ends", "disks", "operations", "folders", "checkpoints", "side_files")
NAMES += ("command_lines", "yaml", "data", "tables", "arrays", "places", "hosts", "workers")
"""Kinds of faults."""

OUT = Path(__file__).parents[1] / "results" / "faults.md"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=200, help="kill -9 of runs; of studies a quarter, two hosts a tenth, Ray a 20th"
    )
    parser.add_argument(
        "--signals", type=int, default=110, help="signals; half as many in the first 1.5 s, a tenth at the end"
    )
    parser.add_argument("--sizes", type=int, default=80, help="sizes of the disk that is full")
    parser.add_argument("--operations", type=int, default=200, help="most file operations that fail in turn")
    parser.add_argument("--every", type=int, default=1, help="damage side files in every n-th way alone")
    parser.add_argument(
        "--examples", type=int, default=200, help="made-up command lines, YAML files and data of each kind"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=NAMES, help="kinds of faults; all by default")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(argv)
    counts, began = [], time.monotonic()
    for name, count in kinds(options).items():
        if not options.only or name in options.only:
            print(name, file=sys.stderr, flush=True)
            counts.append(count())
            options.out.write_text(page(counts, options.seed, time.monotonic() - began), encoding="utf-8")
    print(options.out.read_text())
    return int(any(count.wrong for count in counts))


def kinds(options: argparse.Namespace) -> dict[str, Callable[[], Count]]:
    """Kinds of faults by name."""
    draw = partial(fuzz.draw_of, options.seed)
    return {
        "runs": lambda: kills.kill_runs(options.kills, draw("runs")),
        "studies": lambda: kills.kill_studies(options.kills // 4, draw("studies")),
        "signals": lambda: kills.send_signals(options.signals, draw("signals")),
        "starts": lambda: interrupts.interrupt_starts(options.signals // 2, draw("starts")),
        "ends": lambda: interrupts.interrupt_ends(options.signals // 10, draw("ends")),
        "disks": lambda: writes.fill_disks(options.sizes),
        "operations": lambda: writes.fail_operations(options.operations),
        "folders": writes.lock_folders,
        "checkpoints": lambda: damage.damage_checkpoints(draw("checkpoints")),
        "side_files": lambda: damage.damage_side_files(draw("side_files"), options.every),
        "command_lines": lambda: fuzz.fuzz_command_lines(options.examples, options.seed),
        "yaml": lambda: fuzz.fuzz_yaml(options.examples, options.seed),
        "hosts": lambda: clusters.kill_hosts(options.kills // 10, draw("hosts")),
        "workers": lambda: clusters.kill_workers(options.kills // 20, draw("workers")),
        "data": lambda: fuzz_data.fuzz_bytes(options.examples, options.seed),
        "tables": lambda: fuzz_data.fuzz_tables(options.examples, options.seed),
        "arrays": lambda: fuzz_data.fuzz_arrays(options.examples, options.seed),
        "places": lambda: fuzz_data.fuzz_places(options.examples, options.seed),
    }


def page(counts: list[Count], seed: int, seconds: float) -> str:
    """The table in Markdown, and a line for each fault with a wrong outcome."""
    about = describe()
    lines = [
        f"benchmarks.faults, seed {seed}: {seconds:.0f} s, {about['cores']} cores, Python {about['python']}, "
        f"jax {about['versions'].get('jax')}.",
        "",
        "| fault | right outcome | tried | outcomes | wrong |",
        "|---|---|---|---|---|",
        *(count.row() for count in counts),
        "",
        *(f"- {count.kind}: {wrong}" for count in counts for wrong in count.wrong),
    ]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
