"""The kernels of `lstm` as functions of JAX's arrays."""

import os
import zlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rnnjax.gradients.fused import lstm
from rnnjax.gradients.fused.call import HEAD, register
from rnnjax.gradients.fused.product import ROWS, VECTORS, WIDTH
from rnnjax.gradients.fused.vectors import LANES

Array = jax.Array


class Steps(NamedTuple):
    """All steps of a layer: h after and before each, the gates i, f, g, o, c before, tanh c after; and the last c."""

    hs: Array
    h_prev: Array
    gates: Array
    c_prev: Array
    tanh_c: Array
    c: Array


def forward(W: Array, a: Array, h: Array, c: Array) -> Steps:
    """All steps of a layer from the state h, c [B, H], with a [T, B, 4·H]."""
    T, B, H = *a.shape[:2], h.shape[-1]
    panels = W.reshape(H, VECTORS, H // LANES, LANES).transpose(2, 0, 1, 3)
    steps = jax.ShapeDtypeStruct((T, B, H), a.dtype)
    results = [steps, steps, a, steps, steps, c, memory(B)]
    return Steps(*call("forward", results, {1: 2})(panels, a, h, c)[:-1])


def backward(
    W: Array, gates: Array, c_prev: Array, tanh_c: Array, d_hs: Array, d_h: Array, d_c: Array
) -> tuple[Array, Array, Array]:
    """∂L/∂a of every step [T, B, 4·H], and ∂L/∂ the first h and c, from ∂L/∂ every h, and the last h and c."""
    H = d_hs.shape[-1]
    panels = W.reshape(H // WIDTH, WIDTH, VECTORS * H).transpose(0, 2, 1)
    results = [gates, d_h, d_c, memory(d_h.shape[0])]
    d_a, d_h0, d_c0, _ = call("backward", results, {1: 0})(panels, gates, c_prev, tanh_c, d_hs, d_h, d_c)
    return d_a, d_h0, d_c0


def memory(streams: int) -> jax.ShapeDtypeStruct:
    """The memory of as many threads as the machine offers and the streams can use."""
    threads = min(int(os.environ.get("PJRT_NPROC", 0)) or len(os.sched_getaffinity(0)), streams)
    return jax.ShapeDtypeStruct((threads, HEAD // 4 + ROWS * WIDTH), jnp.float32)


def call(name: str, results: list, aliases: dict[int, int]):
    """A kernel as a function of arrays; streams of vmap follow one another.

    Args:
      aliases: arguments whose memory a result takes over.
    """
    ready()
    shapes = [jax.ShapeDtypeStruct(result.shape, result.dtype) for result in results]
    return jax.ffi.ffi_call(f"rnnjax_lstm_{name}", shapes, vmap_method="sequential", input_output_aliases=aliases)


@cache
def ready() -> None:
    """Makes the kernels known to XLA, once; compiles them, where no earlier start has."""
    sources = b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))
    kernels = lstm.compiled(version=zlib.crc32(sources) or 1)
    for name, kernel in zip(("forward", "backward"), kernels, strict=True):
        register(f"rnnjax_lstm_{name}", kernel)
