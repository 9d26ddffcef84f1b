"""Writing text: the network's own output is its next input, as one `lax.scan` over time.

A character is drawn by the Gumbel trick, argmax(logits + temperature · g) with g standard Gumbel noise, which is a draw
from softmax(logits / temperature), and the likeliest character at temperature 0, with no division (Gumbel, 1954,
"Statistical theory of extreme values"; Maddison et al., 2014, "A* sampling"). Noise is an input, made from the key and
the position alone: a text comes out the same whether it is written in one piece or in many.
"""

import jax
import jax.numpy as jnp

from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Carry, Model, Params
from rnnjax.model.rnn import hidden_to_output, run_layers, step

Array = jax.Array


def gumbel_noise(key: Array, start: Array | int, length: int, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    """Noise for the characters at positions start … start + length - 1 of a text: [length, *shape]."""
    positions = start + jnp.arange(length)
    return jax.vmap(lambda position: jax.random.gumbel(jax.random.fold_in(key, position), shape, dtype))(positions)


def draw(logits: Array, noise: Array, temperature: Array | float, top_k: int = 0) -> Array:
    """Draws the next character; never the last id, which stands for unknown characters.

    Args:
      logits: [B, V].
      noise: standard Gumbel noise [B, V].
      temperature: 0 takes the likeliest.
      top_k: keep only the k likeliest, and ties with the last of them; 0, or more than V - 1, keeps all. Static.

    Returns:
      ids [B].
    """
    known = logits.shape[-1] - 1
    logits = logits[..., :known]
    if 0 < top_k < known:
        smallest_kept = jax.lax.top_k(logits, top_k)[0][..., -1:]
        logits = jnp.where(logits < smallest_kept, -jnp.inf, logits)
    return jnp.argmax(logits + temperature * noise[..., :known], axis=-1)


def absorb(model: Model, params: Params, hyper: Hyper, carry: Carry, x: Array) -> Carry:
    """The carry after reading ids x [T, B]."""
    return run_layers(model, params, hyper, carry, Batch(x, x))[0]


def fed_back(
    model: Model,
    params: Params,
    hyper: Hyper,
    carry: Carry,
    x: Array,
    noise: Array,
    temperature: Array | float = 1.0,
    top_k: int = 0,
) -> tuple[Carry, Array, Array]:
    """The network left to itself: each output is drawn, and is the next input; the same as

        for t in range(T):
            carry, logits[t] = step(carry, x)
            ids[t] = x = draw(logits[t], noise[t])

    Args:
      carry: the state before x is read.
      x: the last known ids [B].
      noise: [T, B, V], from `gumbel_noise`.

    Returns:
      The carry before the last drawn id is read, the logits of every step [T, B, V], and the ids [T, B]. With the last
      of these as the next x, the text goes on.
    """

    def body(state: tuple[Carry, Array], noise_t: Array) -> tuple[tuple[Carry, Array], tuple[Array, Array]]:
        carry, x = state
        carry, logits = step(model, params, hyper, carry, Batch(x, x))
        x = draw(logits, noise_t, temperature, top_k).astype(x.dtype)
        return (carry, x), (logits, x)

    (carry, _), (logits, ids) = jax.lax.scan(body, (carry, x), noise)
    return carry, logits, ids


def generate(
    model: Model,
    params: Params,
    hyper: Hyper,
    carry: Carry,
    x: Array,
    noise: Array,
    temperature: Array | float,
    top_k: int = 0,
) -> tuple[Carry, Array]:
    """Writes as many characters as there is noise for: `fed_back`, without the logits, which a compiled program then
    does not keep."""
    carry, _, ids = fed_back(model, params, hyper, carry, x, noise, temperature, top_k)
    return carry, ids


def generate_textbook(
    model: Model,
    params: Params,
    hyper: Hyper,
    carry: Carry,
    window: Array,
    noise: Array,
    temperature: Array | float,
    top_k: int = 0,
) -> tuple[Carry, Array]:
    """Writes text as the textbook's training loop does: for each new character the last T are read anew, but from the
    state that the reading before has left, so that every character passes through the network T times.

    Args:
      carry: the state of the training stream.
      window: the first T ids, any stretch of the training text [T, B].
      noise: [length, B, V].

    Returns:
      The last carry, and the written ids [length, B].
    """

    def body(state: tuple[Carry, Array], noise_t: Array) -> tuple[tuple[Carry, Array], Array]:
        carry, window = state
        carry, hs = run_layers(model, params, hyper, carry, Batch(window, window))
        x = draw(hidden_to_output(params, hs[-1]), noise_t, temperature, top_k).astype(window.dtype)
        return (carry, jnp.concatenate([window[1:], x[None]])), x

    (carry, _), ids = jax.lax.scan(body, (carry, window), noise)
    return carry, ids
