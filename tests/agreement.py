"""The check that two trees agree, leaf by leaf."""

import jax
import numpy as np

TOLERANCE = 1e-10


def compare(actual, expected, tolerance=TOLERANCE):
    """Raises AssertionError naming the leaves that differ by more than tolerance x the leaf's largest entry, or where
    an exact zero is not one.
    """
    actual, structure = jax.tree_util.tree_flatten_with_path(actual)
    expected, expected_structure = jax.tree_util.tree_flatten_with_path(expected)
    if structure != expected_structure:
        raise AssertionError(f"{structure} instead of {expected_structure}")
    faults = []
    for (path, a), (_, e) in zip(actual, expected, strict=True):
        name = jax.tree_util.keystr(path)
        if a.shape != e.shape or a.dtype != e.dtype:
            faults.append(f"{name}: {a.dtype}{a.shape} instead of {e.dtype}{e.shape}")
            continue
        a, e = np.asarray(a), np.asarray(e)
        error, size = np.abs(a - e).max(), np.abs(e).max()
        if not error <= tolerance * size:
            faults.append(f"{name}: off by {error:.1e}, largest entry {size:.1e}")
        elif np.any(a[e == 0] != 0):
            faults.append(f"{name}: an exact zero is not zero")
    if faults:
        raise AssertionError("; ".join(faults))
