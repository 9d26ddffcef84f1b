"""Parameters that act on the state, found from the step itself: from the program that it is traced to."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from rnnjax.model.leaves import put, reals
from rnnjax.model.network import Batch
from rnnjax.model.recurrence import Recurrence

CALLS = ("jit", "pjit", "closed_call", "remat2", "checkpoint", "custom_jvp_call")
"""Equations that are a program of their own, run once."""


def acting(recurrence: Recurrence, params: Any, state: Any, batch_t: Any) -> Any:
    """True for every real parameter that the next state depends on; False for those that act on the output alone.

    Of a network these are all but V and by.

    Args:
      state, batch_t: those of one stream at one step; their values do not matter.

    Returns:
      A tree of bool, in the shape of the real parameters.
    """
    if recurrence.model:
        none = jax.tree.map(lambda leaf: True, params)
        return none._replace(V=False, by=False)
    leaves, structure = jax.tree.flatten(reals(params))
    masked = batch_t._replace(valid=jnp.ones((), bool), reset=jnp.zeros((), bool))  # by which a learned state acts

    def next_state(leaves: list, state: Any, batch_t: Batch) -> Any:
        return recurrence.step(put(jax.tree.unflatten(structure, leaves), params), (), state, batch_t)[0]

    program = jax.make_jaxpr(next_state)(leaves, state, masked).jaxpr
    used = needed(program, variables(program.outvars))
    return jax.tree.unflatten(structure, [variable in used for variable in program.invars[: len(leaves)]])


def needed(program: Any, wanted: set) -> set:
    """The variables of a program, its inputs among them, that the wanted ones depend on."""
    for equation in reversed(program.eqns):
        if wanted & set(equation.outvars):
            wanted = wanted | variables(inputs_needed(equation, wanted))
    return wanted


def variables(atoms: list) -> set:
    """Those of the inputs or outputs of an equation that are no constants."""
    return {atom for atom in atoms if not isinstance(atom, Literal)}


def inputs_needed(equation: Any, wanted: set) -> list:
    """The inputs of an equation that its wanted outputs depend on: all of them, but where it is a call."""
    inner = equation.params.get("jaxpr") or equation.params.get("call_jaxpr")
    if equation.primitive.name not in CALLS or inner is None:
        return equation.invars
    inner = getattr(inner, "jaxpr", inner)
    outer = zip(inner.outvars, equation.outvars, strict=True)
    used = needed(inner, variables([variable for variable, result in outer if result in wanted]))
    return [given for given, variable in zip(equation.invars, inner.invars, strict=True) if variable in used]
