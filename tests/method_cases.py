"""Networks, windows and ways to compare, for the tests of gradient methods."""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rnnjax.gradients import METHODS, autodiff
from rnnjax.gradients.method import Window
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import init_params
from rnnjax.model.network import Batch, Model, zero_carry
from rnnjax.model.recurrence import of_network

HYPER = Hyper(leak=0.6, dropout=0.3)


class Case(NamedTuple):
    """masks holds w (weight), v (valid) and r (reset); options are fields of `Model`."""

    T: int
    batch: tuple
    masks: str = ""
    hidden: int = 3
    options: tuple = ()


def shapes_of(model):
    return jax.eval_shape(lambda: init_params(jax.random.key(0), model, "normal", 1.0, jnp.float64))


@cache
def make(case):
    """A random network and window in float64, and the gradient by autodiff. Returns (model, arrays, reference)."""
    model = Model(vocabulary=5, hidden=case.hidden, **dict(case.options))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: jnp.asarray(0.7 * rng.normal(size=leaf.shape)), shapes_of(model))
    carry = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)), zero_carry(model, case.batch, float))
    shape = (case.T, *case.batch)
    valid, reset = (rng.uniform(size=(case.T, int(np.prod(case.batch)))) < share for share in (0.8, 0.2))
    steps = np.arange(case.T)
    valid[:, 0], reset[:, 0] = steps != 1, steps == case.T // 2  # the first stream is held once, and restarts once
    reset[0] = False  # or the initial state would not matter
    batch = Batch(
        jnp.asarray(rng.integers(4, size=shape)),
        jnp.asarray(rng.integers(5, size=shape)),
        jnp.asarray(rng.uniform(size=shape) + 0.01) if "w" in case.masks else None,
        jnp.asarray(valid.reshape(shape)) if "v" in case.masks else None,
        jnp.asarray(reset.reshape(shape)) if "r" in case.masks else None,
        tuple(jnp.asarray(rng.uniform(size=(*shape, case.hidden))) for _ in range(model.layers))
        if model.dropout
        else None,
    )
    return model, (params, carry, batch), reference(model, params, carry, batch)


@partial(jax.jit, static_argnums=0)
def reference(model, params, carry, batch):
    return autodiff.gradient(of_network(model), Window(params, HYPER, carry, batch))


@partial(jax.jit, static_argnums=(0, 1))
def gradient(config, model, params, carry, batch, noise):
    method = METHODS[config.method](config)
    trace = method.init(of_network(model), params, carry)
    return method.gradient(of_network(model), Window(params, HYPER, carry, batch, trace, noise))


def compute(config, model, params, carry, batch, noise=None):
    """A method's gradient from its initial trace, without that afterwards."""
    return gradient(config, model, params, carry, batch, noise)._replace(trace=None, spent=None)


def distance(actual, expected, part):
    """Largest difference in a part of the gradient, as a share of its largest entry."""
    a, e = (np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(part(found))]) for found in (actual, expected))
    return np.abs(a - e).max() / np.abs(e).max()


def of_recurrent_weights(found):
    return [layer.W for layer in found.params.layers]


def windows_of(batch, count):
    """The stream cut into windows of equal length."""
    return [jax.tree.map(lambda leaf, i=i: jnp.split(leaf, count)[i], batch) for i in range(count)]


def over_windows(config, model, params, carry, batch, noise, count):
    """The sum of the windows' gradients, each weighted by its share of the stream, parameters unchanged."""
    method = METHODS[config.method](config)
    trace = method.init(of_network(model), params, carry)
    parts = []
    for window, noise_of_window in zip(windows_of(batch, count), windows_of(noise, count), strict=True):
        found = method.gradient(of_network(model), Window(params, HYPER, carry, window, trace, noise_of_window))
        carry, trace = found.new_carry, found.trace
        parts.append((found.loss, found.params, found.carry))
    return jax.tree.map(lambda *leaves: sum(leaves) / count, *parts)
