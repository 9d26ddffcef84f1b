"""A loop over time in which the streams of a batch run as chains beside each other, so that a CPU's cores share it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array
Tree = Any

CHAINS = 2
"""Chains of a loop that is divided; each has a core."""

FEWEST_STREAMS, MOST_STREAMS = 8, 32
FEWEST_WEIGHTS, MOST_WEIGHTS = 100_000, 400_000
"""Streams, and numbers in W, with which XLA computes a step's product h W on one core while another is idle. Smaller
ones cost less than dividing them, and larger ones XLA divides itself. `python -m benchmarks.chains` measures it."""


def chains_for(streams: tuple[int, ...], W: Array | None) -> int:
    """Number of chains that pay on this machine for batch axes and a recurrent matrix W [H, G·H]; 1: no division."""
    if jax.default_backend() != "cpu" or jax.device_count() > 1 or len(streams) != 1 or W is None or W.ndim != 2:
        return 1
    fits = FEWEST_STREAMS <= streams[0] <= MOST_STREAMS and FEWEST_WEIGHTS <= W.size <= MOST_WEIGHTS
    return CHAINS if fits and streams[0] % CHAINS == 0 else 1


def scan(
    body: Callable[[Tree, Tree], tuple[Tree, Tree]],
    first: Tree,
    steps: Tree,
    *,
    chains: int = 1,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Tree, Tree]:
    """`jax.lax.scan` over a body that treats every stream alike.

    Two loops would run one after the other: XLA runs side by side what one turn of a loop does not wait for.

    Args:
      body: (state, step) -> (state, out), on any number of streams.
      first: the state before the first step, leaves [B, ...].
      steps: leaves [T, B, ...].
      chains: number of equal parts of the batch that depend on nothing of each other; divides B.

    Returns:
      The state after the last step, and the outputs [T, B, ...].
    """
    if chains == 1:
        return jax.lax.scan(body, first, steps, reverse=reverse, unroll=unroll)

    def bodies(states: tuple[Tree, ...], step: Tree) -> tuple[tuple[Tree, ...], tuple[Tree, ...]]:
        ends, outs = zip(*map(body, states, parts(step, chains)), strict=True)
        return ends, outs

    ends, outs = jax.lax.scan(bodies, parts(first, chains), steps, reverse=reverse, unroll=unroll)
    return join(ends, axis=0), join(outs, axis=1)


def parts(tree: Tree, count: int) -> tuple[Tree, ...]:
    """Equal parts of the leaves [B, ...] of a tree."""
    leaves, structure = jax.tree.flatten(tree)
    divided = [jnp.split(leaf, count) for leaf in leaves]
    return tuple(jax.tree.unflatten(structure, [pieces[index] for pieces in divided]) for index in range(count))


def join(trees: tuple[Tree, ...], axis: int) -> Tree:
    """The inverse of `parts`, of leaves whose batch axis is given."""
    return jax.tree.map(lambda *pieces: jnp.concatenate(pieces, axis), *trees)
