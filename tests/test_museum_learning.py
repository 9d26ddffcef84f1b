"""Exhibits on what gradient descent learns: their tasks and terms, against references written another way."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.museum.exhibits import exploding_gradients
from rnnjax.training.norm_preserving import omega


def test_omega_is_equation_9_of_its_step_and_its_derivative_is_the_immediate_one():
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        T, B, H = 6, 3, 4
        W, states, errors = rng.normal(size=(H, H)) / 2, rng.normal(size=(T, B, H)), rng.normal(size=(T, B, H))
        errors[2, 1] = 0  # an error that has vanished does not count

        def terms(W):
            for state, error in zip(states.reshape(-1, H), errors.reshape(-1, H), strict=True):
                if np.any(error):
                    _, pull = jax.vjp(lambda a: jnp.tanh(a) @ W, state)  # aₜ = tanh(aₜ₋₁) W + xₜ U + b
                    yield (jnp.sum(pull(error)[0] ** 2) / np.sum(error**2) - 1) ** 2

        mean = lambda W: sum(terms(W)) / (T * B - 1)
        ours = partial(omega, slopes=1 - np.tanh(states) ** 2, errors=errors)
        np.testing.assert_allclose(ours(W), mean(W), rtol=1e-12)
        np.testing.assert_allclose(jax.grad(ours)(W), jax.grad(mean)(W), rtol=1e-10)


def test_the_regularised_gradient_adds_to_W_alone_what_omega_of_the_errors_asks_for():
    with jax.enable_x64(True):
        trial = exploding_gradients.begin(jnp.int32(1))
        params = jax.tree.map(lambda w: 3 * w.astype(float), trial["params"])
        xs, ys = exploding_gradients.draw_sequences(jax.random.key(0), 20, 5)
        layer, shifts = params.layers[0], np.zeros((20, 5, 50))

        def run(shifts):
            h, hs = np.zeros((5, 50)), [np.zeros((5, 50))]
            for x, shift in zip(xs, shifts, strict=True):
                h = jnp.tanh(x @ layer.U + h @ layer.W + layer.bh + shift)
                hs.append(h)
            logs = jax.nn.log_softmax(h @ params.V + params.by)
            return -jnp.mean(logs[jnp.arange(5), ys]), jnp.stack(hs[:-1])

        errors, before = jax.grad(run, has_aux=True)(shifts)
        d_W = jax.grad(omega)(layer.W, 1 - before**2, errors)
        plain, _ = exploding_gradients.gradient(params, xs, ys, 0.0)
        whole, _ = exploding_gradients.gradient(params, xs, ys, 4.0)
        found = jax.tree.map(lambda a, b: a - b, whole, plain)
        assert float(jnp.linalg.norm(d_W)) > 1e-3
        np.testing.assert_allclose(found.layers[0].W, 4 * d_W, rtol=1e-8, atol=1e-12)
        for leaf in (found.V, found.by, found.layers[0].U, found.layers[0].bh):
            assert not np.any(leaf)


def test_temporal_order_has_its_two_symbols_where_the_code_of_2013_has_them():
    for T in (20, 50):
        xs, ys = exploding_gradients.draw_sequences(jax.random.key(0), T, 400)
        assert (xs.shape, set(np.asarray(xs.sum(-1)).ravel())) == ((T, 400, 6), {1.0})
        places = set()
        for symbols, y in zip(np.asarray(xs).argmax(-1).T, ys, strict=True):
            first, second = np.flatnonzero(symbols < 2)
            places.add((first, second))
            assert ["AA", "AB", "BA", "BB"][y] == "AB"[symbols[first]] + "AB"[symbols[second]]
            assert set(symbols) <= set(range(6))
        tenth = T // 10
        assert places == {(i, j) for i in range(tenth, 2 * tenth) for j in range(5 * tenth, 6 * tenth)}


@pytest.mark.slow
def test_a_wrong_sign_of_the_regulariser_unlearns_temporal_order():
    learn = partial(exploding_gradients.run, np.arange(4), (20,), "global_norm", budget=1750)
    assert learn(alpha=4.0)["solved"].all()
    assert not learn(alpha=-4.0)["solved"].any()
