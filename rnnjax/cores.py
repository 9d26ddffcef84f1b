"""The cores of a machine's processor."""

import os


def cores() -> int:
    """The number of cores that this process may use, as `taskset` or a container allows; all, where no system says."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
