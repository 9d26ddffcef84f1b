"""Songs written by a network while it learns."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.config import Config
from rnnjax.config.memory import check_fits
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Carry, Model, Params
from rnnjax.model.sampling import absorb, generate, generate_textbook, gumbel_noise
from rnnjax.training.randomness import random_key

Array = jax.Array
Sampler = Callable[[Params, Hyper, Carry, Array, Array], Array]


def make_sampler(config: Config, model: Model, prime: np.ndarray) -> Sampler:
    """Returns a jitted (params, hyper, carry, streams, step) -> ids [sampling.length].

    Both methods start from the first stream's state, in which training has left it: from a state of zeros a network
    that never saw one in the middle of a text may fall into another attractor. The stateful method then reads `prime`.
    The textbook's reads a stretch of the text drawn at random, and uses no prime. All draws follow from seed and step.

    Args:
      prime: ids `[P]`, P >= 1.

    Raises:
      UserError: if the noise of a sample does not fit into memory.
    """
    check_fits("sampling.length", jnp.dtype(config.run.precision).itemsize * config.sampling.length * model.vocabulary)
    length, top_k, temperature = config.sampling.length, config.sampling.top_k, config.sampling.temperature
    window_length = config.training.sequence_length
    model = replace(model, scan_unroll=1)  # an unrolled window takes seconds to compile, and writes no faster

    def sample(params: Params, hyper: Hyper, carry: Carry, streams: Array, step: Array) -> Array:
        dtype = params.V.dtype
        key_place, key_noise = jax.random.split(random_key(config.training.seed, "sample", step))
        noise = gumbel_noise(key_noise, 0, length, (1, model.vocabulary), dtype)
        first = jax.tree.map(lambda h: h[:1], carry)
        if config.sampling.method == "textbook":
            row = streams[0]
            start = jax.random.randint(key_place, (), 0, row.shape[0] - window_length + 1)
            window = jax.lax.dynamic_slice_in_dim(row, start, window_length)[:, None]
            _, ids = generate_textbook(model, params, hyper, first, window, noise, temperature, top_k)
        else:
            ids_before = jnp.asarray(prime)[:, None]
            if len(prime) > 1:
                first = absorb(model, params, hyper, first, ids_before[:-1])
            _, ids = generate(model, params, hyper, first, ids_before[-1], noise, temperature, top_k)
        return ids[:, 0]

    return jax.jit(sample)
