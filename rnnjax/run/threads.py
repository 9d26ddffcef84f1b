"""Threads of a CPU for one program."""

import os

from rnnjax.config import Config

SMALL = 15_000
"""Largest B·H² of a network that one thread computes faster than several: its products take less time than their way to
another thread. `python -m benchmarks.settings` measures it."""


def threads_for(config: Config) -> int:
    """Threads with which a run's training step is fastest; 0: all that the machine has."""
    small = config.training.batch_size * config.model.hidden_size**2 <= SMALL
    return config.run.threads or (1 if small and config.run.devices == 1 else 0)


def use_threads(threads: int) -> None:
    """Sets the threads of a CPU, before JAX begins; 0 leaves them as they are.

    PJRT reads it from the environment: JAX has no option for it.
    """
    if threads:
        os.environ["PJRT_NPROC"] = str(threads)
