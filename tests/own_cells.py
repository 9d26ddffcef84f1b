"""Cells of a user's own, in a file that stands alone, as `--model.cell tests/own_cells.py:independent` takes them."""

import jax.numpy as jnp

from rnnjax.model.cells import Cell


def _independent(hyper, a, z, state):
    """The independently recurrent unit (Li et al., 2018, "Independently recurrent neural network"), with tanh."""
    h = jnp.tanh(a + z)
    return (h,), {"tanh unit": h}


independent = Cell("independent", ("a",), _independent, recurrence="diagonal")


def _crowded(hyper, a, z, state):
    """Units that compete: their shares of one sum. No unit's state is a function of that unit alone."""
    shares = jnp.exp(a + z - 1)
    h = shares / (1 + jnp.sum(shares, axis=-1, keepdims=True))
    return (h + 0.5 * state[0],), {"gate h": h}


crowded = Cell("crowded", ("a",), _crowded)


def _twofold(hyper, a, z, state):
    """Gates for two parts of a state, a memory and what is shown of it."""
    h, m = state
    f, i, g = jnp.split(a + z, 3, axis=-1)
    f, i = (1 + jnp.tanh(f / 2)) / 2, (1 + jnp.tanh(i / 2)) / 2
    m = f * m + i * jnp.tanh(g)
    return ((1 - i) * h + i * jnp.tanh(m), m), {"gate f": f, "gate i": i, "tanh m": jnp.tanh(m)}


twofold = Cell("twofold", ("f", "i", "g"), _twofold, states=("h", "m"), forget="f")

not_a_cell = 3
