"""What every gradient method returns."""

from typing import NamedTuple

import jax

from rnnjax.model.rnn import Carry, Params


class Gradient(NamedTuple):
    """Loss and gradient of one window.

    Attributes:
      loss: scalar, nats per character.
      params: ∂L/∂ every parameter, in the shape of the parameters.
      carry: ∂L/∂ the initial state of each layer.
      new_carry: the state of each layer after the window.
    """

    loss: jax.Array
    params: Params
    carry: Carry
    new_carry: Carry
