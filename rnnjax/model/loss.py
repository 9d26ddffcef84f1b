"""Losses of one step, and their mean over a window. A loss is a name or a function, and never guessed from a dtype.

Each is a function (output, y) -> loss of arrays with any leading axes; the loss of one stream at one step is a scalar.

    cross_entropy     L = -log softmax(ŷ)[y]             y one id             a class out of V, in nats
    squared_error     L = ‖ŷ - y‖²                       y as wide as ŷ       real targets
    bernoulli         L = Σᵢ log(1 + e^ŷᵢ) - yᵢ ŷᵢ       y as wide as ŷ       labels that are each true or not, in nats
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from rnnjax.errors import UserError

Array = jax.Array

Loss = Callable[[Array, Array], Array]

NATS_PER_BIT = math.log(2.0)


def cross_entropy(logits: Array, y: Array) -> Array:
    """Softmax cross-entropy, the book's Lₜ = -yₜ log ŷₜ, through log-sum-exp, so that no logit overflows.

    >>> import jax.numpy as jnp
    >>> float(cross_entropy(jnp.log(jnp.array([0.5, 0.25, 0.25])), jnp.array(1)))  # log 4
    1.3862943...

    Args:
      logits: [..., V].
      y: target ids, integer [...], each in [0, V).

    Returns:
      [...], in nats.

    Raises:
      UserError: where y is not an array of ids.
    """
    check_classes(logits, y)
    # The largest logit is taken out first: exp would overflow float32 near 89.
    largest = jnp.max(jax.lax.stop_gradient(logits), axis=-1, keepdims=True)
    shifted = logits - largest
    log_normaliser = jnp.log(jnp.sum(jnp.exp(shifted), axis=-1))
    target = jnp.take_along_axis(shifted, y[..., None].astype(jnp.int32), axis=-1, mode="promise_in_bounds")
    return log_normaliser - target[..., 0]


def check_classes(logits: Array, y: Array) -> None:
    """Raises UserError where y is not one id for each output [..., V]."""
    if not jnp.issubdtype(y.dtype, jnp.integer):
        raise UserError(f"cross_entropy: y is {y.dtype}, not integer ids; squared_error takes real targets")
    if logits.shape[:-1] != y.shape:
        raise UserError(
            f"cross_entropy: the output is {list(logits.shape)} and y {list(y.shape)}; y is [...] for [..., V]"
        )


def squared_error(y_hat: Array, y: Array) -> Array:
    """The squared distance ‖ŷ - y‖², a sum over the last axis; up to a constant the surprise, in nats, of a Gaussian
    around ŷ with variance 1/2.

    >>> import jax.numpy as jnp
    >>> float(squared_error(jnp.array([1.0, 2.0]), jnp.array([0.0, 4.0])))  # 1² + 2²
    5.0

    Args:
      y_hat: [..., D].
      y: real targets [..., D]; [...] where D is 1.

    Returns:
      [...], in the unit of y, squared. Of two scalars a scalar.

    Raises:
      UserError: where the shapes differ: no target is broadcast.
    """
    return sum_last(jnp.square(y_hat - as_wide("squared_error", y_hat, y)))


def bernoulli(logits: Array, y: Array) -> Array:
    """The surprise at labels that are each true with probability σ(logit), independent of each other.

    >>> import jax.numpy as jnp
    >>> float(bernoulli(jnp.zeros(3), jnp.array([1, 0, 1])))  # 3 log 2
    2.0794415...

    Args:
      logits: [..., D].
      y: 0 or 1, or probabilities, of any dtype [..., D]; [...] where D is 1.

    Returns:
      [...], in nats, a sum over the labels. Of two scalars a scalar.

    Raises:
      UserError: where the shapes differ.
    """
    return sum_last(jnp.logaddexp(logits, 0) - as_wide("bernoulli", logits, y) * logits)


def as_wide(name: str, output: Array, y: Array) -> Array:
    """y in the shape and the precision of the output: its last axis of one may be left out."""
    if output.ndim and output.shape == (*y.shape, 1):
        y = y[..., None]
    if output.shape != y.shape:
        raise UserError(f"{name}: the output is {list(output.shape)} and y {list(y.shape)}; both must be [..., D]")
    return y.astype(output.dtype)


def sum_last(values: Array) -> Array:
    """Σ over the last axis, if there is one."""
    return jnp.sum(values, axis=-1) if values.ndim else values


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "squared_error": squared_error, "bernoulli": bernoulli}


def make_loss(loss: str | Loss) -> Loss:
    """The function that a name stands for; of another function, what it gives at each of the leading axes.

    Raises:
      UserError: for a name that stands for none.
    """
    if not callable(loss) and loss not in LOSSES:
        raise UserError(f"loss is {loss!r}: it must be one of {', '.join(LOSSES)}, or a function (output, y) -> scalar")
    if isinstance(loss, str):
        return LOSSES[loss]
    return loss if loss in LOSSES.values() else lambda output, y: over_axes(loss, output.ndim - 1)(output, y)


def over_axes(function: Callable, axes: int) -> Callable:
    """A function of one stream as a function of arrays with so many leading axes."""
    for _ in range(axes):
        function = jax.vmap(function)
    return function


def denominator(shape: tuple[int, ...], weight: Array | None) -> Array | float:
    """The divisor of the summed loss of a window [T, B]: the sum of the weights, or the number of its steps."""
    return float(math.prod(shape)) if weight is None else jnp.maximum(jnp.sum(weight), jnp.finfo(weight.dtype).tiny)


def weighted_mean(losses: Array, weight: Array | None = None) -> Array:
    """The loss of a window, L = Σ wₜ Lₜ / Σ wₜ. The book's formula sums over t where its code averages; so does this.

    Args:
      losses: [T, B].
      weight: [T, B], or None for all ones. A window whose weights are all zero has loss 0.
    """
    return jnp.sum(losses if weight is None else losses * weight) / denominator(losses.shape, weight)
