"""Numbers of a network that are neither weights nor shape."""

from typing import NamedTuple

import jax

from rnnjax.config import ModelConfig

Array = jax.Array


class Hyper(NamedTuple):
    """Traced numbers, so that runs which differ in them can share one program.

    Attributes:
      leak: α of the leaky unit, the share of its state that a step renews, in (0, 1]; by default the config's.
      dropout: the share of the units that are silenced on the way up, in [0, 1).
    """

    leak: Array | float = ModelConfig.leak
    dropout: Array | float = 0.0
