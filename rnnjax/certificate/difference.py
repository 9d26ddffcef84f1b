"""The difference of two gradients."""

from typing import Any, NamedTuple

import jax
import numpy as np

from rnnjax.model.network import leaf_name

SMALLEST_SHARE = 1e-14
"""Rounding allowed in a leaf that would be exactly zero, as a share of the largest entry of all leaves."""


class Difference(NamedTuple):
    """Largest difference, as a share of the leaf's largest entry, and its leaf; cosine of the whole; length of the
    difference as a share of the length of the exact gradient."""

    error: float
    leaf: str
    cosine: float
    bias: float


def difference(found: Any, truth: Any, floor: float = 0.0) -> Difference:
    """Compares two trees of one structure.

    Agreement is |difference| <= error x the leaf's largest entry + rounding. Where a leaf is exactly zero the other
    must be too, up to rounding: its error is then 0, or infinite. A number that is not finite has an infinite error.

    Args:
      floor: least value that a leaf's largest entry counts as.
    """
    named = jax.tree_util.tree_leaves_with_path(truth)
    structures: list[Any] = [jax.tree.structure(found), jax.tree.structure(truth)]
    if structures[0] != structures[1]:
        raise ValueError(f"{structures[0]} instead of {structures[1]}")
    truths = [np.asarray(leaf, np.float64) for _, leaf in named]
    founds = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(found)]
    atol = SMALLEST_SHARE * max((np.abs(leaf).max(initial=0) for leaf in truths), default=0)
    errors = [of_leaf(a, e, atol, floor) for a, e in zip(founds, truths, strict=True)]
    worst = int(np.argmax(errors))
    a, e = (np.concatenate([leaf.ravel() for leaf in leaves]) for leaves in (founds, truths))
    lengths = np.linalg.norm(a) * np.linalg.norm(e)
    cosine = float(a @ e / lengths) if lengths > 0 else float("nan")
    bias = float(np.linalg.norm(a - e) / np.linalg.norm(e)) if np.any(e) else float("nan")
    return Difference(errors[worst], leaf_name(named[worst][0]).removeprefix("params.") or "-", cosine, bias)


def of_leaf(found: np.ndarray, truth: np.ndarray, atol: float, floor: float) -> float:
    apart, largest = np.abs(found - truth).max(initial=0), max(np.abs(truth).max(initial=0), floor)
    if not np.isfinite(apart):
        return float("inf")
    if apart <= atol:
        return float(min(apart / largest, SMALLEST_SHARE)) if largest else 0.0
    return float(apart / largest) if largest else float("inf")
