import itertools
import math
from functools import partial

import cases
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from agreement import compare
from cases import HIDDEN, VOCABULARY, Case

from rnnjax.config import GradientConfig
from rnnjax.gradients import METHODS, manual
from rnnjax.gradients.method import Window
from rnnjax.model.cells import Hyper
from rnnjax.model.initializers import count_parameters, init_params
from rnnjax.model.loss import cross_entropy, weighted_mean
from rnnjax.model.network import Model, zero_carry
from rnnjax.model.recurrence import of_network
from rnnjax.model.rnn import apply
from rnnjax.model.sampling import draw, generate, generate_textbook, gumbel_noise


@pytest.fixture(scope="module")
def small():
    """A network of two layers, three streams of five steps: (model, params, carry, batch)."""
    arrays, model = cases.make(Case(layers=2, T=5, seed=8))
    return model, *arrays


def test_one_window_in_two_pieces_ends_the_same(small):
    model, params, carry, batch = small
    whole, logits = apply(model, params, Hyper(), carry, batch)
    middle, first = apply(model, params, Hyper(), carry, jax.tree.map(lambda leaf: leaf[:2], batch))
    last, second = apply(model, params, Hyper(), middle, jax.tree.map(lambda leaf: leaf[2:], batch))
    compare((last, jnp.concatenate([first, second])), (whole, logits), 1e-13)


WIDE = Model(vocabulary=50, hidden=64, layers=2)


@pytest.mark.parametrize("init", ["normal", "uniform", "orthogonal", "identity"])
def test_initialisers(init):
    scale = 0.3
    params = init_params(jax.random.key(1), WIDE, init, scale)
    assert [layer.U.shape for layer in params.layers] == [(50, 64), (64, 64)]
    assert (params.V.shape, params.by.shape) == ((64, 50), (50,))
    assert count_parameters(params) == 50 * 64 + 64 * 64 * 3 + 64 * 2 + 64 * 50 + 50
    assert not np.array_equal(params.layers[0].W, params.layers[1].W) or init == "identity"
    readers = [*(layer.U for layer in params.layers), params.V]
    biases = [*(layer.bh for layer in params.layers), params.by]
    for matrix in readers + ([layer.W for layer in params.layers] if init in ("normal", "uniform") else []):
        if init == "normal":
            assert np.std(matrix) == pytest.approx(scale, rel=0.05)
            assert abs(np.mean(matrix)) < 4 * scale / matrix.size**0.5
            continue
        bound = (1 / matrix.shape[0]) ** 0.5
        assert 0.99 * bound < np.abs(matrix).max() <= bound
        assert np.std(matrix) == pytest.approx(bound / 3**0.5, rel=0.05)
    for bias in biases:
        assert (np.std(bias) == pytest.approx(scale, rel=0.35)) if init == "normal" else not np.any(bias)
    for layer in params.layers:
        if init == "orthogonal":
            np.testing.assert_allclose(layer.W @ layer.W.T, scale**2 * np.eye(64), atol=1e-6)
            assert np.abs(layer.W - np.diag(np.diag(layer.W))).max() > 0.01
        if init == "identity":
            np.testing.assert_array_equal(layer.W, np.float32(scale) * np.eye(64, dtype=np.float32))


def test_weights_follow_from_the_key():
    first, again, other = (init_params(jax.random.key(seed), WIDE, "normal", 0.1) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.V, again.V)
    assert not np.any(first.V == other.V)


def test_huge_logits_do_not_overflow():
    logits = jnp.array([[1e4, 0, -1e4], [-1e4, -1e4, 0]], jnp.float32)
    y = jnp.array([1, 2])
    np.testing.assert_array_equal(cross_entropy(logits, y), [1e4, 0])
    gradient = jax.grad(lambda logits: weighted_mean(cross_entropy(logits, y)))(logits)
    np.testing.assert_array_equal(gradient, [[0.5, -0.5, 0], [0, 0, 0]])


def test_huge_logits_do_not_overflow_the_manual_read_out():
    (params, _, batch), _ = cases.make(Case(T=1, batch=(2,)))
    params = jax.tree.map(lambda leaf: jnp.zeros_like(leaf, jnp.float32), params)
    params = params._replace(by=params.by.at[0].set(1e4).at[1].set(-1e4))
    hs, batch = jnp.ones((1, 2, HIDDEN), jnp.float32), batch._replace(y=jnp.array([[1, 0]]))
    results = manual.readout(params, hs, batch, "cross_entropy", divisor=2)
    assert float(results[0]) == 1e4
    assert all(np.all(np.isfinite(leaf)) for leaf in results)
    np.testing.assert_array_equal(results[3][:3], [0.5, -0.5, 0])


def test_the_loss_of_a_window_is_the_weighted_mean_in_nats():
    logits = jnp.log(jnp.array([[0.5, 0.5], [0.9, 0.1]]))
    nats = cross_entropy(logits, jnp.array([0, 1]))
    np.testing.assert_allclose(nats, [math.log(2), math.log(10)], rtol=1e-6)
    assert weighted_mean(nats) == pytest.approx((math.log(2) + math.log(10)) / 2)
    assert weighted_mean(nats, jnp.array([3.0, 1.0])) == pytest.approx((3 * math.log(2) + math.log(10)) / 4)
    assert weighted_mean(nats, jnp.array([0.0, 1.0])) == pytest.approx(math.log(10))
    assert weighted_mean(nats, jnp.ones(2)) == pytest.approx(weighted_mean(nats))
    assert weighted_mean(nats, jnp.zeros(2)) == 0


def test_precision_is_that_of_the_parameters():
    for name, dtype in itertools.product(METHODS, (jnp.float32, jnp.float64)):
        check_precision(name, dtype)


