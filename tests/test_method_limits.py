"""What a method draws, and what it refuses."""

import re

import jax
import numpy as np
import pytest
from method_cases import shapes_of

from rnnjax.config import GradientConfig
from rnnjax.errors import UserError
from rnnjax.gradients import METHODS
from rnnjax.model.network import Model


def test_draws_have_the_shape_and_the_odds_that_they_should():
    model = Model(vocabulary=5, hidden=3, unit="gru")
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes_of(model))
    key, shape = jax.random.key(0), (50, 40)

    def draw(name, **options):
        drawn = METHODS[name](GradientConfig(name, **options)).draw
        return jax.jit(drawn, static_argnums=(1, 3))(key, model, params, shape)

    of_uoro, of_kf_rtrl = draw("uoro"), draw("kf_rtrl")
    assert of_uoro.shape == (50, 40, 3)
    assert of_kf_rtrl.shape == (50, 40, 2)
    for signs in (of_uoro, of_kf_rtrl, draw("forward_gradient").params.V):
        assert set(np.unique(signs)) == {-1.0, 1.0}
    cuts = draw("artbp", cut_probability=0.25)
    assert cuts.cut.shape == cuts.probability.shape == shape
    assert not cuts.cut[0].any()
    assert not cuts.probability[0].any()
    assert cuts.cut[1:].mean() == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(cuts.probability[1:], 0.25)
    gaussian = draw("spsa", directions=500, distribution="gaussian")
    assert gaussian.carry[0].shape == (500, 40, 3)
    assert gaussian.params.V.shape == (500, 3, 5)
    assert gaussian.params.V.std() == pytest.approx(1, abs=0.05)
    assert gaussian.params.V.mean() == pytest.approx(0, abs=0.05)


BIG, BOTH = Model(vocabulary=80, hidden=2000), Model(vocabulary=5, hidden=3, bidirectional=True)


@pytest.mark.parametrize(
    ("name", "model", "reason"),
    [
        ("rtrl", BIG, r"takes 1\.1e\+12 bytes"),
        ("rtrl", Model(vocabulary=80, hidden=200), "products"),
        ("snap", BIG, "bytes"),
        ("snap", Model(vocabulary=5, hidden=3, layer_norm=True), "layer normalisation"),
        ("snap", Model(vocabulary=5, hidden=3, embedding=2), "embedding"),
        ("kf_rtrl", Model(vocabulary=80, hidden=20_000), "bytes"),
        ("kf_rtrl", Model(vocabulary=5, hidden=3, learned_state=True), "learned_state"),
        ("parallel", BIG, "bytes"),
        ("finite_difference", Model(vocabulary=80, hidden=100), "products"),
        ("rflo", Model(vocabulary=5, hidden=3, unit="gru"), "gru"),
        ("rflo", Model(vocabulary=5, hidden=3, layers=2), "one layer"),
        ("rflo", Model(vocabulary=5, hidden=3, embedding=2), "embedding"),
        *((name, BOTH, "bidirectional|backward") for name in ("rtrl", "snap", "rflo", "uoro", "kf_rtrl", "parallel")),
        *((name, BOTH, "bidirectional|backward") for name in ("checkpointed", "truncated", "artbp")),
    ],
)
def test_what_a_method_cannot_do_is_refused_before_anything_is_computed(name, model, reason):
    answer = METHODS[name](GradientConfig()).refuse(model, 64, 32)
    assert answer is not None
    assert re.search(reason, answer), answer


@pytest.mark.parametrize("name", METHODS)
def test_what_a_method_can_do_is_not_refused(name):
    assert METHODS[name](GradientConfig()).refuse(Model(vocabulary=5, hidden=3), 5, 2) is None


@pytest.mark.parametrize(
    "options",
    [
        {"k1_steps": 0},
        {"k1_steps": 3, "k2_steps": 2},
        {"cut_probability": 1.0},
        {"snap_steps": 0},
        {"directions": 0},
        {"sigma": 0.0},
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(UserError, match=f"gradient.{list(options)[-1]}"):
        GradientConfig(**options)
