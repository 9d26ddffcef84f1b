"""Unbiasedness by enumeration: the average over all values of a method's noise is the exact gradient.

It is not sampled: on a tiny network all sign vectors, or all patterns of truncation with their probabilities, can be
gone through. For directions the rows of a Hadamard matrix are enough, as their outer products average to the identity.
"""

import math
from collections.abc import Callable, Iterator
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
from rnnjax.gradients.claim import ROUNDING
from rnnjax.gradients.directions import Directions
from rnnjax.model.leaves import reals
from rnnjax.model.network import Model

Make = Callable[[int, int], Instance]
"""(steps of a window, windows) -> a small instance of a kind."""

MOST_BITS = 12
SHAPES = (2, 2), (1, 3), (2, 1)
"""(steps, windows) over whose signs an average is taken: the first of which there are not too many."""

MOST_ROWS, MOST_NUMBERS = 2**10, 2**23
"""Most numbers of parameters and states, and of all of them over all draws, at which an average is gone through; where
there are more, it is a sample."""

SAMPLE, SAMPLE_AXES, MOST_ERRORS = 2**11, 8, 7
"""Draws of a sample, directions along which its mean is seen, and standard errors that it may be off: by more a right
method is off with a probability below 1e-9, of Gaussian numbers."""

WIDE_SIGMA = 0.1
"""Reach of directions where the bias does not matter; rounding is least there."""

SIGMA = 2e-3
"""Reach of directions that shows a bias that vanishes with σ: far above rounding."""

FINE_SIGMA = 5e-5
"""Reach of directions at which that bias vanishes: the next term, ~σ⁴, is below 1e-8."""


def checks(name: str, model: Model, config: GradientConfig) -> Iterator[Check]:
    """Checks a method's draws, and its average over them, on tiny networks."""
    for options in stand_ins(make(name, config), model) if claim_of(name, config).noise != "none" else ():
        yield from over_noise(name, partial(tiny, f"tiny {options['cell']}", **options), config)
        if claim_of(name, config).vanishes_with:
            plain = options | {"layer_norm": False}
            yield from to_the_limit(name, partial(tiny, f"tiny {options['cell']}", **plain), config)


def over_noise(name: str, make_instance: Make, config: GradientConfig, memory: bool = True) -> Iterator[Check]:
    """Checks a method's draws, and its average over them, on small instances of one kind.

    Args:
      memory: False where the exact gradient of single steps is already that of a window, and so is each draw's.
    """
    claim = claim_of(name, config)
    yield draws.check(name, make_instance(3, 1), config)
    if claim.noise == "signs":
        yield from over_signs(name, make_instance, config, memory)
    elif claim.noise == "cuts":
        yield from over_cuts(name, make_instance, config, memory)
    elif claim.vanishes_with:
        yield by_its_formula(name, make_instance(4, 1), config, claim.vanishes_with)
    else:
        yield over_directions(name, make_instance(4, 1), config)


def all_signs(count: int) -> np.ndarray:
    """Every vector of signs [2^n, n]."""
    return 1.0 - 2.0 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)


def over_signs(name: str, make_instance: Make, config: GradientConfig, memory: bool) -> Iterator[Check]:
    """Checks the average over all signs, which the streams share: each one's average is right on its own.

    The signs of the last step act on no gradient any more, and stay 1. Where there are too many, it is a sample.
    """
    method, of = make(name, config), make_instance(1, 1)
    per_step = jax.eval_shape(lambda: method.draw(jax.random.key(0), of.recurrence, of.params, of.carry, 1)).shape[-1]
    few = lambda bits: bits <= MOST_BITS and 2**bits * count_of(of) <= MOST_NUMBERS
    shapes = [(steps, windows) for steps, windows in SHAPES if few((steps * windows - 1) * per_step)]
    if not shapes:
        yield sampled(name, make_instance(5, 1), config)
        return
    steps, windows = shapes[0]
    random, instance = (steps * windows - 1) * per_step, make_instance(steps, windows)
    signs = np.concatenate([all_signs(random), np.ones((2**random, per_step))], axis=1)
    streams = instance.shape[1:]
    noise = signs.reshape(-1, windows, steps, *[1] * len(streams), per_step)
    found = everything(method, instance, jnp.asarray(np.broadcast_to(noise, (*noise.shape[:3], *streams, per_step))))
    odds = np.full(len(signs), 1 / len(signs))
    claim = f"average over all {len(signs):,} sign vectors, {windows} windows = RTRL"
    yield from judged(name, claim, instance, found, odds, memory)


def count_of(instance: Instance) -> int:
    """Numbers of the parameters and of the initial state, once for every stream."""
    return math.prod(instance.shape[1:]) * sum(leaf.size for leaf in jax.tree.leaves(instance.params))


def over_cuts(name: str, make_instance: Make, config: GradientConfig, memory: bool) -> Iterator[Check]:
    """Checks the average over all patterns of truncation, which the streams share."""
    steps = 4
    instance = make_instance(steps, 1)
    patterns = np.concatenate([np.zeros((2 ** (steps - 1), 1), bool), all_signs(steps - 1) < 0], axis=1)
    probability = np.array([0.0, 0.3, 0.5, 0.8])
    odds = np.where(patterns, probability, 1 - probability).prod(axis=1)
    streams = instance.shape[1:]
    alike = lambda part: np.broadcast_to(part.reshape(*part.shape, *[1] * len(streams)), (*part.shape, *streams))
    cut = alike(patterns[:, None])
    shares = np.broadcast_to(alike(probability), cut.shape)
    found = everything(make(name, config), instance, Cuts(jnp.asarray(cut), jnp.asarray(shares)))
    claim = f"average over all {len(odds)} truncation patterns, by probability = BPTT"
    yield from judged(name, claim, instance, found, odds, memory)


