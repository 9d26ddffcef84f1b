"""The gradient by `jax.grad` through the scan: reverse-mode automatic differentiation."""

import jax

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.model.loss import window_loss
from rnnjax.model.network import Carry, Model, Params
from rnnjax.model.rnn import Unroll, unroll


def gradient(model: Model, window: Window, *, unroll: Unroll = unroll) -> Gradient:
    """Loss and gradient of one window, its initial state held constant between windows.

    Cost: O(T·H²) time and O(T·H) memory a stream. Exact within the window.

    Args:
      unroll: how a layer is run over time, and so how it is differentiated.
    """
    params, hyper, carry, batch, *_ = window

    def loss_of(params: Params, carry: Carry) -> tuple[jax.Array, Carry]:
        return window_loss(model, params, hyper, carry, batch, unroll=unroll)

    (loss, new_carry), (d_params, d_carry) = jax.value_and_grad(loss_of, argnums=(0, 1), has_aux=True)(params, carry)
    return Gradient(loss, d_params, d_carry, new_carry)


def method(config: GradientConfig) -> Method:
    return Method(gradient, claim=Claim("exact"))
