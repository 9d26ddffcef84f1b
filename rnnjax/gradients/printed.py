"""∂L/∂W as the chapter prints it. It is not the gradient, so it is shown, and is no method to choose.

    ∂L/∂W = Σⱼ Σₖ≤ⱼ (ŷⱼ - yⱼ) ∏ₘ₌ₖ₊₁..ⱼ Wᵀ diag(1 - tanh²(…ₘ)) ⊗ hₖ₋₁        for L = Σⱼ Lⱼ, a sum, not an average

Two factors are missing: Vᵀ, which turns an error of V outputs into one of H units, and diag(1 - hₖ²), the unit's own
derivative at the step where W is used. Each can be put in on its own here, to see that neither is enough. As everywhere
in the package vectors are rows: the book's W is `layer.W.T`. One tanh layer, one stream; plain loops, for small cases.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.model.network import Params

Array = jax.Array


class Reading(NamedTuple):
    """A reading of the printed formula.

    Attributes:
      through_V: the error first passes through Vᵀ.
      inner_factor: diag(1 - hₖ²) stands at the inner end of the product.
      from_left: the error is a row to the left of the product, as the symbols are printed, and so meets the factor of
        k + 1 first. Otherwise it is a column to the right and goes from j back to k, as an error must.
    """

    through_V: bool = False
    inner_factor: bool = False
    from_left: bool = False


AS_PRINTED = Reading()
CORRECTED = Reading(through_V=True, inner_factor=True)


def output_error(logits: Array, y: Array) -> Array:
    """ŷ - y, the derivative of softmax cross-entropy by its logits: [T, V] and target ids [T] give [T, V]."""
    return jax.nn.softmax(logits) - jax.nn.one_hot(y, logits.shape[-1], dtype=logits.dtype)


def carried_back(params: Params, hs: Array, error: Array, j: int, k: int, reading: Reading) -> Array:
    """The error of step j, carried back to step k ≤ j.

    Args:
      hs: h of every step [T, H].
      error: ŷ - y of every step [T, V].

    Returns:
      [H].

    Raises:
      ValueError: if the formula, so read, multiplies what does not fit.
    """
    W, H = params.layers[0].W, hs.shape[-1]
    delta = error[j] @ params.V.T if reading.through_V else error[j]
    if len(delta) != H:
        raise ValueError(f"{len(delta)} errors meet a {H} x {H} matrix")
    if reading.from_left:
        for m in range(k + 1, j + 1):
            delta = (delta @ W) * (1 - hs[m] ** 2)
    else:
        for m in range(j, k, -1):
            delta = (delta * (1 - hs[m] ** 2)) @ W.T
    return delta * (1 - hs[k] ** 2) if reading.inner_factor else delta


def recurrent_weights(params: Params, before: Array, hs: Array, error: Array, reading: Reading = AS_PRINTED) -> Array:
    """The chapter's ∂L/∂W of the summed loss.

    Args:
      before: hₖ₋₁ of every step [T, H].
      hs: hₖ of every step [T, H].
      error: ŷ - y of every step [T, V].

    Returns:
      [H, H], in the shape of `layer.W`: the transpose of the book's.

    Raises:
      ValueError: if the formula, so read, multiplies what does not fit.
    """
    pairs = [(j, k) for j in range(len(hs)) for k in range(j + 1)]
    terms = [jnp.outer(before[k], carried_back(params, hs, error, j, k, reading)) for j, k in pairs]
    return jnp.sum(jnp.stack(terms), axis=0)