def everything(method: Any, instance: Instance, noise: Any) -> Any:
    """Gradients of a method for every noise of a stack [K, N, ...]."""
    walk = walker(method, instance)
    return exact.quick(jax.vmap(partial(walk, instance.params)))(noise)


def judged(name: str, claim: str, instance: Instance, found: Any, odds: np.ndarray, memory: bool) -> Iterator[Check]:
    """Checks that the average is the exact gradient, and that single draws are not."""
    truth = truth_of_stream(instance)
    average = jax.tree.map(lambda leaf: np.tensordot(odds, np.asarray(leaf), axes=1), found)
    yield compare(7, name, claim, instance.name, average, truth)
    if memory:
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


def rows_of(instance: Instance) -> Directions:
    return Directions(hadamard(reals(instance.params)), hadamard(reals(instance.carry)))


def along(name: str, config: GradientConfig, instance: Instance, directions: Directions, **options: Any) -> Any:
    """Gradient of one window by a method whose noise are these directions."""
    noise = jax.tree.map(lambda leaf: leaf[None], directions)  # of the one window
    return exact.quick(walker(make(name, config, **options), instance))(instance.params, noise)


def over_directions(name: str, instance: Instance, config: GradientConfig) -> Check:
    """Checks the average over directions whose outer products average to the identity; of many it is a sample."""
    if count_of(instance) > MOST_ROWS:
        return sampled(name, instance, config)
    directions = rows_of(instance)
    rows = len(jax.tree.leaves(directions.params)[0])
    claim = f"average over the {rows} rows of a Hadamard matrix = BPTT"
    found = along(name, config, instance, directions)
    return compare(7, name, claim, instance.name, found, truth_of_stream(instance))


def sampled(name: str, instance: Instance, config: GradientConfig) -> Check:
    """Checks the mean of many draws, along random directions and along the gradient, by their standard error."""
    method, truth = make(name, config), truth_of_stream(instance)
    flat, _ = jax.flatten_util.ravel_pytree(truth)
    draw = np.random.default_rng(7)
    axes = np.stack([flat, *draw.normal(size=(SAMPLE_AXES - 1, flat.size))])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    walk, T = walker(method, instance), instance.shape[0]

    def one(key: jax.Array) -> Any:
        noise = method.draw(key, instance.recurrence, instance.params, instance.carry, T)
        found = walk(instance.params, jax.tree.map(lambda leaf: leaf[None], noise))
        return axes @ jax.flatten_util.ravel_pytree(found)[0]

    keys = jax.random.split(jax.random.key(draws.KEY), SAMPLE)
    found = np.asarray(exact.quick(lambda keys: jax.lax.map(one, keys))(keys))
    standard_error = found.std(axis=0) / math.sqrt(SAMPLE) + ROUNDING * np.linalg.norm(flat)
    error = np.abs(found.mean(axis=0) - axes @ flat) / standard_error
    claim = f"mean of {SAMPLE:,} draws = the exact gradient, within {MOST_ERRORS} standard errors"
    return Check(7, name, claim, instance.name, float(error.max()) / MOST_ERRORS, 1.0)


def by_its_formula(name: str, instance: Instance, config: GradientConfig, small: str) -> Check:
    """Checks antithetic pairs at one σ."""
    if count_of(instance) > MOST_ROWS:
        keys = jax.random.split(jax.random.key(0), 2)
        rows = Directions(*map(random_rows, keys, (reals(instance.params), reals(instance.carry))))
        words = "average over random directions"
    else:
        rows, words = rows_of(instance), "average over the rows of a Hadamard matrix"
    pairs = exact.antithetic(*instance.setting, instance.carry, instance.stream, rows, WIDE_SIGMA)
    found = along(name, config, instance, rows, **{small: WIDE_SIGMA})
    claim = f"{words} at {small} {WIDE_SIGMA} = that of (L(p + σv) - L(p - σv)) / 2σ · v"
    return compare(7, name, claim, instance.name, found, jax.device_get(pairs))


def random_rows(key: jax.Array, tree: Any) -> Any:
    """Four random directions."""
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    drawn = [jax.random.normal(key, (4, *leaf.shape)) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)


def to_the_limit(name: str, make_instance: Make, config: GradientConfig) -> Iterator[Check]:
    """Checks the limit of antithetic pairs by two σ: their bias is σ² times a constant, and then σ⁴.

    The limit, the gradient, is taken where the loss is smooth on the scale of σ. Layer normalisation of two units is
    not smooth: where they are alike it changes sign within any σ for which rounding leaves digits. There the method is
    held to its formula at one σ alone.
    """
    smooth, small = make_instance(4, 1), claim_of(name, config).vanishes_with
    rows = rows_of(smooth)
    at = lambda sigma: jax.device_get(along(name, config, smooth, rows, **{small: sigma}))
    limit = jax.tree.map(lambda a, b: (4 * b - a) / 3, at(FINE_SIGMA), at(FINE_SIGMA / 2))
    truth = truth_of_stream(smooth)
    claim = "average over the rows, σ → 0 by Richardson = BPTT"
    yield compare(7, name, claim, smooth.name, limit, truth, 1e-8)
    claim = f"the same at σ = {SIGMA} is biased: ≠ BPTT"
    yield compare(7, name, claim, smooth.name, at(SIGMA), truth, differs=True)
