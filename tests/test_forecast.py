"""The forecast of a run in parallel over time: exponents that are known, counts, and the window from which it pays."""

import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax
from rnnjax.analysis.lyapunov import largest
from rnnjax.errors import UserError
from rnnjax.lags import forecast
from rnnjax.model.network import Batch
from rnnjax.model.recurrence import of_step


def test_the_largest_exponent_is_the_logarithm_of_the_largest_eigenvalue():
    W = jnp.diag(jnp.array([0.5, -0.9, 0.2])) + jnp.array([[0, 1.0, 2], [0, 0, 3], [0, 0, 0]])
    steps = of_step(
        lambda W, state, x: ({"h": state["h"] @ W + x, "seen": state["seen"] + 1}, x), lambda out, y: jnp.zeros(())
    )
    state = {"h": jnp.ones((2, 3)), "seen": jnp.zeros(2, int)}
    batch = Batch(jnp.zeros((400, 2, 3)), (), jnp.ones((400, 2)))
    found = largest(steps, W, (), state, batch, settle=200)
    np.testing.assert_allclose(found, np.log(0.9), atol=1e-6)


def test_it_pays_from_the_window_at_which_the_lines_cross():
    assert forecast.pays_from(2, 1.0, 0.25, 1.0) == 5  # 2 (1 + T/4) = T at T = 4
    assert forecast.pays_from(2, 1.0, 0.5, 1.0) is None
    assert forecast.pays_from(2, -1.0, 0.25, 1.0) == 1


def units(gain):
    W = jnp.asarray(gain * np.linalg.qr(np.random.default_rng(0).normal(size=(32, 32)))[0])
    step = lambda W, h, x: 2 * (jnp.tanh(h @ W + x),)
    return step, W, jnp.zeros((1, 32)), jnp.asarray(0.2 * np.random.default_rng(1).normal(size=(100, 1, 32)))


def test_chaos_is_told_from_what_forgets():
    calm, wild = (rnnjax.forecast(*units(gain), iterations=20) for gain in (0.8, 2.5))
    assert calm.is_predictable
    assert calm.exponent < -0.2
    assert calm.iterations == jnp.max(rnnjax.unroll(*units(0.8)).iterations) < 12
    assert calm.sequential == 0
    assert min(calm.in_turn, calm.at_once, calm.memory_bytes) > 0
    assert not wild.is_predictable
    assert wild.exponent > 0
    assert wild.sequential > 0.2
    assert wild.pays_from is None
    assert "not predictable" in str(wild)
    assert "for no T" in str(wild)
    with pytest.raises(UserError, match="the number of steps is 8, but must be 16 or more"):
        rnnjax.forecast(*units(0.8)[:3], jnp.zeros((8, 1, 32)))
