"""Threads that a CPU computes a program with."""

import os

from rnnjax.config import Config

SMALL = 15_000
"""Largest B·H² of a network that one thread computes faster than several: the products of a step take less time than to
hand them over. `python -m benchmarks.settings` measures it."""


def threads_for(config: Config) -> int:
    """Number of threads that pay for a run's training step; 0: all that the machine has."""
    small = config.training.batch_size * config.model.hidden_size**2 <= SMALL
    return config.run.threads or (1 if small and config.run.devices == 1 else 0)


def use_threads(threads: int) -> None:
    """Sets the number of threads of a CPU, before JAX begins; 0 leaves it as it is.

    PJRT reads it from the environment: JAX has no option for it.
    """
    if threads:
        os.environ["PJRT_NPROC"] = str(threads)
