"""Temporary memory of the gradient of one window; nothing is run."""

import jax
import jax.numpy as jnp

from rnnjax.config import Config
from rnnjax.gradients import make_method
from rnnjax.gradients.method import Window
from rnnjax.model.network import Batch, Model
from rnnjax.model.recurrence import of_network
from rnnjax.training.state import init_state


def gradient_memory(config: Config, model: Model) -> int:
    """Bytes that the config's method, compiled for the config's window, needs beside its arguments."""
    state = jax.eval_shape(lambda: init_state(config, model, jnp.dtype("float32")))
    method = make_method(config.gradient)
    ids = jax.ShapeDtypeStruct((config.training.sequence_length, config.training.batch_size), jnp.uint8)
    recurrence, T = of_network(model), config.training.sequence_length
    draw = lambda params, carry: method.draw(jax.random.key(0), recurrence, params, carry, T)
    noise = jax.eval_shape(draw, state.params, state.carry)
    window = Window(state.params, state.hyper, state.carry, Batch(ids, ids), state.trace, noise)
    program = jax.jit(method.gradient, static_argnums=0).lower(recurrence, window).compile()
    return program.memory_analysis().temp_size_in_bytes
