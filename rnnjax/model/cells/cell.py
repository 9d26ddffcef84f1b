"""A cell is the step of a recurrent unit that can be fast: one recurrent product, and a function local in time.

    aₜ = xₜ U + bh              all t at once, before the loop
    zₜ = hₜ₋₁ W (+ bz)          the only product inside the loop
    sₜ = forward(aₜ, zₜ, sₜ₋₁)   the state; hₜ is its first part

One loop forward and one loop backward serve all cells. `forward` knows nothing of the matrices or of time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import jax

from rnnjax.errors import UserError

Array = jax.Array
State = tuple[Array, ...]
Recurrence = Literal["dense", "diagonal", "none"]


@dataclass(frozen=True)
class Cell:
    """The equations of one kind of unit; name, gates and forward are enough.

    An adjoint written by hand comes in two parts: `derivatives` for all steps at once, and `adjoint`, the few
    multiplications that must wait for the step after. Where there is none, JAX derives it (`derived.with_adjoint`).

    Attributes:
      name: as messages say it.
      gates: the names of the pre-activations of a unit, G of them, in the order in which they stand side by side in the
        last axis: U is [I, G·H].
      forward: (hyper, a, z, state, *own) -> (state, saved), one time step. a and z are [..., G·H], each part of the
        state is [..., H]. `saved` is what `derivatives` needs; without an adjoint by hand, values to look at, by name.
      states: the names of the parts of the state, h first.
      derivatives: (hyper, saved, *own) -> local, the partial derivatives of forward.
      adjoint: (hyper, local, d_state) -> (d_a, d_z, d_state_prev, *d_own), with d_x = ∂L/∂x; the way through z is
        not in d_state_prev. Where d_z equals d_a both are the same object, and are stored once.
      values: saved -> {name: [..., H]}, the outputs of the nonlinearities. A name begins with the kind that tells the
        range: gate (0 to 1), tanh (-1 to 1), relu, linear. None: `saved` itself where it is a dict, else nothing.
      activation: φ of a cell that is made for several; a gated cell's is fixed, and counts as tanh.
      recurrence: the product of h with W. dense: h W, W [H, G·H]. diagonal: h ⊙ w for each gate, W [G·H]. none: there
        is no W, and z is None.
      recurrent_bias: z has a bias bz of its own, because a gate stands between z and a.
      forget: the gate whose bias `forget_bias` opens; empty for none.
      own: the names of further weights, a vector [H] each, which `forward` is given after the state.

    Raises:
      UserError: in one line, for a field that contradicts this.
    """

    name: str
    gates: tuple[str, ...]
    forward: Callable[..., tuple[State, Any]]
    states: tuple[str, ...] = ("h",)
    derivatives: Any = None
    adjoint: Any = None
    values: Callable[[Any], dict[str, Array]] | None = None
    activation: str = "tanh"
    recurrence: Recurrence = "dense"
    recurrent_bias: bool = False
    forget: str = ""
    own: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        demand(isinstance(self.name, str) and self.name != "", self.name, "name", self.name, "a word")
        for field in ("gates", "states", "own"):
            names = getattr(self, field)
            plain = isinstance(names, tuple) and all(isinstance(name, str) and name for name in names)
            demand(plain and len(set(names)) == len(names), self.name, field, names, "a tuple of different names")
        demand(len(self.gates) > 0, self.name, "gates", self.gates, "at least one name")
        demand(self.states[:1] == ("h",), self.name, "states", self.states, 'names of which the first is "h"')
        for field in ("forward", "derivatives", "adjoint", "values"):
            function = getattr(self, field)
            is_function = callable(function) or (function is None and field != "forward")
            demand(is_function, self.name, field, function, "a function")
        both = (self.derivatives is None) == (self.adjoint is None)
        demand(both, self.name, "adjoint", self.adjoint, "given together with derivatives, or neither")
        kinds = get_args(Recurrence)
        demand(self.recurrence in kinds, self.name, "recurrence", self.recurrence, f"one of {', '.join(kinds)}")
        needed = self.recurrence != "none" or not self.recurrent_bias
        demand(needed, self.name, "recurrent_bias", self.recurrent_bias, "False where recurrence is none")
        is_gate = self.forget in ("", *self.gates)
        demand(is_gate, self.name, "forget", self.forget, f"empty, or one of its gates {', '.join(self.gates)}")

    def __str__(self) -> str:
        return self.name

    def named_values(self, saved: Any) -> dict[str, Array]:
        """The outputs of the nonlinearities by name, from what a step has saved."""
        if self.values is not None:
            return self.values(saved)
        return saved if isinstance(saved, dict) else {}

    @property
    def gated(self) -> bool:
        """More than one pre-activation decides what a unit does."""
        return len(self.gates) > 1


def demand(condition: bool, cell: object, field: str, value: object, allowed: str) -> None:
    """Raises UserError, in one line, for a field of a cell that does not hold what it must."""
    if not condition:
        raise UserError(f"cell {cell}: {field} is {value!r}, but must be {allowed}")
