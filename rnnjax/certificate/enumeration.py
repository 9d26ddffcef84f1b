"""Unbiasedness by enumeration: the average over all values of a method's noise is the exact gradient.

It is not sampled: on a tiny network all sign vectors, or all patterns of truncation with their probabilities, can be
gone through. For directions the rows of a Hadamard matrix are enough, as their outer products average to the identity.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.certificate import draws, exact
from rnnjax.certificate.check import Check, compare
from rnnjax.certificate.instances import Instance, stand_ins, tiny
from rnnjax.certificate.trial import claim_of, make, truth_of_stream, walker
from rnnjax.config import GradientConfig
from rnnjax.gradients.artbp import Cuts
from rnnjax.gradients.directions import Directions
from rnnjax.model.network import Model

MOST_BITS = 12
WIDE_SIGMA = 0.1
"""Reach of directions where the bias does not matter; rounding is least there."""

SIGMA = 2e-3
"""Reach of directions that shows a bias that vanishes with σ: far above rounding."""

FINE_SIGMA = 5e-5
"""Reach of directions at which that bias vanishes: the next term, ~σ⁴, is below 1e-8."""


def checks(name: str, model: Model, config: GradientConfig) -> Iterator[Check]:
    """Checks a method's draws, and its average over them."""
    claim, kinds = claim_of(name, config), stand_ins(make(name, config), model)
    if claim.noise == "none" or not kinds:
        return
    yield draws.check(name, kinds[0], config)
    for kind in kinds:
        if claim.noise == "signs":
            yield from over_signs(name, kind, config)
        elif claim.noise == "cuts":
            yield from over_cuts(name, kind, config)
        elif claim.vanishes_with:
            yield from to_the_limit(name, kind, config, claim.vanishes_with)
        else:
            yield from over_directions(name, kind, config)


def all_signs(count: int) -> np.ndarray:
    """Every vector of signs [2^n, n]."""
    return 1.0 - 2.0 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)


def over_signs(name: str, options: dict[str, Any], config: GradientConfig) -> Iterator[Check]:
    """Checks the average over all signs, which the streams share: each one's average is right on its own.

    The signs of the last step act on no gradient any more, and stay 1.
    """
    method = make(name, config)
    of = tiny("", 1, 1, **options)
    per_step = jax.eval_shape(lambda: method.draw(jax.random.key(0), of.recurrence, of.params, of.carry, 1)).shape[-1]
    steps, windows = (2, 2) if 3 * per_step <= MOST_BITS else (1, 3)
    random = (steps * windows - 1) * per_step
    instance = tiny(f"tiny {options['cell']}", steps, windows, **options)
    signs = np.concatenate([all_signs(random), np.ones((2**random, per_step))], axis=1)
    noise = np.repeat(signs.reshape(-1, windows, steps, 1, per_step), 2, axis=3)
    found = everything(method, instance, jnp.asarray(noise))
    odds = np.full(len(signs), 1 / len(signs))
    claim = f"average over all {len(signs):,} sign vectors, {windows} windows = RTRL"
    yield from judged(name, claim, instance, found, odds)


def over_cuts(name: str, options: dict[str, Any], config: GradientConfig) -> Iterator[Check]:
    steps = 4
    instance = tiny(f"tiny {options['cell']}", steps, 1, **options)
    patterns = np.concatenate([np.zeros((2 ** (steps - 1), 1), bool), all_signs(steps - 1) < 0], axis=1)
    probability = np.array([0.0, 0.3, 0.5, 0.8])
    odds = np.where(patterns, probability, 1 - probability).prod(axis=1)
    cut = np.repeat(patterns[:, None, :, None], 2, axis=3)
    shares = np.broadcast_to(probability[:, None], cut.shape)
    found = everything(make(name, config), instance, Cuts(jnp.asarray(cut), jnp.asarray(shares)))
    claim = f"average over all {len(odds)} truncation patterns, by probability = BPTT"
    yield from judged(name, claim, instance, found, odds)


