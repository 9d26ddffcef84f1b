"""A formula, the claim about it, and the verdict."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

AGREES, DIFFERS, NO_VALUE = "agrees", "differs", "no value"

TOLERANCES = (1e-10, 1e-6)
"""Largest difference that counts as agreement, as a share of the reference's largest entry: from autodiff (float64
rounding), and from central differences."""

WAYS = ("autodiff", "central differences")
"""Names of the references."""


class Formula(NamedTuple):
    """One formula.

    Attributes:
      text: the formula as it is shown.
      gives: its value, an array; None where its shapes do not fit.
      references: the true value by autodiff and, for a gradient by the weights, by central differences.
      claim: agrees, differs, or no value.
      reason: cause of a missing value.
    """

    text: str
    gives: Any
    references: Sequence
    claim: str = AGREES
    reason: str = ""


class Verdict(NamedTuple):
    """Outcome of a formula in words, and True where it is the one claimed."""

    text: str
    holds: bool


def judge(claim: Formula) -> Verdict:
    """Holds the value of a formula against each reference."""
    if claim.gives is None:
        return Verdict(NO_VALUE, claim.claim == NO_VALUE)
    shares = [share(claim.gives, reference) for reference in claim.references]
    near = [difference <= allowed for difference, allowed in zip(shares, TOLERANCES, strict=False)]
    if all(near):
        distances = [f"{way}: {number:.0e}" for way, number in zip(WAYS, shares, strict=False)]
        return Verdict("\n".join([AGREES, *distances]), claim.claim == AGREES)
    differs = all(np.isfinite(shares)) and not any(near)
    return Verdict(f"{DIFFERS} by {max(shares):.1%}", claim.claim == DIFFERS and differs)


def share(value: Any, reference: Any) -> float:
    """Largest difference, as a share of the reference's largest entry."""
    value, reference = np.asarray(value), np.asarray(reference)
    return float(np.abs(value - reference).max() / np.abs(reference).max())
