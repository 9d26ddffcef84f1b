"""Small networks with every mask, and the check that a gradient method agrees with the oracle, leaf by leaf."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import oracle

from rnnjax.config import GradientConfig
from rnnjax.gradients import METHODS, autodiff, manual
from rnnjax.gradients.method import Gradient, Window
from rnnjax.model.cells import Hyper
from rnnjax.model.network import Batch, Layer, Model, Params
from rnnjax.model.recurrence import of_network

NAMES = ("autodiff", "manual", "textbook", "custom_vjp")
"""What is checked in every case; the other exact methods have a few of them in test_exact_methods.py."""
TOLERANCE = 1e-10
VOCABULARY, HIDDEN, SEEN = 7, 5, 4


class Case(NamedTuple):
    """masks holds w (weight), v (valid), r (reset), 0 (zero initial state) and 1 (one character throughout)."""

    T: int
    batch: tuple
    layers: int = 1
    activation: str = "tanh"
    masks: str = ""
    seed: int = 0
    scan_unroll: int = 1


def make(case):
    """A random network and window in float64; inputs are drawn from the first 4 ids of 7, so that they repeat."""
    rng = np.random.default_rng(case.seed)
    V, H = VOCABULARY, HIDDEN
    layers = tuple(
        Layer(rng.normal(size=(width, H)), rng.normal(size=(H, H)) * 0.8 / H**0.5, rng.normal(size=H))
        for width in (V, *[H] * (case.layers - 1))
    )
    params = Params(layers, rng.normal(size=(H, V)), rng.normal(size=V))
    scale = 0.0 if "0" in case.masks else 0.7
    carry = tuple(scale * rng.normal(size=(*case.batch, H)) for _ in layers)
    shape = (case.T, *case.batch)
    x = np.full(shape, 2) if "1" in case.masks else rng.integers(SEEN, size=shape)
    batch = Batch(
        x.astype(np.uint8 if case.T % 2 else np.int32),
        rng.integers(V, size=shape).astype(np.uint8),
        rng.uniform(size=shape) * (rng.uniform(size=shape) < 0.9) + 0.01 if "w" in case.masks else None,
        rng.uniform(size=shape) < 0.7 if "v" in case.masks else None,
        rng.uniform(size=shape) < 0.25 if "r" in case.masks else None,
    )
    model = Model(V, H, case.layers, case.activation, case.scan_unroll)
    return jax.tree.map(jnp.asarray, (params, carry, batch)), model


def to_oracle(params, carry, batch):
    """The same numbers in the oracle's dicts and lists."""
    params, carry, batch = jax.tree.map(np.asarray, (params, carry, batch))
    layers = [{name: getattr(layer, name) for name in ("U", "W", "bh")} for layer in params.layers]
    window = {name: getattr(batch, name) for name in ("x", "y", "weight", "valid", "reset")}
    return {"layers": layers, "V": params.V, "by": params.by}, list(carry), window


def reference(model, params, carry, batch):
    """The oracle's answer as a `Gradient`."""
    result = oracle.run(*to_oracle(params, carry, batch), model.activation, with_gradient=True)
    grads = result["params"]
    layers = tuple(Layer(**layer) for layer in grads["layers"])
    d_params = Params(layers, grads["V"], grads["by"])
    return Gradient(np.asarray(result["loss"]), d_params, tuple(result["carry"]), tuple(result["new_carry"]))


@partial(jax.jit, static_argnums=(0, 1))
def compute(name, model, params, carry, batch):
    """The gradient by a method of the table, or by `jax.grad` through the hand-written derivative of `unroll`."""
    if name == "custom_vjp":
        return autodiff.gradient(of_network(model), Window(params, Hyper(), carry, batch), unroll=manual.unroll)
    method = METHODS[name](GradientConfig())
    trace = method.init(of_network(model), params, carry)
    return method.gradient(of_network(model), Window(params, Hyper(), carry, batch, trace))._replace(
        trace=None, spent=None
    )


def compare(actual, expected, tolerance=TOLERANCE):
    """Raises AssertionError naming the leaves that differ by more than tolerance x the leaf's largest entry, or where
    an exact zero is not one.
    """
    actual, structure = jax.tree_util.tree_flatten_with_path(actual)
    expected, expected_structure = jax.tree_util.tree_flatten_with_path(expected)
    if structure != expected_structure:
        raise AssertionError(f"{structure} instead of {expected_structure}")
    faults = []
    for (path, a), (_, e) in zip(actual, expected, strict=True):
        name = jax.tree_util.keystr(path)
        if a.shape != e.shape or a.dtype != e.dtype:
            faults.append(f"{name}: {a.dtype}{a.shape} instead of {e.dtype}{e.shape}")
            continue
        a, e = np.asarray(a), np.asarray(e)
        error, size = np.abs(a - e).max(), np.abs(e).max()
        if not error <= tolerance * size:
            faults.append(f"{name}: off by {error:.1e}, largest entry {size:.1e}")
        elif np.any(a[e == 0] != 0):
            faults.append(f"{name}: an exact zero is not zero")
    if faults:
        raise AssertionError("; ".join(faults))


def check(name, case):
    """Raises AssertionError where the named method and the oracle disagree."""
    arrays, model = make(case)
    compare(compute(name, model, *arrays), reference(model, *arrays))
