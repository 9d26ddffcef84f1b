"""Methods that carry a trace, or cut one off: exact across windows, exact where theory says so, and not elsewhere."""

from functools import partial

import agreement
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from method_cases import (
    HYPER,
    Case,
    compute,
    distance,
    gradient,
    make,
    of_recurrent_weights,
    over_windows,
    reference,
    shapes_of,
)

from rnnjax.config import GradientConfig
from rnnjax.gradients import snap
from rnnjax.model.network import Model
from rnnjax.model.rnn import apply

STREAM = Case(6, (2,), "vr", options=(("cell", "gru"), ("layers", 2)))
DIAGONAL = Case(6, (2,), "vr", options=(("cell", "leaky"), ("learned_state", True)))


def without_recurrence(params, keep):
    """The parameters with each W multiplied entry by entry, in every gate."""
    gates = params.layers[0].W.shape[1] // params.layers[0].W.shape[0]
    return params._replace(layers=tuple(layer._replace(W=layer.W * np.tile(keep, gates)) for layer in params.layers))


def test_windows_of_rtrl_sum_up_to_the_stream():
    model, arrays, expected = make(STREAM)
    found = jax.jit(partial(over_windows, GradientConfig("rtrl"), model, noise=None, count=3))(*arrays)
    agreement.compare(found, (expected.loss, expected.params, expected.carry))


def test_windows_of_snap_with_a_diagonal_W_sum_up_to_the_stream():
    model, (params, carry, batch), _ = make(DIAGONAL)
    params = without_recurrence(params, np.eye(3))
    found = jax.jit(partial(over_windows, GradientConfig("snap"), model, noise=None, count=3))(params, carry, batch)
    expected = reference(model, params, carry, batch)
    agreement.compare(found, (expected.loss, expected.params, expected.carry))


def test_the_influence_of_rtrl_is_the_derivative_of_the_last_state():
    model, (params, carry, batch), _ = make(STREAM)
    p, restore = ravel_pytree((params.layers, params.embedding))

    def last(p, carry):
        layers, _ = restore(p)
        return jnp.concatenate(apply(model, params._replace(layers=layers), HYPER, carry, batch)[0], axis=-1)

    of_params, of_carry = jax.jit(jax.jacfwd(last, argnums=(0, 1)))(p, carry)
    trace = gradient(GradientConfig("rtrl"), model, params, carry, batch, None).trace
    of_carry = jnp.concatenate(of_carry, axis=-1)[jnp.arange(2), :, jnp.arange(2)]
    agreement.compare(trace, type(trace)(of_params, of_carry))


def test_truncated_at_lags():
    """Against the double sum in plain NumPy, whose pairs (error at j, weight used at k) are chosen one by one."""
    case = Case(5, (), "")
    model, (params, carry, batch), whole = make(case)
    layer, V, by = params.layers[0], params.V, params.by
    U, W, bh = (np.asarray(w) for w in (layer.U, layer.W, layer.bh))
    h, hs = np.asarray(carry[0]), []
    for x in batch.x:
        before, h = h, np.tanh(U[x] + h @ W + bh)
        hs.append((before, h))

    def d_W(reaches):
        total = np.zeros(W.shape)
        for j in range(5):
            error = np.asarray(jax.nn.softmax(hs[j][1] @ V + by) - np.eye(5)[batch.y[j]]) @ np.asarray(V).T / 5
            for k in range(j, -1, -1):
                delta = error * (1 - hs[k][1] ** 2)
                if reaches(j, k):
                    total += np.outer(hs[k][0], delta)
                error = delta @ W.T
        return total

    def truncated(k1, k2):
        config = GradientConfig("truncated", k1_steps=k1, k2_steps=k2)
        return compute(config, model, params, carry, batch)

    np.testing.assert_allclose(d_W(lambda j, k: True), whole.params.layers[0].W, rtol=1e-10)
    found = truncated(1, 3)
    np.testing.assert_allclose(found.params.layers[0].W, d_W(lambda j, k: j - k < 3), rtol=1e-10)
    assert distance(found, whole, of_recurrent_weights) > 1e-3
    ends = [2, 2, 4, 4, 5]  # of the chunk that each error belongs to
    np.testing.assert_allclose(truncated(2, 3).params.layers[0].W, d_W(lambda j, k: k >= ends[j] - 3), rtol=1e-10)


