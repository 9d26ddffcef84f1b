"""Published results reproduced: python -m rnnjax.museum lists them, python -m rnnjax.museum NAME runs one.

A run trains every arm of the exhibit on many seeds, as one program, in the paper's settings, and writes NAME.json with
the numbers of each seed, and the page NAME.md with its picture. A run that was stopped goes on with the same command.
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from rnnjax.cli import add_platform, check_numbers, check_platform, make_parser, run
from rnnjax.errors import UserError

MACHINE = ("python", "machine", "packages", "platform", "device", "devices", "xla_flags", "git_commit")
"""Fields of `run.device.environment` that a record keeps: it is published, and no path of a user's machine is."""


def main(argv: list[str] | None = None) -> int:
    parser = make_parser("museum", __doc__)
    parser.add_argument("name", nargs="?", help="the exhibit; without it all are listed")
    parser.add_argument("--quick", action="store_true", help="at most two minutes, with fewer seeds or shorter")
    parser.add_argument("--seeds", type=int, help="how many seeds; by default the exhibit's own")
    parser.add_argument("--seed", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--out", type=Path, default=Path("runs/museum"), help="directory of the results")
    parser.add_argument(
        "--workers",
        type=int,
        help="processes side by side; by default one for each core of a CPU, one of an accelerator",
    )
    parser.add_argument("--publish", action="store_true", help="put a full run's result into the package and its docs")
    add_platform(parser)
    options = parser.parse_args(argv)
    check_numbers(options, seeds=1, seed=0, workers=1)
    check_platform(options)
    if options.publish and options.quick:
        raise UserError("--publish is for full runs; leave --quick out")
    return visit(options) if options.name else show()


def show() -> int:
    """Prints a few lines for each exhibit."""
    from rnnjax.museum.board import board

    for name, paper, claim, published, mean, interval, judged, seeds, minutes in board().rows:
        print(f"{name}: {judged}\n  {paper}. {claim}")
        if seeds:
            print(f"  published {published or 'in words'}, ours {mean} {interval}: {seeds} seeds, {minutes} minutes")
    return 0


def visit(options: Namespace) -> int:
    """Runs one exhibit, prints the verdict on each claim, and writes its page."""
    from functools import partial

    import jax

    from rnnjax.cores import cores
    from rnnjax.museum.exhibit import load
    from rnnjax.museum.judge import judge, other_readings, verdict
    from rnnjax.museum.page import ours, quick_run, wanted, write_page
    from rnnjax.museum.publish import publish
    from rnnjax.museum.record import carry_out, results
    from rnnjax.museum.workers import side_by_side
    from rnnjax.quantities import number_of
    from rnnjax.run.device import environment, set_up
    from rnnjax.run.lock import Lock
    from rnnjax.run.results import make_directory

    exhibit = load(options.name)
    set_up(options.platform, "float32", threads=exhibit.threads)
    make_directory(options.out)
    count = options.seeds or exhibit.count(options.quick)
    seeds = list(range(options.seed, options.seed + count))
    path = options.out / f"{options.name}{'-quick' if options.quick else ''}.json"
    lock = Lock(options.out, f"--out: another process makes {path}; wait for it, or take another", f".{path.stem}.lock")
    machine = {name: value for name, value in environment().items() if name in MACHINE} | {"cores": cores()}
    workers = options.workers or (cores() if jax.default_backend() == "cpu" else 1)
    work = partial(side_by_side, options.name, options.platform, workers)
    record = carry_out(options.name, exhibit, path, seeds, options.quick, machine, partial(print, flush=True), work)

    judgements = judge(exhibit, results(record), options.quick)
    for criterion, found, judged in judgements:
        if found is None:
            print(f"not run: {criterion.claim}")
            continue
        mean, interval, _ = ours(found)
        number = f"{mean} {interval} over {number_of(found.n, 'seed')}"
        print(f"{judged}: {criterion.claim}: {number}, wanted {wanted(criterion)}")
    print(f"{options.name}: {verdict(judgements)}")
    for reading, counts in other_readings(judgements).items():
        print(f"{options.name}, read with {reading}: {counts}")
    if options.quick:
        print(quick_run(exhibit, record))
    written = write_page(exhibit, record, path.parent, path.stem)
    print(f"{path.name}, {', '.join(written)} are in {options.out}")
    if options.publish:
        publish(options.name, path)
    lock.release()
    return 0


if __name__ == "__main__":
    run(main)
