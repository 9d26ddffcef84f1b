"""Regulariser against vanishing gradients: an error that goes back in time shall neither grow nor shrink (Pascanu,
Mikolov & Bengio, 2013, "On the difficulty of training recurrent neural networks", equations 9 and 10)."""

import jax
import jax.numpy as jnp

Array = jax.Array

BOUND = 1e-20
"""Least ‖eₜ‖² of an error that counts, as in the authors' code."""


def omega(W: Array, slopes: Array, errors: Array, bound: float = BOUND) -> Array:
    """Ω of a layer of simple units, hₜ = φ(aₜ) with aₜ = hₜ₋₁ W + xₜ U + b, from the errors eₜ = ∂L/∂aₜ.

        Ω = mean over t and streams of (‖eₜ Wᵀ ⊙ φ'(aₜ₋₁)‖² / ‖eₜ‖² - 1)²

    Its derivative by W is the immediate one of equation 10: slopes and errors are constants. Equation 9 has lengths
    where equation 10 and the authors' code have squares, and both sum over t where the code averages.

    Args:
      W: [H, H].
      slopes: φ'(aₜ₋₁) of the steps t = 1 … T [T, *B, H].
      errors: eₜ of the same steps [T, *B, H].
      bound: steps and streams whose ‖eₜ‖² is below do not count.
    """
    slopes, errors = jax.lax.stop_gradient((slopes, errors))
    length = jnp.sum(errors**2, axis=-1)
    before = jnp.sum((errors @ W.T * slopes) ** 2, axis=-1)
    counts = length >= bound
    terms = jnp.where(counts, (before / jnp.where(counts, length, 1) - 1) ** 2, 0)
    return jnp.sum(terms) / jnp.maximum(jnp.sum(counts), 1)
