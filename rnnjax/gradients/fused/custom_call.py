"""The kernels as functions of JAX's arrays."""

import math
import os
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp

from rnnjax.cores import cores
from rnnjax.gradients.fused import lstm, vanilla
from rnnjax.gradients.fused.call import HEAD, register
from rnnjax.gradients.fused.product import ROWS, WIDTH

Array = jax.Array

KERNELS = {"lstm": lstm, "vanilla": vanilla}


def kernel(cell: str, name: str, results: Sequence[Array | jax.ShapeDtypeStruct], aliases: dict[int, int]) -> Callable:
    """A kernel as a function of arrays; under `vmap` one follows the other.

    Args:
      name: forward or backward.
      results: arrays of the shapes of its results, the first two axes of the first of which are T and B.
      aliases: arguments, each with the result that takes over its memory.
    """
    ready(cell)
    shapes = [jax.ShapeDtypeStruct(result.shape, result.dtype) for result in (*results, memory(results[0].shape[1]))]
    call = jax.ffi.ffi_call(f"rnnjax_{cell}_{name}", shapes, vmap_method="sequential", input_output_aliases=aliases)
    return lambda *arrays: call(*arrays)[:-1]


def memory(streams: int) -> jax.ShapeDtypeStruct:
    """The memory of as many threads as the machine offers and the streams fill: beyond two each has a block."""
    said = os.environ.get("PJRT_NPROC", "")
    offered = (int(said) if said.isdecimal() else 0) or cores()
    threads = min(offered, streams, max(2, math.ceil(streams / ROWS)))
    return jax.ShapeDtypeStruct((threads, HEAD // 4 + ROWS * WIDTH), jnp.float32)


@cache
def ready(cell: str) -> None:
    """Makes the kernels of a cell known to XLA, once; compiles them, where no earlier start has."""
    sources = b"".join(file.read_bytes() for file in sorted(Path(__file__).parent.glob("*.py")))
    version = zlib.crc32(sources) or 1
    try:
        kernels = KERNELS[cell].compiled(version, cache=True)
    except Exception:  # no place for the cache, a full disk or a damaged file: it can do without
        kernels = KERNELS[cell].compiled(version, cache=False)
    for name, function in zip(("forward", "backward"), kernels, strict=True):
        register(f"rnnjax_{cell}_{name}", function)
