"""Newton's step within a trust region, as a Kalman smoother in parallel over time.

The step δ of `newton` that is both short and close to the linear recurrence's,

    minimise Σₜ |δₜ - Dₜ δₜ₋₁ - rₜ|² + λ |δₜ|²        δ₋₁ = 0

is the mean of a Gaussian walk δₜ ~ N(Dₜ δₜ₋₁ + rₜ, I) of which each δₜ was seen to be 0, with variance 1/λ (Gonzalez et
al., 2024, "Towards scalable and stable parallelization of nonlinear RNNs"). Filter and smoother are one associative
scan each (Särkkä & García-Fernández, 2021, "Temporal parallelization of Bayesian smoothers").
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.parallel.blocks import act, from_blocks, inverse, product, run, to_blocks, transpose

Array = jax.Array


class Message(NamedTuple):
    """Message of a stretch of time: its last δ is N(A δ' + b, C) given the δ' before it.

    The stretch's observations have likelihood exp(ηᵀ δ' - ½ δ'ᵀ J δ') of that δ'.
    """

    A: Array
    b: Array
    C: Array
    eta: Array
    J: Array


def joined(first: Message, then: Message) -> Message:
    """Message of two stretches, one after the other."""
    identity = jnp.eye(first.C.shape[-1], dtype=first.C.dtype)
    M = inverse(identity + product(first.C, then.J))
    forth, back = product(then.A, M), product(transpose(first.A), transpose(M))
    return Message(
        product(forth, first.A),
        act(forth, first.b + act(first.C, then.eta)) + then.b,
        product(product(forth, first.C), transpose(then.A)) + then.C,
        act(back, then.eta - act(then.J, first.b)) + first.eta,
        product(product(back, then.J), first.A) + first.J,
    )


def smooth(D: Array, r: Array, trust: Array) -> Array:
    """Minimiser above; with λ = 0 Newton's step.

    Args:
      D: [T, ..., S/n, n, n].
      r: [T, ..., S].
      trust: λ of each stream [...], at least 0.

    Returns:
      δ [T, ..., S].
    """
    n = D.shape[-1]
    r, identity = to_blocks(r, n), jnp.eye(n, dtype=D.dtype)
    D = D.at[0].set(0)  # δ₋₁ is 0
    gain = (trust / (1 + trust))[..., None, None]  # Kalman's, the same for every number
    seen = gain[..., None]
    single = Message(
        (1 - seen) * D,
        (1 - gain) * r,
        jnp.broadcast_to((1 - seen) * identity, D.shape),
        -gain * act(transpose(D), r),
        seen * product(transpose(D), D),
    )
    filtered = jax.lax.associative_scan(jax.vmap(joined), single)
    mean, C, D_next, r_next = filtered.b[:-1], filtered.C[:-1], D[1:], r[1:]
    spread = product(D_next, C)
    E = product(transpose(spread), inverse(product(spread, transpose(D_next)) + identity))
    given_next = mean - act(E, act(D_next, mean) + r_next)
    E = jnp.concatenate([E, jnp.zeros_like(D[:1])])
    return run(E, from_blocks(jnp.concatenate([given_next, filtered.b[-1:]])), reverse=True)
