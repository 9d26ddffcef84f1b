"""The machine of the measurements, and the memory of a process."""

import os
import platform
import resource
import sys
from importlib import metadata
from pathlib import Path

from rnnjax.cores import cores

DISTRIBUTIONS = ("rnnjax", "jax", "jaxlib", "flax", "optax", "numpy", "dm-haiku", "equinox", "torch", "tensorflow-cpu")
DISTRIBUTIONS += ("tensorflow", "keras", "jax-cuda12-plugin", "jax-cuda13-plugin")


def describe() -> dict:
    """Processor, cores, Python, XLA's flags and the versions of what is installed; neither date nor name of the
    machine."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "versions": {name: found for name in DISTRIBUTIONS if (found := version(name))},
    }


def version(distribution: str) -> str | None:
    """The installed version, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def busy_seconds() -> float | None:
    """Processor time that all processes of the machine together have taken; None where the system does not say."""
    stat = Path("/proc/stat")
    if not stat.is_file():
        return None
    user, nice, system = map(int, stat.read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def peak_memory() -> float:
    """Peak resident memory of this process, in MB (1e6 bytes)."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would count the parent's as well, from before this program was loaded
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"
