"""Random keys of training; they follow from seed, purpose and step alone."""

import jax

Array = jax.Array

PURPOSES = {
    "dropout": 0xD20,
    "method": 0x3E7,
    "sample": 0x50E65,
    "order": 0x02DE2,
    "sequences": 0x5E9CE,
    "held_out": 0x4E1D0,
}
"""Numbers folded into the seed's key; small ones would meet the keys that `split` makes for the weights."""


def random_key(seed: Array | int, purpose: str, step: Array | int) -> Array:
    """The key of a purpose at a step."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), PURPOSES[purpose]), step)
