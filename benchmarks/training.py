"""Time of one training step of a character network, here and elsewhere: python -m benchmarks.training.

Forward, backward, clipping by global norm, Adam, and every step's loss read out; the state goes from window to window.
All programs start from the same weights and must agree on the losses of the first steps. Each has a process of its own;
they take turns, so that a busy moment of the machine falls on all. It does not fall on all alike: threads that wait
for one another at every product, as PyTorch's do, were up to 30 times slower beside one other busy process, and the
JAX programs up to 2 times. So run it on an idle machine, and not under nice; the lowest time is reported too.

On a GPU, with PyTorch's cuDNN and CUDA graphs beside it; the programs of a size are built side by side there:

    python -m benchmarks.training --platform cuda --name training_gpu --repetitions 5
    python -m benchmarks.training --platform cuda --name training_gpu_tf32 --repetitions 5 --products tensorfloat32
"""

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks import report
from benchmarks.machine import busy_seconds, describe
from benchmarks.peers import DIVIDED, GRAPH, KERNEL, PEERS
from benchmarks.problem import GATES, SIZES, Size
from benchmarks.programs import Program, Worker, WorkerFailed
from rnnjax.build import FEWEST_STREAMS
from rnnjax.gradients import fused
from rnnjax.run.device import PRODUCTS

BLOCK_SECONDS, GPU_BLOCK_SECONDS = 0.5, 0.2
"""Seconds that one repetition of one program takes, about; less on a GPU, which nobody else uses meanwhile."""

PRECISIONS = PRODUCTS | {"tensorfloat32": "tensorfloat32"}
"""JAX's names of the products; TF32 keeps ten bits of a factor on a GPU, and is float32 elsewhere."""

FIRST_LOSS_TOLERANCE = {"float32": 1e-5, "tensorfloat32": 1e-3, "bfloat16": 2e-2}
LATER_LOSS_TOLERANCE = {"float32": 2e-3, "tensorfloat32": 1e-2, "bfloat16": 5e-2}
"""By products; the later ones relative. Sums in another order; a GRU's second bias, which is one weight more in some
libraries; Keras's Adam, which adds its epsilon before the bias of the moments is taken out; and bfloat16 keeps eight
bits of a factor."""

FAILED = "failed"

