"""Training with trajectories found in parallel: the same run as one step after the other, and what it tells of them."""

import dataclasses
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import HYPER, Case, compute, compute_one, make
from command import TINY, call, write_songs

from rnnjax import train
from rnnjax.config import GradientConfig
from rnnjax.errors import UserError
from rnnjax.gradients import METHODS, manual
from rnnjax.gradients.method import Window
from rnnjax.model import rnn
from rnnjax.model.recurrence import of_network
from rnnjax.parallel.layer import InParallel
from rnnjax.parallel.newton import Solver

RUN = [
    *TINY,
    *("--model.cell", "lstm", "--run.precision", "float64", "--training.sequence_length", "20"),
    *("--training.steps", "12", "--training.log_every_steps", "4", "--sampling.every_steps", "0"),
]


def test_a_run_is_the_same_in_parallel_and_logs_its_iterations(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_songs("songs.csv")
    lines = {}
    ways = {
        "plain": (),
        "deer": ("--gradient.method", "deer"),
        "cut": ("--gradient.method", "deer", "--gradient.iterations", "1"),
        "mixed": ("--gradient.method", "manual", "--model.unroll", "quasi"),
    }
    for name, options in ways.items():
        answer = call(train.main, *RUN, *options, "--run.name", name)
        assert answer.code == 0, answer.stderr
        text = (tmp_path / "runs" / name / "metrics.jsonl").read_text()
        lines[name] = [json.loads(line) for line in text.splitlines()]
    plain, found, cut, mixed = lines.values()
    for key in ("loss", "validation_loss"):
        for other in (found, cut, mixed):
            of = lambda rows, key=key: [row[key] for row in rows if key in row]
            np.testing.assert_allclose(of(other), of(plain), rtol=1e-9)
    assert all(row["iterations"] > 2 and row["sequential"] == 0 for row in mixed)
    assert not {"iterations", "sequential"} & {*plain[0]}
    drawn = {name: (tmp_path / "runs" / name / "iterations.png").exists() for name in ways}
    assert drawn == {"plain": False, "deer": True, "cut": True, "mixed": True}
    assert all(2 < row["iterations"] < 12 and row["sequential"] == 0 for row in found)
    assert all(row["iterations"] == 1 and row["sequential"] > 0.9 for row in cut)


OPTIONS = [
    {"solver": "quasi_elk"},
    {"damping": 0.3},
    {"chunk_steps": 4},
    {"start": "held"},
    {"iterations": 2},
    {"solver": "quasi", "iterations": 2},
]


def test_no_option_changes_the_gradient():
    arrays, model = make(Case("gru", layers=2, masks="wvr", options="x", T=7, batch=(2,)))
    ways = [GradientConfig("deer", **options) for options in OPTIONS]
    expected, *found = compute(("autodiff", *ways), model, *arrays)[1]
    for way, gradient in zip(ways, found, strict=True):
        for a, e in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-9, atol=1e-10, err_msg=str(way))


@pytest.mark.parametrize("cell", ["lstm", "min_gru"])
def test_a_network_that_runs_in_parallel_has_the_same_gradient(cell):
    (params, carry, batch), model = make(Case(cell, layers=2, masks="wvr", options="xs", T=7, batch=(2,)))
    window = Window(params, HYPER, carry, batch)
    expected = jax.jit(lambda: METHODS["manual"](GradientConfig()).gradient(of_network(model), window))()
    assert expected.spent is None
    for name, kind in (("manual", "quasi"), ("autodiff", "deer")):
        at_once = dataclasses.replace(model, over_time=InParallel(Solver(kind)))
        found = jax.jit(
            lambda name=name, model=at_once: METHODS[name](GradientConfig()).gradient(of_network(model), window)
        )()
        assert 1 < found.spent.iterations <= (2 if cell == "min_gru" else 8)
        for a, e in zip(jax.tree.leaves(found._replace(spent=None)), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-9, atol=1e-11)
    sum_of = lambda unroll, at: jnp.sum(jnp.sin(rnn.apply(model, *at, carry, batch, unroll=unroll)[1]))
    by_hand, at_once = (
        jax.jit(jax.grad(partial(sum_of, way)))
        for way in (manual.unroll, partial(manual.unroll, way=InParallel(Solver())))
    )
    for a, e in zip(
        jax.tree.leaves(at_once((params, HYPER))[0]), jax.tree.leaves(by_hand((params, HYPER))[0]), strict=True
    ):
        np.testing.assert_allclose(a, e, rtol=1e-9, atol=1e-11)


def test_layers_back_in_time_are_solved_too():
    (params, carry, batch), model = make(Case(masks="wv", options="b", T=7, batch=(2,)))
    method = METHODS["deer"](GradientConfig("deer"))
    found = jax.jit(method.gradient, static_argnums=0)(of_network(model), Window(params, HYPER, carry, batch))
    assert 1 < found.spent.iterations <= 8
    expected = compute_one("autodiff", model, params, carry, batch)
    for a, e in zip(jax.tree.leaves(found.params), jax.tree.leaves(expected.params), strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-9, atol=1e-12)


def test_an_error_of_the_states_is_at_most_what_the_window_amplifies():
    arrays, model = make(Case("gru", masks="w", T=40, batch=(2,)))
    tolerances = (1e-2, 1e-5, 1e-8)
    ways = [GradientConfig("deer", solver="quasi", tolerance=tolerance) for tolerance in tolerances]
    expected, *found = compute(("autodiff", *ways), model, *arrays)[1]
    sizes = []
    for tolerance, gradient in zip(tolerances, found, strict=True):
        pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(expected), strict=True)
        sizes.append(max(np.abs(a - e).max() for a, e in pairs))
        assert sizes[-1] < 100 * tolerance
    assert sizes[0] > 1e3 * sizes[2]


def test_options_of_the_solver_out_of_range_are_refused():
    for option, value in {"tolerance": -1e-3, "iterations": 0, "damping": 1.5, "chunk_steps": -1}.items():
        with pytest.raises(UserError, match=f"gradient.{option}"):
            GradientConfig("deer", **{option: value})