def check_precision(name, dtype):
    (params, _, batch), model = cases.make(Case(masks="vr", T=2))
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    carry = zero_carry(model, (3,), dtype)
    method = METHODS[name](GradientConfig())

    def gradient(params, carry, batch):
        recurrence = of_network(model)
        trace = method.init(recurrence, params, carry)
        noise = method.draw(jax.random.key(0), recurrence, params, carry, 2)
        return method.gradient(recurrence, Window(params, Hyper(), carry, batch, trace, noise)), trace

    result, trace = jax.eval_shape(gradient, params, carry, batch)
    assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), (result.trace, None)) == jax.tree.map(
        lambda leaf: (leaf.shape, leaf.dtype), (trace, None)
    )
    result = jax.tree.map(lambda leaf: None if leaf.dtype == bool else leaf, result)
    assert {leaf.dtype for leaf in jax.tree.leaves(result)} == {jnp.dtype(dtype)}, name
    new_carry, logits = jax.eval_shape(lambda *args: apply(model, *args), params, Hyper(), carry, batch)
    assert {leaf.dtype for leaf in (*new_carry, logits)} == {jnp.dtype(dtype)}
    assert init_params(jax.random.key(0), model, "orthogonal", 1.0, dtype).V.dtype == dtype


LOGITS = jnp.array([0.0, 2.0, 1.0, -1.0, 9.0])  # the last stands for unknown characters
NOISE = gumbel_noise(jax.random.key(0), 0, 20_000, (5,), jnp.float64)


def frequencies(temperature, top_k=0):
    ids = draw(jnp.broadcast_to(LOGITS, NOISE.shape), NOISE, temperature, top_k)
    return np.bincount(ids, minlength=5) / len(ids)


def test_draws_follow_the_softmax_and_never_the_unknown():
    for temperature in [0.5, 1.0, 2.0]:
        expected = np.append(jax.nn.softmax(LOGITS[:4] / temperature), 0)
        observed = frequencies(temperature)
        assert observed[4] == 0
        chi_square = len(NOISE) * np.sum((observed - expected)[:4] ** 2 / expected[:4])
        assert chi_square < 16.3  # exceeded once in 1000 draws of the noise


def test_temperature_zero_takes_the_likeliest_known():
    assert frequencies(0)[1] == 1


def test_top_k_keeps_the_likeliest_known():
    expected = jax.nn.softmax(LOGITS[jnp.array([1, 2])])
    np.testing.assert_allclose(frequencies(1.0, 2), [0, expected[0], expected[1], 0, 0], atol=0.02)
    np.testing.assert_array_equal(frequencies(1.0, 1), [0, 1, 0, 0, 0])
    np.testing.assert_array_equal(frequencies(1.0, 4), frequencies(1.0))
    np.testing.assert_array_equal(frequencies(1.0, 99), frequencies(1.0))


def test_noise_depends_on_the_position_alone():
    key = jax.random.key(3)
    whole = gumbel_noise(key, 0, 6, (2, 4), jnp.float32)
    np.testing.assert_array_equal(whole[2:], gumbel_noise(key, 2, 4, (2, 4), jnp.float32))
    assert whole.shape == (6, 2, 4)
    assert whole.dtype == jnp.float32
    assert len(np.unique(whole)) == whole.size


def test_generation_in_two_pieces_equals_one(small):
    model, params, carry, _ = small
    key, x = jax.random.key(4), jnp.array([0, 1, 2], jnp.int32)
    noise = partial(gumbel_noise, key, shape=(3, VOCABULARY), dtype=jnp.float64)
    write = partial(generate, model, params, Hyper(), temperature=0.9, top_k=4)
    whole_carry, whole = write(carry, x, noise=noise(0, 9))
    middle, first = write(carry, x, noise=noise(0, 4))
    last, second = write(middle, first[-1], noise=noise(4, 5))
    np.testing.assert_array_equal(jnp.concatenate([first, second]), whole)
    compare(last, whole_carry, 1e-13)


def draw_plainly(logits, noise, temperature):
    return int(np.argmax(logits[:-1] + temperature * noise[:-1]))


def test_generation_reads_its_own_output(small):
    model, params, carry, _ = small
    noise = gumbel_noise(jax.random.key(5), 0, 8, (3, VOCABULARY), jnp.float64)
    _, ids = generate(model, params, Hyper(), carry, jnp.array([3, 1, 0]), noise, 0.8)
    for stream, first in enumerate([3, 1, 0]):
        text = [first, *np.asarray(ids[:, stream]).tolist()]
        *_, logits = oracle.read(*cases.to_oracle(model, params, [h[stream] for h in carry]), text)
        assert text[1:] == [draw_plainly(row, g, 0.8) for row, g in zip(logits, noise[:, stream], strict=False)]


def test_textbook_generation_equals_the_loop_of_the_book(small):
    model, params, carry, batch = small
    T, length, temperature = 4, 12, 2.5
    noise = np.asarray(gumbel_noise(jax.random.key(6), 0, length, (1, VOCABULARY), jnp.float64))
    one = [h[:1] for h in carry]
    window = batch.x[:T, :1].astype(jnp.int32)
    last, ids = generate_textbook(model, params, Hyper(), tuple(one), window, jnp.asarray(noise), temperature)

    *network, states = cases.to_oracle(model, params, [h[0] for h in carry])
    indices, written = window[:, 0].tolist(), []
    for t in range(length):
        states, _, logits = oracle.read(*network, states, indices)
        written.append(draw_plainly(logits[-1], noise[t, 0], temperature))
        indices = indices[1:] + written[-1:]
    assert len(set(written)) > 2
    assert ids[:, 0].tolist() == written
    compare(last, tuple(state[None] for state in states), 1e-12)
