"""The theory's claim about a gradient method. Each method states its own; `rnnjax.compare` holds it to that."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from rnnjax.model.network import Model, Params

Case = Callable[[Model, Params, int, int], bool]
"""(model, params, T steps of a window, N windows of the stream) -> whether something is so."""

ROUNDING = 1e-10
"""Largest difference of two computations of one number in float64, as a share of the leaf's largest entry."""


def never(model: Model, params: Params, T: int, count: int) -> bool:
    return False


class Claim(NamedTuple):
    """Claim of theory about a method.

    Attributes:
      kind: exact; truncated: drops what lies further back than k1_steps and k2_steps say; approximate: drops something
        else; unbiased: right on average over its noise.
      of: window: its gradient is that of one window, the state before it constant. stream: its trace tells how
        parameters and initial state act from window to window, and the gradients of consecutive windows sum up to that
        of the whole stream.
      tolerance: largest error; above rounding for central differences, whose error is that of third derivatives.
      residuals: largest residuals of a trajectory that is solved for, and of its adjoint: of states as a share of
        max(1, |sₜ|), of adjoints as a share of the largest. The error may be what the window amplifies them to.
      floor: the least that the largest entry of a leaf counts as, for an error that is not in proportion.
      exact_if: when a method that is not exact must give the exact gradient nevertheless.
      readout: true where V and by, which act on no state, get their exact gradient in any case.
      noise: the random numbers: signs of each step; cuts between steps; directions of the parameters.
      vanishes_with: the option with whose square the bias vanishes, of a method that is random and not unbiased.
      definition: the name of what an approximate or truncated method is equal to, in `certificate.definitions`.
      adjoints: true where its `carry` is taken as the adjoint of each state in turn.
      variants: options with which all of this holds as well.
      units: cells that the method is judged on beside the config's.
    """

    kind: Literal["exact", "truncated", "approximate", "unbiased"]
    of: Literal["window", "stream"] = "window"
    tolerance: float = ROUNDING
    residuals: tuple[float, float] = (0.0, 0.0)
    floor: float = 0.0
    exact_if: Case = never
    readout: bool = True
    noise: Literal["none", "signs", "cuts", "directions"] = "none"
    vanishes_with: Literal["", "sigma"] = ""
    definition: Literal["", "truncated", "snap", "rflo", "truncated_gates"] = ""
    adjoints: bool = False
    variants: tuple[dict[str, Any], ...] = ()
    units: tuple[str, ...] = ()
