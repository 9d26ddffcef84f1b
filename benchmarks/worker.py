"""One program in a process of its own, that takes orders from `benchmarks.training` line by line.

    python -m benchmarks.worker torch gru M best

Runtimes and thread pools do not mix so. OMP_WAIT_POLICY is left as it is: PASSIVE made PyTorch's steps 2 to 4 times
slower, and its idle workers sleep after some milliseconds anyway. Orders and answers are JSON, an object a line:

    {"do": "build"}               -> {"losses": [...], "build": seconds, "imported_mb": ..., "peak_mb": ...}
    {"do": "steps", "count": n}   -> {"seconds": ..., "peak_mb": ...}
    {"do": "calibrate"}           -> {"gemm": flop/s, "loop": seconds}
    {"do": "device"}              -> {"kind": ...}

and each answer has "cpu", the processor time that it took.
"""

import importlib
import json
import os
import sys
import time
import warnings
from functools import partial

from benchmarks.machine import peak_memory
from benchmarks.peers import PEERS
from benchmarks.problem import SIZES, make_text
from benchmarks.weights import draw_weights

CHECKED_STEPS = 5
"""Steps whose losses are compared between the peers."""


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # libraries print what they like
    warnings.filterwarnings("ignore")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    name, cell, size, style = sys.argv[1:]
    handlers = calibration(size) if name == "calibration" else program(name, cell, size, style)
    for line in sys.stdin:
        order = json.loads(line)
        before = time.process_time()
        answer = handlers[order.pop("do")](**order)
        answers.write(json.dumps({**answer, "cpu": time.process_time() - before}) + "\n")


def calibration(size: str) -> dict:
    from benchmarks.calibration import device_kind, gemm_rate, loop_latency

    batch, _, hidden = SIZES[size]
    return {
        "calibrate": lambda: {"gemm": gemm_rate(), "loop": loop_latency(batch, hidden)},
        "device": lambda: {"kind": device_kind()},
    }


def device_memory(name: str) -> float:
    """Peak of what a peer's program has allocated on its accelerator, in MB (1e6 bytes)."""
    if name == "torch":
        import torch

        return torch.cuda.max_memory_allocated() / 1e6
    import jax

    return jax.local_devices()[0].memory_stats()["peak_bytes_in_use"] / 1e6


def program(name: str, cell: str, size_name: str, style: str) -> dict:
    """Orders that a peer's process takes."""
    size = SIZES[size_name]
    module = importlib.import_module(f"benchmarks.peers.{PEERS[name].module}")
    weights, text = draw_weights(cell, size), make_text(size)
    memory = peak_memory if os.environ["JAX_PLATFORMS"] == "cpu" else partial(device_memory, name)
    imported = memory()
    run = None

    def build() -> dict:
        nonlocal run
        began = time.perf_counter()
        run = module.make(cell, size, weights, text, style)
        losses = [*run(1)]
        seconds = time.perf_counter() - began
        losses += [*run(CHECKED_STEPS - 1)]
        return {"losses": list(map(float, losses)), "build": seconds, "imported_mb": imported, "peak_mb": memory()}

    def steps(count: int) -> dict:
        began = time.perf_counter()
        run(count)
        return {"seconds": time.perf_counter() - began, "peak_mb": memory()}

    return {"build": build, "steps": steps}


if __name__ == "__main__":
    main()
