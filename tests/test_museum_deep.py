"""Exhibits on networks that are compared at the adding problem and at copy memory: their tasks, networks, losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnjax.model.initializers import count_parameters
from rnnjax.model.network import Model
from rnnjax.museum.exhibits import irnn, sequence_models


def test_an_irnn_begins_by_adding_up_what_it_reads():
    params = irnn.draw_params(jax.random.key(0), "IRNN", 32, 0.001)
    (layer,) = params.layers
    np.testing.assert_array_equal(layer.W, np.eye(32))
    assert 0.0008 < float(jnp.std(layer.U)) < 0.0012
    xs, ys = np.random.default_rng(0).random((40, 3, 2)), np.array([0.3, 1.1, 1.9])
    h = np.zeros((3, 32))
    for x in xs:
        h = np.maximum(h + x @ layer.U, 0)
    expected = np.mean(((h @ params.V)[:, 0] - ys) ** 2)
    found = irnn.mean_error(params, irnn.CELLS["IRNN"], jnp.asarray(xs, jnp.float32), jnp.asarray(ys))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_lstm_of_half_the_units_has_about_as_many_weights_and_open_forget_gates():
    count = lambda net: count_parameters(irnn.draw_params(jax.random.key(0), net, irnn.NETS[net]["units"], 0.1))
    assert (count("IRNN"), count("LSTM")) == (1153, 1233)
    (layer,) = irnn.draw_params(jax.random.key(0), "LSTM", 16, 0.1).layers
    np.testing.assert_array_equal(layer.bh, np.repeat([0, 1, 0, 0], 16))


def test_two_of_all_numbers_are_added_and_the_constant_1_loses_a_sixth():
    batch = jax.device_get(sequence_models.draw_adding(jax.random.key(0), 5, 4000))
    numbers, marks = batch.x[..., 0], batch.x[..., 1]
    places = {tuple(np.flatnonzero(of)) for of in marks.T}
    assert places == {(i, j) for i in range(5) for j in range(i + 1, 5)}
    np.testing.assert_allclose(batch.y[-1], np.sum(numbers * marks, axis=0), rtol=1e-6)
    assert not np.any(batch.y[:-1] + batch.weight[:-1])
    assert np.mean((batch.y[-1] - 1) ** 2) == pytest.approx(1 / 6, abs=0.012)


def test_copy_memory_is_that_of_2018_and_all_but_the_digits_is_worth_their_204_ten_thousandths():
    T = 1000
    batch = jax.device_get(sequence_models.draw_copy(jax.random.key(0), T, 50))
    x = batch.x[..., 0]
    assert x.shape == (T + 20, 50)
    parts = [set(part.ravel()) for part in (x[:10], x[10 : T + 9], x[T + 9 :])]
    assert parts == [set(range(1, 9)), {0}, {9}]
    np.testing.assert_array_equal(batch.y, np.concatenate([np.zeros((T + 10, 50)), x[:10]]))
    without = np.zeros(batch.y.shape)  # the loss of zeros until the tenth step from the end, then of digits at random
    without[-10:] = np.log(8)
    assert without.mean() == pytest.approx(sequence_models.CHANCE["copy"](T)) == pytest.approx(0.0204, abs=5e-5)


def test_the_loss_of_copy_memory_is_a_mean_over_all_steps_and_that_of_adding_of_the_last_one():
    for task, batch in (
        ("adding", sequence_models.draw_adding(jax.random.key(0), 7, 5)),
        ("copy", sequence_models.draw_copy(jax.random.key(0), 7, 5)),
    ):
        of = sequence_models.TASKS[task]
        model = Model(of.outputs, 4, inputs=of.inputs, loss=of.loss)
        params = sequence_models.draw_params(jax.random.key(1), model, 1.0)
        (layer,), h, losses = params.layers, np.zeros((5, 4)), []
        for x, y in zip(batch.x, np.asarray(batch.y), strict=True):
            h = np.tanh(x @ layer.U + h @ layer.W + layer.bh)
            out = h @ params.V + params.by
            losses.append((out[:, 0] - y) ** 2 if task == "adding" else -jax.nn.log_softmax(out)[np.arange(5), y])
        expected = np.mean(losses[-1] if task == "adding" else losses)
        np.testing.assert_allclose(sequence_models.mean_loss(params, model, batch), expected, rtol=1e-5)


@pytest.mark.slow
def test_a_rate_that_is_far_too_small_keeps_networks_from_learning():
    learn = lambda **other: irnn.run(np.arange(2), **{**irnn.NETS[irnn.WIDER], "T": 10, "clip": 1.0, **other})
    assert learn(budget=1500)["solved"].all()
    assert not learn(budget=1500, rate=3e-5)["solved"].any()
    gru = lambda rate: sequence_models.run(np.arange(2), "adding", "gru", 40, 18, rate, updates=300)["learned"]
    assert gru(0.03).all()
    assert not gru(3e-6).any()
