"""Derivatives of the losses by the output, eₜ = ∂Lₜ/∂ŷₜ (the error), written by hand: each is a function
(ŷ, y) -> the loss of every step, and its error.

    cross_entropy     e = softmax(ŷ) - one_hot(y)
    squared_error     e = 2 (ŷ - y)
    bernoulli         e = σ(ŷ) - y
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnnjax.model.loss import LOSSES, Loss, as_wide, check_classes

Array = jax.Array

LossAndError = Callable[[Array, Array], tuple[Array, Array]]


def cross_entropy(logits: Array, y: Array) -> tuple[Array, Array]:
    """Softmax cross-entropy and ŷ - y, the softmax less the one-hot target."""
    check_classes(logits, y)
    shifted = logits - jnp.max(logits, axis=-1, keepdims=True)
    exponentials = jnp.exp(shifted)
    normaliser = jnp.sum(exponentials, axis=-1, keepdims=True)
    is_target = y[..., None].astype(jnp.int32) == jnp.arange(logits.shape[-1], dtype=jnp.int32)
    surprise = jnp.log(normaliser[..., 0]) - jnp.sum(jnp.where(is_target, shifted, 0), axis=-1)
    return surprise, exponentials / normaliser - is_target


def squared_error(y_hat: Array, y: Array) -> tuple[Array, Array]:
    """‖ŷ - y‖² and 2 (ŷ - y)."""
    off = y_hat - as_wide("squared_error", y_hat, y)
    return jnp.sum(off * off, axis=-1), 2 * off


def bernoulli(logits: Array, y: Array) -> tuple[Array, Array]:
    """The surprise at labels that are each true or not, and σ(ŷ) - y."""
    y = as_wide("bernoulli", logits, y)
    surprise = jnp.maximum(logits, 0) + jnp.log1p(jnp.exp(-jnp.abs(logits))) - y * logits
    return jnp.sum(surprise, axis=-1), 0.5 + 0.5 * jnp.tanh(0.5 * logits) - y


ERRORS: dict[str, LossAndError] = {
    "cross_entropy": cross_entropy,
    "squared_error": squared_error,
    "bernoulli": bernoulli,
}


def error_by_hand(loss: str | Loss) -> LossAndError | None:
    """The error of a loss, given by its name or as the function that the name stands for; None of any other."""
    name = loss if isinstance(loss, str) else next((key for key, value in LOSSES.items() if value is loss), "")
    return ERRORS.get(name)
