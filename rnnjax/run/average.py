"""The average of checkpoints: one network whose weights are the means over the last steps of training.

Polyak and Juditsky (1992). Acceleration of stochastic approximation by averaging. Izmailov et al. (2018). Averaging
weights leads to wider optima and better generalization.
"""

import re

import numpy as np

from rnnjax.errors import UserError
from rnnjax.run.checkpoint import Arrays, Checkpoints, DamagedCheckpoint, FoundCheckpoint


def count_of(which: str, has: int) -> int | None:
    """Number of checkpoints in `average` (all) or `average:N`; None for another word."""
    asked = re.fullmatch(r"average(?::([1-9][0-9]{0,8}))?", which)
    return asked and int(asked[1] or has)


def average(checkpoints: Checkpoints, count: int) -> FoundCheckpoint:
    """The newest whole checkpoint, its weights replaced by the means over the newest `count` that are whole.

    Raises:
      UserError: if there are not so many, or none is whole.
    """
    steps, damaged, total = checkpoints.steps()[:count], {}, []
    if len(steps) < count:
        raise UserError(
            f"checkpoint average:{count}: the run has {len(steps)} checkpoints; run.keep_checkpoints keeps more"
        )
    for step in steps:
        try:
            total.append(checkpoints.restore(step))
        except DamagedCheckpoint as damage:
            damaged[step] = damage
    if not total:
        return FoundCheckpoint(None, damaged)
    means = mean_of([{n: a for n, a in found.arrays.items() if n.startswith("params.")} for found in total])
    newest = total[0]
    return FoundCheckpoint(newest._replace(arrays=newest.arrays | means, validation_loss=None), damaged)


def mean_of(weights: list[Arrays]) -> Arrays:
    """Mean of each array, computed in float64."""
    mean = lambda name: np.mean([each[name] for each in weights], axis=0, dtype=np.float64)
    return {name: mean(name).astype(array.dtype) for name, array in weights[0].items()}
