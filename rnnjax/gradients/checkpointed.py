"""Back-propagation through time that keeps few states and computes the others once more (Chen et al., 2016, "Training
deep nets with sublinear memory cost"; for recurrent networks Gruslys et al., 2016, "Memory-efficient backpropagation
through time").

The window is cut into segments. Going forward only the state before each segment is kept; going back a segment runs
forward again, from that state, and then backward:

    sqrt: √T segments of √T steps          O(√T) states, one forward pass more
    recursive: halves of halves of …       O(log T) states, log T forward passes more

Windows of any length: the last segment is filled up with steps that hold the state and count nothing.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.segments import pad, segment_loss
from rnnjax.model.loss import denominator
from rnnjax.model.network import Batch, Carry, Model, Params

Array = jax.Array

SHORTEST = 4
"""Steps below which a half is not cut again: keeping them costs less than cutting."""


def gradient(model: Model, window: Window, *, segments: str = "sqrt") -> Gradient:
    """Loss and gradient of one window, its initial state held constant between windows.

    Cost: sqrt: O(T·H²) time and O(√T·H) memory a stream; recursive: O(T·log T·H²) and O(log T·H), and on each of its
    levels a gradient of the parameters as well: for long windows. The window's input and dropout noise are kept whole.
    Exact within the window.

    Args:
      segments: sqrt or recursive.
    """
    params, hyper, carry, batch, *_ = window
    T = batch.y.shape[0]
    counts, length = cut_sqrt(T) if segments == "sqrt" else cut_in_halves(T)
    total = denominator(batch.y, batch.weight)
    padding = math.prod(counts) * length - T
    if padding:
        batch = pad(batch, 0, padding)
    segments = jax.tree.map(lambda leaf: leaf.reshape(*counts, length, *leaf.shape[1:]), batch)

    def window_loss(params: Params, carry: Carry) -> tuple[Array, Carry]:
        return nest(lambda carry, segment: segment_loss(model, params, hyper, carry, segment, total), counts)(
            carry, segments
        )

    (loss, new_carry), (d_params, d_carry) = jax.value_and_grad(window_loss, argnums=(0, 1), has_aux=True)(
        params, carry
    )
    return Gradient(loss, d_params, d_carry, new_carry)


def nest(run: Callable[..., tuple[Array, Carry]], counts: list[int]) -> Callable[..., tuple[Array, Carry]]:
    """A scan over counts[0] parts, each a scan over counts[1] parts, ...; a part keeps nothing but where it began.

    Args:
      run: (carry, segment) -> (loss, carry) over one segment.
    """
    if not counts:
        return run
    part = jax.checkpoint(nest(run, counts[1:]), prevent_cse=False)  # inside a scan nothing can be merged

    def parts(carry: Carry, segments: Batch) -> tuple[Array, Carry]:
        def body(loop: tuple[Array, Carry], segment: Batch) -> tuple[tuple[Array, Carry], None]:
            loss, carry = loop
            more, carry = part(carry, segment)
            return (loss + more, carry), None

        return jax.lax.scan(body, (jnp.zeros((), carry[0].dtype), carry), segments)[0]

    return parts


def cut_sqrt(T: int) -> tuple[list[int], int]:
    """[the number of segments], and their length."""
    length = math.isqrt(T - 1) + 1
    return [-(-T // length)], length


def cut_in_halves(T: int) -> tuple[list[int], int]:
    """[2, 2, ...], and the length of the last halves: less than a quarter of the steps is padding."""
    levels = max(T // SHORTEST, 1).bit_length() - 1
    return [2] * levels, -(-T // 2**levels)


def method(config: GradientConfig) -> Method:
    claim = Claim("exact", variants=({"segments": "sqrt"}, {"segments": "recursive"}))
    return Method(partial(gradient, segments=config.segments), refuse=refuse, claim=claim)


def refuse(model: Model, T: int, B: int, dtype: str = "float32") -> str | None:
    """Segments follow each other in one direction."""
    return "the backward layers would need the segments in the other order" if model.bidirectional else None
