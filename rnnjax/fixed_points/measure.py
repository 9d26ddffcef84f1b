"""The points of a network that reads text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jsonargparse import Namespace

from rnnjax.errors import UserError
from rnnjax.text_network import TextNetwork

if TYPE_CHECKING:  # late where it runs, so that --help and a wrong option answer at once
    import numpy as np

    from rnnjax.model.recurrence import Step
    from rnnjax.trained import Trained

MOST_PRODUCTS = 2e13


def measure(network: TextNetwork, options: Namespace) -> tuple[dict, np.ndarray]:
    """The content of fixed_points.json, and the visited states [n, S].

    Raises:
      UserError: for a letter that the text does not have, or a search that is too big.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from rnnjax.analysis.fixed_points import fixed_points

    trained, (held_out, ids) = network.trained, network.held_out
    steps = min(options.steps, len(ids))
    read = jnp.asarray(ids[:steps])
    most_frequent = int(np.bincount(ids).argmax())
    letter = most_frequent if options.letter is None else id_of(trained, options.letter)
    starts = min(options.starts, steps)
    refuse_too_much(trained, starts)
    step = step_of(trained)
    states = jax.jit(lambda ids: visited(step, trained, ids))(read)
    chosen = np.linspace(0, steps - 1, starts).astype(int)
    picked = jax.tree.map(lambda leaf: leaf[chosen], states)
    points = fixed_points(step, trained.params, jnp.asarray(letter), picked, slowest=options.slowest)
    flat = lambda tree: np.concatenate([np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(tree)], 1)
    shown = trained.vocabulary.decode(np.array([letter]))
    return {
        "name": network.name,
        "letter": shown,
        "text": f"{starts} of {steps:,} states on the {held_out} text, the letter {shown!r} again and again",
        "slowest": options.slowest,
        "speeds": points.speeds,
        "unstable": points.unstable.tolist(),
        "found": points.found,
        "eigenvalues": np.stack([points.eigenvalues.real, points.eigenvalues.imag], -1).tolist(),
        "states": flat(points.states),
    }, flat(states)


def step_of(trained: Trained) -> Step:
    """Step of a network on one stream of ids."""
    from rnnjax.model.network import Batch
    from rnnjax.model.rnn import step

    def of_one(params, state, x):
        return step(trained.model, params, trained.hyper, state, Batch(x, x))

    return of_one


def visited(step: Step, trained: Trained, ids):
    """Reads letters from the initial state; returns the state after each, leaves [T, ...]."""
    import jax

    from rnnjax.model.network import initial_carry

    def body(state, x):
        state, _ = step(trained.params, state, x)
        return state, state

    return jax.lax.scan(body, initial_carry(trained.model, trained.params, ()), ids)[1]


def id_of(trained: Trained, letter: str) -> int:
    """The id of a letter.

    Raises:
      UserError: if it is not one letter of the network's.
    """
    if len(letter) != 1 or letter not in trained.vocabulary.characters:
        raise UserError(f"--letter is {letter!r}, but must be one letter of the network's text")
    return trained.vocabulary.characters.index(letter)


def refuse_too_much(trained: Trained, starts: int) -> None:
    """Raises UserError, before the search begins, where it is too big."""
    size = trained.model.layers * trained.model.state_width
    products = 200 * starts * 2 * size**3
    if products > MOST_PRODUCTS:
        raise UserError(
            f"--starts {starts}: 200 iterations of 2 S^3 products from each, for a state of S = {size}, are "
            f"{products:.0e}, more than {MOST_PRODUCTS:.0e}; lower it"
        )
