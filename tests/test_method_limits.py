"""Directions that a method draws, and networks and windows that it refuses."""

import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import shapes_of

import rnnjax
from rnnjax.config import GradientConfig
from rnnjax.errors import UserError
from rnnjax.gradients import (
    METHODS,
    cost,
    limits,
    make_applicable,
)
from rnnjax.gradients.limits import refusal
from rnnjax.model.network import Model, zero_carry
from rnnjax.model.recurrence import of_network


def test_gaussian_directions_have_mean_0_and_variance_1():
    """The certificate judges all other draws."""
    model = Model(vocabulary=5, hidden=3, cell="gru")
    params, state = jax.tree.map(lambda leaf: np.zeros(leaf.shape), shapes_of(model)), zero_carry(model, (40,), float)
    draw = METHODS["spsa"](GradientConfig("spsa", directions=500, distribution="gaussian")).draw
    found = jax.jit(draw, static_argnums=(1, 4))(jax.random.key(0), of_network(model), params, state, 50)
    assert (found.carry[0].shape, found.params.V.shape) == ((500, 40, 3), (500, 3, 5))
    assert (found.params.V.mean(), found.params.V.std()) == pytest.approx((0, 1), abs=0.05)


BIG, BOTH = Model(vocabulary=80, hidden=2000), Model(vocabulary=5, hidden=3, bidirectional=True)


REFUSED = [
    ("rtrl", BIG, r"3\.\d* TB in float32, as the compiler plans it, and one gradient about 39 days"),
    ("snap", BIG, "the influence matrix"),
    ("snap", Model(vocabulary=5, hidden=3, layer_norm=True), "layer normalisation"),
    ("snap", Model(vocabulary=5, hidden=3, embedding=2), "embedding"),
    ("kf_rtrl", Model(vocabulary=5, hidden=3, learned_state=True), "learned_state"),
    ("rflo", Model(vocabulary=5, hidden=3, cell="gru"), "gru"),
    ("truncated_gates", Model(vocabulary=5, hidden=3, cell="gru"), "gru"),
    ("truncated_gates", Model(vocabulary=5, hidden=3, cell="lstm", layers=2), "one layer"),
    ("truncated_gates", Model(vocabulary=5, hidden=3, cell="lstm", layer_norm=True), "layer normalisation"),
    ("rflo", Model(vocabulary=5, hidden=3, layers=2), "one layer"),
    ("rflo", Model(vocabulary=5, hidden=3, embedding=2), "embedding"),
    *((name, BOTH, "bidirectional|backward") for name in ("rtrl", "snap", "rflo", "uoro", "kf_rtrl", "parallel_scan")),
    *((name, BOTH, "bidirectional|backward") for name in ("checkpointed", "truncated", "truncated_gates", "artbp")),
]


def test_what_a_method_cannot_do_is_refused_before_anything_is_computed():
    for name, model, reason in REFUSED:
        answer = refusal(METHODS[name](GradientConfig()), model, 64, 32, "float32")
        assert re.search(reason, answer or ""), (name, answer)


def vanilla(hidden, T, B, **options):
    return Model(vocabulary=80, hidden=hidden, **options), T, B


LIMITS = [
    ("textbook", {}, vanilla(180, 1_000, 32), vanilla(210, 1_000, 32), "time"),
    ("parallel_scan", {}, vanilla(420, 64, 32), vanilla(480, 64, 32), "time"),
    ("parallel_scan", {}, vanilla(20, 1_700_000, 1), vanilla(20, 2_000_000, 1), "memory"),
    ("deer", {}, vanilla(240, 64, 32), vanilla(280, 64, 32), "time"),
    ("rtrl", {}, vanilla(110, 64, 32), vanilla(120, 64, 32), "time"),
    ("rtrl", {}, vanilla(240, 2, 32), vanilla(260, 2, 32), "memory"),
    ("rflo", {}, vanilla(4_200, 64, 32), vanilla(4_600, 64, 32), "memory"),
    ("rflo", {}, vanilla(1_000, 2_500, 32), vanilla(1_000, 3_200, 32), "time"),
    ("uoro", {}, vanilla(3_700, 64, 32), vanilla(4_000, 64, 32), "memory"),
    ("uoro", {}, vanilla(1_000, 2_500, 32), vanilla(1_000, 3_200, 32), "time"),
    ("kf_rtrl", {}, vanilla(400, 64, 32), vanilla(450, 64, 32), "time"),
    ("kf_rtrl", {}, vanilla(100, 2, 25_000), vanilla(100, 2, 29_000), "memory"),
    ("finite_difference", {}, vanilla(46, 64, 32), vanilla(55, 64, 32), "time"),
    ("truncated", {"k2_steps": 10_000}, vanilla(256, 240, 32), vanilla(256, 300, 32), "time"),
    ("forward_gradient", {"directions": 500}, vanilla(128, 64, 110), vanilla(128, 64, 130), "memory"),
    ("spsa", {"directions": 60}, vanilla(1_000, 64, 32), vanilla(1_000, 64, 48), "time"),
]