# --- online: what is left out


CHAIN = Case(6, (2,), "wr", 4, (("cell", "gru"), ("learned_state", True)))


@pytest.mark.parametrize("n", [1, 3, 4])
def test_snap_is_exact_once_n_covers_the_graph(n):
    model, (params, carry, batch), _ = make(CHAIN)
    params = without_recurrence(params, np.eye(4, k=1) + np.eye(4))  # unit 0 acts on 1, 1 on 2, 2 on 3
    found = compute(GradientConfig("snap", snap_steps=n), model, params, carry, batch)
    expected = reference(model, params, carry, batch)
    if n == 4:
        agreement.compare(found, expected)
        return
    assert distance(found, expected, of_recurrent_weights) > 1e-5
    for part in (lambda found: found.carry, lambda found: found.params.layers[0].s0):
        # A state's own first step goes along W already, where a weight's ends in its unit.
        assert distance(found, expected, part) > 1e-5 if n == 1 else distance(found, expected, part) < 1e-10
    agreement.compare((found.params.V, found.params.by), (expected.params.V, expected.params.by))


def test_the_pattern_of_snap_grows_along_the_graph():
    model = Model(vocabulary=5, hidden=4)
    params = without_recurrence(jax.tree.map(lambda leaf: np.ones(leaf.shape), shapes_of(model)), np.eye(4, k=1))
    b = slice(-4, None)  # the biases, one for each unit, come last
    for n in (1, 2, 3, 10**9):
        expected = sum(np.eye(4, k=-lag) for lag in range(min(n, 4)))
        found = jax.jit(snap.pattern, static_argnums=(0, 2))(model, params, n)
        np.testing.assert_array_equal(found.params[:, b], expected)


LEAKY = Case(5, (2,), "wvr", options=(("cell", "leaky"), ("dropout", True)))


@pytest.mark.parametrize("W", [0.0, 1.0])
def test_rflo_is_exact_without_recurrent_weights_alone(W):
    model, (params, carry, batch), _ = make(LEAKY)
    params = without_recurrence(params, W)
    found = compute(GradientConfig("rflo"), model, params, carry, batch)
    expected = reference(model, params, carry, batch)
    if W == 0:
        agreement.compare(found, expected)
    else:
        assert distance(found, expected, of_recurrent_weights) > 1e-3
        assert distance(found, expected, lambda found: found.carry) > 1e-3


def test_rflo_is_the_equations_of_the_paper():
    """In plain NumPy: for each weight of W its own eligibility, which forgets with the leak and knows nothing of W."""
    model, (params, carry, batch), expected = make(Case(5, (), "", options=(("cell", "leaky"),)))
    U, W, bh = (np.asarray(w) for w in (params.layers[0].U, params.layers[0].W, params.layers[0].bh))
    V, h, e, dW = np.asarray(params.V), np.asarray(carry[0]), 0, 0
    for x, y in zip(batch.x, batch.y, strict=True):
        value = np.tanh(U[x] + h @ W + bh)
        e = (1 - HYPER.leak) * e + HYPER.leak * np.outer(h, 1 - value**2)
        h = (1 - HYPER.leak) * h + HYPER.leak * value
        dW = dW + (np.asarray(jax.nn.softmax(h @ V + params.by)) - np.eye(5)[y]) / 5 @ V.T * e
    found = compute(GradientConfig("rflo"), model, params, carry, batch)
    np.testing.assert_allclose(found.params.layers[0].W, dW, rtol=1e-10)
    assert distance(found, expected, of_recurrent_weights) > 1e-3


def test_random_feedback_changes_the_hidden_weights_alone():
    model, (params, carry, batch), expected = make(LEAKY)
    found = compute(GradientConfig("rflo", feedback="random"), model, params, carry, batch)
    agreement.compare((found.params.V, found.params.by), (expected.params.V, expected.params.by))
    assert distance(found, expected, of_recurrent_weights) > 0.1
