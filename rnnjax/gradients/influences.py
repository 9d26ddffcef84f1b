"""Parameters that act on the state, read off the program that the step is traced to."""

from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.model.dependence import needed, variables
from rnnjax.model.leaves import put, reals
from rnnjax.model.network import Batch
from rnnjax.model.recurrence import Recurrence


def acting(recurrence: Recurrence, params: Any, state: Any, batch_t: Any) -> Any:
    """True for every real parameter that the next state depends on; False for those that act on the output alone.

    Of a network these are all but V and by.

    Args:
      state: state of one stream, as `batch_t` is its input, at one step; their values do not matter.

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