@pytest.mark.slow
def test_both_sides_of_each_limit():
    for name, options, allowed, too_much, exceeded in LIMITS:
        method = METHODS[name](GradientConfig(name, **options))
        assert refusal(method, *allowed, "float32") is None, (name, exceeded)
        answer = refusal(method, *too_much, "float32")
        assert answer is not None, (name, exceeded)
        assert "\n" not in answer
        assert f"too much {exceeded} (limits: 8 GB, 60 s)" in answer, (name, answer)


def test_a_refusal_for_cost_can_be_overridden_and_no_other(monkeypatch):
    config, size = GradientConfig("rtrl"), (*vanilla(120, 64, 32), "float32")
    with pytest.raises(UserError, match=r"rtrl: the influence matrix .*, or insist with gradient\.insist true"):
        make_applicable(config, *size)
    assert make_applicable(replace(config, insist=True), *size).online
    with pytest.raises(UserError, match="bidirectional"):
        make_applicable(replace(config, insist=True), BOTH, 4, 2, "float32")

    for limit in ("MOST_SECONDS", "TIMES_PLAIN"):
        monkeypatch.setattr(limits, limit, 0)
    net = rnnjax.network(hidden=3, outputs=2)
    params, ids = net.init(jax.random.key(0)), jnp.zeros((64, 1), jnp.int32)
    window = params, net.state(params, 1), ids, ids
    with pytest.raises(UserError, match=r"the influence matrix .* too much time"):
        rnnjax.gradient(net.step, "cross_entropy", "rtrl")(*window)
    value, _ = rnnjax.gradient(net.step, "cross_entropy", "rtrl", insist=True)(*window)
    assert value == pytest.approx(rnnjax.gradient(net.step, "cross_entropy")(*window)[0])


def test_memory_is_that_of_the_parameters_type():
    method = METHODS["rtrl"](GradientConfig())
    assert refusal(method, *vanilla(240, 2, 32), "float32") is None
    assert re.search(
        r"would take 1[3-6]\.\d GB in float64.*too much memory", refusal(method, *vanilla(240, 2, 32), "float64")
    )


def test_no_method_is_refused_for_what_plain_back_propagation_takes_too():
    model, T, B = vanilla(4_096, 10_000, 32)
    assert cost.plain(model, T, B).seconds > 10 * limits.MOST_SECONDS
    for name in ("truncated", "forward_gradient", "spsa"):
        method = METHODS[name](GradientConfig(name, k1_steps=10_000, k2_steps=10_000))
        assert refusal(method, model, T, B, "float32") is None


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name](GradientConfig()).price])
def test_the_law_of_memory_is_about_what_the_compiler_plans(name):
    """The law decides when the compiler is asked, and tells how memory grows beyond what that can count."""
    model, T, B = Model(vocabulary=20, hidden=24), 32, 4
    method = METHODS[name](GradientConfig(name, directions=8))
    planned = limits.planned(method.price, method, model, T, B, "float64")
    assert 1 / 4 < method.price.law(model, T, B).memory("float64") / planned < 4


def test_what_a_method_can_do_is_not_refused():
    for name in METHODS:
        assert refusal(METHODS[name](GradientConfig()), Model(vocabulary=5, hidden=3), 5, 2, "float32") is None


def test_options_out_of_range_are_refused():
    for option, value in {
        "k1_steps": 0,
        "cut_probability": 1.0,
        "snap_steps": 0,
        "directions": 0,
        "sigma": 0.0,
    }.items():
        with pytest.raises(UserError, match=f"gradient.{option}"):
            GradientConfig(**{option: value})
    with pytest.raises(UserError, match=r"gradient\.k2_steps"):
        GradientConfig(k1_steps=3, k2_steps=2)