DISAGREE = 1
"""Exit code where losses disagree or a program failed."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        "benchmarks.training", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=SIZES)
    parser.add_argument("--cells", nargs="+", default=list(GATES), choices=GATES)
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--platform", default="cpu", choices=("cpu", "cuda"), help="platform of all programs")
    parser.add_argument("--products", default="float32", choices=PRECISIONS, help="factors of matrix products")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="directory of the results")
    parser.add_argument("--name", default="training", help="name of the results' files")
    options = parser.parse_args(argv)
    settings = settings_of(options.platform, options.products)
    machine = describe() | {"platform": options.platform, "products": options.products, "device": device_of(settings)}
    cases = []
    for cell in options.cells:
        for size in options.sizes:
            print(f"{cell}, size {size} ...", file=sys.stderr, flush=True)
            case = measure(cell, size, options.peers, options.repetitions, settings)
            cases.append(case)
            report.show(case)
            report.save(options.out / options.name, machine, cases)  # each time: the next may take an hour
    complaints = [complaint for case in cases for complaint in disagreements(case, options.products)]
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return DISAGREE if complaints else 0


def settings_of(platform: str, products: str) -> dict[str, str]:
    """Environment of the workers: platform and precision.

    They share a GPU: none may take most of its memory at the start, as JAX and TensorFlow do.
    """
    settings = {"JAX_PLATFORMS": platform, "JAX_DEFAULT_MATMUL_PRECISION": PRECISIONS[products], "PRODUCTS": products}
    if platform != "cpu":
        settings |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    return settings


def device_of(settings: dict[str, str]) -> str:
    """The kind of device that JAX computes on; ends the program in one line where there is none."""
    worker = Worker("calibration", "-", "S", "-", settings=settings)
    try:
        return worker.ask("device")["kind"]
    except WorkerFailed:
        sys.exit(f"--platform {settings['JAX_PLATFORMS']}: JAX finds none here; pip install 'jax[cuda13]' adds support")
    finally:
        worker.close()


def measure(cell: str, size: str, peers: list[str], repetitions: int, settings: dict[str, str]) -> report.Case:
    """All programs of one cell and size, built, then timed in turns with the calibration."""
    there = partial(has_style, cell=cell, size=SIZES[size], platform=settings["JAX_PLATFORMS"])
    programs = [Program(peer, style) for peer in peers for style in filter(there, PEERS[peer].styles)]
    calibration = Worker("calibration", cell, size, "-", settings=settings)
    floors = []
    try:
        # On a CPU one after another: how many steps fill a block is found on the idle machine.
        with ThreadPoolExecutor(1 if settings["JAX_PLATFORMS"] == "cpu" else len(programs)) as at_once:
            list(at_once.map(lambda program: prepare(program, cell, size, settings), programs))
        running = [program for program in programs if program.worker is not None]
        load = ForeignLoad([calibration, *(program.worker for program in running)])
        for _ in range(repetitions):
            floors.append(calibration.ask("calibrate"))
            for program in running:
                measure_once(program)
        others = load.share()
    finally:
        calibration.close()
        for program in programs:
            program.close()
    gemm, loop = max(floor["gemm"] for floor in floors), min(floor["loop"] for floor in floors)
    return report.Case(cell, size, gemm, loop, others, programs)


def has_style(style: str, cell: str, size: Size, platform: str) -> bool:
    """True of a style that there is for a cell and size on a platform."""
    if style == DIVIDED:
        return size.batch > 1 and platform == "cpu"
    if style == GRAPH:
        return platform != "cpu"
    is_layer = cell in ("rnn", "lstm") and size.batch >= FEWEST_STREAMS
    return style != KERNEL or (is_layer and platform == "cpu" and fused.installed())


def measure_once(program: Program) -> None:
    """One repetition, if the program has not failed before; its numbers are then left out."""
    if program.worker is not None:
        try:
            program.measure()
        except WorkerFailed as error:
            fail(program, error)


def fail(program: Program, error: WorkerFailed) -> None:
    """Notes why a program has no numbers: the others need not suffer for it; the exit code tells."""
    program.status = f"{FAILED}: {error.last_line}"
    program.times.clear()
    program.close()


class ForeignLoad:
    """Load of other processes on the machine meanwhile."""

    def __init__(self, workers: list[Worker]):
        self.workers = workers
        self.began, self.busy, self.own = time.perf_counter(), busy_seconds(), self._own()

    def share(self) -> float | None:
        """Mean number of cores that other processes kept busy since the beginning."""
        if self.busy is None:
            return None
        return max(0.0, busy_seconds() - self.busy - self._own() + self.own) / (time.perf_counter() - self.began)

    def _own(self) -> float:
        return sum(worker.cpu for worker in self.workers)


def prepare(program: Program, cell: str, size: str, settings: dict[str, str]) -> None:
    """Starts a program, or notes why it cannot be."""
    peer = PEERS[program.peer]
    if cell not in peer.cells:
        program.status = "no such cell"
    elif settings["PRODUCTS"] not in peer.products:
        program.status = f"no {settings['PRODUCTS']} products"
    elif not all(map(find_spec, peer.imports)):
        program.status = "not installed (pip install 'rnnjax[bench]')"
    else:
        try:
            is_cpu = settings["JAX_PLATFORMS"] == "cpu"
            program.start(cell, size, BLOCK_SECONDS if is_cpu else GPU_BLOCK_SECONDS, settings)
        except WorkerFailed as error:
            fail(program, error)


def disagreements(case: report.Case, products: str) -> list[str]:
    """A line for each program that failed, or whose losses are not those of the first one."""
    ran = [program for program in case.programs if program.losses]
    lines = [f"{case.cell} {case.size}, {p.title} {p.status}" for p in case.programs if p.status.startswith(FAILED)]
    for program in ran[1:]:
        pairs = list(zip(program.losses, ran[0].losses, strict=True))
        first_agrees = abs(pairs[0][0] - pairs[0][1]) <= FIRST_LOSS_TOLERANCE[products]
        if not (first_agrees and all(abs(a - b) <= LATER_LOSS_TOLERANCE[products] * b for a, b in pairs)):
            lines.append(
                f"{case.cell} {case.size}: {program.title} has {program.losses}, {ran[0].title} {ran[0].losses}"
            )
    return lines


if __name__ == "__main__":
    sys.exit(main())
