"""Losses and gradients of every task on series: held to a plain loop in NumPy, and one method to another."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from agreement import compare

from rnnjax.config import Config, DataConfig, GradientConfig, ModelConfig, TaskConfig, TrainingConfig
from rnnjax.data.arrays import series_of
from rnnjax.gradients import METHODS, make_method
from rnnjax.gradients.method import Window
from rnnjax.model.recurrence import of_network
from rnnjax.tasks import series as task_of_series


def make_task(kind, x, y=None, lengths=None, method="manual"):
    """The task of arrays, and a state of it with weights of some size, in float64."""
    config = Config(
        task=TaskConfig(**kind),
        data=DataConfig(path="arrays"),
        model=ModelConfig(hidden_size=3, init="normal", init_scale=0.7),
        gradient=GradientConfig(method=method),
        training=TrainingConfig(batch_size=4, sequence_length=5),
        run=dataclasses.replace(Config().run, precision="float64"),
    )
    task = task_of_series.of_series(config, series_of(config.task, x, y, lengths))
    return config, task, task.start()


def by_hand(params, x, length):
    """The outputs of a network of one vanilla layer at each step of one series, by a plain loop."""
    layer, h, outputs = params.layers[0], np.zeros(params.V.shape[0]), []
    for x_t in x[:length]:
        h = np.tanh(x_t @ np.asarray(layer.U) + h @ np.asarray(layer.W) + np.asarray(layer.bh))
        outputs.append(h @ np.asarray(params.V) + np.asarray(params.by))
    return np.array(outputs)


@pytest.mark.parametrize(
    ("kind", "y", "lost"),
    [
        ({"name": "regression"}, "numbers", lambda out, y: np.sum((out - y) ** 2, axis=-1)),
        ({"name": "classification"}, "classes", lambda out, y: np.log(np.sum(np.exp(out))) - out[y]),
        (
            {"name": "classification", "loss": "bernoulli"},
            "labels",
            lambda out, y: np.sum(np.log1p(np.exp(out)) - y * out),
        ),
    ],
)
def test_a_whole_series_is_answered_at_its_own_end(kind, y, lost):
    rng = np.random.default_rng(0)
    N, lengths = 30, rng.integers(1, 7, 30)
    x = rng.normal(2, 3, size=(N, 6, 2))
    targets = {
        "numbers": rng.normal(10, 5, size=(N, 3)) * [1, 10, 100],
        "classes": np.arange(N) % 3,
        "labels": rng.integers(0, 2, size=(N, 3)),
    }[y]
    config, task, state = make_task(kind, x, targets, lengths)
    scaling = task.names["scaling"]
    rows = task.held_out
    losses = []
    for n in range(len(rows.x)):
        length = int(np.sum(rows.valid[n]))
        out = by_hand(state.params, np.asarray(rows.x[n]), length)[-1]
        losses.append(lost(out, np.asarray(rows.y[n, length - 1])))
    assert float(task.evaluate(state.params, state.hyper, rows)) == pytest.approx(np.mean(losses), rel=1e-12)
    # And predictions are these outputs in the units of the arrays.
    said = task_of_series.predict(config, task.names, state.params, state.hyper, x, lengths)
    for n in (0, 7, 29):
        scaled = (x[n] - scaling["x"]["mean"]) / scaling["x"]["deviation"]
        out = by_hand(state.params, scaled, lengths[n])[-1]
        if y == "numbers":
            wanted = out * scaling["y"]["deviation"] + scaling["y"]["mean"]
        else:
            wanted = np.exp(out) / np.sum(np.exp(out)) if y == "classes" else 1 / (1 + np.exp(-out))
        np.testing.assert_allclose(said[n], wanted, rtol=1e-10)


def first_gradient(method, kind, x, y=None, lengths=None):
    """By a method, of the series that the first step of training reads."""
    config, task, state = make_task(kind, x, y, lengths, method)
    read = partial(task_of_series.read_window, 5, "fixed") if len(x) == 1 else partial(task_of_series.read_batch, 4)
    names = task_of_series.names_of(task.names)[0]
    recurrence, method = of_network(task_of_series.shape_of(config, names)), make_method(config.gradient)

    @jax.jit
    def gradient(state, data):
        trace = method.init(recurrence, state.params, state.carry)
        window = Window(state.params, state.hyper, state.carry, read(state, data)[0], trace)
        return method.gradient(recurrence, window)

    return gradient(state, jax.tree.map(jnp.asarray, task.data))


LENGTHS = np.array([2, 5, 3, 4, 5, 2, 4, 3])


CASES = {
    "a series": ({"name": "forecasting"}, np.sin(np.arange(120.0) ** 1.1).reshape(1, 60, 2)),
    "numbers": ({"name": "regression"}, np.cos(np.arange(80.0) ** 1.2).reshape(8, 5, 2), np.eye(8, 3), LENGTHS),
    "labels": (
        {"name": "tagging", "loss": "bernoulli"},
        np.cos(np.arange(80.0) ** 1.2).reshape(8, 5, 2),
        np.arange(80).reshape(8, 5, 2) % 3 % 2,
        LENGTHS,
    ),
    "classes": ({"name": "classification"}, np.arange(40).reshape(8, 5) % 3, np.arange(8) % 3, LENGTHS),
}


EXACT = [name for name in METHODS if make_method(GradientConfig(method=name)).claim.kind == "exact"]


BY_HAND = ["manual", "textbook"]
"""Methods that write out the derivative of each loss; the others take it from autodiff."""


@pytest.mark.parametrize("case", CASES)
def test_exact_methods_have_the_gradient_of_every_loss(case, subtests):
    exact = first_gradient("autodiff", *CASES[case])
    assert np.abs(exact.params.layers[0].W).max() > 1e-3
    assert {"manual", "textbook", "rtrl", "deer"} < set(EXACT)
    for name in EXACT if case == "a series" else BY_HAND:
        with subtests.test(name):
            found = first_gradient(name, *CASES[case])
            wanted = exact.loss, exact.params
            compare((found.loss, found.params), wanted, 1e-5 if name == "finite_difference" else 1e-8)


@pytest.mark.slow
def test_the_other_methods_train_on_series():
    loss = first_gradient("autodiff", *CASES["a series"]).loss
    for name in set(METHODS) - set(EXACT):
        _, task, state = make_task(*CASES["a series"], method=name)
        after, info = jax.jit(task.step)(state, jax.tree.map(jnp.asarray, task.data))
        assert float(info.loss) == pytest.approx(float(loss), rel=1e-9), name
        assert not int(after.skipped), name
        assert np.any(after.params.layers[0].W != state.params.layers[0].W), name


def test_the_level_of_several_targets_is_in_the_unit_of_the_loss():
    """A network without weights says the training mean."""
    x = np.random.default_rng(0).normal(size=(30, 4, 2))
    _, task, state = make_task({"name": "regression"}, x, np.cumsum(x, axis=1) * [1, 100])
    params = jax.tree.map(jnp.zeros_like, state.params)
    loss = float(task.evaluate(params, state.hyper, task.held_out))
    assert task.levels == {f"the training mean: {loss:#.4g}": pytest.approx(loss, rel=1e-12)}
