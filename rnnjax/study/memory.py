"""How many arms fit into memory side by side."""

import math
from pathlib import Path
from typing import Any

import jax

SHARE = 0.5
"""Of the memory that is free: evaluation, checkpoints and the results need some too."""


def bytes_of(compiled: Any) -> int:
    """What a compiled program needs on all of its devices: arguments, results and what it computes with."""
    found = compiled.memory_analysis()
    one = found.argument_size_in_bytes + found.output_size_in_bytes + found.temp_size_in_bytes
    return (one - found.alias_size_in_bytes) * len(compiled.input_shardings[0][2].device_set)


def free_bytes(devices: int) -> float:
    """The memory that is free for a study; infinite where the system does not say."""
    stats = jax.devices()[0].memory_stats() or {}
    if jax.default_backend() != "cpu" and "bytes_limit" in stats:
        return SHARE * devices * (stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    table = Path("/proc/meminfo")
    if not table.is_file():
        return math.inf
    line = next(line for line in table.read_text().splitlines() if line.startswith("MemAvailable"))
    return SHARE * int(line.split()[1]) * 1024


def arms_at_once(arms: int, needed: float, free: float, devices: int) -> int:
    """The number of arms of each batch, so that batches are alike, and a multiple of the devices.

    Args:
      needed: bytes of all arms side by side.
    """
    fit = arms if needed <= free else max(devices, math.floor(arms * free / needed))
    batches = math.ceil(arms / fit)
    return devices * math.ceil(arms / batches / devices)
