"""Initial guesses for Newton's method: the states at every place of the streams, kept from one pass to the next.

A solver that begins from the states of the pass before has less to do than one that begins from zeros, as weights move
little in one pass. Before a place was read its states are 0, which is where a solver begins without a memory.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.model.network import Carry

Array = jax.Array
Memory = tuple[Array, ...]
"""States of each layer, by stream and place [B, S, states·H]."""

States = tuple[Array, ...]
"""States of each layer in a window [T, B, states·H]."""


class Seen(NamedTuple):
    """Window of a step: its first place in the streams, its states as remembered before it, and as found by it."""

    place: Array
    before: States
    found: States


def begin(carry: Carry, stretch: int) -> Memory:
    """Zeros for the states at every place of the streams, before the first step."""
    return tuple(jnp.zeros((len(state), stretch, state.shape[-1]), state.dtype) for state in carry)


def recall(memory: Memory, place: Array, T: int) -> Seen:
    """Recalls the states of a window of T steps that begins at a place."""
    cut = lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, place, T, axis=1)
    before = tuple(jnp.swapaxes(cut(leaf), 0, 1) for leaf in memory)
    return Seen(place, before, before)


def keep(memory: Memory, seen: Seen, good: Array) -> Memory:
    """Keeps the states that were found in a window, or those before where the step is not good."""
    chosen = (jnp.where(good, new, old) for new, old in zip(seen.found, seen.before, strict=True))
    parts = zip(memory, chosen, strict=True)
    put = lambda leaf, part: jax.lax.dynamic_update_slice_in_dim(leaf, jnp.swapaxes(part, 0, 1), seen.place, axis=1)
    return tuple(put(leaf, part) for leaf, part in parts)