def everything(method: Any, instance: Instance, noise: Any) -> Any:
    """Gradients of a method for every noise of a stack [K, N, ...]."""
    walk = walker(method, instance)
    return exact.quick(jax.vmap(partial(walk, instance.params)))(noise)


def judged(name: str, claim: str, instance: Instance, found: Any, odds: np.ndarray) -> Iterator[Check]:
    """Checks that the average is the exact gradient, and that single draws are not."""
    truth = truth_of_stream(instance)
    average = jax.tree.map(lambda leaf: np.tensordot(odds, np.asarray(leaf), axes=1), found)
    yield compare(7, name, claim, instance.name, average, truth)
    first = jax.tree.map(lambda leaf: np.asarray(leaf)[0], found)
    yield compare(7, name, "a single one of them is not", instance.name, first, truth, differs=True)


def hadamard(tree: Any) -> Any:
    """Tree of directions whose outer products average to the identity: the first columns of a Hadamard matrix."""
    leaves, structure = jax.tree.flatten(tree)
    ends = np.cumsum([leaf.size for leaf in leaves])
    H = np.ones((1, 1))
    while len(H) < ends[-1]:
        H = np.block([[H, H], [H, -H]])
    columns = np.split(H[:, : ends[-1]], ends[:-1], axis=1)
    parts = [part.reshape(-1, *leaf.shape) for part, leaf in zip(columns, leaves, strict=True)]
    return jax.tree.unflatten(structure, parts)


def over_rows(name: str, config: GradientConfig, instance: Instance, **options: Any) -> Any:
    directions = Directions(hadamard(instance.params), hadamard(instance.carry))
    noise = jax.tree.map(lambda leaf: leaf[None], directions)  # of the one window
    return exact.quick(walker(make(name, config, **options), instance))(instance.params, noise)


def over_directions(name: str, options: dict[str, Any], config: GradientConfig) -> Iterator[Check]:
    instance = tiny(f"tiny {options['cell']}", 4, 1, **options)
    found = over_rows(name, config, instance)
    rows = len(jax.tree.leaves(hadamard(instance.params))[0])
    claim = f"average over the {rows} rows of a Hadamard matrix = BPTT"
    yield compare(7, name, claim, instance.name, found, truth_of_stream(instance))


def to_the_limit(name: str, options: dict[str, Any], config: GradientConfig, small: str) -> Iterator[Check]:
    """Checks the limit of antithetic pairs by two σ: their bias is σ² times a constant, and then σ⁴.

    The limit, the gradient, is taken where the loss is smooth on the scale of σ. Layer normalisation of two units is
    not smooth: where they are alike it changes sign within any σ for which rounding leaves digits. There the method is
    held to its definition at one σ, which has no limit in it.
    """
    instance = tiny(f"tiny {options['cell']}", 4, 1, **options)
    rows = Directions(hadamard(instance.params), hadamard(instance.carry))
    pairs = exact.antithetic(*instance[1:5], instance.stream, rows, WIDE_SIGMA)
    found = over_rows(name, config, instance, **{small: WIDE_SIGMA})
    claim = (
        f"average over the rows of a Hadamard matrix at {small} {WIDE_SIGMA} = that of (L(p + σv) - L(p - σv)) / 2σ · v"
    )
    yield compare(7, name, claim, instance.name, found, jax.device_get(pairs))

    smooth = tiny(f"tiny {options['cell']}", 4, 1, **options | {"layer_norm": False})
    at = lambda sigma: jax.device_get(over_rows(name, config, smooth, **{small: sigma}))
    limit = jax.tree.map(lambda a, b: (4 * b - a) / 3, at(FINE_SIGMA), at(FINE_SIGMA / 2))
    truth = truth_of_stream(smooth)
    claim = "the same, σ → 0 by Richardson = BPTT"
    yield compare(7, name, claim, smooth.name, limit, truth, 1e-8)
    claim = f"the same at σ = {SIGMA} is biased: ≠ BPTT"
    yield compare(7, name, claim, smooth.name, at(SIGMA), truth, differs=True)
