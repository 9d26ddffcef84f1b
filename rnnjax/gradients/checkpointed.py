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
from typing import Any

import jax
import jax.numpy as jnp

from rnnjax.config import GradientConfig
from rnnjax.gradients import autodiff
from rnnjax.gradients.claim import Claim
from rnnjax.gradients.method import Gradient, Method, Window
from rnnjax.gradients.segments import pad, segment_loss
from rnnjax.model.network import Batch, Model
from rnnjax.model.recurrence import Recurrence, precision, total_weight

Array = jax.Array

SHORTEST = 4
"""Steps below which a half is not cut again: keeping them costs less than cutting."""


def gradient(recurrence: Recurrence, window: Window, *, segments: str = "sqrt") -> Gradient:
    """Loss and gradient of one window, its initial state held constant between windows.

    Cost: sqrt: O(T·H²) time and O(√T·H) memory a stream; recursive: O(T·log T·H²) and O(log T·H), and on each of its
    levels a gradient of the parameters as well: for long windows. The window's input and dropout noise are kept whole.
    Exact within the window.

    Args:
      segments: sqrt or recursive.
    """
    batch, dtype = window.batch, precision(window.params)
    T = batch.shape[0]
    counts, length = cut_sqrt(T) if segments == "sqrt" else cut_in_halves(T)
    total = total_weight(recurrence, batch)
    padding = math.prod(counts) * length - T
    if padding:
        batch = pad(batch, 0, padding)
    cut = jax.tree.map(lambda leaf: leaf.reshape(*counts, length, *leaf.shape[1:]), batch)

    def loss_of(params: Any, carry: Any) -> tuple[Array, Any]:
        one = lambda carry, segment: segment_loss(recurrence, params, window.hyper, carry, segment, total)
        return nest(one, counts, dtype)(carry, cut)

    return autodiff.differentiate(loss_of, window)


def nest(
    run: Callable[..., tuple[Array, Any]], counts: list[int], dtype: jnp.dtype
) -> Callable[..., tuple[Array, Any]]:
    """A scan over counts[0] parts, each a scan over counts[1] parts, ...; a part keeps nothing but where it began.

    Args:
      run: (carry, segment) -> (loss, carry) over one segment.
      dtype: the loss's.
    """
    if not counts:
        return run
    part = jax.checkpoint(nest(run, counts[1:], dtype), prevent_cse=False)  # inside a scan nothing can be merged

    def parts(carry: Any, segments: Batch) -> tuple[Array, Any]:
        def body(loop: tuple[Array, Any], segment: Batch) -> tuple[tuple[Array, Any], None]:
            loss, carry = loop
            more, carry = part(carry, segment)
            return (loss + more, carry), None

        return jax.lax.scan(body, (jnp.zeros((), dtype), carry), segments)[0]

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


def refuse(model: Model) -> str | None:
    """Segments follow each other in one direction."""
    return "the backward layers would need the segments in the other order" if model.bidirectional else None
