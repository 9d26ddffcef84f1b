"""Dependence of a function's outputs on its inputs, read off the program that it is traced to."""

from typing import Any

from jax.extend.core import Literal

CALLS = ("jit", "pjit", "closed_call", "remat2", "checkpoint", "custom_jvp_call")
"""Equations that are a program of their own, run once."""


def needed(program: Any, wanted: set) -> set:
    """The variables of a program, its inputs among them, that the wanted ones depend on."""
    for equation in reversed(program.eqns):
        if wanted & set(equation.outvars):
            wanted = wanted | variables(inputs_needed(equation, wanted))
    return wanted


def variables(atoms: list) -> set:
    """Inputs or outputs of an equation that are no constants."""
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
