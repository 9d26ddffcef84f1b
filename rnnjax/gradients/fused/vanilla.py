"""All time steps of a layer of simple tanh units in one call, forward and back, for a part of the streams.

The equations are those of `model.cells.vanilla`; the order of the work is that of `fused.lstm`.
"""

from typing import Any

import numpy as np
from numba import cfunc, njit, types

from rnnjax.gradients.fused.call import ARGUMENTS, answered, argument, divided, length, result
from rnnjax.gradients.fused.functions import tanh
from rnnjax.gradients.fused.product import ROWS, WIDTH, product
from rnnjax.gradients.fused.vectors import LANES, load, repeat, store

ONE = np.float32(1)


@njit(error_model="numpy")
def forward_part(frame, first, last, sums):
    """hₜ = tanh(aₜ + hₜ₋₁ W)"""
    T, B, H = length(frame, ARGUMENTS, 1, 0), length(frame, ARGUMENTS, 1, 1), length(frame, ARGUMENTS, 1, 2)
    panels, a, h0 = argument(frame, 0), argument(frame, 1), argument(frame, 2)
    hs, h_prev = result(frame, 0), result(frame, 1)
    streams = last - first
    blocks = (streams + ROWS - 1) // ROWS
    for t in range(T):
        h_before = hs + 4 * (t - 1) * B * H if t else h0
        for p in range(H // WIDTH):
            for block in range(blocks):
                top = first + block * streams // blocks
                rows = first + (block + 1) * streams // blocks - top
                product(rows, h_before + 4 * top * H, H, panels + 4 * p * H * WIDTH, H, sums)
                for r in range(rows):
                    for v in range(0, WIDTH, LANES):
                        unit = (top + r) * H + p * WIDTH + v
                        now = t * B * H + unit
                        store(h_prev, now, load(h_before, unit))
                        store(hs, now, tanh(load(a, now) + load(sums, r * WIDTH + v)))


@njit(error_model="numpy")
def backward_part(frame, first, last, sums):
    """d_h = ∂L/∂hₜ + d_aₜ₊₁ Wᵀ    d_aₜ = d_h ⊙ (1 - hₜ²)"""
    T, B, H = length(frame, ARGUMENTS, 1, 0), length(frame, ARGUMENTS, 1, 1), length(frame, ARGUMENTS, 1, 2)
    panels, hs, d_hs, d_h_end = argument(frame, 0), argument(frame, 1), argument(frame, 2), argument(frame, 3)
    d_a, d_h0 = result(frame, 0), result(frame, 1)
    streams, one = last - first, repeat(ONE)
    blocks = (streams + ROWS - 1) // ROWS
    for t in range(T - 1, -2, -1):
        for p in range(H // WIDTH):
            for block in range(blocks):
                top = first + block * streams // blocks
                rows = first + (block + 1) * streams // blocks - top
                if t + 1 < T:
                    after = d_a + 4 * ((t + 1) * B + top) * H
                    product(rows, after, H, panels + 4 * p * H * WIDTH, H, sums)
                for r in range(rows):
                    for v in range(0, WIDTH, LANES):
                        unit = (top + r) * H + p * WIDTH + v
                        d_h = load(sums, r * WIDTH + v) if t + 1 < T else load(d_h_end, unit)
                        if t < 0:
                            store(d_h0, unit, d_h)
                            continue
                        now = t * B * H + unit
                        h = load(hs, now)
                        store(d_a, now, (d_h + load(d_hs, now)) * (one - h * h))


forward_divided = divided(forward_part, streams=(1, 1), memory=2)
backward_divided = divided(backward_part, streams=(1, 1), memory=2)


def compiled(version: int, cache: bool) -> tuple[Any, Any]:
    """The custom calls, as those of `fused.lstm`.

    Returns:
      (panels, a, h0) -> (hs, h_prev, memory), and (panels, hs, d_hs, d_h) -> (d_a, d_h0, memory).
    """

    @cfunc(types.int64(types.int64), cache=cache)
    def forward(frame):
        if version and not answered(frame):
            forward_divided(frame)
        return 0

    @cfunc(types.int64(types.int64), cache=cache)
    def backward(frame):
        if version and not answered(frame):
            backward_divided(frame)
        return 0

    return forward, backward
