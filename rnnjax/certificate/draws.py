"""The distribution of a method's draws, on which its unbiasedness rests, judged by many of them.

Each statistic has a bound. With a probability of 1 - 1e-9 all statistics of a right method keep theirs. The key is
fixed, so that the answer is always the same.
"""

import math
from typing import Any

import jax
import numpy as np

from rnnjax.certificate.check import Check
from rnnjax.certificate.exact import quick
from rnnjax.certificate.instances import Instance
from rnnjax.certificate.trial import claim_of, make
from rnnjax.config import GradientConfig

COUNT = 2**15

MOST_NUMBERS, MOST_COLUMNS = 2**23, 200
"""Most numbers that are drawn, and most of a draw that are held against each other."""

DOUBT = 1e-9
KEY = 0xD4A3
WITHIN_ONE = math.erf(math.sqrt(0.5))
"""Share of Gaussian numbers in [-1, 1]."""


def check(name: str, instance: Instance, config: GradientConfig) -> Check:
    """Checks the worst deviation of a statistic, as a share of its bound."""
    method, noise = make(name, config, directions=2), claim_of(name, config).noise
    where = instance.recurrence, instance.params, instance.carry, instance.shape[0]
    one = jax.eval_shape(lambda key: method.draw(key, *where), jax.random.key(KEY))
    count = min(COUNT, MOST_NUMBERS // sum(leaf.size for leaf in jax.tree.leaves(one)))
    draw = jax.vmap(lambda key: method.draw(key, *where))
    drawn = jax.device_get(quick(lambda key: draw(jax.random.split(key, count)))(jax.random.key(KEY)))
    if noise == "cuts":
        claim, worst = "how often, and how often together, it cuts", of_cuts(drawn, config.cut_probability)
    else:
        numbers = np.concatenate([leaf.reshape(count, -1) for leaf in jax.tree.leaves(drawn)], axis=1)
        numbers = numbers[:, np.linspace(0, numbers.shape[1] - 1, min(numbers.shape[1], MOST_COLUMNS)).astype(int)]
        signs = noise == "signs" or config.distribution == "rademacher"
        claim, worst = "mean 0, variance 1, no two alike", of_numbers(numbers, signs)
    return Check(7, name, f"{count:,} draws: {claim}, as a share of what chance allows", instance.name, worst, 1.0)


def of_numbers(x: np.ndarray, signs: bool) -> float:
    """Worst deviation from independent numbers [N, d] of mean 0 and variance 1: signs, or Gaussian.

    A mean of N such numbers, or of products of two of them, is above 2 √(z/N) + 2 z/N with a probability below
    2 exp(-z) (Laurent & Massart, 2000, lemma 1, as x y = ((x + y)² - (x - y)²) / 4; for signs Hoeffding says less).
    """
    N, d = x.shape
    z = math.log(4 * (d + d * (d + 1) / 2) / DOUBT)
    bound = 2 * math.sqrt(z / N) + 2 * z / N
    off = [np.abs(x.mean(axis=0)).max(), np.abs(x.T @ x / N - np.eye(d)).max()]
    if signs:
        off.append(0.0 if np.all(np.abs(x) == 1) else np.inf)
    else:
        off.append(abs(np.mean(np.abs(x) <= 1) - WITHIN_ONE))
    return float(max(off)) / bound


def of_cuts(drawn: Any, probability: float) -> float:
    """Worst deviation from independent cuts [N, T, B] of one, stated probability, with none before the first step.

    The bound is Bernstein's.
    """
    cut = drawn.cut.astype(float)
    claimed = np.full(drawn.probability.shape[1:], probability)
    claimed[0] = 0
    if cut[:, 0].any() or not np.allclose(drawn.probability, claimed, 1e-6, 0):
        return math.inf
    N = len(cut)
    x, p = cut[:, 1:].reshape(N, -1), probability
    together, odds = x.T @ x / N, np.full((x.shape[1],) * 2, p * p)
    np.fill_diagonal(odds, p)  # the diagonal: how often each of them cuts
    z = math.log(2 * together.size / DOUBT)
    bound = np.sqrt(2 * odds * (1 - odds) * z / N) + z / (3 * N)
    return float(np.max(np.abs(together - odds) / bound))
