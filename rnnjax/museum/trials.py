"""Trials of many seeds side by side as one program, each until it has solved its task or its budget ends."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

Array = jax.Array
Tree = Any


class Trials(NamedTuple):
    """The end of each of n trials.

    Attributes:
      solved: bool [n].
      updates: updates until then [n], to the next multiple of `every`; nan for a trial that did not solve it.
      states: the state of each trial when it had solved the task, or when its budget ended; leaves [n, ...].
    """

    solved: np.ndarray
    updates: np.ndarray
    states: Tree


def until_solved(
    states: Tree,
    update: Callable[[Tree, Array], Tree],
    solved: Callable[[Tree], Array],
    *,
    budget: int,
    every: int,
    among: np.ndarray | None = None,
) -> Trials:
    """Trains n trials; whenever half of those in the program have solved their task, these leave it.

    Args:
      states: all that a trial carries, weights and keys: leaves [n, ...].
      update: (state, number of the update) -> state, of one trial: one sequence, as online learning has it.
      solved: state -> bool, of one trial.
      budget: the most updates.
      every: updates between two tests of `solved`.
      among: bool [n], the trials that take part; the others stay as they are, unsolved. None: all.
    """

    def advance(state: Tree, first: Array) -> tuple[Tree, Array]:
        state = jax.lax.fori_loop(first, first + every, lambda t, state: update(state, t), state)
        return state, solved(state)

    chunk = jax.jit(jax.vmap(advance, in_axes=(0, None)))
    ends = jax.tree.map(np.array, states)
    updates = np.full(len(jax.tree.leaves(ends)[0]), np.nan)
    places = np.arange(len(updates)) if among is None else np.flatnonzero(among)  # in the program
    if len(places) < len(updates):
        states = jax.tree.map(lambda leaf: leaf[places], ends)
    for first in range(0, budget if len(places) else 0, every):
        states, found = chunk(states, first)
        new = np.asarray(found) & np.isnan(updates[places])
        updates[places[new]] = first + every
        if new.any() or first + every >= budget:
            left = new if first + every < budget else new | np.isnan(updates[places])
            put(ends, states, places, left)
        going = np.isnan(updates[places])
        if not going.any():
            break
        if 2 * going.sum() <= len(places):
            places, states = places[going], jax.tree.map(lambda leaf, going=going: leaf[going], states)
    return Trials(~np.isnan(updates), updates, ends)


def put(ends: Tree, states: Tree, places: np.ndarray, chosen: np.ndarray) -> None:
    """Copies the states of the chosen trials to their places."""
    for end, leaf in zip(jax.tree.leaves(ends), jax.tree.leaves(states), strict=True):
        end[places[chosen]] = np.asarray(leaf)[chosen]
