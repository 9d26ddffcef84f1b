"""The training loop around the JAX peers' networks; they differ in the network alone."""

import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.peers import Run
from benchmarks.problem import CLIP_NORM, LEARNING_RATE, STEPS_PER_DISPATCH, Text

Forward = Callable[..., tuple]
"""(params, carry, ids [T, B]) -> (carry, logits [T, B, V])."""


def make_run(forward: Forward, params, carry, text: Text, style: str) -> Run:
    """Trains a network: one jitted step a call (documented), or up to K steps in one donated call (best).

    The scans over time are rolled in both on a CPU: written out at size S, some were a little faster, others several
    times slower, and all took long to compile. On a GPU the best style has `unroll` steps in one turn.
    """
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP_NORM), optax.adam(LEARNING_RATE))
    start = params, optimizer.init(params), carry
    zeros = jax.tree.map(jnp.zeros_like, carry)

    def loss_of(params, carry, x, y):
        carry, logits = forward(params, carry, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), carry

    def train_step(state, x, y):
        params, opt_state, carry = state
        (loss, carry), grads = jax.value_and_grad(loss_of, has_aux=True)(params, carry, x, y)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state, carry), loss

    return (_run_chunks if style == "best" else _run_steps)(train_step, start, zeros, text)


def unroll(style: str) -> int:
    """Time steps in one turn of a loop; those of the best style on a GPU are as many as this package's."""
    return 16 if style == "best" and os.environ["JAX_PLATFORMS"] != "cpu" else 1


def _run_steps(train_step, state, zeros, text: Text) -> Run:
    train_step = jax.jit(train_step)
    position = 0

    def run(steps: int) -> np.ndarray:
        nonlocal state, position
        losses = []
        for _ in range(steps):
            window = position % len(text.x)
            if window == 0:
                state = (*state[:2], zeros)
            state, loss = train_step(state, text.x[window], text.y[window])
            losses.append(loss)  # read when all are under way: the calls do not wait for one another
            position += 1
        jax.block_until_ready(state)
        return np.array(losses)

    return run


def _run_chunks(train_step, state, zeros, text: Text) -> Run:
    xs, ys = jnp.asarray(text.x), jnp.asarray(text.y)

    def chunk(state, position, steps):
        def body(i, loop):
            (params, opt_state, carry), losses = loop
            window = (position + i) % xs.shape[0]
            carry = jax.tree.map(lambda zero, h: jnp.where(window == 0, zero, h), zeros, carry)
            state, loss = train_step((params, opt_state, carry), xs[window], ys[window])
            return state, losses.at[i].set(loss)

        return jax.lax.fori_loop(0, steps, body, (state, jnp.zeros(STEPS_PER_DISPATCH)))

    chunk = jax.jit(chunk, donate_argnums=0)
    state = jax.tree.map(jnp.array, state)  # a copy, as it is given away
    position = 0

    def run(steps: int) -> np.ndarray:
        nonlocal state, position
        losses = []
        for done in range(0, steps, STEPS_PER_DISPATCH):
            now = min(STEPS_PER_DISPATCH, steps - done)
            state, chunk_losses = jax.block_until_ready(chunk(state, np.int32(position), np.int32(now)))
            losses.append(np.asarray(chunk_losses)[:now])
            position += now
        return np.concatenate(losses)

    return run
