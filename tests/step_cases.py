"""Steps of several kinds on windows with masks of several kinds, and their gradient by a loop in Python, in float64."""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import rnnjax
from rnnjax.model.leaves import put, reals

T = 4


class Lstm(NamedTuple):
    h: jax.Array
    c: jax.Array


def counting(params, state, x):
    """A dict with a whole number that the output reads."""
    h = jnp.tanh(x @ params["U"] + state["h"] @ params["W"] + 0.1 * state["seen"])
    return {"h": h, "seen": state["seen"] + 1}, h @ params["V"]


def lstm(params, state, x):
    """A tuple with names, parameters in a list, input of ids."""
    gates = params[0][x] + state.h @ params[1]
    i, f, o, g = jnp.split(gates, 4)
    c = jax.nn.sigmoid(f) * state.c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return Lstm(jax.nn.sigmoid(o) * jnp.tanh(c), c), c @ params[2]


def listed(params, state, x):
    """A list of a scalar and a vector, an input and an output that are trees, parameters that are no layers."""
    slow, fast = state
    slow = 0.5 * slow + params["a"] * jnp.sum(fast) + x["u"]
    fast = jnp.sin(params["b"] * fast + slow) + x["v"]
    return [slow, fast], {"sum": slow * params["c"] + jnp.sum(fast), "fast": fast}


def own_loss(out, y):
    return (out["sum"] - y) ** 2 * jnp.cosh(out["fast"][0])


class Case(NamedTuple):
    step: object
    loss: object
    B: tuple
    params: object
    state: object
    xs: object
    ys: object
    masks: dict


def make(name, rng):
    """Steps of several kinds on windows [T, *B], with masks of several kinds."""
    real = lambda *shape: jnp.asarray(0.6 * rng.normal(size=shape))
    below = lambda high, *shape: rng.integers(0, high, shape)
    if name == "counter":
        B, weights = (), {"U": real(2, 3), "W": real(3, 3), "V": real(3, 2), "unused": 3}
        state = {"h": real(3), "seen": 1}
        return Case(counting, "squared_error", B, weights, state, real(T, 2), real(T, 2), {})
    if name == "labels":
        B, weights = (2,), {"U": real(2, 3), "W": real(3, 3), "V": real(3, 2)}
        state = {"h": real(*B, 3), "seen": jnp.ones(B, int)}
        masks = {"valid": below(4, T, *B) > 0, "reset": below(3, T, *B) == 0, "weight": rng.uniform(size=(T, *B))}
        return Case(counting, rnnjax.losses.bernoulli, B, weights, state, real(T, *B, 2), below(2, T, *B, 2), masks)
    if name == "ids":
        B, weights = (2,), [real(4, 8), real(2, 8), real(2, 5)]
        masks = {"valid": np.arange(T)[:, None] < np.array([T, 2])}
        state = Lstm(real(*B, 2), real(*B, 2))
        return Case(lstm, "cross_entropy", B, weights, state, below(4, T, *B), below(5, T, *B), masks)
    B, weights = (2, 1), {"a": real(), "b": real(2), "c": real()}
    masks = {"reset": below(3, T, *B) == 0, "weight": rng.uniform(size=(T, *B))}
    xs = {"u": real(T, *B), "v": real(T, *B, 2)}
    return Case(listed, own_loss, B, weights, [real(*B), real(*B, 2)], xs, real(T, *B), masks)


CASES = ("counter", "labels", "ids", "trees")


def by_a_loop(case, params, state, reduce="mean"):
    """The loss of a window: loops over streams and steps, and nothing of the library but a loss with a name."""
    loss = getattr(rnnjax.losses, case.loss) if isinstance(case.loss, str) else case.loss
    weight, total, divisor = case.masks.get("weight"), 0.0, 0.0
    for stream in itertools.product(*map(range, case.B)):
        for at, counts, _, out in steps(case, params, state, stream):
            w = float(counts) if weight is None else weight[at]
            total, divisor = total + w * loss(out, of(case.ys, at)), divisor + w
    return total / divisor if reduce == "mean" else total


def steps(case, params, state, stream):
    """Yields (t, *stream), True where the step is valid, the state after it, and its output, of one stream."""
    valid, reset = (case.masks.get(name) for name in ("valid", "reset"))
    now = of(state, stream)
    for t in range(T):
        at = (t, *stream)
        if reset is not None and reset[at]:
            now = jax.tree.map(jnp.zeros_like, now)
        new, out = case.step(params, now, of(case.xs, at))
        is_valid = valid is None or bool(valid[at])
        now = new if is_valid else now
        yield at, is_valid, now, out


def of(tree, index):
    """One stream of a tree, at one time or before the first; a number is that of the one stream that there is."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[index], tree)


def truth(case, reduce="mean"):
    """The loss, and its derivatives by the parameters and by the initial state."""
    params, state = jax.tree.map(jnp.asarray, (case.params, case.state))
    of_reals = lambda p, s: by_a_loop(case, put(p, params), put(s, state), reduce)
    return jax.value_and_grad(of_reals, argnums=(0, 1))(reals(params), reals(state))


def close(found, expected, tolerance=1e-10):
    """Two trees of the same structure agree, relative to the largest entry of each leaf."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        assert jnp.max(jnp.abs(a - b)) <= tolerance * max(1e-3, float(jnp.max(jnp.abs(b))))
