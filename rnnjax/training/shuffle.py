"""Random permutation of N rows, evaluated at a few places; drawing it whole would cost more than a training step.

The rows lie in a table of a x b places, a = ⌈√N⌉. In each round a place moves along its column by a number drawn for
the column, then along its row by a number drawn for the row. This is a Feistel network: each round can be undone, so no
two places meet (Luby & Rackoff, 1988, "How to construct pseudorandom permutations from pseudorandom functions"). The
few places beyond N - 1 walk on until they are back (Black & Rogaway, 2002, "Ciphers with arbitrary finite domains").
"""

import math

import jax
import jax.numpy as jnp

Array = jax.Array

ROUNDS = 6


def shuffled(key: Array, places: Array, N: int) -> Array:
    """The rows at some places of a random permutation of 0 … N-1.

    Cost: O(√N) random numbers, and O(ROUNDS) work for each place.

    Args:
      key: decides the permutation.
      places: integers in [0, N), of any shape.

    Returns:
      The rows, in the same shape.
    """
    a = math.isqrt(N - 1) + 1
    b = -(-N // a)
    of_columns, of_rows = jax.random.split(key)
    downs = jax.random.randint(of_columns, (ROUNDS, b), 0, a)
    alongs = jax.random.randint(of_rows, (ROUNDS, a), 0, b)

    def move(place: Array) -> Array:
        row, column = place // b, place % b
        for down, along in zip(downs, alongs, strict=True):
            row = (row + down[column]) % a
            column = (column + along[row]) % b
        return row * b + column

    def walk_on(place: Array) -> Array:
        return jnp.where(place < N, place, move(place))

    return jax.lax.while_loop(lambda place: jnp.any(place >= N), walk_on, move(places))
