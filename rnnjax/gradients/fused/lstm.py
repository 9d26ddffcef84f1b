"""All time steps of a layer of LSTM units in one call, forward and back, for a part of the streams.

The equations are those of `model.cells.lstm`. A block of a few streams and LANES units goes through product and gates
before the next begins, so that no array of a step is written and read again; a part of the streams never waits for
another.
"""

from typing import Any

import numpy as np
from numba import cfunc, njit, types

from rnnjax.gradients.fused.call import ARGUMENTS, answered, argument, divided, length, result
from rnnjax.gradients.fused.functions import sigmoid, tanh
from rnnjax.gradients.fused.product import ROWS, VECTORS, WIDTH, product
from rnnjax.gradients.fused.vectors import LANES, load, multiply_add, repeat, store

ONE = np.float32(1)


@njit(error_model="numpy")
def forward_part(frame, first, last, sums):
    """i, f, o = σ(a + h W)    g = tanh(a + h W)    cₜ = f ⊙ cₜ₋₁ + i ⊙ g    hₜ = o ⊙ tanh(cₜ)"""
    T, B, H = length(frame, ARGUMENTS, 1, 0), length(frame, ARGUMENTS, 1, 1), length(frame, ARGUMENTS, 2, 1)
    panels, a, h0, c0 = argument(frame, 0), argument(frame, 1), argument(frame, 2), argument(frame, 3)
    hs, h_prev, gates = result(frame, 0), result(frame, 1), result(frame, 2)
    c_prev, tanh_c, end = result(frame, 3), result(frame, 4), result(frame, 5)
    streams = last - first
    blocks = (streams + ROWS - 1) // ROWS
    for t in range(T):
        h_before = hs + 4 * (t - 1) * B * H if t else h0
        c_before = c_prev + 4 * t * B * H if t else c0
        c_after = c_prev + 4 * (t + 1) * B * H if t + 1 < T else end
        for p in range(H // LANES):
            for block in range(blocks):
                top = first + block * streams // blocks
                rows = first + (block + 1) * streams // blocks - top
                product(rows, h_before + 4 * top * H, H, panels + 4 * p * H * WIDTH, H, sums)
                for r in range(rows):
                    unit = (top + r) * H + p * LANES
                    gate = (t * B + top + r) * 4 * H + p * LANES
                    now = t * B * H + unit
                    z = r * WIDTH
                    i = sigmoid(load(a, gate) + load(sums, z))
                    f = sigmoid(load(a, gate + H) + load(sums, z + LANES))
                    g = tanh(load(a, gate + 2 * H) + load(sums, z + 2 * LANES))
                    o = sigmoid(load(a, gate + 3 * H) + load(sums, z + 3 * LANES))
                    before = load(c_before, unit)
                    c = multiply_add(f, before, i * g)
                    tanh_now = tanh(c)
                    store(gates, gate, i)
                    store(gates, gate + H, f)
                    store(gates, gate + 2 * H, g)
                    store(gates, gate + 3 * H, o)
                    store(c_prev, now, before)
                    store(c_after, unit, c)
                    store(tanh_c, now, tanh_now)
                    store(h_prev, now, load(h_before, unit))
                    store(hs, now, o * tanh_now)


@njit(error_model="numpy")
def backward_part(frame, first, last, sums):
    """d_h = ∂L/∂hₜ + d_aₜ₊₁ Wᵀ    d_c = d_cₜ₊₁ ⊙ f + d_h ⊙ o ⊙ (1 - tanh² cₜ)    d_a = the gates' slopes times these"""
    T, B, H = length(frame, ARGUMENTS, 2, 0), length(frame, ARGUMENTS, 2, 1), length(frame, ARGUMENTS, 2, 2)
    panels, gates, c_prev, tanh_c = argument(frame, 0), argument(frame, 1), argument(frame, 2), argument(frame, 3)
    d_hs, d_h_end, d_c_end = argument(frame, 4), argument(frame, 5), argument(frame, 6)
    d_a, d_h0, d_c = result(frame, 0), result(frame, 1), result(frame, 2)
    streams, one = last - first, repeat(ONE)
    blocks = (streams + ROWS - 1) // ROWS
    for t in range(T - 1, -2, -1):
        for p in range(H // WIDTH):
            for block in range(blocks):
                top = first + block * streams // blocks
                rows = first + (block + 1) * streams // blocks - top
                if t + 1 < T:
                    after = d_a + 16 * ((t + 1) * B + top) * H
                    product(rows, after, 4 * H, panels + 16 * p * H * WIDTH, 4 * H, sums)
                for r in range(rows):
                    for v in range(VECTORS):
                        unit = (top + r) * H + p * WIDTH + v * LANES
                        d_h = load(sums, r * WIDTH + v * LANES) if t + 1 < T else load(d_h_end, unit)
                        if t < 0:
                            store(d_h0, unit, d_h)
                            continue
                        gate = (t * B + top + r) * 4 * H + p * WIDTH + v * LANES
                        now = t * B * H + unit
                        d_h = d_h + load(d_hs, now)
                        i, f = load(gates, gate), load(gates, gate + H)
                        g, o = load(gates, gate + 2 * H), load(gates, gate + 3 * H)
                        tanh_now = load(tanh_c, now)
                        d_s = load(d_c, unit) if t + 1 < T else load(d_c_end, unit)
                        d_s = multiply_add(d_h, o * (one - tanh_now * tanh_now), d_s)
                        store(d_a, gate, d_s * (g * i * (one - i)))
                        store(d_a, gate + H, d_s * (load(c_prev, now) * f * (one - f)))
                        store(d_a, gate + 2 * H, d_s * (i * (one - g * g)))
                        store(d_a, gate + 3 * H, d_h * (tanh_now * o * (one - o)))
                        store(d_c, unit, d_s * f)


forward_divided = divided(forward_part, streams=(1, 1), memory=6)
backward_divided = divided(backward_part, streams=(2, 1), memory=3)


def compiled(version: int, cache: bool) -> tuple[Any, Any]:
    """The custom calls.

    `fused.vanilla` has the same lines: a function that a custom call encloses, rather than finds in its file, changes
    numba's key at every start, and nothing would come from the cache.

    Args:
      version: number of the sources, not 0. Numba compares the file of a function and what it encloses, not what it
        calls.
      cache: kept on disk by numba, from one start to the next.

    Returns:
      (panels, a, h0, c0) -> (hs, h_prev, gates, c_prev, tanh_c, c, memory), and
      (panels, gates, c_prev, tanh_c, d_hs, d_h, d_c) -> (d_a, d_h0, d_c0, memory).
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
