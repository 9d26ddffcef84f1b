"""Exhibits on what gradient descent learns: their tasks and terms, against references written another way."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnjax
from rnnjax.museum.exhibits import capacity_of_parameters, capacity_of_units, exploding_gradients
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


@pytest.mark.slow
def test_the_regularised_gradient_adds_to_W_alone_what_omega_of_the_errors_asks_for():
    with jax.enable_x64(True):
        trial = exploding_gradients.begin(jnp.int32(1))
        params = jax.tree.map(lambda w: 3 * w.astype(float), trial["params"])
        xs, ys = exploding_gradients.draw_sequences(jax.random.key(0), 10, 5)
        layer, shifts = params.layers[0], np.zeros((10, 5, 50))

        def run(shifts):
            h, hs = np.zeros((5, 50)), [np.zeros((5, 50))]
            for x, shift in zip(xs, shifts, strict=True):
                h = jnp.tanh(x @ layer.U + h @ layer.W + layer.bh + shift)
                hs.append(h)
            logs = jax.nn.log_softmax(h @ params.V + params.by)
            return -jnp.mean(logs[jnp.arange(5), ys]), jnp.stack(hs[:-1])

        errors, before = jax.jit(jax.grad(run, has_aux=True))(shifts)
        d_W = jax.grad(omega)(layer.W, 1 - before**2, errors)
        of_alpha = jax.jit(lambda alpha: exploding_gradients.gradient(params, xs, ys, alpha)[0], static_argnums=0)
        plain, whole = of_alpha(0), of_alpha(4)
        found = jax.tree.map(lambda a, b: a - b, whole, plain)
        assert float(jnp.linalg.norm(d_W)) > 1e-3
        np.testing.assert_allclose(found.layers[0].W, 4 * d_W, rtol=1e-8, atol=1e-12)
        for leaf in (found.V, found.by, found.layers[0].U, found.layers[0].bh):
            assert not np.any(leaf)


def test_temporal_order_has_its_two_symbols_where_the_code_of_2013_has_them():
    xs, ys = jax.device_get(exploding_gradients.draw_sequences(jax.random.key(0), 20, 400))
    assert (xs.shape, set(xs.sum(-1).ravel())) == ((20, 400, 6), {1.0})
    places = set()
    for symbols, y in zip(xs.argmax(-1).T, ys, strict=True):
        first, second = np.flatnonzero(symbols < 2)
        places.add((first, second))
        assert ["AA", "AB", "BA", "BB"][y] == "AB"[symbols[first]] + "AB"[symbols[second]]
    assert places == {(i, j) for i in (2, 3) for j in (10, 11)}
    assert set(xs.argmax(-1).ravel()) == set(range(6))


@pytest.mark.slow
def test_a_wrong_sign_of_the_regulariser_unlearns_temporal_order():
    learn = partial(exploding_gradients.run, np.arange(3), (20,), "global_norm", budget=1750)
    assert learn(alpha=4.0)["solved"].all()
    assert not learn(alpha=-4.0)["solved"].any()


def test_weights_made_by_hand_remember_one_number_a_unit():
    H, small = 6, 1e-3
    net = rnnjax.network("vanilla", hidden=H, outputs=16, inputs=16)
    zero = jax.tree.map(jnp.zeros_like, net.init(jax.random.key(0)))
    layer = zero.layers[0]._replace(U=small * jnp.eye(16)[:, :H], W=jnp.eye(H))
    weights = zero._replace(layers=(layer,), V=jnp.eye(16)[:H] / small)
    vectors = jax.random.normal(jax.random.key(1), (500, 16))
    given = capacity_of_units.remembered(net, weights, vectors)
    np.testing.assert_allclose(given, np.where(np.arange(16) < H, vectors, 0), atol=1e-4)


def test_bits_stored_are_the_mutual_information_of_labels_and_answers():
    for right, count in ((1.0, 700), (0.5, 700), (0.9, 1000)):
        joint = np.array([[right, 1 - right], [1 - right, right]]) / 2
        alone = joint.sum(0)[:, None] * joint.sum(1)
        information = sum(p * np.log2(p / q) for p, q in zip(joint.flat, alone.flat, strict=True) if p)
        assert capacity_of_parameters.bits(np.array([right]), count)[0] == pytest.approx(count * information, abs=1e-9)
    vectors, labels = capacity_of_parameters.draw_labels(jax.random.key(0), 2000)
    assert (set(np.unique(vectors)), set(np.unique(labels))) == ({-1.0, 1.0}, {0.0, 1.0})
    assert max(abs(vectors.mean()), abs(2 * labels.mean() - 1)) < 0.07
    assert len(np.unique(vectors, axis=0)) == 2000  # a vector twice would ask for two labels


def test_labels_are_answered_four_steps_after_their_vectors():
    net = rnnjax.network("vanilla", hidden=3, outputs=1, inputs=12)
    weights = net.init(jax.random.key(0))
    vectors, _ = capacity_of_parameters.draw_labels(jax.random.key(1), 7)
    (layer,), h = weights.layers, np.zeros((7, 3))
    for t in range(5):
        h = np.tanh((vectors @ layer.U if t == 0 else 0) + h @ layer.W + layer.bh)
    found = capacity_of_parameters.answers(net, weights, vectors)
    np.testing.assert_allclose(found, h @ weights.V + weights.by, atol=1e-5)


@pytest.mark.slow
def test_networks_that_learn_too_slowly_have_less_capacity():
    units = partial(capacity_of_units.run, np.arange(3), "vanilla", 8)
    assert units(updates=3000, rate=0.01)["numbers per unit"].min() > 0.9
    assert units(updates=3000, rate=1e-5)["numbers per unit"].max() < 0.5
    stored = lambda updates: capacity_of_parameters.run(np.arange(3), 4, 4.0, updates)["bits per parameter"]
    assert stored(5000).min() > 1 > stored(50).max()
