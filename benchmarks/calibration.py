"""The best of this machine: the rate of a large matrix product, and the time of a loop's turn."""

import time
from functools import partial

import jax
import jax.numpy as jnp

from benchmarks.spread import seconds

CPU_GEMM, GPU_GEMM = 2048, 8192
"""A large matrix: its product takes so long that the call does not count."""

TURNS = 10_000
BLOCK_SECONDS = 0.2


def device_kind() -> str:
    """Kind of the device that JAX computes on."""
    return jax.devices()[0].device_kind


def gemm_rate() -> float:
    """Floating-point operations a second of one product of two large matrices."""
    size = CPU_GEMM if jax.default_backend() == "cpu" else GPU_GEMM
    a = jnp.ones((size, size))
    product = jax.jit(jnp.matmul)
    return 2 * size**3 / _best_time(partial(product, a, a))


def loop_latency(batch: int, hidden: int) -> float:
    """Seconds of a turn of a compiled loop that hardly computes: h := tanh(a_t + h), h stored, [B, H]."""
    turns = max(100, TURNS // batch)
    a = jnp.ones((turns, batch, hidden))

    @jax.jit
    def loop(a):
        return jax.lax.scan(lambda h, a_t: (jnp.tanh(a_t + h),) * 2, a[0], a)

    return _best_time(partial(loop, a)) / turns


def _best_time(program) -> float:
    """The shortest of the runs that fit into some time: what else the machine does can only add to it."""
    seconds(program)
    times, end = [], time.perf_counter() + BLOCK_SECONDS
    while len(times) < 3 or time.perf_counter() < end:
        times.append(seconds(program))
    return min(times)
