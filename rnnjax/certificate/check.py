"""One identity of the theory, and its verdict."""

import math
from typing import Any, NamedTuple

from rnnjax.certificate.difference import difference
from rnnjax.gradients.claim import ROUNDING

DIFFERENT = 1e-9
"""Error from which two gradients differ by more than rounding: ten times the limit of equal ones."""


class Check(NamedTuple):
    """Identity that must hold, or that must not.

    Attributes:
      number: its place in the list of docs/certificate.md.
      method: method whose gradient is checked.
      claim: the identity in words.
      on: name of the instance.
      value: error, as in `difference`; None where the check does not apply.
      limit: largest error of equal gradients; for `differs`, the error that must be exceeded.
      differs: True where theory says that the two are not equal.
      reason: cause of a check that does not apply, or could not be made.
    """

    number: int
    method: str
    claim: str
    on: str
    value: float | None
    limit: float = ROUNDING
    differs: bool = False
    reason: str = ""

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "FAIL" if self.reason.startswith(RAISED) else "n/a"
        holds = math.isfinite(self.value) and (self.value > self.limit if self.differs else self.value <= self.limit)
        return "PASS" if holds else "FAIL"


RAISED = "raised "


def raised(error: Exception) -> str:
    """Reason of a method that breaks: it has failed, and the others go on."""
    return f"{RAISED}{type(error).__name__}: {' '.join(str(error).split())[:120]}"


def compare(
    number: int,
    method: str,
    claim: str,
    on: str,
    found: Any,
    truth: Any,
    limit: float = ROUNDING,
    differs: bool = False,
    floor: float = 0.0,
) -> Check:
    """Checks that two trees are equal, or that they are not."""
    value = difference(found, truth, floor).error
    return Check(number, method, claim, on, value, DIFFERENT if differs else limit, differs)
