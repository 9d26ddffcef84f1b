"""The average of checkpoints: one network whose weights are the means over the last steps of training.

Polyak and Juditsky (1992). Acceleration of stochastic approximation by averaging. Izmailov et al. (2018). Averaging
weights leads to wider optima and better generalization.
"""

import re

import numpy as np

from rnnjax.errors import UserError
from rnnjax.quantities import number_of
from rnnjax.run.checkpoint import Arrays, Checkpoints, DamagedCheckpoint, FoundCheckpoint


def count_of(which: str, available: int) -> int | None:
    """Number of checkpoints that `average` (all of them) or `average:N` asks for; None for another word."""
    asked = re.fullmatch(r"average(?::([1-9][0-9]{0,8}))?", which)
    return asked and int(asked[1] or available)


def average(checkpoints: Checkpoints, count: int) -> FoundCheckpoint:
    """Averages the weights of those of the newest `count` checkpoints that are whole; all else is the newest one's.

    Raises:
      UserError: if the run has fewer checkpoints.
    """
    steps, damaged, whole = checkpoints.steps()[:count], {}, []
    if len(steps) < count:
        there = number_of(len(steps), "checkpoint")
        raise UserError(f"checkpoint average:{count}: the run has {there}; run.keep_checkpoints keeps more")
    for step in steps:
        try:
            whole.append(checkpoints.restore(step))
        except DamagedCheckpoint as damage:
            damaged[step] = damage
    if not whole:
        return FoundCheckpoint(None, damaged)
    arrays = whole[0].arrays | mean_of([checkpoint.weights for checkpoint in whole])
    return FoundCheckpoint(whole[0]._replace(arrays=arrays, validation_loss=None), damaged)


def mean_of(weights: list[Arrays]) -> Arrays:
    """Mean of each array, computed in float64."""
    mean = lambda name: np.mean([each[name] for each in weights], axis=0, dtype=np.float64)
    return {name: mean(name).astype(array.dtype) for name, array in weights[0].items()}
