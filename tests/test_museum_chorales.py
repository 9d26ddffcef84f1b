"""The exhibit on the chorales of J. S. Bach, on chorales of its own."""

from itertools import pairwise

import jax
import numpy as np
import pytest
from scipy.io import savemat

from rnnjax.config import DataConfig
from rnnjax.model.network import Model
from rnnjax.museum.exhibits import jsb_chorales
from rnnjax.museum.exhibits.sequence_models import draw_params


def random_chorales(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [(rng.random((steps, 88)) < 0.05).astype(np.uint8) for steps in lengths]


def test_the_loss_is_the_surprise_at_88_keys_as_a_mean_over_the_steps_of_all_chorales():
    chorales = random_chorales((3, 9, 5, 2))
    model = Model(88, 6, loss="bernoulli")
    params = draw_params(jax.random.key(1), model, 1.0)
    as_numpy = jax.device_get(params)
    (layer,), losses = as_numpy.layers, []
    for chorale in chorales:
        h = np.zeros(6)
        for x, y in pairwise(chorale):
            h = np.tanh(x @ layer.U + h @ layer.W + layer.bh)
            p = 1 / (1 + np.exp(-(h @ as_numpy.V + as_numpy.by)))
            losses.append(-np.sum(y * np.log(p) + (1 - y) * np.log(1 - p)))
    assert len(losses) == 2 + 8 + 4 + 1
    found = jax.jit(jsb_chorales.mean_loss, static_argnums=1)(params, model, jsb_chorales.padded(chorales))
    np.testing.assert_allclose(found, np.mean(losses), rtol=1e-5)


def test_groups_have_every_chorale_once_and_little_else():
    chorales = random_chorales(range(2, 25))
    groups = jax.device_get(jsb_chorales.by_length(chorales))
    assert len({group.x.shape[1] for group in groups}) == 1
    found = [
        (len(steps), x[0].tolist())
        for group in groups
        for b in range(group.x.shape[1])
        if len(steps := np.flatnonzero(group.weight[:, b]))
        for x in [group.x[:, b]]
    ]
    assert found == [(len(chorale) - 1, chorale[0].tolist()) for chorale in chorales]
    np.testing.assert_array_equal(groups[-1].x[1:, -1], groups[-1].y[:-1, -1])


def test_an_epoch_learns_from_each_chorale_once(monkeypatch):
    groups = jsb_chorales.by_length(random_chorales(range(2, 32)))
    seen = []
    note = lambda params, rows, key, group, **other: (seen.append((len(group.x), rows.tolist())), params)[1]
    monkeypatch.setattr(jsb_chorales, "gradient", note)
    monkeypatch.setattr(jax.lax, "switch", lambda index, ways, *args: ways[int(index)](*args))
    still = jsb_chorales.optax.set_to_zero()
    for number in range(sum(group.x.shape[1] for group in groups) // jsb_chorales.BATCH):
        jsb_chorales.update(((), still.init(())), number, groups, jax.random.key(3), None, 0.0, still)
    dealt = {(longest, row) for longest, rows in seen for row in rows}
    assert len(dealt) == sum(len(rows) for _, rows in seen)
    assert dealt == {(len(group.x), row) for group in groups for row in range(group.x.shape[1])}


def cells(chorales):
    """Chorales as MATLAB's cell array, [1, n]."""
    found = np.empty((1, len(chorales)), object)
    found[0] = chorales
    return found


@pytest.mark.slow
def test_a_network_learns_a_scale_and_not_at_a_thousandth_of_the_rate(tmp_path, monkeypatch):
    scale = np.tile(np.eye(88, dtype=np.uint8)[[40, 42, 44, 45, 47, 49, 51, 52]], (3, 1))
    parts = {"traindata": range(20), "validdata": range(1, 4), "testdata": range(4, 8)}
    savemat(tmp_path / "c.mat", {name: cells([scale[i % 8 :] for i in of]) for name, of in parts.items()})
    monkeypatch.setattr(jsb_chorales, "DATA", DataConfig(path=str(tmp_path / "c.mat")))
    arm = {**jsb_chorales.ARMS["LSTM"], "units": 20, "dropout": 0.0, "epochs": 200}
    found, slow = (jsb_chorales.run(np.arange(2), **{**arm, "rate": rate}) for rate in (0.02, 2e-5))
    assert found["loss"].max() < 1 < 10 < slow["loss"].min()
    assert found["validation loss"].shape == (2, 200)
